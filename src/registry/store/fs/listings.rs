//! Lists of folders that were read before, each good for as long as its folder
//! has the stamp that it was read with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Inner;
use super::cache::Cache;
use super::stamp::Stamp;
use crate::fs::FsError;

/// How much is remembered of folders, in bytes.
const LISTINGS: usize = 12 << 20;

/// How long what was read of the whole catalog is thought to be in memory.
const WARM: Duration = Duration::from_mins(10);

/// How many folders are read at the same time by [`Inner::read_ahead`].
const READERS: usize = 8;

/// So few folders are not worth a thread.
const FEW: usize = 16;

/// What was read of folders.
pub(super) struct Listings {
    cache: Cache<(Stamp, Arc<Names>)>,
    /// Held by who reads ahead.
    ahead: Mutex<()>,
    /// When somebody last began to read all of the catalog.
    warmed: Mutex<Option<Instant>>,
}

impl Default for Listings {
    fn default() -> Self {
        Self { cache: Cache::new(LISTINGS), ahead: Mutex::default(), warmed: Mutex::default() }
    }
}

impl Listings {
    /// Whether it is time to read all of the catalog; who is told so does it.
    pub(super) fn is_cold(&self) -> bool {
        let mut warmed = self.warmed.lock().unwrap_or_else(PoisonError::into_inner);
        let cold = warmed.is_none_or(|then| then.elapsed() >= WARM);
        if cold {
            *warmed = Some(Instant::now());
        }
        cold
    }
}

impl Inner {
    /// The names in a folder; none where there is no folder.
    pub(super) fn names(&self, path: &Path) -> Result<Arc<Names>, FsError> {
        let cache = &self.listings.cache;
        if let Some((read, names)) = cache.get(path.as_os_str())
            && self.disk.stamp(path)? == Some(read)
        {
            return Ok(names);
        }
        let Some(entries) = self.disk.entries(path)? else { return Ok(Arc::default()) };
        let names = Arc::new(Names::new(entries.sorted().into_iter()));
        // What came or went while it was read may be in the list or not.
        if let Some(stamp) = entries.stamp.filter(Stamp::is_settled) {
            cache.put(path.as_os_str(), (stamp, Arc::clone(&names)), names.bytes());
        }
        Ok(names)
    }

    /// Reads folders that will be asked for, several at the same time: what the
    /// system doesn't have in memory costs a trip to the disk each. Whoever
    /// comes while another one does that goes without.
    pub(super) fn read_ahead(&self, folders: impl Iterator<Item = PathBuf>) {
        let Ok(_alone) = self.listings.ahead.try_lock() else { return };
        let new = |path: &PathBuf| self.listings.cache.get(path.as_os_str()).is_none();
        let folders: Vec<PathBuf> = folders.filter(new).collect();
        if folders.len() < FEW {
            return;
        }
        std::thread::scope(|scope| {
            for part in folders.chunks(folders.len().div_ceil(READERS)) {
                let read = move || {
                    for folder in part {
                        // Who asks for it meets the error.
                        let _ = self.names(folder);
                    }
                };
                let _ = std::thread::Builder::new().spawn_scoped(scope, read);
            }
        });
    }
}

/// Names in byte order, in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: String,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Names {
    /// Names that are in order already.
    fn new<'a>(sorted: impl Iterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for name in sorted {
            names.text.push_str(name);
            names.ends.push(names.text.len());
        }
        names.text.shrink_to_fit();
        names.ends.shrink_to_fit();
        names
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.ends.len() * size_of::<usize>()
    }

    fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let before = index.checked_sub(1).and_then(|before| self.ends.get(before));
        self.text.get(before.copied().unwrap_or(0)..end)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.from(name).next() == Some(name)
    }

    /// The names that don't sort before this one.
    pub(super) fn from(&self, name: &str) -> impl Iterator<Item = &str> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.get(middle).is_some_and(|found| found < name) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low..self.ends.len()).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_are() {
        let names = Names::new(["A", "a", "a-b", "b"].into_iter());
        let from = |name| names.from(name).collect::<Vec<_>>();
        assert_eq!(from(""), ["A", "a", "a-b", "b"]);
        assert_eq!(from("a"), ["a", "a-b", "b"]);
        assert_eq!(from("a+"), ["a-b", "b"]);
        assert_eq!(from("c"), [""; 0]);
        assert!(names.contains("a-b") && !names.contains("a-"));
        assert!(!Names::default().contains(""));
    }
}
