//! What ends a command: a kind, which is the exit code, a message with its
//! causes, and hints at the way out.

use std::error::Error;
use std::process::ExitCode;

use crate::fs::FsError;

/// Why a command ended; each kind has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for failed, or a check found errors. Exit code 1.
    Failed,
    /// The arguments are wrong: an unknown environment, no repository. Exit code 2.
    Usage,
    /// A file that was read is wrong: an environment, the lock. Exit code 3.
    Input,
    /// Something outside did not answer: the upstream, a cluster. Exit code 4.
    Unreachable,
}

/// What ends a command.
#[derive(Debug)]
pub struct CliError {
    kind: ErrorKind,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hints: Vec<String>,
}

impl CliError {
    /// An error of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None, hints: Vec::new() }
    }

    /// What was asked for failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// A file that was read is wrong. The error's own text is the message.
    pub fn input(error: impl Error) -> Self {
        Self::new(ErrorKind::Input, error_chain(&error))
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds a way out, printed as `hint: …`.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error as one of another kind.
    #[must_use]
    pub fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The ways out.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The code to leave with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Input => 3,
            ErrorKind::Unreachable => 4,
        })
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {}", error_chain(cause.as_ref())),
            None => Ok(()),
        }
    }
}

impl From<FsError> for CliError {
    fn from(error: FsError) -> Self {
        Self::failed(error.to_string())
    }
}

/// An error and all its causes on one line. A cause whose text its parent
/// already says is left out.
fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
