//! Writing and reading past the system's cache: a large upload would push out of
//! memory what is being pulled, and copying it there costs more than hashing it;
//! and a scrub asks for what the disk holds, not for what is in memory.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::fs::{Advice, OFlags, fadvise, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// What a write's place in the file, its length and its place in memory are
/// multiples of, in bytes: enough for every disk with blocks of up to 4 KiB.
pub(super) const BLOCK: usize = 4096;

/// The way past the cache, for one file.
#[derive(Default)]
pub(super) struct Direct {
    /// Whether the file is in it at the moment.
    on: bool,
    /// The file system has no such way.
    refused: bool,
}

impl Direct {
    /// Writes bytes at the file's cursor. `false` where the file system does not
    /// do this, or where the cursor, their length or their place in memory is no
    /// multiple of [`BLOCK`]; nothing was written then.
    pub(super) fn write(&mut self, file: &File, position: u64, bytes: &[u8]) -> io::Result<bool> {
        let blocks = position.is_multiple_of(BLOCK as u64)
            && bytes.len().is_multiple_of(BLOCK)
            && bytes.as_ptr().align_offset(BLOCK) == 0;
        if !blocks || !self.enter(file)? {
            return Ok(false);
        }
        let mut left = bytes;
        while !left.is_empty() {
            match (&*file).write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Some file systems take the mode and then no write.
                Err(error) if is_refusal(&error) && left.len() == bytes.len() => {
                    self.refuse(file)?;
                    return Ok(false);
                }
                // Others write a part that is no multiple of their blocks.
                Err(error) if is_refusal(&error) => {
                    self.refuse(file)?;
                    (&*file).write_all(left)?;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Back to the ordinary way.
    pub(super) fn leave(&mut self, file: &File) -> io::Result<()> {
        if self.on {
            fcntl_setfl(file, fcntl_getfl(file)?.difference(OFlags::DIRECT))?;
            self.on = false;
        }
        Ok(())
    }

    fn enter(&mut self, file: &File) -> io::Result<bool> {
        if !self.on && !self.refused {
            match fcntl_setfl(file, fcntl_getfl(file)?.union(OFlags::DIRECT)) {
                Ok(()) => self.on = true,
                Err(Errno::INVAL | Errno::OPNOTSUPP) => self.refused = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.on)
    }

    fn refuse(&mut self, file: &File) -> io::Result<()> {
        self.refused = true;
        self.leave(file)
    }
}

/// Memory that files are read into past the cache, one after the other.
pub(super) struct DirectReader {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl DirectReader {
    /// Memory for this many bytes, a multiple of [`BLOCK`].
    pub(super) fn new(length: usize) -> Self {
        let memory = vec![0; length + BLOCK];
        Self { start: memory.as_ptr().align_offset(BLOCK).min(BLOCK), memory, length }
    }

    /// Begins with a file, at its start.
    pub(super) fn begin<'a>(&'a mut self, file: &'a File) -> io::Result<DirectRead<'a>> {
        let mut mode = Direct::default();
        if !mode.enter(file)? {
            forget_cached(file);
        }
        Ok(DirectRead { reader: self, file, mode })
    }
}

/// A file on its way through a [`DirectReader`].
pub(super) struct DirectRead<'a> {
    reader: &'a mut DirectReader,
    file: &'a File,
    mode: Direct,
}

impl DirectRead<'_> {
    /// The next bytes of the file; none at its end. Where the file system has no
    /// way past the cache they come through it, once it let go of what it had.
    pub(super) fn next(&mut self) -> io::Result<&[u8]> {
        let DirectReader { memory, start, length } = &mut *self.reader;
        let place = memory.get_mut(*start..*start + *length).unwrap_or_default();
        let count = loop {
            match (&*self.file).read(place) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Some file systems take the mode and then no read.
                Err(error) if self.mode.on && is_refusal(&error) => {
                    self.mode.refuse(self.file)?;
                    forget_cached(self.file);
                }
                Err(error) => return Err(error),
            }
        };
        Ok(place.get(..count).unwrap_or_default())
    }
}

/// Has the system let go of what it has in memory of a file, where it does that.
fn forget_cached(file: &File) {
    let _ = fadvise(file, 0, None, Advice::DontNeed);
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn what_is_read_is_what_the_file_holds_whatever_its_length() {
        let mut reader = DirectReader::new(2 * BLOCK);
        for length in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 17] {
            let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            let mut read = reader.begin(&file).unwrap();
            let mut found = Vec::new();
            loop {
                let next = read.next().unwrap();
                if next.is_empty() {
                    break;
                }
                found.extend_from_slice(next);
            }
            assert_eq!(found, bytes, "{length}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_given_in_either_mode() {
        let mut file = tempfile::tempfile().unwrap();
        let mut direct = Direct::default();
        let bytes: Vec<u8> = (0..=250).cycle().take(6 * BLOCK).collect();
        let start = bytes.as_ptr().align_offset(BLOCK);
        let bytes = &bytes[start..start + 5 * BLOCK];
        let (first, rest) = bytes.split_at(3 * BLOCK);
        // Where the disk has no such mode the caller writes as usual.
        if !direct.write(&file, 0, first).unwrap() {
            assert!(direct.refused);
            file.write_all(first).unwrap();
        }
        // What lies between two blocks is for the ordinary way.
        let position = first.len() as u64;
        assert!(!direct.write(&file, position, &rest[1..=BLOCK]).unwrap(), "its place in memory");
        assert!(!direct.write(&file, position, &rest[..BLOCK - 1]).unwrap(), "its length");
        assert!(!direct.write(&file, position + 1, rest).unwrap(), "its place in the file");
        direct.leave(&file).unwrap();
        file.write_all(&rest[..BLOCK]).unwrap();
        if !direct.write(&file, position + BLOCK as u64, &rest[BLOCK..]).unwrap() {
            file.write_all(&rest[BLOCK..]).unwrap();
        }
        direct.leave(&file).unwrap();
        file.write_all(b"tail").unwrap();
        let mut found = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert!(found[..5 * BLOCK] == *bytes);
        assert_eq!(&found[5 * BLOCK..], b"tail");
    }
}
