//! `warren-registry gc` and `warren-registry scrub`: upkeep on demand, by the
//! server that runs on the folder, or by this process where none does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser};
use serde_json::Value;

use super::control::{self, Job};
use super::{ServerError, logging};
use crate::registry::service::Registry;
use crate::registry::settings::{Flags, Output, Settings, UpkeepFlags, Variables};
use crate::registry::store::fs::yield_to_others;
use crate::registry::store::{FsOptions, FsStore};

/// The commands beside the server.
#[derive(Clone, Debug, Parser)]
#[command(name = "warren-registry", version = env!("WARREN_VERSION"), max_term_width = 100)]
pub enum UpkeepCommand {
    /// Remove what nothing refers to, while the registry goes on
    ///
    /// Blobs that no manifest of their repository mentions, manifests that no
    /// tag leads to where --untagged says so, and content that no repository
    /// holds. What was pushed, mounted or asked for within the lease is kept.
    #[command(after_help = "Example: warren-registry gc --data-dir /data --untagged 7d --dry-run")]
    Gc {
        /// Where.
        #[command(flatten)]
        place: Place,
        /// Also manifests that no tag leads to and nobody pulled for this long: 12h, 7d, off
        #[arg(long, value_name = "DURATION")]
        untagged: Option<String>,
        /// Only count what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// Read everything and set aside what doesn't have its digest
    ///
    /// What is set aside is served to nobody; a push of the same content heals
    /// it. Where another process uses the folder damage is left in place, and no
    /// pull of it ends well. The exit code is 1 where damage was found.
    #[command(after_help = "Example: warren-registry scrub --data-dir /data --rate 100")]
    Scrub {
        /// Where.
        #[command(flatten)]
        place: Place,
        /// MiB to read in a second at most
        #[arg(long, value_name = "MIB")]
        rate: Option<String>,
    },
}

/// What both need.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// Folder of the registry [default: as the server's]
    #[arg(short = 'd', long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Take the defaults of one of Warren's environments
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    output: Output,
}

impl UpkeepCommand {
    /// Whether the first argument names one of these.
    #[must_use]
    pub fn is_meant(argument: Option<&std::ffi::OsString>) -> bool {
        argument.is_some_and(|argument| argument == "gc" || argument == "scrub")
    }

    /// Runs it; `false` where damage was found.
    ///
    /// # Errors
    /// [`ServerError`]: a setting is wrong, there is no store, the store says no.
    pub fn run(self) -> Result<bool, ServerError> {
        let (Self::Gc { place, .. } | Self::Scrub { place, .. }) = &self;
        let mut flags = Flags::default();
        flags.data_dir.clone_from(&place.data_dir);
        flags.environment.clone_from(&place.environment);
        flags.log_level = Some("warn".to_owned());
        flags.upkeep = match &self {
            Self::Gc { untagged, .. } => {
                UpkeepFlags { gc_untagged: untagged.clone(), ..UpkeepFlags::default() }
            }
            Self::Scrub { rate, .. } => {
                UpkeepFlags { scrub_rate: rate.clone(), ..UpkeepFlags::default() }
            }
        };
        // Whatever else runs on this machine goes first.
        yield_to_others();
        let settings = Settings::resolve(&flags, &Variables::process())?;
        logging::start(&settings);
        let upkeep = &settings.upkeep;
        let job = match &self {
            Self::Gc { dry_run, .. } => Job::Collect {
                untagged: upkeep.gc_untagged.value.map(|age| age.as_secs()),
                dry_run: *dry_run,
            },
            Self::Scrub { .. } => Job::Scrub { rate: Some(upkeep.scrub_rate.value) },
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| ServerError::System { step: "start the runtime", source })?;
        let done = runtime.block_on(obey(job, &settings))?;
        let text = match place.output {
            Output::Json => format!("{done:#}\n"),
            Output::Text => self.tell(&done),
        };
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|source| ServerError::System { step: "write to stdout", source })?;
        let sound = |key| done.get(key).and_then(Value::as_array).is_none_or(Vec::is_empty);
        Ok(["damaged", "in_place", "unreadable"].into_iter().all(sound))
    }

    fn tell(&self, done: &Value) -> String {
        // Writing to a string does not fail.
        let count = |key| done.get(key).and_then(Value::as_u64).unwrap_or(0);
        match self {
            Self::Gc { dry_run, .. } => {
                let would = if *dry_run { "would remove" } else { "removed" };
                let mut text = format!(
                    "{would} {} contents with {} bytes, {} manifests and {} blobs of {} repositories\n",
                    count("removed"),
                    count("bytes"),
                    count("manifests"),
                    count("links"),
                    count("repositories"),
                );
                if count("leased") > 0 {
                    let _ =
                        writeln!(text, "kept {} that were touched not long ago", count("leased"));
                }
                if count("skipped") > 0 {
                    let _ =
                        writeln!(text, "left {} repositories alone: see the log", count("skipped"));
                }
                text
            }
            Self::Scrub { .. } => {
                let mut text =
                    format!("read {} contents, {} bytes\n", count("contents"), count("bytes"));
                for (key, what) in [
                    ("damaged", "damaged, set aside"),
                    ("in_place", "damaged, left in place"),
                    ("unreadable", "unreadable"),
                ] {
                    for digest in done.get(key).and_then(Value::as_array).into_iter().flatten() {
                        let digest = digest.as_str().unwrap_or_default();
                        let _ = writeln!(text, "{what}: {digest}");
                    }
                }
                text
            }
        }
    }
}

async fn obey(job: Job, settings: &Settings) -> Result<Value, ServerError> {
    let data_dir: &Path = &settings.data_dir.value;
    let failed = |problem: String| ServerError::Upkeep { path: data_dir.to_owned(), problem };
    let tell = move |progress: &Value| {
        let count = |key| progress.get(key).and_then(Value::as_u64).unwrap_or(0);
        let (contents, bytes) = (count("contents"), count("bytes"));
        match job {
            Job::Collect { .. } => eprintln!(
                "looked at {} repositories and {contents} contents; {} manifests, {} links and {} contents of {bytes} bytes removed",
                count("repositories"),
                count("manifests"),
                count("links"),
                count("removed"),
            ),
            Job::Scrub { .. } => eprintln!("looked at {contents} contents, {bytes} bytes"),
        }
    };
    if let Some(result) = control::ask(data_dir, job, tell).await {
        return result.map_err(failed);
    }
    if !FsStore::is_in(data_dir) {
        let origin = &settings.data_dir.origin;
        return Err(failed(format!("there is no registry in it ({origin}); see --data-dir")));
    }
    let options = FsOptions { lease: settings.upkeep.gc_lease.value, ..FsOptions::default() };
    let store = FsStore::open_with(data_dir, options)?;
    let told = std::sync::Mutex::new(std::time::Instant::now());
    let watch = move |progress: &Value| {
        let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.elapsed() > Duration::from_secs(1) {
            *told = std::time::Instant::now();
            tell(progress);
        }
        true
    };
    job.run(&Registry::new(store), Arc::new(watch)).await.map_err(|error| failed(error.to_string()))
}
