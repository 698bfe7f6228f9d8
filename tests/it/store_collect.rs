//! Collection and scrub where files make a difference: leases, damage, other
//! processes, and requests that come in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;
use warren::digest::{Algorithm, Digest};
use warren::fs;
use warren::registry::name::RepositoryName;
use warren::registry::store::{
    CollectPolicy, Collected, Expected, FsOptions, FsStore, Referral, ReferrersPage, Required,
    ScrubPolicy, Store as _, StoreError, StoredManifest, UploadWriter as _,
};

const NOW: CollectPolicy =
    CollectPolicy { untagged: Some(Duration::ZERO), dry_run: false, share: 100 };

fn open(root: &TempDir, lease: Duration) -> FsStore {
    FsStore::open_with(root.path(), FsOptions { lease, ..FsOptions::default() }).unwrap()
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

async fn push(store: &FsStore, repository: &RepositoryName, bytes: Vec<u8>) -> Digest {
    let digest = Digest::sha256(&bytes);
    let mut upload = store.upload_once(repository, Algorithm::Sha256).await.unwrap();
    upload.write(Bytes::from(bytes)).await.unwrap();
    upload.finish(&digest).await.unwrap();
    digest
}

fn manifest(text: &str) -> StoredManifest {
    StoredManifest {
        digest: Digest::sha256(text.as_bytes()),
        media_type: "application/vnd.example+json".to_owned(),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    }
}

async fn collect(store: &FsStore) -> Collected {
    store.collect(&NOW, Arc::new(|_| true)).await.unwrap()
}

fn content(root: &TempDir, digest: &Digest) -> PathBuf {
    root.path().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

fn write(path: &Path, text: &str) {
    fs::write_atomic(path, text.as_bytes(), fs::Access::Everyone).unwrap();
}

/// Makes everything below a folder look as if it was touched long ago.
fn backdate(root: &TempDir) {
    fn below(folder: &Path) {
        for path in fs::list(folder).unwrap() {
            if path.is_dir() {
                below(&path);
            } else {
                let file = std::fs::File::options().append(true).open(&path).unwrap();
                file.set_modified(SystemTime::now() - Duration::from_hours(48)).unwrap();
            }
        }
    }
    for folder in ["blobs", "repositories"] {
        below(&root.path().join(folder));
    }
}

#[tokio::test]
async fn a_question_renews_the_lease() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::from_hours(24)), name("here"));
    let asked = push(&store, &here, b"asked".to_vec()).await;
    let mounted = push(&store, &name("from"), b"mounted".to_vec()).await;
    let forgotten = push(&store, &here, b"forgotten".to_vec()).await;
    let young = collect(&store).await;
    assert_eq!((young.links, young.leased), (0, 3), "{young:?}");
    backdate(&root);
    assert!(store.blob_size(&here, &asked).await.unwrap().is_some());
    assert!(store.blob_mount(&name("from"), &here, &mounted).await.unwrap());
    let done = collect(&store).await;
    assert_eq!((done.links, done.removed), (1, 1), "{done:?}");
    for digest in [&asked, &mounted] {
        assert!(store.blob_read(&here, digest, None).await.unwrap().is_some());
    }
    assert!(store.blob_read(&here, &forgotten, None).await.unwrap().is_none());
    assert!(!content(&root, &forgotten).exists());
}

/// A collection that works a hundredth of its time is long in a repository with many
/// blobs, and asks whether it may go on.
#[tokio::test]
async fn a_collection_ends_in_the_middle_of_a_repository_when_it_is_told_to() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::ZERO), name("here"));
    push(&store, &here, b"blob".to_vec()).await;
    let links = root.path().join("repositories/here/_blobs/sha256");
    for number in 0..2000 {
        let digest = Digest::sha256(format!("{number}").as_bytes());
        std::fs::File::create(links.join(digest.hex())).unwrap();
    }
    backdate(&root);
    let policy = CollectPolicy { share: 1, ..NOW };
    let done = store.collect(&policy, Arc::new(|_| false)).await.unwrap();
    assert_eq!((done.repositories, done.links, done.contents), (1, 0, 0), "{done:?}");
    // It holds up no other, and nothing was forgotten.
    assert_eq!(collect(&store).await.links, 2001);
}

#[tokio::test]
async fn a_manifest_renews_the_leases_of_what_it_mentions() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::from_hours(24)), name("here"));
    let layer = push(&store, &here, b"layer".to_vec()).await;
    backdate(&root);
    let image = manifest(&format!("of {layer}"));
    store.manifest_put(&here, &image, None, &Required::default()).await.unwrap();
    store.manifest_delete(&here, &image.digest).await.unwrap();
    assert_eq!(collect(&store).await.links, 0, "it may be pushed again");
}

#[tokio::test]
async fn a_pull_renews_the_lease_of_an_untagged_manifest() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::from_hours(24)), name("here"));
    let (pulled, left) = (manifest("pulled"), manifest("left"));
    for manifest in [&pulled, &left] {
        store.manifest_put(&here, manifest, None, &Required::default()).await.unwrap();
    }
    backdate(&root);
    assert!(store.manifest_get(&here, &pulled.digest).await.unwrap().is_some());
    assert_eq!(collect(&store).await.manifests, 1);
    assert!(store.manifest_get(&here, &pulled.digest).await.unwrap().is_some());
    assert!(store.manifest_get(&here, &left.digest).await.unwrap().is_none());
}

#[tokio::test]
async fn nothing_is_collected_beside_another_process() {
    let root = tempfile::tempdir().unwrap();
    let store = open(&root, Duration::ZERO);
    let other = open(&root, Duration::ZERO);
    push(&store, &name("here"), b"unused".to_vec()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = store.collect(&NOW, Arc::new(|_| true)).await;
    assert!(matches!(refused, Err(StoreError::Shared)), "{refused:?}");
    drop(other);
    assert_eq!(collect(&store).await.removed, 1);
    // What a process that was killed left there is no process.
    write(&root.path().join("processes/left"), "");
    collect(&store).await;
    assert!(!root.path().join("processes/left").exists());
}

#[tokio::test]
async fn a_process_that_comes_ends_a_collection() {
    let root = tempfile::tempdir().unwrap();
    let store = open(&root, Duration::ZERO);
    for index in 0..20 {
        push(&store, &name(&format!("r{index}")), b"unused".to_vec()).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let path = root.path().to_owned();
    let other = Arc::new(std::sync::Mutex::new(None));
    let started = Arc::clone(&other);
    let watch = move |_: &Collected| {
        let mut started = started.lock().unwrap();
        if started.is_none() {
            let path = path.clone();
            *started = Some(std::thread::spawn(move || FsStore::open(&path).map(drop)));
            // It shows itself before it waits.
            std::thread::sleep(Duration::from_millis(100));
        }
        true
    };
    let ended = store.collect(&NOW, Arc::new(watch)).await;
    assert!(matches!(ended, Err(StoreError::Shared)), "{ended:?}");
    let thread = other.lock().unwrap().take().unwrap();
    thread.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_repository_with_a_damaged_manifest_keeps_everything() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::ZERO), name("here"));
    let layer = push(&store, &here, b"layer".to_vec()).await;
    let image = manifest(&format!("of {layer}"));
    store.manifest_put(&here, &image, None, &Required::default()).await.unwrap();
    write(&content(&root, &image.digest), "rotten");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let done = collect(&store).await;
    assert_eq!((done.skipped, done.links, done.removed), (1, 0, 0));
    assert!(store.blob_read(&here, &layer, None).await.unwrap().is_some());
}

/// Pushes of images that share layers, tags that move, and deletions, with
/// collections without pause and without a lease that would help: what a push
/// has acknowledged together with its manifest is never lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_while_collections_run() {
    let root = tempfile::tempdir().unwrap();
    let store = open(&root, Duration::from_millis(500));
    let stop = Arc::new(AtomicBool::new(false));
    let pushed = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for task in 0..4_u64 {
        let (store, stop, pushed) = (store.clone(), Arc::clone(&stop), Arc::clone(&pushed));
        tasks.push(tokio::spawn(async move {
            let (here, latest) = (name(&format!("r{}", task % 2)), "latest".parse().unwrap());
            for round in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                // One layer of five is pushed again and again.
                let layers = [
                    push(&store, &here, format!("shared {}", round % 5).into_bytes()).await,
                    push(&store, &here, format!("own {task} {round}").into_bytes()).await,
                ];
                let image = manifest(&format!("{task} {round} of {} {}", layers[0], layers[1]));
                let required = Required { blobs: layers.to_vec(), manifests: Vec::new() };
                store.manifest_put(&here, &image, None, &required).await.unwrap();
                let digest = &image.digest;
                store.tag_set(&here, &latest, digest, &Expected::Anything).await.unwrap();
                for layer in &layers {
                    let read = store.blob_read(&here, layer, None).await.unwrap().unwrap();
                    let bytes = read.stream.collect().await.unwrap();
                    assert_eq!(Digest::sha256(&bytes), *layer);
                }
                if round % 3 == 0 {
                    store.manifest_delete(&here, digest).await.unwrap();
                }
                pushed.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let mut done = Collected::default();
    // Until both have happened often, however slow the machine is.
    while pushed.load(Ordering::Relaxed) < 200 || done.manifests < 20 {
        let round = collect(&store).await;
        done.manifests += round.manifests;
        done.removed += round.removed;
        tokio::task::yield_now().await;
        assert!(tasks.iter().all(|task| !task.is_finished()), "a push lost something");
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    for index in 0..2 {
        let here = name(&format!("r{index}"));
        let Some(digest) = store.tag_get(&here, &"latest".parse().unwrap()).await.unwrap() else {
            continue;
        };
        let image = store.manifest_get(&here, &digest).await.unwrap().unwrap();
        let text = String::from_utf8(image.bytes.to_vec()).unwrap();
        for layer in text.split(' ').filter_map(|word| word.parse::<Digest>().ok()) {
            assert!(store.blob_read(&here, &layer, None).await.unwrap().is_some());
        }
    }
}

/// The name of a link is made durable with its folder; what it says is not
/// worth a sync of its own, and is made up for.
#[tokio::test]
async fn a_link_that_lost_its_content_with_the_power_still_shows_the_blob() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::ZERO), name("here"));
    let digest = push(&store, &here, b"content".to_vec()).await;
    write(&root.path().join("repositories/here/_blobs/sha256").join(digest.hex()), "");
    assert_eq!(store.blob_size(&here, &digest).await.unwrap(), Some(7));
    let read = store.blob_read(&here, &digest, None).await.unwrap().unwrap();
    assert_eq!(read.stream.collect().await.unwrap(), b"content");
}

#[tokio::test]
async fn a_scrub_sets_damage_aside_and_a_push_heals_it() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::ZERO), name("here"));
    let good = push(&store, &here, b"good".to_vec()).await;
    let rotten = push(&store, &here, b"rotten".to_vec()).await;
    let path = content(&root, &rotten);
    write(&path, "rotted");
    let policy = ScrubPolicy { rate: Some(1 << 20), afresh: true };
    let found = store.scrub(&policy, Arc::new(|_| true)).await.unwrap();
    assert_eq!(found.damaged, [rotten.to_string()]);
    assert_eq!((found.contents, found.bytes, found.finished), (2, 10, true));
    assert!(!path.exists());
    let aside = root.path().join(format!("quarantine/sha256-{}", rotten.hex()));
    assert_eq!(fs::read(&aside).unwrap(), b"rotted");
    assert_eq!(store.blob_size(&here, &rotten).await.unwrap(), None, "a client pushes it again");
    assert!(store.blob_read(&here, &good, None).await.unwrap().is_some());
    push(&store, &here, b"rotten".to_vec()).await;
    let read = store.blob_read(&here, &rotten, None).await.unwrap().unwrap();
    assert_eq!(read.stream.collect().await.unwrap(), b"rotten");
    assert!(!aside.exists(), "what was healed needs no keeping");
    let found = store.scrub(&policy, Arc::new(|_| true)).await.unwrap();
    assert_eq!((found.damaged.len(), found.contents), (0, 2));
}

#[tokio::test]
async fn a_scrub_goes_on_where_it_left_off() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::ZERO), name("here"));
    for text in ["a", "b", "c", "d"] {
        push(&store, &here, text.into()).await;
    }
    let policy = ScrubPolicy { rate: None, afresh: false };
    let first = store.scrub(&policy, Arc::new(|found| found.contents < 3)).await.unwrap();
    assert_eq!((first.contents, first.finished), (3, false));
    let second = open(&root, Duration::ZERO).scrub(&policy, Arc::new(|_| true)).await.unwrap();
    assert_eq!((second.contents, second.finished), (1, true));
    let third = store.scrub(&policy, Arc::new(|_| true)).await.unwrap();
    assert_eq!((third.contents, third.finished), (4, true));
}

#[tokio::test]
async fn a_manifest_that_lost_its_place_among_the_referrers_gets_it_back_with_a_push() {
    let root = tempfile::tempdir().unwrap();
    let (store, here) = (open(&root, Duration::ZERO), name("here"));
    let (signature, subject) = (manifest("a signature"), Digest::sha256(b"subject"));
    let descriptor = serde_json::from_value(serde_json::json!({
        "mediaType": signature.media_type, "digest": signature.digest.to_string(), "size": 1,
    }));
    let referral = Referral { subject: subject.clone(), descriptor: descriptor.unwrap() };
    for _ in 0..2 {
        let required = Required::default();
        store.manifest_put(&here, &signature, Some(&referral), &required).await.unwrap();
        let page = ReferrersPage::all();
        let found = store.referrers(&here, &subject, &page).await.unwrap();
        assert_eq!(found.descriptors.len(), 1);
        // As a deletion leaves it that was stopped half way.
        fs::remove_dir_all_if_there(&root.path().join("repositories/here/_referrers")).unwrap();
    }
}

/// The clock jumps, or a disk doesn't keep times: the running collection knows
/// all the same what a client has just been told.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_since_the_beginning_stays_whatever_its_time() {
    let root = Arc::new(tempfile::tempdir().unwrap());
    let store = open(&root, Duration::ZERO);
    push(&store, &name("a"), b"of another repository".to_vec()).await;
    let asked = push(&store, &name("b"), b"asked".to_vec()).await;
    let idle = push(&store, &name("b"), b"idle".to_vec()).await;
    backdate(&root);
    let (handle, asking) = (tokio::runtime::Handle::current(), store.clone());
    let (digest, folder) = (asked.clone(), Arc::clone(&root));
    let watch = move |done: &Collected| {
        if done.repositories == 1 {
            let size = handle.block_on(asking.blob_size(&name("b"), &digest));
            assert_eq!(size.unwrap(), Some(5));
            backdate(&folder);
        }
        true
    };
    let done = store.collect(&NOW, Arc::new(watch)).await.unwrap();
    assert_eq!((done.repositories, done.links, done.removed), (2, 2, 2), "{done:?}");
    assert!(store.blob_read(&name("b"), &asked, None).await.unwrap().is_some());
    assert!(store.blob_read(&name("b"), &idle, None).await.unwrap().is_none());
}
