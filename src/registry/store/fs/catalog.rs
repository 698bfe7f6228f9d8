//! Listing repositories in the byte order of their names, page by page.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::listings::Names;
use super::quiet::Rest;
use super::snapshot::Held;
use crate::fs::FsError;
use crate::registry::access::{Actions, Permissions};
use crate::registry::name::RepositoryName;
use crate::registry::store::{Listing, Page};

/// How many folders are read ahead of the walk at most.
const AHEAD: usize = 128;

/// How many folders the walk looks into before it reads ahead, and how many it then
/// reads: a page may end in the first, and each further one makes it likelier that
/// all are wanted.
const FIRST: usize = 2;
const BEGIN: usize = 16;

/// How many repositories are read ahead of later pages: about as many as
/// [`Listings`](super::listings::Listings) has room for.
const WARMED: usize = 30_000;

/// A page of the repositories that the caller may pull from.
pub(super) fn page(
    inner: &Inner,
    page: &Page,
    caller: &Permissions,
) -> Result<Listing<RepositoryName>, FsError> {
    let _asked = inner.listings.asked();
    let accept = |name: &RepositoryName| caller.allow(name, Actions::PULL);
    let mut walk = Walk {
        last: page.last.as_deref().unwrap_or_default(),
        count: page.count.unwrap_or(usize::MAX),
        ..Walk::new(inner, &accept)
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
    Walk::new(inner, &stop).run()?;
    Ok(found.into_inner())
}

/// Reads what the next pages of the catalog will ask for, of this many
/// repositories at most: whoever asked for one page asks for others, and a folder
/// that the system has not in memory costs a trip to the disk. One folder at a time,
/// with rests, and never beside a page: requests that read from the disk are not
/// to wait behind it.
pub(super) fn warm(inner: &Inner) -> Result<(), FsError> {
    let (looked, rest) = (Cell::new(0), RefCell::new(Rest::new(SHARE)));
    let over = |_: &RepositoryName| {
        rest.borrow_mut().now_and_then();
        while inner.listings.is_asked() {
            std::thread::sleep(GIVE_WAY);
        }
        looked.set(looked.get() + 1);
        looked.get() >= WARMED
    };
    inner.recall()?;
    let mut walk = Walk { held: Some(Held::new()), ..Walk::new(inner, &over) };
    walk.run()?;
    walk.held.map_or(Ok(()), |held| inner.keep_listings(held))
}

/// The share of its time that reading ahead of later pages works, in percent.
const SHARE: u32 = 80;

/// How long it waits before it looks again whether a page is being made.
const GIVE_WAY: Duration = Duration::from_micros(200);

struct Walk<'a> {
    inner: &'a Inner,
    last: &'a str,
    accept: &'a dyn Fn(&RepositoryName) -> bool,
    count: usize,
    entries: Vec<RepositoryName>,
    more: bool,
    /// What the folders held, where the walk is for those that come later: it reads
    /// them one at a time then.
    held: Option<Held>,
}

/// A folder whose name was visited and what is below it wasn't.
struct Pending {
    /// Its path below the root, with a slash at the end.
    prefix: String,
    names: Arc<Names>,
}

impl<'a> Walk<'a> {
    /// A walk through all repositories, to the first that is accepted.
    fn new(inner: &'a Inner, accept: &'a dyn Fn(&RepositoryName) -> bool) -> Self {
        let entries = Vec::new();
        Self { inner, last: "", accept, count: 0, entries, more: false, held: None }
    }

    fn run(&mut self) -> Result<(), FsError> {
        let names = self.names(&self.inner.layout.repositories())?;
        self.below("", &names)
    }

    fn names(&mut self, folder: &Path) -> Result<Arc<Names>, FsError> {
        let (stamp, names) = self.inner.stamped_names(folder)?;
        if let (Some(held), Some(stamp)) = (&mut self.held, stamp)
            && let Ok(below) = folder.strip_prefix(self.inner.layout.root())
        {
            held.push(below, &stamp, &names);
        }
        Ok(names)
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
        let (mut next, mut ahead) = (FIRST, BEGIN);
        for (index, name) in names.from(begin).enumerate() {
            if index == next && self.held.is_none() {
                self.read_ahead(prefix, names.from(name).take(ahead));
                next += ahead;
                ahead = AHEAD.min(2 * ahead);
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
    fn read_ahead<'n>(&self, prefix: &str, names: impl Iterator<Item = &'n str>) {
        let left = self.count.saturating_sub(self.entries.len()).saturating_add(1);
        let folders = names.take(left).filter_map(|component| {
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
        let names = self.names(&self.inner.layout.repository(&name))?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::registry::store::Store as _;
    use crate::registry::store::fs::FsStore;

    #[tokio::test]
    async fn what_the_first_page_asks_for_is_read_when_the_server_begins() {
        let folder = tempfile::tempdir().unwrap();
        let store = FsStore::open(folder.path()).unwrap();
        let repositories = store.inner.layout.repositories();
        for name in ["a", "a/b", "c"] {
            store.inner.disk.make_folder(&repositories.join(name).join("_blobs")).unwrap();
        }
        // What has just changed is not remembered.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let known = |name: &str| {
            let path = repositories.join(name);
            store.inner.listings.knows(&path).then(|| store.inner.names(&path).unwrap())
        };
        assert!(known("a").is_none());
        store.warm().await;
        assert!(known("a").unwrap().contains("b"));
        assert!(known("a/b").unwrap().contains("_blobs"));
        assert!(known("c").unwrap().contains("_blobs"));
    }
}
