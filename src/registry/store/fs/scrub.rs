//! Reading everything again, from the disk and not from the system's cache, to
//! find what rotted. What doesn't have its digest is set aside: nobody is
//! served it again, and whoever pushes the content again heals it.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Inner;
use super::direct::DirectReader;
use super::stamp::Stamp;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::fs::At as _;
use crate::registry::store::{ScrubPolicy, Scrubbed, StoreError, Watch};

/// How much is read at a time.
const CHUNK: usize = 128 * 1024;

/// What a content costs besides its bytes, counted as bytes: many small ones are
/// many ways to the disk.
const EACH: u64 = 64 * 1024;

/// How much is read between two looks at the watch, besides those after each
/// content.
const WATCH_EVERY: u64 = 16 * 1024 * 1024;

/// How often the place is noted, so that a restart goes on from there.
const NOTE_EVERY: Duration = Duration::from_secs(10);

impl Inner {
    /// Reads every content and compares it with its digest.
    pub(super) fn scrub(
        &self,
        policy: &ScrubPolicy,
        watch: &Watch<Scrubbed>,
    ) -> Result<Scrubbed, StoreError> {
        let mut done = Scrubbed::default();
        let cursor = self.layout.scrubbed();
        let begin = if policy.afresh { None } else { self.disk.read(&cursor)? };
        let begin = begin.and_then(|text| String::from_utf8(text).ok()?.parse::<Digest>().ok());
        let mut reading = Reading {
            pace: Pace { rate: policy.rate, read: 0, since: Instant::now() },
            reader: DirectReader::new(CHUNK),
        };
        let mut noted = Instant::now();
        for algorithm in Algorithm::ALL {
            for shard in self.disk.list(&self.layout.blobs().join(algorithm.name()))? {
                let listed = self.disk.list(&shard).unwrap_or_else(|error| {
                    tracing::error!(%error, "a folder of contents can't be read");
                    done.unreadable.push(shard.display().to_string());
                    Vec::new()
                });
                for path in listed {
                    let hex = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else {
                        continue;
                    };
                    // The folders are read in the order of digests.
                    if begin.as_ref().is_some_and(|begin| digest <= *begin) {
                        continue;
                    }
                    if !self.scrub_content(&digest, &path, &mut reading, watch, &mut done) {
                        return Ok(done);
                    }
                    if noted.elapsed() > NOTE_EVERY {
                        self.disk.put_for_now(&cursor, digest.to_string().as_bytes())?;
                        noted = Instant::now();
                    }
                    if !watch(&done) {
                        self.disk.put_for_now(&cursor, digest.to_string().as_bytes())?;
                        return Ok(done);
                    }
                }
            }
        }
        self.disk.remove(&cursor)?;
        done.finished = true;
        Ok(done)
    }

    /// Reads one content; `false` where the watch ended it.
    fn scrub_content(
        &self,
        digest: &Digest,
        path: &Path,
        reading: &mut Reading,
        watch: &Watch<Scrubbed>,
        done: &mut Scrubbed,
    ) -> bool {
        let opened = self.disk.open(path).and_then(|file| {
            let look = |file: File| Ok((file.metadata().at("look at", path)?, file));
            file.map(look).transpose()
        });
        let (metadata, file) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return true,
            Err(error) => {
                tracing::error!(%digest, %error, "content can't be read");
                done.unreadable.push(digest.to_string());
                return true;
            }
        };
        match hash(&file, digest.algorithm(), reading, watch, done) {
            Ok(None) => return false,
            Ok(Some(found)) if found == *digest => self.verified.forgive(digest),
            Ok(Some(found)) => {
                match self.refuted(digest, &metadata) {
                    Ok(true) => {
                        tracing::error!(%digest, %found, "content doesn't have its digest; it is in quarantine until it is pushed again");
                        done.damaged.push(digest.to_string());
                    }
                    // It was pushed again meanwhile, or removed.
                    Ok(false) => {}
                    Err(error) => {
                        tracing::error!(%digest, %found, %error, "content doesn't have its digest, and can't be set aside");
                        done.in_place.push(digest.to_string());
                        self.expose(digest, path, &file);
                    }
                }
            }
            Err(error) => {
                tracing::error!(%digest, %error, "content can't be read");
                self.unreadable(digest, &metadata, &error);
                done.unreadable.push(digest.to_string());
            }
        }
        done.contents += 1;
        true
    }

    /// Has every other process that uses the folder find out for itself that
    /// this content is damaged: each hashes it again that finds it changed.
    fn expose(&self, digest: &Digest, path: &Path, file: &File) {
        if let Err(error) = self.disk.stir(file, path) {
            tracing::debug!(%digest, %error, "other processes may not notice it");
        }
        if let Ok(metadata) = file.metadata() {
            self.verified.refute(digest, Stamp::of(&metadata));
        }
    }

    /// Sets content aside that doesn't have its digest, unless it was pushed
    /// again since: then its inode is another one. Whether it was there.
    pub(super) fn quarantine(&self, digest: &Digest, inode: u64) -> Result<bool, StoreError> {
        // Another process could put the right content there in between.
        if !self.process.is_alone(&self.disk)? {
            return Err(StoreError::Shared);
        }
        let path = self.layout.blob(digest);
        let aside = self.layout.quarantined(digest);
        self.disk.make_folder(&self.layout.quarantine())?;
        let moved = self.leases.alone(digest, || match self.disk.look(&path)? {
            Some(found) if found.ino() == inode => self.disk.rename(&path, &aside).map(|()| true),
            _ => Ok(false),
        })?;
        if moved {
            self.disk.keep(&aside)?;
            self.disk.keep(&path)?;
        }
        Ok(moved)
    }
}

/// The digest of a file; `None` where the watch ended it half way.
fn hash(
    file: &File,
    algorithm: Algorithm,
    reading: &mut Reading,
    watch: &Watch<Scrubbed>,
    done: &mut Scrubbed,
) -> std::io::Result<Option<Digest>> {
    let mut hasher = Hasher::new(algorithm);
    reading.pace.after(EACH);
    let mut read = reading.reader.begin(file)?;
    loop {
        let bytes = read.next()?;
        if bytes.is_empty() {
            return Ok(Some(hasher.finish()));
        }
        hasher.update(bytes);
        let count = bytes.len() as u64;
        done.bytes += count;
        reading.pace.after(count);
        // It may take hours at the rate that is set.
        if done.bytes % WATCH_EVERY < count && !watch(done) {
            return Ok(None);
        }
    }
}

/// What one content after the other is read with.
struct Reading {
    pace: Pace,
    reader: DirectReader,
}

/// Holds a rate.
struct Pace {
    rate: Option<u64>,
    read: u64,
    since: Instant,
}

impl Pace {
    fn after(&mut self, count: u64) {
        let Some(rate) = self.rate else { return };
        self.read += count;
        #[expect(clippy::cast_precision_loss, reason = "seconds need no more precision")]
        let due = Duration::from_secs_f64(self.read as f64 / rate.max(1) as f64);
        let ahead = due.saturating_sub(self.since.elapsed());
        if ahead > Duration::from_millis(5) {
            std::thread::sleep(ahead);
        }
        // What was not read in time is not caught up on in one go.
        if self.since.elapsed() > Duration::from_secs(1) {
            (self.read, self.since) = (0, Instant::now());
        }
    }
}
