use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::Secret;

/// The longest `Authorization` value that is looked at, in bytes.
const MAX_LEN: usize = 16 * 1024;

/// What an `Authorization` header carries.
#[derive(Debug, PartialEq, Eq)]
pub enum Credentials {
    /// User and password (RFC 7617).
    Basic {
        /// The user, which holds no colon.
        user: String,
        /// The password, which may hold any number of them.
        password: Secret,
    },
    /// A token (RFC 6750).
    Bearer(Secret),
}

impl Credentials {
    /// Reads the value of an `Authorization` header; `None` where it is
    /// neither Basic nor Bearer, or damaged.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        if value.len() > MAX_LEN {
            return None;
        }
        let (scheme, rest) = std::str::from_utf8(value.trim_ascii()).ok()?.split_once(' ')?;
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case("bearer") {
            return (!rest.is_empty()).then(|| Self::Bearer(Secret::new(rest)));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let bytes = STANDARD.decode(rest).or_else(|_| STANDARD_NO_PAD.decode(rest)).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Self::Basic { user: user.to_owned(), password: Secret::new(password) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::Basic { user: user.to_owned(), password: Secret::new(password) }
    }

    #[test]
    fn table() {
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(Credentials::parse(encoded("u:p").as_bytes()), Some(basic("u", "p")));
        assert_eq!(Credentials::parse(encoded("u:p:q:").as_bytes()), Some(basic("u", "p:q:")));
        assert_eq!(Credentials::parse(encoded("u:").as_bytes()), Some(basic("u", "")));
        assert_eq!(Credentials::parse(encoded("é:ü").as_bytes()), Some(basic("é", "ü")));
        assert_eq!(Credentials::parse(b"basic  dTpw "), Some(basic("u", "p")));
        assert_eq!(
            Credentials::parse(b"bearer abc"),
            Some(Credentials::Bearer(Secret::new("abc")))
        );
        for bad in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"Basic !!!",
            b"Bearer ",
            b"Digest x",
            b"\xff\xfe zz",
            b"Basic dXA=",
        ] {
            assert_eq!(Credentials::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Credentials::parse(&[b"Bearer ".to_vec(), vec![b'a'; MAX_LEN]].concat()), None);
    }
}
