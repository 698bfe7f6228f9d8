use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::AuthError;

/// How long a success is remembered.
const LIFETIME: Duration = Duration::from_mins(5);
/// How many successes are remembered.
const CAPACITY: usize = 1024;

/// Remembers credentials that were right, so that a client which sends Basic
/// with every request does not cost a bcrypt each time. Only successes are
/// held, and only as a MAC under a key that dies with the process.
pub struct Verified {
    mac: Hmac<Sha256>,
    seen: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Verified {
    /// An empty memory with a fresh key.
    ///
    /// # Errors
    /// [`AuthError::Random`] when the system gives no random bytes.
    pub fn new() -> Result<Self, AuthError> {
        let mut key = [0; 64];
        getrandom::fill(&mut key).map_err(AuthError::Random)?;
        let mac = Hmac::<Sha256>::new(&key.into());
        Ok(Self { mac, seen: Mutex::default() })
    }

    /// The name under which a credential is remembered. `fingerprint` is what
    /// the password is verified against.
    #[must_use]
    pub fn name(&self, user: &str, password: &str, fingerprint: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        for part in [user.as_bytes(), password.as_bytes(), fingerprint] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether it was right within the last minutes.
    #[must_use]
    pub fn holds(&self, name: &[u8; 32], now: Instant) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(name).is_some_and(|since| now.saturating_duration_since(*since) < LIFETIME)
    }

    /// Remembers a success.
    pub fn remember(&self, name: [u8; 32], now: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= CAPACITY {
            seen.retain(|_, since| now.saturating_duration_since(*since) < LIFETIME);
        }
        if seen.len() >= CAPACITY {
            seen.clear();
        }
        seen.insert(name, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_within_bounds() {
        let verified = Verified::new().unwrap();
        let now = Instant::now();
        let name = verified.name("ab", "c", b"x");
        assert_ne!(name, verified.name("a", "bc", b"x"), "parts do not run into each other");
        assert_ne!(name, verified.name("ab", "c", b"y"), "a changed password is another one");
        assert!(!verified.holds(&name, now));
        verified.remember(name, now);
        assert!(verified.holds(&name, now));
        assert!(!verified.holds(&name, now + LIFETIME));
        for round in 0..3 * CAPACITY {
            verified.remember(verified.name(&round.to_string(), "", b""), now);
        }
        assert!(verified.seen.lock().unwrap().len() <= CAPACITY);
    }
}
