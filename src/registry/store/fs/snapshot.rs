//! What was read of folders, kept for the next start: a server that has just begun
//! then asks the disk whether folders are still the same, which costs a quarter of
//! reading them.
//!
//! A file with a line for each folder, below the digest of all lines. Each is good
//! for as long as its folder has the stamp of the line, so that a file which is old,
//! torn, of another store or gone costs time and nothing else.

use std::path::Path;

use super::Inner;
use super::listings::Names;
use super::stamp::Stamp;
use crate::digest::Digest;
use crate::fs::FsError;

/// So few folders are read faster than this is worth.
const FEW: usize = 256;

/// A folder in the file: its path below the data folder, its stamp, the names in it.
type Line = (String, Stamp, Vec<String>);

impl Inner {
    /// Takes in what was kept of folders that aren't known yet; nothing where
    /// nothing usable was.
    pub(super) fn recall(&self) -> Result<(), FsError> {
        let Some(bytes) = self.disk.read(&self.layout.listed())? else { return Ok(()) };
        let Some((digest, lines)) = split(&bytes) else { return Ok(()) };
        if digest != Digest::sha256(lines).to_string().as_bytes() {
            return Ok(());
        }
        for line in lines.split(|byte| *byte == b'\n') {
            let Ok((path, stamp, names)) = serde_json::from_slice::<Line>(line) else { continue };
            let names = Names::new(names.iter().map(String::as_str));
            self.listings.recall(&self.layout.root().join(path), stamp, names);
        }
        Ok(())
    }

    /// Keeps what folders held, where they are many and something was read since
    /// this was last done.
    pub(super) fn keep_listings(&self, mut held: Held) -> Result<(), FsError> {
        if !self.listings.changed() || held.count < FEW {
            return Ok(());
        }
        let (digest, lines) = held.bytes.split_at_mut(held.begin);
        for (place, byte) in digest.iter_mut().zip(Digest::sha256(lines).to_string().bytes()) {
            *place = byte;
        }
        self.disk.put_for_now(&self.layout.listed(), &held.bytes)
    }
}

/// What folders held, as the file has it.
pub(super) struct Held {
    bytes: Vec<u8>,
    /// Where the lines begin.
    begin: usize,
    count: usize,
}

impl Held {
    /// Of no folder yet.
    pub(super) fn new() -> Self {
        let mut bytes = Digest::sha256(b"").to_string().into_bytes();
        bytes.push(b'\n');
        Self { begin: bytes.len(), bytes, count: 0 }
    }

    /// Adds a folder by its path below the data folder.
    pub(super) fn push(&mut self, folder: &Path, stamp: &Stamp, names: &Names) {
        let names: Vec<&str> = names.from("").collect();
        let before = self.bytes.len();
        if serde_json::to_writer(&mut self.bytes, &(folder, stamp, names)).is_ok() {
            self.bytes.push(b'\n');
            self.count += 1;
        } else {
            // A path that is no text is none of the store's.
            self.bytes.truncate(before);
        }
    }
}

/// The first line and what comes after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::fs::{self, Access};
    use crate::registry::access::Permissions;
    use crate::registry::store::{FsStore, Page, Store as _};

    /// A store with many repositories, which were left alone for a while.
    async fn large(folder: &std::path::Path) -> FsStore {
        let store = FsStore::open(folder).unwrap();
        let repositories = store.inner.layout.repositories();
        for number in 0..super::FEW {
            let name = format!("r-{number}/_blobs");
            store
                .inner
                .disk
                .make_folder_for_now(&repositories.join(format!("r-{number}")))
                .unwrap();
            store.inner.disk.make_folder_for_now(&repositories.join(name)).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
        store
    }

    async fn count(store: &FsStore) -> usize {
        let page = Page { count: None, last: None };
        store.repositories(&page, &Permissions::everything()).await.unwrap().entries.len()
    }

    #[tokio::test]
    async fn the_next_server_knows_what_this_one_read_and_looks_whether_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let store = large(folder.path()).await;
        store.warm().await;
        let kept = store.inner.layout.listed();
        assert!(kept.exists());

        let next = FsStore::open(folder.path()).unwrap();
        let first = next.inner.layout.repositories().join("r-0");
        next.inner.recall().unwrap();
        assert!(next.inner.listings.knows(&first));
        assert_eq!(count(&next).await, super::FEW);
        // What came since is seen, and so is what went.
        std::fs::remove_dir(first.join("_blobs")).unwrap();
        next.inner.disk.make_folder(&first.join("b/_blobs")).unwrap();
        next.inner.disk.make_folder(&first.join("c/_blobs")).unwrap();
        assert_eq!(count(&next).await, super::FEW + 1);

        // The one after it reads nothing, so it keeps nothing either.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let other = FsStore::open(folder.path()).unwrap();
        other.warm().await;
        let again = FsStore::open(folder.path()).unwrap();
        let untouched = std::fs::metadata(&kept).unwrap().modified().unwrap();
        again.warm().await;
        assert_eq!(std::fs::metadata(&kept).unwrap().modified().unwrap(), untouched);
    }

    #[tokio::test]
    async fn a_file_that_is_damaged_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = large(folder.path()).await;
        store.warm().await;
        let kept = store.inner.layout.listed();
        let mut bytes = fs::read(&kept).unwrap();
        let last = bytes.len() - 10;
        bytes[last] ^= 1;
        for bytes in [&bytes[..], &bytes[..last], b"", b"\n", b"\xff\n\xff"] {
            fs::write_atomic(&kept, bytes, Access::Everyone).unwrap();
            let next = FsStore::open(folder.path()).unwrap();
            next.inner.recall().unwrap();
            assert!(!next.inner.listings.knows(&next.inner.layout.repositories().join("r-0")));
            assert_eq!(count(&next).await, super::FEW);
        }
    }
}
