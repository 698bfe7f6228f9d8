//! Reading what the system has in memory, without ever waiting for the disk:
//! this is done on async threads.

use std::fs::File;
use std::io::IoSliceMut;

use rustix::io::{ReadWriteFlags, preadv2};

/// How many bytes lie between two places that are looked at: the system mostly lets
/// go of a file in longer stretches.
const STEP: u64 = 256 * 1024;

/// Whether a part of a file is in memory, as far as its first and its last byte
/// and some between them tell. Where a system can't say, the answer is no.
pub(super) fn is_resident(file: &File, offset: u64, length: u64) -> bool {
    let Some(last) = length.checked_sub(1) else { return true };
    let step = usize::try_from(STEP).unwrap_or(usize::MAX);
    let mut places = (0..last).step_by(step).chain([last]);
    places.all(|place| read(file, offset + place, &mut [0]) == Some(1))
}

/// Reads what is in memory of a part of a file; `None` where it isn't known
/// how much that is.
pub(super) fn read(file: &File, offset: u64, buffer: &mut [u8]) -> Option<usize> {
    preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).ok()
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
        // Where the system can't say, the answer is no for all.
        let says = read(&file, 0, &mut [0]) == Some(1);
        for (offset, part) in [(0, length), (0, 1), (length - 1, 1), (5, STEP), (STEP, 2 * STEP)] {
            assert_eq!(is_resident(&file, offset, part), says, "{offset} {part}");
        }
        assert!(is_resident(&file, 0, 0));
        assert!(!is_resident(&file, 0, length + 1), "beyond its end");
    }
}
