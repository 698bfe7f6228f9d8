//! Asking a running server for a job: a socket in its data folder, which only
//! its user can open. One line of JSON goes in, lines come back: the progress,
//! and at the end what came of it. Whoever hangs up ends the job.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::fs::{self, At as _, FsError};
use crate::registry::service::Registry;
use crate::registry::store::{CollectPolicy, ScrubPolicy, Store, StoreError, Watch};

/// The longest path of a socket that the system takes, in bytes.
const LONGEST: usize = 107;

/// How long a line a client may send, in bytes.
const LINE: u64 = 4096;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a client hears of the progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// How long it is waited before a socket is tried again that could not be made.
const LISTEN_AGAIN: Duration = Duration::from_secs(30);

/// What a client asks for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// A collection.
    Collect {
        /// Untagged manifests of this age in seconds go, too.
        untagged: Option<u64>,
        /// Only count.
        dry_run: bool,
    },
    /// A scrub from the beginning.
    Scrub {
        /// Bytes in a second.
        rate: Option<u64>,
    },
}

impl Job {
    /// Does it, telling of the progress as it goes.
    ///
    /// # Errors
    /// What the store says.
    pub async fn run<S: Store>(
        self,
        registry: &Registry<S>,
        progress: Watch<Value>,
    ) -> Result<Value, StoreError> {
        match self {
            Self::Collect { untagged, dry_run } => {
                let untagged = untagged.map(Duration::from_secs);
                let policy = CollectPolicy { untagged, dry_run, ..CollectPolicy::default() };
                let watch: Watch<_> = Arc::new(move |done| progress(&json!(done)));
                registry.collect(&policy, watch).await.map(|done| json!(done))
            }
            Self::Scrub { rate } => {
                let policy = ScrubPolicy { rate, afresh: true };
                let watch: Watch<_> = Arc::new(move |found| progress(&json!(found)));
                registry.scrub(&policy, watch).await.map(|found| json!(found))
            }
        }
    }
}

/// Where the socket of a data folder is.
fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control")
}

/// Serves the socket of a data folder, for ever.
pub async fn serve<S: Store>(registry: Arc<Registry<S>>, data_dir: PathBuf) {
    let mut told = false;
    let listener = loop {
        match listen(&data_dir) {
            Ok(listener) => break listener,
            Err(error) if told => tracing::debug!(%error, "still out of reach"),
            Err(error) => {
                told = true;
                tracing::warn!(%error, "`warren-registry gc` and `scrub` can't reach this server");
            }
        }
        // The disk may take a socket later.
        tokio::time::sleep(LISTEN_AGAIN).await;
    };
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if is_ours(&stream) => {
                    clients.spawn(answer(Arc::clone(&registry), stream));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Whether this process's user, or root, is at the other end.
fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

fn listen(data_dir: &Path) -> Result<UnixListener, FsError> {
    let path = socket(data_dir);
    if path.as_os_str().len() > LONGEST {
        let long = format!("the path of a socket has at most {LONGEST} bytes");
        return Err(std::io::Error::other(long)).at("listen on", &path);
    }
    // Of two servers on one folder the later one listens.
    fs::remove_if_there(&path)?;
    let listener = UnixListener::bind(&path).at("listen on", &path)?;
    fs::restrict_to_owner(&path)?;
    Ok(listener)
}

async fn answer<S: Store>(registry: Arc<Registry<S>>, stream: UnixStream) {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut lines = BufReader::new(read.take(LINE));
    if !matches!(tokio::time::timeout(PATIENCE, lines.read_line(&mut line)).await, Ok(Ok(_))) {
        return;
    }
    let job = match serde_json::from_str::<Job>(&line) {
        Ok(job) => job,
        Err(error) => {
            let refused = format!("{}\n", json!({"error": format!("no such job: {error}")}));
            let _ = write.write_all(refused.as_bytes()).await;
            return;
        }
    };
    tracing::info!(?job, "asked for by a command");
    let latest = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&latest);
    let gone = crate::registry::upkeep::StopOnDrop::default();
    let goes_on = gone.watch::<()>();
    let watch: Watch<Value> = Arc::new(move |progress| {
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress.clone());
        goes_on(&())
    });
    let work = job.run(&registry, watch);
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(PROGRESS);
    loop {
        let (reply, over) = tokio::select! {
            result = &mut work => (match result {
                Ok(done) => json!({"done": done}),
                Err(error) => json!({"error": error.to_string()}),
            }, true),
            _ = ticks.tick() => {
                let latest = latest.lock().unwrap_or_else(PoisonError::into_inner).take();
                (json!({"progress": latest}), false)
            }
        };
        if write.write_all(format!("{reply}\n").as_bytes()).await.is_err() || over {
            return;
        }
    }
}

/// Asks the server of a data folder for a job; `None` where none listens.
///
/// # Errors
/// What the server says, or that it went away.
pub async fn ask(
    data_dir: &Path,
    job: Job,
    mut progress: impl FnMut(&Value),
) -> Option<Result<Value, String>> {
    let stream = match UnixStream::connect(socket(data_dir)).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let path = socket(data_dir);
            return Some(Err(format!(
                "{}: {error}; run this as the server's user",
                path.display()
            )));
        }
        Err(_) => return None,
    };
    let (read, mut write) = stream.into_split();
    let gone = || Err("the server went away before the job was done".to_owned());
    let Ok(line) = serde_json::to_string(&job) else { return Some(gone()) };
    if write.write_all(format!("{line}\n").as_bytes()).await.is_err() {
        return Some(gone());
    }
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(mut reply) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(done) = reply.get_mut("done") {
            return Some(Ok(done.take()));
        }
        if let Some(error) = reply.get("error").and_then(Value::as_str) {
            return Some(Err(error.to_owned()));
        }
        if let Some(latest) = reply.get("progress").filter(|latest| !latest.is_null()) {
            progress(latest);
        }
    }
    Some(gone())
}
