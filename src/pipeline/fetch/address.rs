//! Where to fetch from: parsed, and shown without its password.

use std::path::Path;

use base64::Engine as _;

/// A source to fetch from.
#[derive(Clone, Debug)]
pub struct Address {
    url: String,
    shown: String,
    authorization: Option<String>,
    /// The user, where no password stands with it.
    user: Option<String>,
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
            let (authorization, user) = (None, None);
            return Self { shown: url.clone(), url, authorization, user, smart: false };
        };
        // Schemes are the same in any case (RFC 3986, 3.1).
        let scheme = scheme.to_ascii_lowercase();
        let (user, rest) = split_user(rest);
        let authorization = user.map(|user| basic(&percent_decode(user)));
        let alone = user.filter(|user| !user.contains(':'));
        let user = alone.map(|user| String::from_utf8_lossy(&percent_decode(user)).into_owned());
        let url = format!("{scheme}://{rest}");
        let smart = scheme == "http" || scheme == "https";
        Self { shown: url.clone(), url, authorization, user, smart }
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

    /// The `Authorization` header that its user and password make, for this url: they
    /// are for where they were given for, and for no other port of that host.
    pub(super) fn authorization(&self, url: &str) -> Option<&str> {
        self.authorization.as_deref().filter(|_| origin(url) == origin(&self.url))
    }

    /// The user that it names without a password.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether the address itself holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.authorization.is_some() && self.user.is_none()
    }

    /// The same address for this user.
    #[must_use]
    pub fn with_user(mut self, user: &str, password: &str) -> Self {
        self.authorization = Some(basic(format!("{user}:{password}").as_bytes()));
        self.user = None;
        self
    }

    /// Whether it is spoken to over HTTP.
    #[must_use]
    pub fn is_smart(&self) -> bool {
        self.smart
    }
}

/// Splits `user:password@host/path` into `user:password` and `host/path`.
fn split_user(rest: &str) -> (Option<&str>, &str) {
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let Some((user, _)) =
        rest.get(..authority_end).and_then(|authority| authority.rsplit_once('@'))
    else {
        return (None, rest);
    };
    (Some(user), rest.get(user.len() + 1..).unwrap_or_default())
}

/// The header for `user:password`. A user alone, such as a token, has an empty one.
fn basic(pair: &[u8]) -> String {
    let mut pair = pair.to_vec();
    if !pair.contains(&b':') {
        pair.push(b':');
    }
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Scheme, host and port of a url, which are the same in any case.
pub(super) fn origin(url: &str) -> Option<(String, String, u16)> {
    let url: ureq::http::Uri = url.parse().ok()?;
    let scheme = url.scheme_str()?.to_ascii_lowercase();
    let port = url.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, url.host()?.to_ascii_lowercase(), port))
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
        let url = "https://git.example/other";
        assert_eq!(address.authorization(url), Some("Basic bWU6cEBzcw=="));
        assert_eq!(address.authorization("https://GIT.example:443/a"), address.authorization(url));
        for elsewhere in
            ["https://git.example:8443/a", "http://git.example/a", "https://git.example.org/a", "x"]
        {
            assert_eq!(address.authorization(elsewhere), None, "{elsewhere}");
        }
        assert!(address.has_password() && address.user().is_none());
        let alone = Address::parse("https://me@git.example/a", Path::new("/"));
        assert_eq!((alone.user(), alone.has_password()), (Some("me"), false));
        assert_eq!(alone.authorization(url), Some("Basic bWU6"));
        assert!(alone.with_user("me", "x").has_password());
    }

    #[test]
    fn a_path_is_taken_from_the_root() {
        let address = Address::parse("mirror/a.git", Path::new("/srv"));
        assert_eq!(address.url(), "/srv/mirror/a.git");
        assert!(!address.is_smart());
        let at_in_path = Address::parse("https://git.example/@me/a.git", Path::new("/"));
        assert_eq!(at_in_path.authorization(at_in_path.url()), None);
        assert_eq!(at_in_path.url(), "https://git.example/@me/a.git");
    }
}
