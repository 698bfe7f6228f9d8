//! Listing repositories in the byte order of their names, page by page.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;

use super::disk::Disk;
use crate::fs::FsError;
use crate::registry::access::{Actions, Permissions};
use crate::registry::name::RepositoryName;
use crate::registry::store::{Listing, Page};

/// A page of the repositories below `root` that the caller may pull from.
pub(super) fn page(
    disk: &Disk,
    root: &Path,
    page: &Page,
    caller: &Permissions,
) -> Result<Listing<RepositoryName>, FsError> {
    let mut walk = Walk {
        disk,
        root,
        last: page.last.as_deref().unwrap_or_default(),
        accept: &|name| caller.allow(name, Actions::PULL),
        count: page.count.unwrap_or(usize::MAX),
        entries: Vec::new(),
        more: false,
    };
    walk.below("")?;
    Ok(Listing { entries: walk.entries, more: walk.more })
}

/// The first repository that `accept` accepts, among the first `most`.
pub(super) fn find(
    disk: &Disk,
    root: &Path,
    most: usize,
    accept: &dyn Fn(&RepositoryName) -> bool,
) -> Result<Option<RepositoryName>, FsError> {
    let (looked, found) = (Cell::new(0), RefCell::new(None));
    let stop = |name: &RepositoryName| {
        looked.set(looked.get() + 1);
        let accepted = accept(name);
        if accepted {
            *found.borrow_mut() = Some(name.clone());
        }
        accepted || looked.get() >= most
    };
    // A page of none is over at the first name that `stop` accepts.
    let mut walk =
        Walk { disk, root, last: "", accept: &stop, count: 0, entries: Vec::new(), more: false };
    walk.below("")?;
    Ok(found.into_inner())
}

struct Walk<'a> {
    disk: &'a Disk,
    root: &'a Path,
    last: &'a str,
    accept: &'a dyn Fn(&RepositoryName) -> bool,
    count: usize,
    entries: Vec<RepositoryName>,
    more: bool,
}

impl Walk<'_> {
    /// Visits the names that start with `prefix`, which is empty or ends in a
    /// slash. The order is that of the whole names: `a-b` before `a/b`, since
    /// `-` sorts before `/`. So a folder stands in the order twice, as a name
    /// and, with the slash, as a prefix of names.
    fn below(&mut self, prefix: &str) -> Result<(), FsError> {
        let mut keys = BTreeSet::new();
        for path in self.disk.list(&self.root.join(prefix))? {
            let Some(component) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if component.parse::<RepositoryName>().is_ok() {
                keys.insert(format!("{prefix}{component}"));
                keys.insert(format!("{prefix}{component}/"));
            }
        }
        for key in keys {
            if self.more {
                break;
            }
            if key.ends_with('/') {
                // All names below are behind, unless `last` is one of them.
                if key.as_str() > self.last || self.last.starts_with(&key) {
                    self.below(&key)?;
                }
            } else if key.as_str() > self.last {
                self.visit(&key)?;
            }
        }
        Ok(())
    }

    fn visit(&mut self, key: &str) -> Result<(), FsError> {
        let Ok(name) = key.parse::<RepositoryName>() else { return Ok(()) };
        let folder = self.root.join(key);
        let holds = self.disk.exists(&folder.join("_manifests"))?
            || self.disk.exists(&folder.join("_blobs"))?;
        if !holds || !(self.accept)(&name) {
            return Ok(());
        }
        if self.entries.len() < self.count {
            self.entries.push(name);
        } else {
            self.more = true;
        }
        Ok(())
    }
}
