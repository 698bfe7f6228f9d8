//! What a scrub is asked to do, and what it found.

use serde::Serialize;

/// How a scrub reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPolicy {
    /// How many bytes it reads in a second at most; `None` as fast as it can.
    pub rate: Option<u64>,
    /// Whether it begins at the start rather than where the last one, which
    /// didn't finish, left off.
    pub afresh: bool,
}

/// What a scrub has found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scrubbed {
    /// Contents read.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The digests of those that had other bytes, and are in quarantine now.
    pub damaged: Vec<String>,
    /// The digests of those that had other bytes and are where they were, since
    /// another process uses the folder or the disk doesn't let go of them. This
    /// process serves them to nobody, others find out when they are pulled.
    pub in_place: Vec<String>,
    /// Those that the disk didn't give; they are left where they are.
    pub unreadable: Vec<String>,
    /// Whether it came to the end.
    pub finished: bool,
}
