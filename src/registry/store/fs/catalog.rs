//! Listing repositories in the byte order of their names, page by page.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Inner;
use super::listings::Names;
use crate::fs::FsError;
use crate::registry::access::{Actions, Permissions};
use crate::registry::name::RepositoryName;
use crate::registry::store::{Listing, Page};

/// How many folders are read ahead of the walk.
const AHEAD: usize = 128;

/// How many repositories are read ahead of later pages: about as many as
/// [`Listings`](super::listings::Listings) has room for.
const WARMED: usize = 30_000;

/// A page of the repositories that the caller may pull from.
pub(super) fn page(
    inner: &Inner,
    page: &Page,
    caller: &Permissions,
) -> Result<Listing<RepositoryName>, FsError> {
    let mut walk = Walk {
        inner,
        last: page.last.as_deref().unwrap_or_default(),
        accept: &|name| caller.allow(name, Actions::PULL),
        count: page.count.unwrap_or(usize::MAX),
        entries: Vec::new(),
        more: false,
    };
    walk.run()?;
    Ok(Listing { entries: walk.entries, more: walk.more })
}

/// The first repository that `accept` accepts, among the first `most`.
pub(super) fn find(
    inner: &Inner,
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
        Walk { inner, last: "", accept: &stop, count: 0, entries: Vec::new(), more: false };
    walk.run()?;
    Ok(found.into_inner())
}

/// Reads what the next pages of the catalog will ask for, of this many
/// repositories at most: whoever asked for one page asks for others, and a folder
/// that the system has not in memory costs a trip to the disk.
pub(super) fn warm(inner: &Inner) -> Result<(), FsError> {
    find(inner, WARMED, &|_| false).map(|_| ())
}

struct Walk<'a> {
    inner: &'a Inner,
    last: &'a str,
    accept: &'a dyn Fn(&RepositoryName) -> bool,
    count: usize,
    entries: Vec<RepositoryName>,
    more: bool,
}

/// A folder whose name was visited and what is below it wasn't.
struct Pending {
    /// Its path below the root, with a slash at the end.
    prefix: String,
    names: Arc<Names>,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), FsError> {
        let names = self.inner.names(&self.inner.layout.repositories())?;
        self.below("", &names)
    }

    /// Visits the names that start with `prefix`, which is empty or ends in a
    /// slash. The order is that of the whole names: `a-b` before `a/b`, since
    /// `-` sorts before `/`. So a folder stands in the order twice, as a name
    /// and, with the slash, as a prefix of names, and between the two come the
    /// folders whose names begin with its own and sort before the slash.
    fn below(&mut self, prefix: &str, names: &Names) -> Result<(), FsError> {
        let mut pending: Vec<Pending> = Vec::new();
        let begin = self.last.strip_prefix(prefix).unwrap_or_default();
        let begin = begin.split('/').next().unwrap_or_default();
        // What is below one of these may come after `last`.
        for (end, _) in begin.char_indices().filter(|(_, next)| *next < '/') {
            let name = begin.get(..end).unwrap_or_default();
            if names.contains(name) {
                self.enter(prefix, name, &mut pending)?;
            }
        }
        for (index, name) in names.from(begin).enumerate() {
            if index % AHEAD == 0 {
                self.read_ahead(prefix, names.from(name));
            }
            let key = format!("{prefix}{name}");
            while let Some(folder) = pending.pop_if(|folder| folder.prefix < key) {
                self.below_pending(&folder)?;
            }
            if self.more {
                return Ok(());
            }
            self.enter(prefix, name, &mut pending)?;
        }
        while let Some(folder) = pending.pop() {
            self.below_pending(&folder)?;
        }
        Ok(())
    }

    /// Has the folders of the next names read, as far as the page may reach.
    fn read_ahead<'a>(&self, prefix: &str, names: impl Iterator<Item = &'a str>) {
        let left = self.count.saturating_sub(self.entries.len()).saturating_add(1);
        let folders = names.take(left.min(AHEAD)).filter_map(|component| {
            let name = format!("{prefix}{component}").parse().ok()?;
            Some(self.inner.layout.repository(&name))
        });
        self.inner.read_ahead(folders);
    }

    /// Visits a name, and leaves what is below it for its turn.
    fn enter(
        &mut self,
        prefix: &str,
        component: &str,
        pending: &mut Vec<Pending>,
    ) -> Result<(), FsError> {
        // What is no component of a name belongs to the repository itself.
        if component.starts_with('_') {
            return Ok(());
        }
        let Ok(name) = format!("{prefix}{component}").parse::<RepositoryName>() else {
            return Ok(());
        };
        let below = format!("{name}/");
        // All names below are behind, unless `last` is one of them.
        let wanted = below.as_str() > self.last || self.last.starts_with(&below);
        if name.as_str() <= self.last && !wanted {
            return Ok(());
        }
        let names = self.inner.names(&self.inner.layout.repository(&name))?;
        let holds = names.contains("_manifests") || names.contains("_blobs");
        if holds && name.as_str() > self.last && (self.accept)(&name) {
            if self.entries.len() < self.count {
                self.entries.push(name);
            } else {
                self.more = true;
            }
        }
        if wanted {
            pending.push(Pending { prefix: below, names });
        }
        Ok(())
    }

    fn below_pending(&mut self, folder: &Pending) -> Result<(), FsError> {
        if self.more { Ok(()) } else { self.below(&folder.prefix, &folder.names) }
    }
}
