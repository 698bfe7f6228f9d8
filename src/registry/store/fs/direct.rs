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
    mode: Mode,
    /// Where a batch is put together.
    memory: Vec<u8>,
}

#[derive(Default)]
struct Mode {
    /// Whether the file is in it at the moment.
    on: bool,
    /// The file system has no such way.
    refused: bool,
}

impl Direct {
    /// Whether it is worth trying.
    pub(super) fn is_open(&self) -> bool {
        !self.mode.refused
    }

    /// Writes chunks at the file's cursor, which is at a multiple of [`BLOCK`],
    /// as their length together is. `false` where the file system does not do
    /// this; nothing was written then.
    pub(super) fn write(&mut self, file: &File, chunks: &[&[u8]]) -> io::Result<bool> {
        if !self.mode.enter(file)? {
            return Ok(false);
        }
        let length = chunks.iter().map(|chunk| chunk.len()).sum::<usize>();
        if self.memory.len() < length + BLOCK {
            self.memory.resize(length + BLOCK, 0);
        }
        let start = self.memory.as_ptr().align_offset(BLOCK);
        let Some(batch) = self.memory.get_mut(start..start + length) else { return Ok(false) };
        let mut rest = &mut *batch;
        for chunk in chunks {
            let Some((place, after)) = rest.split_at_mut_checked(chunk.len()) else {
                return Ok(false);
            };
            place.copy_from_slice(chunk);
            rest = after;
        }
        let mut left: &[u8] = batch;
        while !left.is_empty() {
            match (&*file).write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Some file systems take the mode and then no write.
                Err(error) if is_refusal(&error) && left.len() == length => {
                    self.mode.refuse(file)?;
                    return Ok(false);
                }
                // Others write a part that is no multiple of their blocks.
                Err(error) if is_refusal(&error) => {
                    self.mode.refuse(file)?;
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
        self.mode.leave(file)
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
        let mut mode = Mode::default();
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
    mode: Mode,
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

impl Mode {
    fn leave(&mut self, file: &File) -> io::Result<()> {
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
        let bytes: Vec<u8> = (0..=250).cycle().take(5 * BLOCK).collect();
        let (first, rest) = bytes.split_at(1000);
        let (second, last) = rest.split_at(3 * BLOCK - 1000);
        // Where the disk has no such mode the caller writes as usual.
        if !direct.write(&file, &[first, second]).unwrap() {
            assert!(!direct.is_open());
            file.write_all(&bytes[..3 * BLOCK]).unwrap();
        }
        direct.leave(&file).unwrap();
        file.write_all(&last[..BLOCK]).unwrap();
        if !direct.write(&file, &[&last[BLOCK..]]).unwrap() {
            file.write_all(&last[BLOCK..]).unwrap();
        }
        direct.leave(&file).unwrap();
        file.write_all(b"tail").unwrap();
        let mut found = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert_eq!(found[..5 * BLOCK], bytes);
        assert_eq!(&found[5 * BLOCK..], b"tail");
    }
}
