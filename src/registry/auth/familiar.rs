use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::throttle::Pair;

/// How long it is remembered that somebody logged in from somewhere.
const LIFETIME: Duration = Duration::from_hours(24 * 7);
/// How many pairs of client and user are remembered.
const CAPACITY: usize = 8192;

/// Who logged in from where: they don't wait for what strangers at the same
/// address do, who may be behind the same proxy.
#[derive(Default)]
pub struct Familiar(Mutex<HashMap<Pair, Instant>>);

impl Familiar {
    /// Whether this user logged in from this client within the last week.
    #[must_use]
    pub fn holds(&self, pair: Pair, now: Instant) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&pair).is_some_and(|since| now.saturating_duration_since(*since) < LIFETIME)
    }

    /// Remembers that they did.
    pub fn remember(&self, pair: Pair, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= CAPACITY && !seen.contains_key(&pair) {
            let oldest = seen.iter().min_by_key(|(_, since)| **since).map(|(pair, _)| *pair);
            if let Some(oldest) = oldest {
                seen.remove(&oldest);
            }
        }
        seen.insert(pair, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::throttle::Throttle;
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_each_after_a_week() {
        let (familiar, throttle, now) = (Familiar::default(), Throttle::default(), Instant::now());
        let pair = |user: u32| throttle.pair([10, 0, 0, 1].into(), &user.to_string());
        assert!(!familiar.holds(pair(0), now));
        for user in 0..2 {
            familiar.remember(pair(user), now + Duration::from_secs(user.into()));
        }
        assert!(familiar.holds(pair(0), now));
        assert!(!familiar.holds(pair(0), now + LIFETIME));
        for user in 2..=u32::try_from(CAPACITY).unwrap() {
            familiar.remember(pair(user), now + Duration::from_secs(2));
        }
        assert_eq!(familiar.0.lock().unwrap().len(), CAPACITY);
        assert!(!familiar.holds(pair(0), now) && familiar.holds(pair(1), now));
    }
}
