//! Reading what the system has in memory, without ever waiting for the disk:
//! this is done on async threads.

use std::fs::File;
use std::io::IoSliceMut;

use rustix::io::{ReadWriteFlags, preadv2};

/// Whether a part of a file is in memory, as far as its first and its last
/// byte tell. Where a system can't say, the answer is no.
pub(super) fn is_resident(file: &File, offset: u64, length: usize) -> bool {
    let last = offset + (length as u64).saturating_sub(1);
    [offset, last].iter().all(|at| read(file, *at, &mut [0]) == Some(1))
}

/// Reads what is in memory of a part of a file; `None` where it isn't known
/// how much that is.
pub(super) fn read(file: &File, offset: u64, buffer: &mut [u8]) -> Option<usize> {
    preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
}
