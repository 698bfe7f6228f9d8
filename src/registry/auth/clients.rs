use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many wrong passwords of one client cost nothing but their work, whoever
/// it says it is: there may be many people behind one address.
const FREE: u32 = 100;
/// How long it takes until one of them is forgotten. All of them are after a
/// quarter of an hour.
const EACH: Duration = Duration::from_secs(9);
/// How many clients are remembered.
const CAPACITY: usize = 8192;

/// Slows down who tries many users: beyond some wrong passwords a client gets
/// as many attempts as are forgotten. A right one forgives none: whoever has a
/// password could else have it guess without end.
///
/// Of each client there is the time when all of its failures are forgotten.
#[derive(Default)]
pub struct Clients(Mutex<HashMap<IpAddr, Instant>>);

impl Clients {
    /// How long this client still has to wait.
    #[must_use]
    pub fn wait(&self, client: IpAddr, now: Instant) -> Option<Duration> {
        let forgotten = self.lock().get(&client).copied()?;
        let left = forgotten.saturating_duration_since(now).saturating_sub(EACH * (FREE - 1));
        (!left.is_zero()).then_some(left)
    }

    /// An attempt, which counts as a failure until it was none.
    pub fn failed(&self, client: IpAddr, now: Instant) {
        let mut clients = self.lock();
        if clients.len() >= CAPACITY && !clients.contains_key(&client) {
            clients.retain(|_, forgotten| *forgotten > now);
            let least = clients.iter().min_by_key(|(_, forgotten)| **forgotten);
            if let Some(least) = least.map(|(client, _)| *client)
                && clients.len() >= CAPACITY
            {
                clients.remove(&least);
            }
        }
        let forgotten = clients.entry(client).or_insert(now);
        *forgotten = now.max(*forgotten) + EACH;
    }

    /// One attempt was none.
    pub fn succeeded(&self, client: IpAddr) {
        let mut clients = self.lock();
        if let Some(forgotten) = clients.get_mut(&client)
            && let Some(before) = forgotten.checked_sub(EACH)
        {
            *forgotten = before;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_free_ones_there_is_one_attempt_for_each_that_is_forgotten() {
        let (clients, now) = (Clients::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        for _ in 1..FREE {
            clients.failed(one, now);
        }
        assert_eq!(clients.wait(one, now), None);
        clients.failed(one, now);
        assert_eq!(clients.wait(one, now), Some(EACH));
        assert_eq!(clients.wait(other, now), None);
        assert_eq!(clients.wait(one, now + EACH), None);
        clients.failed(one, now + EACH);
        assert_eq!(clients.wait(one, now + EACH), Some(EACH), "one was forgotten, one came");
        assert_eq!(clients.wait(one, now + EACH * 2 * FREE), None);
    }

    #[test]
    fn a_right_one_takes_back_itself_alone() {
        let (clients, now) = (Clients::default(), Instant::now());
        let client = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..FREE {
            clients.failed(client, now);
        }
        clients.failed(client, now);
        assert_eq!(clients.wait(client, now), Some(EACH * 2));
        clients.succeeded(client);
        assert_eq!(clients.wait(client, now), Some(EACH));
    }

    #[test]
    fn memory_is_bounded_and_who_failed_least_goes_first() {
        let (clients, now) = (Clients::default(), Instant::now());
        let worst = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..2 * FREE {
            clients.failed(worst, now);
        }
        for other in 0..u32::try_from(CAPACITY).unwrap() + 200 {
            clients.failed(std::net::Ipv4Addr::from_bits(other).into(), now);
        }
        assert!(clients.lock().len() <= CAPACITY);
        assert!(clients.wait(worst, now).is_some());
    }
}
