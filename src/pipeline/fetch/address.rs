//! Where to fetch from: parsed, and shown without its password.

use std::path::Path;

use base64::Engine as _;

/// A source to fetch from.
#[derive(Clone, Debug)]
pub struct Address {
    url: String,
    shown: String,
    authorization: Option<String>,
    smart: bool,
}

impl Address {
    /// Reads an `http://` or `https://` url, possibly with `user:password@`, a
    /// `file://` url, or a path, which is taken from `root`.
    #[must_use]
    pub fn parse(text: &str, root: &Path) -> Self {
        let text = text.trim_end_matches('/');
        let Some((scheme, rest)) = text.split_once("://") else {
            let url = root.join(text).to_string_lossy().into_owned();
            return Self { shown: url.clone(), url, authorization: None, smart: false };
        };
        // Schemes are the same in any case (RFC 3986, 3.1).
        let scheme = scheme.to_ascii_lowercase();
        let (authorization, rest) = split_user(rest);
        let url = format!("{scheme}://{rest}");
        let smart = scheme == "http" || scheme == "https";
        Self { shown: url.clone(), url, authorization, smart }
    }

    /// The scheme, where it is one that nothing here speaks: other transports
    /// have no limits of time and size.
    pub(super) fn foreign_scheme(&self) -> Option<&str> {
        let (scheme, _) = self.url.split_once("://")?;
        (!self.smart && scheme != "file").then_some(scheme)
    }

    /// The url or path to hand to libgit2, without user and password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How to name it in a message.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The `Authorization` header that its user and password make.
    pub(super) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Whether the address itself holds a user.
    #[must_use]
    pub fn has_user(&self) -> bool {
        self.authorization.is_some()
    }

    /// The same address for this user.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        let pair = format!("{user}:{password}");
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        self.authorization = Some(format!("Basic {encoded}"));
        self
    }

    /// Whether it is spoken to over HTTP.
    #[must_use]
    pub fn is_smart(&self) -> bool {
        self.smart
    }
}

/// Splits `user:password@host/path` into a Basic header and `host/path`.
fn split_user(rest: &str) -> (Option<String>, &str) {
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let Some((user, _)) =
        rest.get(..authority_end).and_then(|authority| authority.rsplit_once('@'))
    else {
        return (None, rest);
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(percent_decode(user));
    let after = rest.get(user.len() + 1..).unwrap_or_default();
    (Some(format!("Basic {encoded}")), after)
}

/// Decodes `%41`; what is no such escape stays as it is.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = escape.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let Some(byte) = escaped.filter(|_| first == b'%') {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_sent_but_never_shown() {
        let address = Address::parse("https://me:p%40ss@git.example/a.git/", Path::new("/"));
        assert_eq!(address.shown(), "https://git.example/a.git");
        assert_eq!(address.url(), "https://git.example/a.git");
        assert_eq!(address.authorization(), Some("Basic bWU6cEBzcw=="));
    }

    #[test]
    fn a_path_is_taken_from_the_root() {
        let address = Address::parse("mirror/a.git", Path::new("/srv"));
        assert_eq!(address.url(), "/srv/mirror/a.git");
        assert!(!address.is_smart());
        let at_in_path = Address::parse("https://git.example/@me/a.git", Path::new("/"));
        assert_eq!(at_in_path.authorization(), None);
        assert_eq!(at_in_path.url(), "https://git.example/@me/a.git");
    }
}
