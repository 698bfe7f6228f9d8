use std::fmt;
use std::path::PathBuf;

use crate::registry::auth::Secret;

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// Given as it is.
    Value(Secret),
    /// In a file, whose one trailing newline does not count.
    File(PathBuf),
}

impl PasswordSource {
    /// Reads `file://path`, or takes the text as the password.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("file://") {
            Some(path) => Self::File(path.into()),
            None => Self::Value(Secret::new(text)),
        }
    }
}

/// Never the password.
impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("(set)"),
            Self::File(path) => write!(f, "(set) by file://{}", path.display()),
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogFormat {
    /// The name as the flag takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Everyone.
    Open,
    /// Who can log in.
    Login,
    /// Nobody: there is no such page.
    Off,
}

impl MetricsAccess {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Open, Self::Login, Self::Off];

    /// The name as the flag takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Login => "login",
            Self::Off => "off",
        }
    }
}

/// Rules for images, from the flags of Trow 0.2 to 0.5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// Images that begin so come in.
    pub allow_prefixes: Vec<String>,
    /// These images come in.
    pub allow_images: Vec<String>,
    /// Images of this registry that begin so don't.
    pub deny_local_prefixes: Vec<String>,
    /// These images of this registry don't.
    pub deny_local_images: Vec<String>,
}

/// Splits a list at commas and white space.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An origin as browsers send it: `scheme://host` or `scheme://host:port`, in
/// lower case and without the scheme's own port. `None` where it is none.
#[must_use]
pub fn web_origin(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let host = |c: char| plain(c) || matches!(c, ':' | '[' | ']' | '_');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(plain) {
        return None;
    }
    let own_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let authority = authority.strip_suffix(own_port).unwrap_or(authority);
    (!authority.is_empty() && authority.chars().all(host))
        .then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (text, origin) in [
            ("https://ui.example", Some("https://ui.example")),
            ("HTTPS://UI.example:443/", Some("https://ui.example")),
            ("http://localhost:8080", Some("http://localhost:8080")),
            ("http://[::1]:8080", Some("http://[::1]:8080")),
            ("http://a:80", Some("http://a")),
            ("ftp://trow.test", Some("ftp://trow.test")),
            ("ui.example", None),
            ("https://", None),
            ("https://a/b", None),
            ("https://a b", None),
            ("://a", None),
            ("null", None),
            ("*", None),
        ] {
            assert_eq!(web_origin(text).as_deref(), origin, "{text}");
        }
    }
}
