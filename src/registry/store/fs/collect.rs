//! Collection on a file system: repository by repository, then the contents.
//!
//! What makes it safe beside requests:
//! - A manifest is pushed, and a tag set, under the lock of its repository and
//!   with a pin on all that it needs. So under that lock a manifest either is
//!   among those that were looked at, or was touched since the collection
//!   began, and so was all that it needs.
//! - Nothing is removed that was touched since the collection began, however
//!   long ago that was and whatever the clock says; nor, for the sake of who
//!   asked and has not pushed yet, what was touched within the lease before.
//! - A manifest goes before what hangs on it. As long as it is there it is whole.
//! - Links are gone for good before content goes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::Inner;
use super::lease::Collection;
use super::quiet::Rest;
use crate::digest::{Algorithm, Digest};
use crate::fs::At as _;
use crate::registry::name::RepositoryName;
use crate::registry::store::collect::{Candidate, Key, doomed, living};
use crate::registry::store::{CollectPolicy, Collected, StoreError, Watch};

/// How much older than its lease a file must be: the system's clock for files
/// may be a few milliseconds behind.
const TICK: Duration = Duration::from_millis(20);

/// How many links are removed under one hold of a repository's lock.
const BATCH: usize = 64;

/// How often it looks for other processes, and asks the watch, at least.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often a repository is looked at again because it changed meanwhile.
const TURNS: usize = 5;

impl Inner {
    pub(super) fn collect(
        &self,
        policy: &CollectPolicy,
        watch: &Watch<Collected>,
    ) -> Result<Collected, StoreError> {
        let collection = self.leases.collect().ok_or(StoreError::Collecting)?;
        let _shown = self.process.collect(&self.disk)?.ok_or(StoreError::Shared)?;
        let mut run = Run {
            inner: self,
            policy,
            watch,
            collection,
            cutoff: SystemTime::now().checked_sub(self.lease + TICK),
            referenced: HashSet::new(),
            done: Collected::default(),
            rest: Rest::new(policy.share),
            looked: Instant::now(),
        };
        let ended = run.repositories(&self.layout.repositories(), "").and_then(|()| run.contents());
        match ended {
            Ok(()) | Err(Stop::Ended) => Ok(run.done),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

/// Why a collection goes no further.
enum Stop {
    /// The watch ended it.
    Ended,
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A collection under way.
struct Run<'a> {
    inner: &'a Inner,
    policy: &'a CollectPolicy,
    watch: &'a Watch<Collected>,
    collection: Collection<'a>,
    /// What was touched after this keeps its lease.
    cutoff: Option<SystemTime>,
    /// What some repository still holds.
    referenced: HashSet<Key>,
    done: Collected,
    rest: Rest,
    /// When it was last looked for other processes, and the watch asked.
    looked: Instant,
}

/// Removes something of a repository; gives the folders that have to be synced.
type Remove<'a> = dyn Fn(&Inner, &Digest) -> Result<Vec<PathBuf>, StoreError> + 'a;

/// What one look at a repository found.
struct Look {
    manifests: BTreeMap<Key, (Digest, Candidate)>,
    blobs: Vec<(Digest, Option<SystemTime>)>,
}

impl Run<'_> {
    /// Collects in every repository below a folder. One that is made meanwhile may
    /// be missed: all that it holds was touched since the beginning.
    fn repositories(&mut self, folder: &Path, prefix: &str) -> Result<(), Stop> {
        for path in self.inner.disk.list(folder)? {
            let Some(component) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let name = format!("{prefix}{component}");
            let Ok(repository) = name.parse::<RepositoryName>() else { continue };
            self.repository(&repository)?;
            self.repositories(&path, &format!("{name}/"))?;
        }
        Ok(())
    }

    fn repository(&mut self, name: &RepositoryName) -> Result<(), Stop> {
        let layout = &self.inner.layout;
        if !self.inner.disk.exists(&layout.manifests(name))?
            && !self.inner.disk.exists(&layout.blob_links(name))?
        {
            return Ok(());
        }
        if !self.inner.process.is_alone(&self.inner.disk)? {
            return Err(StoreError::Shared.into());
        }
        self.done.repositories += 1;
        let mut settled = false;
        for _ in 0..TURNS {
            let look = match self.look(name) {
                Ok(look) => look,
                Err(Stop::Failed(StoreError::Damaged { digest, what })) => {
                    tracing::warn!(repository = %name, %digest, what, "nothing is collected in this repository while it holds a damaged manifest; push it again or delete it");
                    break;
                }
                Err(stop) => return Err(stop),
            };
            if self.sweep(name, look)? {
                settled = true;
                break;
            }
        }
        if !settled {
            self.done.skipped += 1;
            self.keep_all(name)?;
        }
        self.rest.now_and_then();
        self.ask()
    }

    /// Rests if it is time to, and ends where the watch says so or another process
    /// has come: it waits for that.
    fn pause(&mut self) -> Result<(), Stop> {
        self.rest.now_and_then();
        if self.looked.elapsed() > LOOK_EVERY {
            self.looked = Instant::now();
            if !self.inner.process.is_alone(&self.inner.disk)? {
                return Err(StoreError::Shared.into());
            }
            self.ask()?;
        }
        Ok(())
    }

    /// Tells the watch how far it is, and ends where that says so.
    fn ask(&self) -> Result<(), Stop> {
        if (self.watch)(&self.done) { Ok(()) } else { Err(Stop::Ended) }
    }

    /// Everything that a repository holds is referred to.
    fn keep_all(&mut self, name: &RepositoryName) -> Result<(), StoreError> {
        let layout = &self.inner.layout;
        for folder in [layout.manifests(name), layout.blob_links(name)] {
            let links = self.links(&folder)?;
            self.referenced.extend(links.iter().map(|(digest, _)| Key::from(digest)));
        }
        Ok(())
    }

    /// The digests that the files below a folder are named after.
    fn links(&self, folder: &Path) -> Result<Vec<(Digest, PathBuf)>, StoreError> {
        let mut links = Vec::new();
        for algorithm in Algorithm::ALL {
            for path in self.inner.disk.list(&folder.join(algorithm.name()))? {
                let hex = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if let Ok(digest) = format!("{algorithm}:{hex}").parse() {
                    links.push((digest, path));
                }
            }
        }
        Ok(links)
    }

    fn look(&mut self, name: &RepositoryName) -> Result<Look, Stop> {
        let (disk, layout) = (&self.inner.disk, &self.inner.layout);
        // Blobs first: what is pushed after this is no concern of this look.
        let mut blobs = Vec::new();
        for (digest, path) in self.links(&layout.blob_links(name))? {
            if let Some(metadata) = disk.look(&path)? {
                blobs.push((digest, Some(metadata.modified().at("look at", &path)?)));
            }
            self.pause()?;
        }
        let mut tagged = HashSet::new();
        for path in disk.list(&layout.tags(name))? {
            tagged.extend(self.inner.tag(&path)?.as_ref().map(Key::from));
            self.pause()?;
        }
        let mut manifests = BTreeMap::new();
        for (digest, path) in self.links(&layout.manifests(name))? {
            let Some(metadata) = disk.look(&path)? else { continue };
            let modified = metadata.modified().at("look at", &path)?;
            let key = Key::from(&digest);
            let rooted = tagged.contains(&key)
                || !self.is_old(modified)
                || self.collection.is_touched(&digest);
            if let Some(candidate) = self.inner.candidate(name, &digest, rooted)? {
                manifests.insert(key, (digest, candidate));
            }
            self.pause()?;
        }
        Ok(Look { manifests, blobs })
    }

    /// Whether a manifest that no tag leads to has been left alone for long
    /// enough.
    fn is_old(&self, modified: SystemTime) -> bool {
        let Some(untagged) = self.policy.untagged else { return false };
        let limit = SystemTime::now().checked_sub(untagged + TICK);
        self.is_expired(modified) && limit.is_some_and(|limit| modified < limit)
    }

    fn is_expired(&self, modified: SystemTime) -> bool {
        self.cutoff.is_some_and(|cutoff| modified < cutoff)
    }

    /// Removes from a repository what this look found to be of no use; `false`
    /// where it must be looked at again.
    fn sweep(&mut self, name: &RepositoryName, look: Look) -> Result<bool, Stop> {
        let Look { manifests, blobs } = look;
        let (names, candidates): (BTreeMap<Key, Digest>, BTreeMap<Key, Candidate>) =
            manifests.into_iter().map(|(key, (name, found))| ((key, name), (key, found))).unzip();
        let living = living(&candidates);
        let mut mentioned: BTreeSet<Key> = living.clone();
        for key in &living {
            mentioned.extend(candidates.get(key).into_iter().flat_map(|found| &found.mentions));
        }
        let doomed = doomed(&candidates, &living);
        let gone: Vec<&Digest> = doomed.iter().filter_map(|key| names.get(key)).collect();
        let removed =
            self.remove(name, &gone, &|inner, digest| inner.remove_manifest(name, digest))?;
        self.done.manifests += removed as u64;
        if removed < gone.len() {
            return Ok(false);
        }
        let mut idle = Vec::new();
        for (digest, modified) in &blobs {
            if mentioned.contains(&Key::from(digest)) {
                continue;
            }
            if modified.is_none_or(|modified| !self.is_expired(modified)) {
                self.done.leased += 1;
                continue;
            }
            idle.push(digest);
        }
        let removed = self.remove(name, &idle, &|inner, digest| inner.remove_link(name, digest))?;
        self.done.links += removed as u64;
        if removed < idle.len() {
            return Ok(false);
        }
        let idle: HashSet<Key> = idle.into_iter().map(Key::from).collect();
        let kept = blobs.iter().map(|(digest, _)| Key::from(digest));
        self.referenced.extend(kept.filter(|key| !idle.contains(key)));
        self.referenced.extend(living);
        Ok(true)
    }

    /// Removes links under the repository's lock, durably, and stops at the
    /// first that somebody touched; gives the number of those that went.
    fn remove(
        &mut self,
        name: &RepositoryName,
        digests: &[&Digest],
        remove: &Remove<'_>,
    ) -> Result<usize, Stop> {
        if self.policy.dry_run {
            return Ok(digests.len());
        }
        let mut count = 0;
        for batch in digests.chunks(BATCH) {
            let alone = self.inner.disk.lock(&self.inner.layout.lock(name))?;
            let mut folders = BTreeSet::new();
            let mut stopped = false;
            for digest in batch {
                match self.collection.untouched(digest, || remove(self.inner, digest)) {
                    None => {
                        stopped = true;
                        break;
                    }
                    Some(removed) => folders.extend(removed?),
                }
                count += 1;
            }
            for folder in folders {
                self.inner.disk.sync_folder(&folder)?;
            }
            drop(alone);
            if stopped {
                break;
            }
            self.pause()?;
        }
        Ok(count)
    }

    /// Removes every content that no repository holds. Nothing waits for the disk
    /// here: content that comes back after a power cut is held by nobody, as it was,
    /// and the next collection removes it.
    fn contents(&mut self) -> Result<(), Stop> {
        let disk = &self.inner.disk;
        for algorithm in Algorithm::ALL {
            for shard in disk.list(&self.inner.layout.blobs().join(algorithm.name()))? {
                if !self.inner.process.is_alone(disk)? {
                    return Err(StoreError::Shared.into());
                }
                for path in disk.list(&shard)? {
                    self.content(algorithm, &path)?;
                    self.pause()?;
                }
                self.ask()?;
            }
        }
        Ok(())
    }

    fn content(&mut self, algorithm: Algorithm, path: &Path) -> Result<(), StoreError> {
        let disk = &self.inner.disk;
        let hex = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else { return Ok(()) };
        self.done.contents += 1;
        if self.referenced.contains(&Key::from(&digest)) {
            return Ok(());
        }
        let Some(metadata) = disk.look(path)? else { return Ok(()) };
        // Nothing depends on its age. It is a last line of defence.
        let expired = self.is_expired(metadata.modified().at("look at", path)?);
        let removed = if !expired {
            None
        } else if self.policy.dry_run {
            (!self.collection.is_touched(&digest)).then_some(Ok(true))
        } else {
            self.collection.untouched(&digest, || disk.unlink(path))
        };
        match removed {
            None => self.done.leased += 1,
            Some(removed) => {
                if removed? {
                    self.done.removed += 1;
                    self.done.bytes += metadata.len();
                }
            }
        }
        Ok(())
    }
}
