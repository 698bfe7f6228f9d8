//! Running `kubectl`, with an end to the waiting.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The environment variable that names another `kubectl` than that of `PATH`.
pub const KUBECTL_VARIABLE: &str = "WARREN_KUBECTL";

/// How often a running `kubectl` is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long output may come in after the process has gone. A login helper of
/// the kubeconfig can outlive `kubectl` and hold its pipes open.
const DRAIN: Duration = Duration::from_secs(1);

/// What runs `kubectl`: [`Kubectl`], or in a test something that knows the
/// answers.
pub trait Run {
    /// Runs it with these arguments, with this input, for at most this long.
    ///
    /// # Errors
    /// When it could not be started, or did not end in time.
    fn run(
        &self,
        arguments: &[&OsStr],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<Finished, RunError>;
}

/// How a run ended, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Whether the exit code was 0.
    pub success: bool,
    /// What it said on stdout.
    pub stdout: String,
    /// What it said on stderr.
    pub stderr: String,
}

impl Finished {
    /// What it said went wrong, on one line.
    #[must_use]
    pub fn reason(&self) -> String {
        let lines: Vec<&str> =
            self.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return "kubectl failed without a word".to_owned();
        }
        let text = lines.join("; ");
        text.strip_prefix("error: ").unwrap_or(&text).to_owned()
    }
}

/// Why a run has no result.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RunError {
    /// The program could not be started, as a rule because it is not there.
    #[error("cannot start {program}: {reason}")]
    Start {
        /// What was to be started.
        program: String,
        /// What the system answered.
        reason: String,
    },
    /// It went on for too long and was ended.
    #[error("{program} gave no answer within {} s", limit.as_secs())]
    Limit {
        /// What was started.
        program: String,
        /// How long it had.
        limit: Duration,
    },
}

/// The `kubectl` of this machine.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: OsString,
}

impl Kubectl {
    /// The one that [`KUBECTL_VARIABLE`] names, else that of `PATH`.
    #[must_use]
    pub fn from_environment() -> Self {
        let named = std::env::var_os(KUBECTL_VARIABLE).filter(|program| !program.is_empty());
        Self::new(named.unwrap_or_else(|| "kubectl".into()))
    }

    /// This program.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into() }
    }
}

impl Run for Kubectl {
    fn run(
        &self,
        arguments: &[&OsStr],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<Finished, RunError> {
        let program = self.program.to_string_lossy().into_owned();
        let start = |reason: String| RunError::Start { program: program.clone(), reason };
        // Without a null stdin, kubectl asks for a user name where a
        // kubeconfig has none, and waits for ever.
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        let mut child = Command::new(&self.program)
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| start(error.to_string()))?;
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            let input = input.to_owned();
            // A child that ends early closes the pipe: its exit code says so.
            thread::spawn(move || pipe.write_all(input.as_bytes()));
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let success = match wait(&mut child, limit) {
            Ok(Some(success)) => success,
            Ok(None) => return Err(RunError::Limit { program, limit }),
            Err(error) => return Err(start(error.to_string())),
        };
        let text = |bytes: &Receiver<Vec<u8>>| {
            String::from_utf8_lossy(&bytes.recv_timeout(DRAIN).unwrap_or_default()).into_owned()
        };
        Ok(Finished { success, stdout: text(&stdout), stderr: text(&stderr) })
    }
}

/// Waits for the end; `None` when it had to be ended.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<bool>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Reads to the end on a thread of its own: a full pipe would stop the child.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Kubectl::new("/nowhere/kubectl").run(&[], None, DRAIN).unwrap_err();
        let RunError::Start { program, reason } = error else { panic!("{error}") };
        assert_eq!(program, "/nowhere/kubectl");
        assert!(reason.contains("No such file"), "{reason}");
    }

    #[test]
    fn the_reason_is_one_line_without_the_prefix() {
        let stderr = "error: loading failed\n\nsee the file\n".to_owned();
        let finished = Finished { success: false, stdout: String::new(), stderr };
        assert_eq!(finished.reason(), "loading failed; see the file");
    }
}
