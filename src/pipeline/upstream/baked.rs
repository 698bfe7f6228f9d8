//! What `build.rs` tells cargo of the pin.

use std::path::PathBuf;

use super::mode::Mode;
use super::verify::{Inputs, MIRROR_VARIABLE, REPIN_VARIABLE, Verified, VerifyError, verify};
use crate::pipeline::fetch::Limits;

/// What a build script knows.
#[derive(Clone, Debug)]
pub struct Build {
    /// The package's folder: `CARGO_MANIFEST_DIR`.
    pub root: PathBuf,
    /// Where the build script may write: `OUT_DIR`.
    pub out: PathBuf,
    /// The package's version.
    pub version: String,
    /// The value of [`Mode::VARIABLE`], where it is set.
    pub mode: Option<String>,
    /// The value of [`MIRROR_VARIABLE`], where it is set.
    pub mirror: Option<String>,
    /// Whether [`REPIN_VARIABLE`] is set.
    pub repin: bool,
}

impl Build {
    /// Checks the pin as the mode asks and says what to bake in.
    ///
    /// # Errors
    /// A bad mode, a mismatch, and in `require` an upstream out of reach.
    pub fn run(&self) -> Result<Baked, VerifyError> {
        self.run_within(None)
    }

    /// As [`Build::run`], with limits of the caller instead of the mode's.
    ///
    /// # Errors
    /// As [`Build::run`].
    pub fn run_within(&self, limits: Option<Limits>) -> Result<Baked, VerifyError> {
        let mode = match self.mode.as_deref() {
            None | Some("") => Mode::default(),
            Some(text) => text.parse()?,
        };
        let own = if mode == Mode::Auto { Limits::AUTO } else { Limits::PATIENT };
        let inputs = Inputs {
            root: self.root.clone(),
            cache: self.out.join("upstream.git"),
            mode,
            mirror: self.mirror.clone(),
            limits: limits.unwrap_or(own),
            reuse: mode == Mode::Auto,
            repin: self.repin,
        };
        let verified = verify(&inputs, &mut |_| {})?;
        Ok(Baked { version: self.version.clone(), verified })
    }

    /// The directives that make cargo run the build script again when an
    /// input of the check changes. `vendor` as a folder covers a copy that
    /// appears in it later; a path that is not there would always count as
    /// changed.
    #[must_use]
    pub fn inputs() -> Vec<String> {
        vec![
            "cargo::rerun-if-changed=vendor".to_owned(),
            format!("cargo::rerun-if-env-changed={}", Mode::VARIABLE),
            format!("cargo::rerun-if-env-changed={MIRROR_VARIABLE}"),
            format!("cargo::rerun-if-env-changed={REPIN_VARIABLE}"),
        ]
    }
}

/// What is baked into both binaries.
#[derive(Clone, Debug)]
pub struct Baked {
    version: String,
    /// The pin and how it was checked.
    pub verified: Verified,
}

impl Baked {
    /// The version line: our version, the upstream's, and how it was checked.
    #[must_use]
    pub fn version_line(&self) -> String {
        let Verified { lock, outcome, .. } = &self.verified;
        format!("{} (upstream trow {} {}, {outcome})", self.version, lock.tag, lock.commit.short())
    }

    /// The directives for cargo: warnings, and variables for `env!`.
    #[must_use]
    pub fn directives(&self) -> Vec<String> {
        let Verified { lock, outcome, warnings } = &self.verified;
        let mut lines: Vec<_> = warnings
            .iter()
            .map(|warning| format!("cargo::warning={}", one_line(warning)))
            .collect();
        if !warnings.is_empty() {
            lines.push(format!(
                "cargo::warning=the upstream was not checked; the facts of vendor/trow.lock.toml \
                 serve. {}=require makes this an error",
                Mode::VARIABLE
            ));
        }
        for (name, value) in [
            ("WARREN_VERSION", self.version_line()),
            ("WARREN_UPSTREAM_TAG", lock.tag.clone()),
            ("WARREN_UPSTREAM_COMMIT", lock.commit.to_string()),
            ("WARREN_UPSTREAM_OUTCOME", outcome.to_string()),
        ] {
            lines.push(format!("cargo::rustc-env={name}={}", one_line(&value)));
        }
        lines
    }
}

/// The directives that report an error, a line each: cargo reads one line as
/// one message.
#[must_use]
pub fn error_directives(error: &VerifyError) -> Vec<String> {
    error.to_string().lines().map(|line| format!("cargo::error={line}")).collect()
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}
