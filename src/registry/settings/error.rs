use std::path::PathBuf;

use super::Origin;
use crate::fs::FsError;

/// Why the settings don't hold together.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// An environment that the build knows nothing of.
    #[error("there is no environment {name:?}; there are: {known}")]
    Environment {
        /// The name that was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A value that is none for its setting.
    #[error("{setting} ({origin}): {problem}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// Where the value comes from.
        origin: Origin,
        /// What is wrong with it. Never the value of a secret.
        problem: String,
    },
    /// A variable that holds no text.
    #[error("the environment variable {variable} is not valid UTF-8")]
    Variable {
        /// The variable.
        variable: &'static str,
    },
    /// A user without a password, or the other way round.
    #[error(
        "{given} is set ({origin}) but {missing} is not: give both, or --htpasswd with a file of users"
    )]
    Half {
        /// The one that is there.
        given: &'static str,
        /// Where it comes from.
        origin: Origin,
        /// The one that is not.
        missing: &'static str,
    },
    /// A file that the settings name can't be read.
    #[error("{setting} ({origin}): {source}")]
    File {
        /// The setting.
        setting: &'static str,
        /// Where its value comes from.
        origin: Origin,
        /// What happened.
        source: FsError,
    },
    /// The YAML file is not what Trow 0.10 takes.
    #[error("{}: {problem}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where they are known.
        problem: String,
    },
}
