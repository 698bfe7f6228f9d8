//! What the system says of a file, as a sign that it is still the same one.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How long a file must have been left alone before what was read from it is
/// remembered, in nanoseconds. The system's file times move in ticks of some
/// milliseconds and inode numbers are used again, so that a file which was
/// replaced twice within a tick looks the same before and after.
const SETTLED: i64 = 100_000_000;

/// A file or folder at one point of its life. As long as its stamp is the same
/// its content, or the list of its entries, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    changed: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether nothing happened to the file for so long that a later change is
    /// sure to give it another stamp. One from the future is not.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled_at(SystemTime::now())
    }

    fn is_settled_at(&self, now: SystemTime) -> bool {
        let Ok(now) = now.duration_since(UNIX_EPOCH) else { return false };
        let now = i64::try_from(now.as_nanos()).unwrap_or_default();
        now.saturating_sub(self.modified.max(self.changed)) > SETTLED
    }

    /// How long ago the content was changed.
    pub(super) fn age(&self) -> Duration {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified = u64::try_from(self.modified).map(Duration::from_nanos).unwrap_or_default();
        now.saturating_sub(modified)
    }

    /// Whether both are of the same content as far as its times say, which a new
    /// name or a new link of the file doesn't change. Whoever writes to it can
    /// set them back.
    pub(super) fn has_content_of(&self, other: &Self) -> bool {
        let content = |stamp: &Self| (stamp.device, stamp.inode, stamp.size, stamp.modified);
        content(self) == content(other)
    }
}

/// Of a time within some 292 years around 1970; one beyond is the last of them.
fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_left_alone_is_settled() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let stamp = |modified, changed| Stamp { device: 1, inode: 2, size: 3, modified, changed };
        let second = 1_000_000_000;
        assert!(stamp(999 * second, 999 * second).is_settled_at(now));
        assert!(!stamp(999 * second, 1000 * second - SETTLED).is_settled_at(now));
        assert!(!stamp(1000 * second - 1, 0).is_settled_at(now));
        assert!(!stamp(2000 * second, 0).is_settled_at(now), "a clock that went back");
    }

    #[test]
    fn a_new_name_leaves_the_content() {
        let stamp = Stamp { device: 1, inode: 2, size: 3, modified: 4, changed: 5 };
        assert!(stamp.has_content_of(&Stamp { changed: 6, ..stamp }));
        assert!(!stamp.has_content_of(&Stamp { modified: 6, ..stamp }));
        assert!(!stamp.has_content_of(&Stamp { inode: 6, ..stamp }));
    }
}
