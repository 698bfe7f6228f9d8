use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::throttle::Pair;

/// How many passwords are being checked, or wait for that, at most.
pub const MOST: usize = 512;

/// The passwords that are being checked and those that wait for it. Who waits
/// holds a connection, so there are so many in all, and a share for each party.
pub struct Queue {
    most: usize,
    waiting: Mutex<Waiting>,
}

/// Who has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// All whom nobody knows at one address.
    Client(IpAddr),
    /// A user at an address where they logged in before.
    Pair(Pair),
}

#[derive(Default)]
struct Waiting {
    all: usize,
    parties: HashMap<Party, usize>,
}

impl Queue {
    /// A queue for so many passwords.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// A place for one more password of this party; `None` where there is none.
    #[must_use]
    pub fn enter(&self, party: Party) -> Option<Place<'_>> {
        let share = match party {
            Party::Client(_) => self.most / 4,
            // They wait for few hashes: what is right many times at once is
            // computed once, and what is wrong is throttled after some.
            Party::Pair(_) => self.most / 2,
        };
        let mut waiting = self.lock();
        let before = waiting.parties.get(&party).copied().unwrap_or_default();
        if waiting.all >= self.most || before >= share.max(1) {
            return None;
        }
        waiting.all += 1;
        waiting.parties.insert(party, before + 1);
        Some(Place { queue: self, party })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, which is free again when this goes.
pub struct Place<'a> {
    queue: &'a Queue,
    party: Party,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.all = waiting.all.saturating_sub(1);
        match waiting.parties.get(&self.party).copied() {
            Some(count) if count > 1 => {
                waiting.parties.insert(self.party, count - 1);
            }
            _ => {
                waiting.parties.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
impl Queue {
    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.lock().all
    }
}

#[cfg(test)]
mod tests {
    use super::super::throttle::Throttle;
    use super::*;

    #[test]
    fn one_party_has_a_share_and_all_have_no_more_than_there_is() {
        let queue = Queue::new(8);
        let party = |last: u8| Party::Client([192, 0, 2, last].into());
        let mut places: Vec<_> = (0..2).map(|_| queue.enter(party(1)).unwrap()).collect();
        assert!(queue.enter(party(1)).is_none(), "a quarter is its share");
        places.extend(
            (2..5).flat_map(|last| [queue.enter(party(last)), queue.enter(party(last))]).flatten(),
        );
        assert_eq!((places.len(), queue.taken()), (8, 8));
        assert!(queue.enter(party(9)).is_none(), "all are taken");
        places.pop();
        assert!(queue.enter(party(9)).is_some());
        places.clear();
        let pair = Party::Pair(Throttle::default().pair([192, 0, 2, 1].into(), "alice"));
        places.extend((0..4).map(|_| queue.enter(pair).unwrap()));
        assert!(queue.enter(pair).is_none(), "half is the share of who is known");
        places.clear();
        assert_eq!(queue.taken(), 0);
        assert!(queue.lock().parties.is_empty());
    }

    #[test]
    fn the_smallest_queue_has_a_place() {
        let queue = Queue::new(1);
        let place = queue.enter(Party::Client([192, 0, 2, 1].into()));
        assert!(place.is_some() && queue.enter(Party::Client([192, 0, 2, 2].into())).is_none());
    }
}
