use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use serde::{Deserialize, Serialize};

use super::{Scope, TokenKey};

/// Who the tokens are for: the `service` of the challenge, which is Trow's.
pub const SERVICE: &str = "trow_registry";
/// Who makes the tokens.
const ISSUER: &str = "warren-registry";
/// The longest token that is looked at, and so the longest that is made, in bytes.
const MAX_LEN: usize = 8 * 1024;

/// The claims of a token, as the distribution token specification names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// The user; empty for nobody in particular.
    pub sub: String,
    /// The service it is for.
    pub aud: String,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
    /// What it is good for. Without the claim it is good for all that the user
    /// may do: clients that ask for no scope get such a token, as Trow's do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Vec<Scope>>,
}

impl Claims {
    /// Claims for a user, from `now` (seconds since 1970) on.
    #[must_use]
    pub fn new(user: &str, access: Option<Vec<Scope>>, now: u64, lifetime: u64) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            sub: user.to_owned(),
            aud: SERVICE.to_owned(),
            iat: now,
            exp: now.saturating_add(lifetime),
            access,
        }
    }

    /// Whether the token is good for something.
    #[must_use]
    pub fn allows(&self, wanted: &Scope) -> bool {
        self.access.as_ref().is_none_or(|access| access.iter().any(|row| row.covers(wanted)))
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no compact JWS of ours, or not signed with our key.
    #[error("the token is not one of this registry's")]
    Foreign,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It would be longer than any that is looked at.
    #[error(
        "the token would be longer than the {} bytes that are possible: ask for fewer scopes at a time",
        MAX_LEN
    )]
    TooLong,
    /// The claims can't be written. That does not happen: they are plain
    /// strings and numbers.
    #[error(transparent)]
    Claims(#[from] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
}

/// Writes a compact JWS (RFC 7515, section 7.1) with HS256, which [`verify`]
/// takes.
///
/// # Errors
/// [`SignError::TooLong`] for claims with too much in them.
pub fn sign(claims: &Claims, key: &TokenKey) -> Result<String, SignError> {
    let header = Header { alg: "HS256".to_owned(), typ: Some("JWT".to_owned()) };
    let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?));
    let mut mac = key.mac();
    mac.update(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    if token.len() > MAX_LEN { Err(SignError::TooLong) } else { Ok(token) }
}

/// Reads a token. The signature is checked before anything else is parsed, in
/// constant time, and `alg` must be ours: "none" is no algorithm.
///
/// # Errors
/// [`TokenError`].
pub fn verify(token: &str, key: &TokenKey, now: u64) -> Result<Claims, TokenError> {
    read(token, key).filter(|claims| claims.iss == ISSUER && claims.aud == SERVICE).map_or(
        Err(TokenError::Foreign),
        |claims| {
            if now < claims.exp { Ok(claims) } else { Err(TokenError::Expired) }
        },
    )
}

fn read(token: &str, key: &TokenKey) -> Option<Claims> {
    if token.len() > MAX_LEN {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let mut mac = key.mac();
    mac.update(signed.as_bytes());
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if header.alg != "HS256" {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(key: &TokenKey) -> String {
        let access = Some(vec![Scope::repository("a", &["pull"])]);
        sign(&Claims::new("rabbit", access, 1000, 60), key).unwrap()
    }

    #[test]
    fn reads_its_own_within_its_time() {
        let key = TokenKey::random().unwrap();
        let claims = verify(&signed(&key), &key, 1059).unwrap();
        assert_eq!(claims.sub, "rabbit");
        assert!(claims.allows(&Scope::repository("a", &["pull"])));
        assert!(!claims.allows(&Scope::repository("a", &["push"])));
        assert!(Claims { access: None, ..claims }.allows(&Scope::catalog()));
        assert_eq!(verify(&signed(&key), &key, 1060), Err(TokenError::Expired));
    }

    #[test]
    fn what_is_made_is_taken_and_what_would_not_be_is_not_made() {
        let key = TokenKey::random().unwrap();
        let (mut made, mut refused) = (0, 0);
        for count in 0..300 {
            let scope = |number| Scope::repository(&format!("team/{number}"), &["pull", "push"]);
            let claims = Claims::new("rabbit", Some((0..count).map(scope).collect()), 1000, 60);
            match sign(&claims, &key) {
                Ok(token) => {
                    assert_eq!(verify(&token, &key, 1000).as_ref(), Ok(&claims), "{count}");
                    made += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("fewer scopes"), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(made > 50 && refused > 50, "{made} and {refused}");
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let key = TokenKey::random().unwrap();
        let token = signed(&key);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(verify(&changed, &key, 1000), Err(TokenError::Foreign), "byte {at}");
        }
    }

    #[test]
    fn other_keys_and_algorithms_are_refused() {
        let key = TokenKey::random().unwrap();
        let other = TokenKey::random().unwrap();
        assert_eq!(verify(&signed(&other), &key, 1000), Err(TokenError::Foreign));
        let claims = serde_json::to_vec(&Claims::new("rabbit", None, 1000, 60)).unwrap();
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS512"}"#] {
            let signed =
                format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&claims));
            let mut mac = key.mac();
            mac.update(signed.as_bytes());
            let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            for token in [format!("{signed}.{signature}"), format!("{signed}.")] {
                assert_eq!(verify(&token, &key, 1000), Err(TokenError::Foreign));
            }
        }
        for token in ["", ".", "..", "a.b.c", "none"] {
            assert_eq!(verify(token, &key, 1000), Err(TokenError::Foreign));
        }
    }
}
