use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries a request's id, in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a client or a proxy.
const MAX_LEN: usize = 128;

/// What a request is called in the log, the audit and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as the value of a header.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// Names requests.
pub struct RequestIds {
    /// Tells the processes apart that write into the same log.
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids of this process.
    #[must_use]
    pub fn new() -> Self {
        // Without randomness the ids are still unlike each other.
        let process = getrandom::u32().unwrap_or_else(|_| std::process::id());
        Self { process, next: AtomicU64::new(0) }
    }

    /// The id that a request brings if it is sane, else one of our own.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap) -> RequestId {
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        given.filter(|text| is_sane(text)).map_or_else(
            || {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                RequestId(format!("{:08x}-{number:x}", self.process).into())
            },
            |text| RequestId(text.into()),
        )
    }
}

/// Whether an id can stand in a log and a header and be searched for.
fn is_sane(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:=+/".contains(&byte);
    !text.is_empty() && text.len() <= MAX_LEN && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_taken_over_and_another_is_not() {
        let ids = RequestIds::new();
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            ids.of(&headers).as_str().to_owned()
        };
        for sane in ["a", "4bf92f35-77b3", "Root=1-67891233:abc.d+e/f_g", &"x".repeat(128)] {
            assert_eq!(of(sane), sane);
        }
        for bad in ["", " ", "a b", "a\"b", "a\tb", "ä", "a{b}", &"x".repeat(129)] {
            assert_ne!(of(bad), bad);
        }
        assert_ne!(ids.of(&HeaderMap::new()), ids.of(&HeaderMap::new()));
    }
}
