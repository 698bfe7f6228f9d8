//! The registry's password, and where it comes from. It never comes from the
//! command line, which every process of the machine sees.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

use crate::fs::{self, FsError};

/// More than anyone types, and little enough to read without a thought.
const MAX_BYTES: u64 = 4096;

/// A password that a client can log in with. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password as it was typed.
    ///
    /// # Errors
    /// When it is empty, too long, or has a character that HTTP Basic
    /// authentication can't carry (RFC 7617, section 2).
    pub fn new(text: &str) -> Result<Self, PasswordError> {
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if text.len() as u64 > MAX_BYTES {
            return Err(PasswordError::Long);
        }
        if text.chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes the content of a file: one line end after it is not part of it.
    ///
    /// # Errors
    /// As [`Password::new`], or when it is not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PasswordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| PasswordError::Utf8)?;
        let line = text.strip_suffix('\n').unwrap_or(text);
        Self::new(line.strip_suffix('\r').unwrap_or(line))
    }

    /// The password itself. Never print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It is empty.
    #[error("the password is empty: with it anyone could log in")]
    Empty,
    /// It is too long.
    #[error("the password has more than {MAX_BYTES} bytes: is this the right file?")]
    Long,
    /// It has a line break or another control character.
    #[error(
        "the password has a line break or another control character in it, which no client can \
         send (RFC 7617); only one line end after it is allowed"
    )]
    Control,
    /// It is not text.
    #[error("the password is not UTF-8 text")]
    Utf8,
    /// The two answers at the prompt differ.
    #[error("the two passwords are not the same")]
    Differ,
    /// The environment variable is not set.
    #[error("the environment variable {name} is not set, or not UTF-8 text")]
    Variable {
        /// Its name.
        name: String,
    },
    /// The file could not be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Stdin or the terminal could not be read.
    #[error("cannot read the password from {from}: {source}")]
    Read {
        /// What was read.
        from: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// What is piped in.
    Stdin,
    /// An environment variable.
    Variable(String),
    /// The terminal, without echo, twice.
    Prompt,
}

impl Source {
    /// Gets the password. `user` is named at the prompt.
    ///
    /// # Errors
    /// When there is none, or it is not one to log in with.
    pub fn read(&self, user: &str) -> Result<Password, PasswordError> {
        match self {
            Self::File(path) => Password::from_bytes(&fs::read(path)?),
            Self::Stdin => {
                let mut bytes = Vec::new();
                // The two more are its line end, the third shows that it is too long.
                let read = std::io::stdin().lock().take(MAX_BYTES + 3).read_to_end(&mut bytes);
                read.map_err(|source| PasswordError::Read { from: "stdin", source })?;
                Password::from_bytes(&bytes)
            }
            Self::Variable(name) => {
                let value = std::env::var(name)
                    .map_err(|_| PasswordError::Variable { name: name.clone() })?;
                Password::new(&value)
            }
            Self::Prompt => {
                let ask = |question: String| {
                    rpassword::prompt_password(question)
                        .map_err(|source| PasswordError::Read { from: "the terminal", source })
                };
                let first = Password::new(&ask(format!("Password for {user}: "))?)?;
                if ask("Again: ".to_owned())? == first.expose() {
                    Ok(first)
                } else {
                    Err(PasswordError::Differ)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_the_password() {
        for bytes in ["s3cr3tp@55", "s3cr3tp@55\n", "s3cr3tp@55\r\n"] {
            assert_eq!(Password::from_bytes(bytes.as_bytes()).unwrap().expose(), "s3cr3tp@55");
        }
        assert_eq!(Password::from_bytes(b" a:b \n").unwrap().expose(), " a:b ");
    }

    #[test]
    fn what_no_client_can_send_is_refused() {
        for bytes in [&b""[..], b"\n", b"\r\n", b"a\n\n", b"a\nb", b"a\0", b"\xff"] {
            assert!(Password::from_bytes(bytes).is_err(), "{bytes:?}");
        }
        assert!(Password::new(&"x".repeat(4096)).is_ok());
        assert!(Password::new(&"x".repeat(4097)).is_err());
    }

    #[test]
    fn a_password_does_not_show_itself() {
        let text = format!("{:?}", Password::new("s3cr3t").unwrap());
        assert!(!text.contains("s3cr3t"), "{text}");
    }
}
