use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::registry::network::of_client;

/// How many wrong passwords in a row cost nothing but their work.
const FREE: u32 = 5;
/// The first wait between two attempts.
const FIRST: Duration = Duration::from_secs(4);
/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(64);
/// How long a failure counts.
const MEMORY: Duration = Duration::from_mins(15);
/// How many pairs of client and user are remembered.
const CAPACITY: usize = 8192;

/// Slows down who guesses passwords: after some wrong ones in a row a client
/// waits before it may try the same user again, each time twice as long. Other
/// clients are not kept from the same user, nor is the client from others.
pub struct Throttle {
    failures: Mutex<HashMap<Pair, Failures>>,
    /// How many there are, so that nobody asks for the lock while there are
    /// none.
    count: AtomicUsize,
    hasher: RandomState,
}

/// A client and a user, as a hash that nobody outside can compute: names may
/// be long, and one can't be made to look like another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair(u64);

struct Failures {
    count: u32,
    last: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { failures: Mutex::default(), count: AtomicUsize::new(0), hasher: RandomState::new() }
    }
}

impl Throttle {
    /// The pair of a client and the user that it says it is.
    #[must_use]
    pub fn pair(&self, client: IpAddr, user: &str) -> Pair {
        Pair(self.hasher.hash_one((of_client(client), user)))
    }

    /// How long this pair still has to wait.
    #[must_use]
    pub fn wait(&self, pair: Pair, now: Instant) -> Option<Duration> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let found = failures.get(&pair)?;
        let left = found.pause().saturating_sub(now.saturating_duration_since(found.last));
        (!left.is_zero()).then_some(left)
    }

    /// The password was wrong.
    pub fn failed(&self, pair: Pair, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inherited = 0;
        if !failures.contains_key(&pair) && failures.len() >= CAPACITY {
            failures.retain(|_, failures| failures.counts(now));
            // Who guesses many names pushes out its own: those that failed
            // once go first.
            let least = failures.iter().min_by_key(|(_, found)| (found.count, found.last));
            if failures.len() >= CAPACITY
                && let Some((least, count)) = least.map(|(pair, found)| (*pair, found.count))
            {
                failures.remove(&least);
                // Or whoever pushes a name out could begin it anew.
                inherited = count;
            }
        }
        let entry = failures.entry(pair).or_insert(Failures { count: inherited, last: now });
        entry.count = if entry.counts(now) { entry.count.saturating_add(1) } else { 1 };
        entry.last = now;
        self.count.store(failures.len(), Ordering::Relaxed);
    }

    /// The password was right.
    pub fn succeeded(&self, pair: Pair) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.remove(&pair);
            self.count.store(failures.len(), Ordering::Relaxed);
        }
    }
}

impl Failures {
    /// How long the next attempt has to wait after the last.
    fn pause(&self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(beyond) => (FIRST * (1 << beyond.min(16))).min(LONGEST),
        }
    }

    fn counts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < MEMORY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(throttle: &Throttle, pair: Pair, times: u32, now: Instant) {
        (0..times).for_each(|_| throttle.failed(pair, now));
    }

    #[test]
    fn waits_grow_and_a_right_password_ends_them() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let pair = throttle.pair([10, 0, 0, 1].into(), "alice");
        fail(&throttle, pair, FREE - 1, now);
        assert_eq!(throttle.wait(pair, now), None);
        for seconds in [4, 8, 16, 32, 64] {
            throttle.failed(pair, now);
            let second = Duration::from_secs(1);
            assert_eq!(throttle.wait(pair, now), Some(second * seconds));
            assert_eq!(throttle.wait(pair, now + second * (seconds - 1)), Some(second));
            assert_eq!(throttle.wait(pair, now + second * seconds), None);
        }
        fail(&throttle, pair, 1000, now);
        assert_eq!(throttle.wait(pair, now), Some(LONGEST));
        throttle.succeeded(pair);
        assert_eq!(throttle.wait(pair, now), None);
        fail(&throttle, pair, 1000, now);
        throttle.failed(pair, now + MEMORY);
        assert_eq!(throttle.wait(pair, now + MEMORY), None, "old failures are forgotten");
    }

    #[test]
    fn others_are_not_kept_waiting() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        fail(&throttle, throttle.pair(guesser, "alice"), 100, now);
        for (client, user, waits) in [
            ("2001:db8::1", "alice", true),
            ("2001:db8::ffff:1", "alice", true),
            ("2001:db8:0:1::1", "alice", false),
            ("10.0.0.1", "alice", false),
            ("2001:db8::1", "bob", false),
        ] {
            let pair = throttle.pair(client.parse().unwrap(), user);
            assert_eq!(throttle.wait(pair, now).is_some(), waits, "{client} {user}");
        }
        let mapped = throttle.pair("::ffff:10.0.0.1".parse().unwrap(), "alice");
        assert_eq!(mapped, throttle.pair([10, 0, 0, 1].into(), "alice"));
    }

    #[test]
    fn memory_is_bounded_and_guessers_of_names_push_out_their_own() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let pair = throttle.pair([10, 0, 0, 1].into(), "alice");
        fail(&throttle, pair, 100, now);
        for round in 0..CAPACITY + 200 {
            throttle.failed(throttle.pair([10, 0, 0, 2].into(), &round.to_string()), now);
        }
        assert!(throttle.failures.lock().unwrap().len() <= CAPACITY);
        assert_eq!(throttle.wait(pair, now), Some(LONGEST));
    }
}
