//! What is in a folder, read with as few calls as the system allows: a page of
//! the catalog looks into a hundred of them.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::stamp::Stamp;

/// How much the system says at a time, in bytes.
const BUFFER: usize = 32 * 1024;

/// The names of a folder's entries, in the order of the folder. A name that is
/// no UTF-8 is none that the store gave.
#[derive(Debug, Default)]
pub(super) struct Entries {
    text: String,
    spans: Vec<Range<usize>>,
    /// The folder's stamp; `None` where it changed while it was read.
    pub(super) stamp: Option<Stamp>,
}

impl Entries {
    /// Reads a folder; `None` where there is none of that name.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = match openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            folder => File::from(folder?),
        };
        let before = Stamp::of(&folder.metadata()?);
        let mut entries = Self::default();
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut raw = RawDir::new(&folder, buffer.spare_capacity_mut());
        while let Some(entry) = raw.next() {
            entries.push(entry?.file_name());
        }
        entries.stamp = (Stamp::of(&folder.metadata()?) == before).then_some(before);
        Ok(Some(entries))
    }

    fn push(&mut self, name: &CStr) {
        if let Ok(name) = name.to_str()
            && name != "."
            && name != ".."
        {
            let start = self.text.len();
            self.text.push_str(name);
            self.spans.push(start..self.text.len());
        }
    }

    /// The names in byte order.
    pub(super) fn sorted(&self) -> Vec<&str> {
        let names = self.spans.iter().filter_map(|span| self.text.get(span.clone()));
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{self, Access};

    #[test]
    fn a_folder_says_all_that_is_in_it_and_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(Entries::read(&path.join("none")).unwrap().is_none());
        for number in 0..2000 {
            fs::create_dir_all(&path.join(format!("folder-with-a-long-name-{number:04}"))).unwrap();
        }
        fs::write_atomic(&path.join("a"), b"", Access::Everyone).unwrap();
        assert!(Entries::read(&path.join("a")).unwrap().is_none(), "a file is no folder");
        let entries = Entries::read(path).unwrap().unwrap();
        let names = entries.sorted();
        assert_eq!((names.len(), names[0]), (2001, "a"));
        assert_eq!(names[2000], "folder-with-a-long-name-1999");
        let stamp = entries.stamp.unwrap();
        assert_eq!(Entries::read(path).unwrap().unwrap().stamp, Some(stamp));
        fs::write_atomic(&path.join("b"), b"", Access::Everyone).unwrap();
        assert_ne!(Entries::read(path).unwrap().unwrap().stamp, Some(stamp));
    }
}
