//! Lists of folders that were read before, each good for as long as its folder
//! has the stamp that it was read with.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
const FEW: usize = 8;

/// How long reading a folder takes at most where the system has it in memory, in
/// microseconds; it is some ten. Threads cost more than they save there.
const IN_MEMORY: u64 = 60;

/// How many short lists are known that folders share: most repositories hold
/// folders of the same names, and nothing else.
const ALIKE: usize = 8;

/// How many names a list may have to be one of them.
const SHORT: usize = 4;

/// What was read of folders.
pub(super) struct Listings {
    cache: Cache<(Stamp, Arc<Names>)>,
    /// The lists that folders share.
    alike: Mutex<Vec<Arc<Names>>>,
    /// How long the last folder took that was read, in microseconds.
    took: AtomicU64,
    /// Whether something was read since all of it was last kept.
    changed: AtomicBool,
    /// How many pages of the catalog are being made.
    asked: AtomicUsize,
    /// Held by who reads ahead.
    ahead: Mutex<()>,
    /// When somebody last began to read all of the catalog.
    warmed: Mutex<Option<Instant>>,
}

impl Default for Listings {
    fn default() -> Self {
        Self {
            cache: Cache::new(LISTINGS),
            alike: Mutex::default(),
            took: AtomicU64::default(),
            changed: AtomicBool::default(),
            asked: AtomicUsize::default(),
            ahead: Mutex::default(),
            warmed: Mutex::default(),
        }
    }
}

impl Listings {
    /// The list, as one that others hold too where that may be, and how many bytes
    /// it costs to hold.
    fn shared(&self, names: Names) -> (Arc<Names>, usize) {
        if names.ends.len() > SHORT {
            let bytes = names.bytes();
            return (Arc::new(names), bytes);
        }
        let mut alike = self.alike.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = alike.iter().find(|known| ***known == names) {
            return (Arc::clone(known), 0);
        }
        let (bytes, names) = (names.bytes(), Arc::new(names));
        if alike.len() < ALIKE {
            alike.push(Arc::clone(&names));
        }
        (names, bytes)
    }

    /// Remembers what another process read of a folder that isn't known here.
    pub(super) fn recall(&self, path: &Path, stamp: Stamp, names: Names) {
        if !self.knows(path) {
            let (names, bytes) = self.shared(names);
            self.cache.put(path.as_os_str(), (stamp, names), bytes);
        }
    }

    /// Whether it is remembered what this folder held.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.cache.get(path.as_os_str()).is_some()
    }

    /// Whether something was read since this was last asked.
    pub(super) fn changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Says that a page of the catalog is being made, for as long as this is there.
    pub(super) fn asked(&self) -> Asked<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Asked(self)
    }

    /// Whether a page of the catalog is being made.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > 0
    }

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

/// That a page of the catalog is being made.
pub(super) struct Asked<'a>(&'a Listings);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    /// The names in a folder; none where there is no folder.
    pub(super) fn names(&self, path: &Path) -> Result<Arc<Names>, FsError> {
        Ok(self.stamped_names(path)?.1)
    }

    /// The names in a folder, with the stamp for as long as which they are those
    /// where they can be remembered.
    pub(super) fn stamped_names(
        &self,
        path: &Path,
    ) -> Result<(Option<Stamp>, Arc<Names>), FsError> {
        let cache = &self.listings.cache;
        if let Some((read, names)) = cache.get(path.as_os_str())
            && self.disk.stamp(path)? == Some(read)
        {
            return Ok((Some(read), names));
        }
        let begun = Instant::now();
        let Some(entries) = self.disk.entries(path)? else { return Ok(Default::default()) };
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.listings.took.store(took, Ordering::Relaxed);
        let (names, bytes) = self.listings.shared(Names::new(entries.sorted().into_iter()));
        // What came or went while it was read may be in the list or not.
        let stamp = entries.stamp.filter(Stamp::is_settled);
        if let Some(stamp) = stamp {
            cache.put(path.as_os_str(), (stamp, Arc::clone(&names)), bytes);
            self.listings.changed.store(true, Ordering::Relaxed);
        }
        Ok((stamp, names))
    }

    /// Reads folders that will be asked for, several at the same time where they
    /// come from the disk: each costs a trip there. Whoever comes while another
    /// one does that goes without.
    pub(super) fn read_ahead(&self, folders: impl Iterator<Item = PathBuf>) {
        if self.listings.took.load(Ordering::Relaxed) < IN_MEMORY {
            return;
        }
        let Ok(_alone) = self.listings.ahead.try_lock() else { return };
        let new = |path: &PathBuf| !self.listings.knows(path);
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
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    text: String,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Names {
    /// Names that are in order already.
    pub(super) fn new<'a>(sorted: impl Iterator<Item = &'a str>) -> Self {
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

    #[test]
    fn folders_that_hold_the_same_share_one_list() {
        let listings = Listings::default();
        let list = |names: &[&str]| listings.shared(Names::new(names.iter().copied()));
        let (first, bytes) = list(&["_blobs", "_tags"]);
        assert!(bytes > 0);
        let (second, bytes) = list(&["_blobs", "_tags"]);
        assert!(Arc::ptr_eq(&first, &second) && bytes == 0);
        let (other, _) = list(&["_blobst", "ags"]);
        assert!(!Arc::ptr_eq(&first, &other) && other.contains("ags"));
        let long = ["a", "b", "c", "d", "e"];
        assert!(!Arc::ptr_eq(&list(&long).0, &list(&long).0));
        for number in 0..100 {
            list(&[&number.to_string()]);
        }
        assert!(listings.alike.lock().unwrap().len() <= ALIKE);
    }
}
