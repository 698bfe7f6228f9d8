//! Which content is known to have its digest. A table of bounded size, in
//! memory: what isn't in it is hashed while it is sent.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::Inner;
use super::cache::Cache;
use super::marks::{Marks, Parts};
use super::stamp::Stamp;
use crate::digest::Digest;
use crate::registry::store::StoreError;

/// How large the table gets, in bytes: more than ten thousand small contents, or at
/// least 100 GiB of large ones.
const TABLE: usize = 8 << 20;

/// How long content is trusted. A disk can lose bits under a file whose times
/// stay; a pull notices it after this long, or a scrub before.
const LIFETIME: Duration = Duration::from_hours(24);

/// How long content that could not be read counts as not there for who asks
/// whether it is: who pushes it again then heals it.
const UNREADABLE: Duration = Duration::from_mins(10);

/// How much content is remembered that doesn't have its digest and could not be
/// set aside. Of more it is found again each time.
const REFUTED: usize = 4096;

/// Content that had its digest when it was last looked at, and content that
/// hadn't.
pub(super) struct Verified {
    known: Cache<(Stamp, Instant, Arc<Parts>)>,
    refuted: Mutex<HashMap<Digest, Refuted>>,
    /// How many those are, so that nobody asks for the lock while there are
    /// none.
    count: AtomicUsize,
}

/// A file that doesn't have its digest.
struct Refuted {
    stamp: Stamp,
    /// Until when this is taken for granted: it could not be read, and the disk
    /// may be better by then. For good without.
    until: Option<Instant>,
}

impl Default for Verified {
    fn default() -> Self {
        let (refuted, count) = (Mutex::default(), AtomicUsize::new(0));
        Self { known: Cache::new(TABLE), refuted, count }
    }
}

impl Verified {
    /// The parts of this very file, where it had the digest not long ago.
    pub(super) fn parts(&self, digest: &Digest, stamp: &Stamp, now: Instant) -> Option<Arc<Parts>> {
        // Whoever writes to a file can set the time of that back, but not the
        // time of its last change.
        let (seen, since, parts) = self.known.get(key(digest))?;
        let holds = seen == *stamp && now.saturating_duration_since(since) < LIFETIME;
        holds.then_some(parts)
    }

    /// Remembers that this file has the digest.
    pub(super) fn enter(&self, digest: &Digest, stamp: Stamp, parts: Arc<Parts>, now: Instant) {
        let memory = size_of::<(Stamp, Instant, Arc<Parts>)>() + parts.memory();
        self.known.put(key(digest), (stamp, now, parts), memory);
        self.forgive(digest);
    }

    /// Whether this very file is known not to have the digest.
    pub(super) fn is_refuted(&self, digest: &Digest, stamp: &Stamp) -> bool {
        self.finds(digest, |refuted| refuted.stamp == *stamp && refuted.until.is_none())
    }

    /// Whether it is known not to have it, or could not be read not long ago.
    pub(super) fn is_doubtful(&self, digest: &Digest, stamp: &Stamp, now: Instant) -> bool {
        self.finds(digest, |refuted| {
            refuted.stamp == *stamp && refuted.until.is_none_or(|until| now < until)
        })
    }

    fn finds(&self, digest: &Digest, is_it: impl FnOnce(&Refuted) -> bool) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.refuted().get(digest).is_some_and(is_it)
    }

    /// Remembers that this file doesn't have the digest.
    pub(super) fn refute(&self, digest: &Digest, stamp: Stamp) {
        self.doubt(digest, Refuted { stamp, until: None });
    }

    /// Remembers that this file could not be read.
    pub(super) fn unreadable(&self, digest: &Digest, stamp: Stamp, now: Instant) {
        self.doubt(digest, Refuted { stamp, until: Some(now + UNREADABLE) });
    }

    fn doubt(&self, digest: &Digest, why: Refuted) {
        self.known.forget(key(digest));
        let mut refuted = self.refuted();
        if refuted.len() < REFUTED || refuted.contains_key(digest) {
            refuted.insert(digest.clone(), why);
        }
        self.count.store(refuted.len(), Ordering::Release);
    }

    /// The content is another one now, or gone, or could be read.
    pub(super) fn forgive(&self, digest: &Digest) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut refuted = self.refuted();
            refuted.remove(digest);
            self.count.store(refuted.len(), Ordering::Release);
        }
    }

    fn refuted(&self) -> MutexGuard<'_, HashMap<Digest, Refuted>> {
        self.refuted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Digests of different algorithms differ in their length.
fn key(digest: &Digest) -> &OsStr {
    OsStr::new(digest.hex())
}

impl Inner {
    /// Content was read, or written, by this process and has its digest.
    pub(super) fn verified(
        &self,
        digest: &Digest,
        metadata: &Metadata,
        marks: Marks,
    ) -> Arc<Parts> {
        let (stamp, now) = (Stamp::of(metadata), Instant::now());
        // Those who send it share what they doubt.
        let known = self.verified.parts(digest, &stamp, now).filter(|parts| parts.has(&marks));
        let new = || Arc::new(Parts::new(digest, metadata.len(), marks));
        let parts = known.unwrap_or_else(new);
        self.verified.enter(digest, stamp, Arc::clone(&parts), now);
        parts
    }

    /// Reading content ended with an error. Where it is one of the disk itself the
    /// content counts as not there for a while.
    pub(super) fn unreadable(&self, digest: &Digest, metadata: &Metadata, error: &io::Error) {
        let errno = error.raw_os_error().map(Errno::from_raw_os_error);
        if matches!(errno, Some(Errno::IO | Errno::BADMSG | Errno::UCLEAN)) {
            self.verified.unreadable(digest, Stamp::of(metadata), Instant::now());
        }
    }

    /// Content was read and doesn't have its digest: nobody is served it again
    /// until it is pushed again. Whether it was set aside; nothing of it is
    /// left to set aside where that is not so.
    ///
    /// # Errors
    /// Why it stays where it is.
    pub(super) fn refuted(&self, digest: &Digest, metadata: &Metadata) -> Result<bool, StoreError> {
        self.verified.refute(digest, Stamp::of(metadata));
        let aside = self.quarantine(digest, metadata.ino())?;
        self.verified.forgive(digest);
        Ok(aside)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn parts(digest: &Digest) -> Arc<Parts> {
        Arc::new(Parts::new(digest, 7, Marks::default()))
    }

    #[tokio::test]
    async fn what_was_pushed_is_trusted_under_its_new_name() {
        use crate::registry::store::{FsStore, Store as _, UploadWriter as _};
        let root = tempfile::tempdir().unwrap();
        let store = FsStore::open(root.path()).unwrap();
        let (digest, here) = (Digest::sha256(b"content"), "a".parse().unwrap());
        let mut upload = store.upload_once(&here, digest.algorithm()).await.unwrap();
        upload.write(bytes::Bytes::from_static(b"content")).await.unwrap();
        upload.finish(&digest).await.unwrap();
        let inner = &store.inner;
        let found = inner.disk.stamp(&inner.layout.blob(&digest)).unwrap().unwrap();
        assert!(inner.verified.parts(&digest, &found, Instant::now()).is_some());
        // In another repository too, and after a question.
        let there = "b".parse().unwrap();
        assert!(store.blob_mount(&here, &there, &digest).await.unwrap());
        store.blob_delete(&here, &digest).await.unwrap();
        let found = inner.disk.stamp(&inner.layout.blob(&digest)).unwrap().unwrap();
        assert!(inner.verified.parts(&digest, &found, Instant::now()).is_some());
    }

    #[test]
    fn what_is_refuted_is_so_until_the_file_is_another_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let digest = Digest::sha256(b"content");
        let stamp = Stamp::of(&file.as_file().metadata().unwrap());
        let other = Stamp::of(&tempfile::tempfile().unwrap().metadata().unwrap());
        let verified = Verified::default();
        assert!(!verified.is_refuted(&digest, &stamp));
        verified.enter(&digest, stamp, parts(&digest), Instant::now());
        verified.refute(&digest, stamp);
        assert!(verified.parts(&digest, &stamp, Instant::now()).is_none());
        assert!(verified.is_refuted(&digest, &stamp) && !verified.is_refuted(&digest, &other));
        verified.enter(&digest, other, parts(&digest), Instant::now());
        assert!(!verified.is_refuted(&digest, &stamp));
    }

    #[test]
    fn what_could_not_be_read_is_doubtful_for_a_while_and_never_refuted() {
        let stamp = Stamp::of(&tempfile::tempfile().unwrap().metadata().unwrap());
        let (digest, verified, now) =
            (Digest::sha256(b"content"), Verified::default(), Instant::now());
        verified.enter(&digest, stamp, parts(&digest), now);
        verified.unreadable(&digest, stamp, now);
        assert!(
            verified.parts(&digest, &stamp, now).is_none() && !verified.is_refuted(&digest, &stamp)
        );
        assert!(verified.is_doubtful(&digest, &stamp, now));
        assert!(!verified.is_doubtful(&digest, &stamp, now + UNREADABLE));
        verified.forgive(&digest);
        assert!(!verified.is_doubtful(&digest, &stamp, now));
        verified.refute(&digest, stamp);
        assert!(verified.is_doubtful(&digest, &stamp, now + UNREADABLE));
    }

    #[test]
    fn a_file_is_trusted_for_a_while_and_as_it_is() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"content").unwrap();
        let (digest, now) = (Digest::sha256(b"content"), Instant::now());
        let stamp = Stamp::of(&file.as_file().metadata().unwrap());
        let verified = Verified::default();
        assert!(verified.parts(&digest, &stamp, now).is_none());
        verified.enter(&digest, stamp, parts(&digest), now);
        assert!(verified.parts(&digest, &stamp, now).is_some());
        assert!(verified.parts(&Digest::sha256(b"other"), &stamp, now).is_none());
        assert!(verified.parts(&digest, &stamp, now + LIFETIME).is_none());
        file.write_all(b"more").unwrap();
        let stamp = Stamp::of(&file.as_file().metadata().unwrap());
        assert!(verified.parts(&digest, &stamp, now).is_none());
    }
}
