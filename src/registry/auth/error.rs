use std::path::PathBuf;

use crate::fs::FsError;

/// Why the users or the token key could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FsError),
    /// A user name that Basic authentication cannot carry.
    #[error(
        "the user name {name:?} is not usable: it is empty, or it holds a colon or a control character (RFC 7617, section 2)"
    )]
    UserName {
        /// The name as it was given.
        name: String,
    },
    /// The same user twice, with two passwords.
    #[error("the user {name:?} is defined twice: keep one of the two")]
    Twice {
        /// The name.
        name: String,
    },
    /// Argon2id hashes of too many kinds.
    #[error(
        "the argon2id hash of the user {name:?} has settings (m, t, p, length) of a third kind: each \
         login costs the work of all kinds, so that its time tells nothing; hash with the settings \
         of the others"
    )]
    Costs {
        /// The user.
        name: String,
    },
    /// A line of the htpasswd file that is none.
    #[error("{}, line {line}: {problem}", path.display())]
    Htpasswd {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it and the way out. It never holds the hash.
        problem: String,
    },
    /// A rule of the policy that is none.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong there and the way out.
        problem: String,
    },
    /// A user with a name that a policy uses otherwise.
    #[error(
        "the user name {name:?} means something else in a policy: rename the user, or leave --policy out"
    )]
    Reserved {
        /// The name.
        name: &'static str,
    },
    /// The key file does not hold a key.
    #[error(
        "{} does not hold a token key (at least 32 bytes in base64): restore it, or remove it to get a new one, which ends all open logins",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no randomness.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}
