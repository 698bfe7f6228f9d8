//! A memory of bounded size. Whoever asks it checks that what it says still
//! holds; it can be emptied at any time.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, PoisonError};

/// What an entry costs beside its key and value, in bytes: about what a hash
/// table spends on one.
const OVERHEAD: usize = 128;

/// Values by path. What is asked for stays, what isn't goes: entries are young
/// or old, a hit makes one young, and when the young ones fill half the room
/// they become the old ones and those before them are dropped.
pub(super) struct Cache<V> {
    /// The most bytes of each of the two generations.
    half: usize,
    generations: Mutex<Generations<V>>,
}

struct Generations<V> {
    young: HashMap<OsString, Entry<V>>,
    old: HashMap<OsString, Entry<V>>,
    /// What the young ones cost.
    bytes: usize,
}

struct Entry<V> {
    value: V,
    bytes: usize,
}

impl<V: Clone> Cache<V> {
    /// A cache of at most so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), bytes: 0 };
        Self { half: bytes / 2, generations: Mutex::new(generations) }
    }

    pub(super) fn get(&self, key: &OsStr) -> Option<V> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = generations.young.get(key) {
            return Some(entry.value.clone());
        }
        let (key, entry) = generations.old.remove_entry(key)?;
        let value = entry.value.clone();
        generations.insert(key, entry, self.half);
        Some(value)
    }

    /// Remembers a value of about so many bytes, unless it would push out
    /// nearly everything else.
    pub(super) fn put(&self, key: &OsStr, value: V, bytes: usize) {
        let bytes = bytes + key.len() + OVERHEAD;
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.forget(key);
        if bytes <= self.half / 2 {
            generations.insert(key.to_owned(), Entry { value, bytes }, self.half);
        }
    }

    pub(super) fn forget(&self, key: &OsStr) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).forget(key);
    }
}

impl<V> Generations<V> {
    fn insert(&mut self, key: OsString, entry: Entry<V>, half: usize) {
        if self.bytes + entry.bytes > half {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += entry.bytes;
        self.young.insert(key, entry);
    }

    fn forget(&mut self, key: &OsStr) {
        self.old.remove(key);
        if let Some(entry) = self.young.remove(key) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(cache: &Cache<usize>) -> usize {
        let generations = cache.generations.lock().unwrap();
        let bytes = generations.young.values().map(|entry| entry.bytes).sum::<usize>();
        assert_eq!(bytes, generations.bytes);
        bytes + generations.old.values().map(|entry| entry.bytes).sum::<usize>()
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let cache = Cache::new(20_000);
        cache.put(OsStr::new("kept"), 7, 100);
        for round in 0..1000 {
            cache.put(OsStr::new(&round.to_string()), round, 100);
            assert_eq!(cache.get(OsStr::new("kept")), Some(7));
            assert!(held(&cache) <= 20_000);
        }
        assert_eq!(cache.get(OsStr::new("0")), None);
        assert_eq!(cache.get(OsStr::new("999")), Some(999));
        cache.put(OsStr::new("kept"), 8, 100);
        assert_eq!(cache.get(OsStr::new("kept")), Some(8));
        cache.forget(OsStr::new("kept"));
        assert_eq!(cache.get(OsStr::new("kept")), None);
        held(&cache);
    }

    #[test]
    fn what_is_too_large_is_not_taken_and_replaces_what_was_there() {
        let cache = Cache::new(20_000);
        cache.put(OsStr::new("a"), 1, 100);
        cache.put(OsStr::new("a"), 2, 10_000);
        assert_eq!(cache.get(OsStr::new("a")), None);
        assert_eq!(held(&cache), 0);
    }
}
