//! What a stream compares before it goes out, with a memory that the tests decide on.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::super::marks::Marks;
use super::*;
use crate::registry::name::RepositoryName;
use crate::registry::store::fs::{Faults, FsOptions, Step};
use crate::registry::store::{FsStore, Store as _, UploadWriter as _};

const MIB: u64 = 1 << 20;

/// Large enough for several pieces of every way out, and several grains.
const LENGTH: u64 = 9 * MIB + 5;

/// Says what is in memory of a file: from this byte on, of this length.
type Memory = fn(&File, u64, u64) -> Resident;

fn here() -> RepositoryName {
    "a".parse().unwrap()
}

fn content() -> Bytes {
    (0..=250).cycle().take(usize::try_from(LENGTH).unwrap()).collect()
}

async fn pushed(store: &FsStore) -> Digest {
    let digest = Digest::sha256(&content());
    let mut upload = store.upload_once(&here(), digest.algorithm()).await.unwrap();
    upload.write(content()).await.unwrap();
    upload.finish(&digest).await.unwrap();
    digest
}

/// A store with one content, of which this is in memory.
async fn with_content(memory: Memory) -> (tempfile::TempDir, FsStore, Digest) {
    let root = tempfile::tempdir().unwrap();
    let mut store = FsStore::open(root.path()).unwrap();
    let digest = pushed(&store).await;
    set(&mut store, memory);
    (root, store, digest)
}

fn there(is: bool) -> Resident {
    if is { Resident::Yes } else { Resident::No }
}

fn set(store: &mut FsStore, memory: Memory) {
    Arc::get_mut(&mut store.inner).unwrap().resident = memory;
}

fn stamp(store: &FsStore, digest: &Digest) -> Stamp {
    store.inner.disk.stamp(&store.inner.layout.blob(digest)).unwrap().unwrap()
}

fn parts(store: &FsStore, digest: &Digest) -> Arc<Parts> {
    let stamp = stamp(store, digest);
    store.inner.verified.parts(digest, &stamp, Instant::now()).unwrap()
}

/// Loses a bit as a disk does, without a trace in the file's times: as far as
/// this process knows it has just read the right bytes there.
fn rot(store: &FsStore, digest: &Digest, at: u64) {
    let parts = parts(store, digest);
    let path = store.inner.layout.blob(digest);
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(b"\xff", at).unwrap();
    (&file).flush().unwrap();
    store.inner.verified.enter(digest, stamp(store, digest), parts, Instant::now());
}

/// How many bytes come, and whether the stream ends well.
async fn pull(
    store: &FsStore,
    digest: &Digest,
    range: Option<Range<u64>>,
    by_pieces: bool,
) -> (u64, bool) {
    let read = store.blob_read(&here(), digest, range).await.unwrap().unwrap();
    let (mut stream, mut count) = (read.stream, 0);
    loop {
        let next = std::future::poll_fn(|cx| {
            if by_pieces {
                stream.poll_piece(cx)
            } else {
                stream.poll_chunk(cx).map(|chunk| chunk.map(|bytes| bytes.map(Piece::Bytes)))
            }
        });
        match next.await {
            None => return (count, true),
            Some(Err(StoreError::Damaged { .. })) => return (count, false),
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(Piece::Bytes(bytes))) => count += bytes.len() as u64,
            Some(Ok(Piece::File(piece))) => count += piece.length as u64,
        }
    }
}

async fn is_there(store: &FsStore, digest: &Digest) -> bool {
    store.blob_size(&here(), digest).await.unwrap().is_some()
}

#[tokio::test]
async fn what_comes_from_the_disk_again_is_checked_again() {
    let missing: [Memory; 2] = [|_, _, _| Resident::No, |_, _, _| Resident::Unknown];
    for (by_pieces, missing) in [false, true].into_iter().zip(missing) {
        let (_root, mut store, digest) = with_content(|_, _, _| Resident::Yes).await;
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
        set(&mut store, missing);
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
        rot(&store, &digest, 6 * MIB - 1);
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (5 * MIB, false));
        assert!(!is_there(&store, &digest).await, "it is set aside");
    }
}

#[tokio::test]
async fn a_part_is_checked_too_where_it_comes_from_the_disk_again() {
    for by_pieces in [false, true] {
        let (_root, store, digest) = with_content(|_, _, _| Resident::No).await;
        rot(&store, &digest, 5 * MIB + 7);
        for elsewhere in [0..5 * MIB, 6 * MIB..LENGTH, 77..78, 8 * MIB + 3..LENGTH] {
            let length = elsewhere.end - elsewhere.start;
            let found = pull(&store, &digest, Some(elsewhere), by_pieces).await;
            assert_eq!(found, (length, true));
        }
        // All of a grain is looked at, not what is asked for alone.
        let near = Some(5 * MIB + 100..5 * MIB + 200);
        assert_eq!(pull(&store, &digest, near, by_pieces).await, (0, false));
        assert!(!is_there(&store, &digest).await, "it is set aside");
    }
}

#[tokio::test]
async fn what_stayed_in_memory_is_not_read_again() {
    for by_pieces in [false, true] {
        let part: Memory = |_, start, length| there(start + length <= 8 * MIB);
        let (_root, mut store, digest) = with_content(part).await;
        // The test's disk rots in memory too, which is how it can tell.
        for at in [0, 8 * MIB - 1] {
            rot(&store, &digest, at);
        }
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
        // Now all of it is there, and was compared.
        set(&mut store, |_, _, _| Resident::Yes);
        rot(&store, &digest, LENGTH - 1);
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
        set(&mut store, part);
        rot(&store, &digest, 8 * MIB);
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (8 * MIB, false));
    }
}

#[tokio::test]
async fn a_hole_in_memory_is_found_wherever_it_is_and_doubt_has_an_end() {
    const FIRST: u64 = 90 * MIB;
    const HOLE: u64 = 100 * MIB;
    const SIZE: u64 = 3 * HOLE;
    let holes: Memory = |_, start, length| {
        there([FIRST, HOLE].iter().all(|at| start + length <= *at || start >= at + MIB))
    };
    let (_root, store, _) = with_content(holes).await;
    let bytes = Bytes::from(vec![7; usize::try_from(SIZE).unwrap()]);
    let digest = Digest::sha256(&bytes);
    let mut upload = store.upload_once(&here(), digest.algorithm()).await.unwrap();
    upload.write(bytes).await.unwrap();
    upload.finish(&digest).await.unwrap();
    // What was there is not compared, nor is what lies far behind what was not.
    for at in [FIRST - 1, FIRST + MIB, HOLE - 1, HOLE + 2 * AHEAD] {
        rot(&store, &digest, at);
    }
    assert_eq!(pull(&store, &digest, None, true).await, (SIZE, true));
    // What may have been read with it is.
    rot(&store, &digest, HOLE + AHEAD);
    assert_eq!(pull(&store, &digest, None, true).await, (HOLE + AHEAD, false));
}

/// Whether the memory keeps the file as long as the stream goes on.
static KEPT: AtomicBool = AtomicBool::new(true);

#[tokio::test]
async fn what_the_memory_loses_under_a_stream_is_checked() {
    let kept: Memory = |_, start, _| there(KEPT.load(Ordering::Relaxed) || start < 7 * MIB);
    let (_root, store, digest) = with_content(kept).await;
    rot(&store, &digest, 8 * MIB);
    let read = store.blob_read(&here(), &digest, None).await.unwrap().unwrap();
    let (mut stream, mut count) = (read.stream, 0);
    let end = loop {
        // All of it is there in the beginning, and the end is not when it is due.
        match std::future::poll_fn(|cx| stream.poll_chunk(cx)).await {
            Some(Ok(bytes)) => count += bytes.len() as u64,
            end => break end,
        }
        KEPT.store(false, Ordering::Relaxed);
    };
    assert!(matches!(end, Some(Err(StoreError::Damaged { .. }))), "{count}");
    assert_eq!(count, 8 * MIB);
}

/// How often it was asked for the end of the file.
static ASKED: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn what_the_system_reads_ahead_is_checked() {
    // It is not there at first; reading the beginning brings it.
    let ahead: Memory = |_, start, length| {
        let asked = || ASKED.fetch_add(1, Ordering::Relaxed) > 0;
        there(start > 0 && (start + length <= 8 * MIB || asked()))
    };
    let (_root, store, digest) = with_content(ahead).await;
    rot(&store, &digest, LENGTH - 1);
    // Who brings it wants nothing of it.
    assert_eq!(pull(&store, &digest, Some(0..1000), true).await, (1000, true));
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    assert_eq!(pull(&store, &digest, Some(MIB..LENGTH), true).await, (8 * MIB, false));
}

/// How often it was asked for a piece.
static AGAIN: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn what_a_look_brings_is_checked() {
    for by_pieces in [false, true] {
        AGAIN.store(0, Ordering::Relaxed);
        let looked: Memory =
            |_, start, _| there(start != 5 * MIB || AGAIN.fetch_add(1, Ordering::Relaxed) > 0);
        let (_root, store, digest) = with_content(looked).await;
        rot(&store, &digest, 5 * MIB + 1000);
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (5 * MIB, false));
    }
}

#[tokio::test]
async fn what_was_compared_and_lost_again_is_compared_again() {
    // Who can't say what is in memory compares each grain once.
    for (memory, again) in [(Resident::No, true), (Resident::Unknown, false)] {
        let (_root, mut store, digest) = with_content(|_, _, _| Resident::No).await;
        if memory == Resident::Unknown {
            set(&mut store, |_, _, _| Resident::Unknown);
        }
        let read = store.blob_read(&here(), &digest, Some(5 * MIB..6 * MIB)).await.unwrap();
        let mut stream = read.unwrap().stream;
        let first = std::future::poll_fn(|cx| stream.poll_chunk(cx)).await.unwrap().unwrap();
        assert!((first.len() as u64) < MIB / 2, "{}", first.len());
        rot(&store, &digest, 6 * MIB - 1);
        let second = std::future::poll_fn(|cx| stream.poll_chunk(cx)).await.unwrap();
        assert_eq!(second.is_err(), again);
    }
}

#[tokio::test]
async fn where_a_mark_is_wrong_the_digest_decides() {
    for by_pieces in [false, true] {
        let (_root, store, digest) = with_content(|_, _, _| Resident::No).await;
        let none = Arc::new(Parts::new(&digest, LENGTH, Marks::default()));
        store.inner.verified.enter(&digest, stamp(&store, &digest), none, Instant::now());
        assert_eq!(pull(&store, &digest, None, by_pieces).await, (LENGTH, true));
        assert!(parts(&store, &digest).before(8).is_some(), "the right ones are known now");
        assert!(is_there(&store, &digest).await);
    }
}

/// Reads nothing while told so.
struct Broken(AtomicBool);

impl Faults for Broken {
    fn before(&self, step: Step, _: &Path) -> std::io::Result<()> {
        let fails = step == Step::Read && self.0.load(Ordering::Relaxed);
        if fails { Err(ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn what_could_not_be_compared_stays_in_doubt() {
    let root = tempfile::tempdir().unwrap();
    let broken = Arc::new(Broken(AtomicBool::new(false)));
    let faults: Arc<dyn Faults> = Arc::clone(&broken) as _;
    let options = FsOptions { faults: Some(faults), ..FsOptions::default() };
    let mut store = FsStore::open_with(root.path(), options).unwrap();
    let digest = pushed(&store).await;
    set(&mut store, |_, _, _| Resident::No);
    let read = store.blob_read(&here(), &digest, Some(5 * MIB..6 * MIB)).await.unwrap();
    let mut stream = read.unwrap().stream;
    broken.0.store(true, Ordering::Relaxed);
    let first = std::future::poll_fn(|cx| stream.poll_piece(cx)).await.unwrap();
    assert!(first.is_err());
    drop(stream);
    broken.0.store(false, Ordering::Relaxed);
    // What was brought then is there now.
    set(&mut store, |_, _, _| Resident::Yes);
    rot(&store, &digest, 5 * MIB);
    assert_eq!(pull(&store, &digest, None, true).await, (5 * MIB, false));
}

#[tokio::test]
async fn all_who_send_a_content_share_what_is_doubted() {
    let (_root, store, digest) = with_content(|_, _, _| Resident::Yes).await;
    let first = parts(&store, &digest);
    let path = store.inner.layout.blob(&digest);
    let mut trail = Trail::new(digest.algorithm());
    trail.update(&content());
    let (_, marks) = trail.finish();
    let metadata = path.metadata().unwrap();
    assert!(Arc::ptr_eq(&store.inner.verified(&digest, &metadata, marks), &first));
    let other = store.inner.verified(&digest, &metadata, Marks::default());
    assert!(!Arc::ptr_eq(&other, &first), "those were wrong");
}

#[tokio::test]
async fn an_upload_of_several_chunks_has_all_its_marks() {
    let root = tempfile::tempdir().unwrap();
    let store = FsStore::open(root.path()).unwrap();
    let digest = Digest::sha256(&content());
    let id = store.upload_create(&here(), digest.algorithm()).await.unwrap();
    let mut rest = content();
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(2_222_222));
        let mut upload = store.upload_resume(&here(), &id).await.unwrap().unwrap();
        upload.write(chunk).await.unwrap();
        upload.pause().await.unwrap();
    }
    // What was hashed is not read again.
    let data = store.inner.layout.upload(&id).join("data");
    let file = std::fs::OpenOptions::new().write(true).open(data).unwrap();
    file.write_all_at(b"\xff", 77).unwrap();
    let upload = store.upload_resume(&here(), &id).await.unwrap().unwrap();
    upload.finish(&digest).await.unwrap();
    let parts = parts(&store, &digest);
    assert!((0..10).all(|grain| parts.before(grain).is_some()));
    assert!(parts.before(10).is_none());
}
