//! Where a node came from: beside its [`Position`](super::Position), which
//! knows line and column, the file and the key.

use std::fmt;

/// Where a node came from. A node without one was made by the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A manifest: of the base, of a component, or another text that was read.
    File {
        /// The file as the reader was told, relative to the repository.
        file: String,
    },
    /// A key of a TOML file: an environment, one that it extends, or the lock.
    Key {
        /// The file, relative to the repository.
        file: String,
        /// The key, such as `registry.log_level` or `contract[name=port].value`.
        key: String,
    },
    /// What stands in for a key that no file sets.
    Default {
        /// The key.
        key: String,
    },
}

impl Origin {
    /// What kind of place it is: `base`, `component`, `patch`, `environment`,
    /// `lock`, `default`, or `file` for any other.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File { file } if file.starts_with("environments/base/") => "base",
            Self::File { file } if file.starts_with("environments/components/") => "component",
            Self::File { .. } => "file",
            Self::Key { key, .. } if key.starts_with("patch[") => "patch",
            Self::Key { file, .. } if file.starts_with("vendor/") => "lock",
            Self::Key { .. } => "environment",
            Self::Default { .. } => "default",
        }
    }

    /// The file, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File { file } | Self::Key { file, .. } => Some(file),
            Self::Default { .. } => None,
        }
    }

    /// The key, where there is one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key { key, .. } | Self::Default { key } => Some(key),
            Self::File { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    /// The file and the key, without a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => f.write_str(file),
            Self::Key { file, key } => write!(f, "{file} `{key}`"),
            Self::Default { key } => write!(f, "the default of `{key}`"),
        }
    }
}
