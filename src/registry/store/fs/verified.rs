//! Which content is known to have its digest. A table of bounded size, in
//! memory: what isn't in it is hashed while it is sent.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use super::Inner;
use super::cache::Cache;
use super::stamp::Stamp;
use crate::digest::Digest;

/// How large the table gets, in bytes: some ten thousand entries.
const TABLE: usize = 4 << 20;

/// How long content is trusted. A disk can lose bits under a file whose times
/// stay; a pull notices it after this long, or a scrub before.
const LIFETIME: Duration = Duration::from_hours(24);

/// Content that had its digest when it was last looked at.
pub(super) struct Verified(Cache<(Stamp, Instant)>);

impl Default for Verified {
    fn default() -> Self {
        Self(Cache::new(TABLE))
    }
}

impl Verified {
    /// Whether this very file had the digest not long ago.
    pub(super) fn holds(&self, digest: &Digest, stamp: &Stamp, now: Instant) -> bool {
        self.0.get(key(digest)).is_some_and(|(seen, since)| {
            seen.has_content_of(stamp) && now.saturating_duration_since(since) < LIFETIME
        })
    }

    /// Remembers that this file has the digest.
    pub(super) fn enter(&self, digest: &Digest, stamp: Stamp, now: Instant) {
        self.0.put(key(digest), (stamp, now), size_of::<(Stamp, Instant)>());
    }
}

/// Digests of different algorithms differ in their length.
fn key(digest: &Digest) -> &OsStr {
    OsStr::new(digest.hex())
}

impl Inner {
    /// Content was read, or written, by this process and has its digest.
    pub(super) fn verified(&self, digest: &Digest, metadata: &Metadata) {
        self.verified.enter(digest, Stamp::of(metadata), Instant::now());
    }

    /// Content was read and doesn't have its digest: nobody is served it again
    /// until it is pushed again.
    pub(super) fn refuted(&self, digest: &Digest, metadata: &Metadata) {
        self.verified.0.forget(key(digest));
        match self.quarantine(digest, metadata.ino()) {
            Ok(true) => {
                tracing::error!(%digest, "content was damaged when it was pulled; it is in quarantine until it is pushed again");
            }
            Ok(false) => {}
            Err(error) => tracing::error!(%digest, %error, "damaged content can't be set aside"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_is_trusted_for_a_while_and_as_it_is() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"content").unwrap();
        let (digest, now) = (Digest::sha256(b"content"), Instant::now());
        let stamp = Stamp::of(&file.as_file().metadata().unwrap());
        let verified = Verified::default();
        assert!(!verified.holds(&digest, &stamp, now));
        verified.enter(&digest, stamp, now);
        assert!(verified.holds(&digest, &stamp, now));
        assert!(!verified.holds(&Digest::sha256(b"other"), &stamp, now));
        assert!(!verified.holds(&digest, &stamp, now + LIFETIME));
        file.write_all(b"more").unwrap();
        let stamp = Stamp::of(&file.as_file().metadata().unwrap());
        assert!(!verified.holds(&digest, &stamp, now));
    }
}
