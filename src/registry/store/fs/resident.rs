//! Reading what the system has in memory, without ever waiting for the disk:
//! this is done on async threads.

use std::fs::File;
use std::io::IoSliceMut;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// How many bytes lie between two places that are looked at: the system mostly lets
/// go of a file in longer stretches.
const STEP: u64 = 256 * 1024;

/// Whether a part of a file is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resident {
    /// It is.
    Yes,
    /// It isn't, or not all of it.
    No,
    /// The system can't say.
    Unknown,
}

/// Whether a part of a file is in memory, as far as its first and its last byte
/// and some between them tell. To ask of a byte that isn't there brings it.
pub(super) fn look(file: &File, offset: u64, length: u64) -> Resident {
    let Some(last) = length.checked_sub(1) else { return Resident::Yes };
    let step = usize::try_from(STEP).unwrap_or(usize::MAX);
    let places = (0..last).step_by(step).chain([last]);
    for place in places {
        match peek(file, offset + place, &mut [0]) {
            Ok(1) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return Resident::Unknown,
            Ok(_) | Err(_) => return Resident::No,
        }
    }
    Resident::Yes
}

/// Reads what is in memory of a part of a file; `None` where it isn't known
/// how much that is.
pub(super) fn read(file: &File, offset: u64, buffer: &mut [u8]) -> Option<usize> {
    peek(file, offset, buffer).ok()
}

fn peek(file: &File, offset: u64, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_whole_and_each_part_is_in_memory_once_it_was_written() {
        let mut file = tempfile::tempfile().unwrap();
        let length = 3 * STEP + 17;
        file.write_all(&vec![1; usize::try_from(length).unwrap()]).unwrap();
        // Some systems can't say.
        let says = look(&file, 0, 1);
        assert_ne!(says, Resident::No);
        for (offset, part) in [(0, length), (0, 1), (length - 1, 1), (5, STEP), (STEP, 2 * STEP)] {
            assert_eq!(look(&file, offset, part), says, "{offset} {part}");
        }
        assert_eq!(look(&file, 0, 0), Resident::Yes);
        assert_ne!(look(&file, 0, length + 1), Resident::Yes, "beyond its end");
    }
}
