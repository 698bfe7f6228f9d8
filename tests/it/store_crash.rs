//! The process stops at each file system call in turn of a push, a mount, a
//! tag move, a delete and a collection. Whatever was acknowledged is there
//! after the restart, nothing half written is served, and nothing is in the
//! way of the operation when it is tried again.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use warren::digest::{Algorithm, Digest};
use warren::registry::access::Permissions;
use warren::registry::store::fs::{Faults, Step};
use warren::registry::store::{
    CollectPolicy, Expected, FsOptions, FsStore, Page, Referral, Required, ScrubPolicy, Store,
    StoreError, StoredManifest, UploadId, UploadWriter as _,
};

use crate::store_upload::resumed;

/// Lets so many calls through; from then on the process is gone.
struct Stop {
    left: AtomicUsize,
}

impl Stop {
    fn after(calls: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(calls) })
    }

    fn is_over(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

impl Faults for Stop {
    fn before(&self, _: Step, _: &Path) -> io::Result<()> {
        let spare = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spare) {
            Ok(left) if left > 1 => Ok(()),
            _ => Err(io::Error::other("the process was stopped")),
        }
    }
}

/// What repositories hold: `blob <text>`, `manifest <text>` or `tag <name>`,
/// by repository, with the digest.
type Model = BTreeMap<(&'static str, String), Digest>;

#[derive(Clone, Copy, Debug)]
enum Operation {
    Push(&'static str, &'static str),
    PushInChunks(&'static str, &'static str),
    Mount(&'static str, &'static str, &'static str),
    Put(&'static str, &'static str, &'static [&'static str]),
    Refer(&'static str, &'static str, &'static str),
    Tag(&'static str, &'static str, &'static str),
    Untag(&'static str, &'static str),
    Delete(&'static str, &'static str),
    DeleteBlob(&'static str, &'static str),
    Collect,
    CollectUntagged,
    Scrub,
}

use Operation::{
    Collect, CollectUntagged, Delete, DeleteBlob, Mount, Push, PushInChunks, Put, Refer, Scrub,
    Tag, Untag,
};

const SCRIPT: &[Operation] = &[
    Push("a", "layer one"),
    PushInChunks("a", "layer two, in pieces"),
    Put("a", "image one", &["layer one", "layer two, in pieces"]),
    Tag("a", "latest", "image one"),
    Push("a", "layer three"),
    Put("a", "image two", &["layer one", "layer three"]),
    Tag("a", "latest", "image two"),
    Refer("a", "a signature", "image two"),
    Mount("a", "b/c", "layer one"),
    Put("b/c", "image three", &["layer one"]),
    Tag("b/c", "v1", "image three"),
    Collect,
    Delete("a", "image one"),
    Tag("b/c", "v2", "image three"),
    Untag("b/c", "v2"),
    Push("b/c", "layer four"),
    Push("b/c", "layer four"),
    DeleteBlob("b/c", "layer four"),
    Push("b/c", "nobody's"),
    Delete("a", "a signature"),
    Delete("a", "image two"),
    Collect,
    Push("a", "layer five"),
    Put("a", "image five", &["layer five"]),
    Refer("a", "of image five", "image five"),
    Tag("a", "kept", "image five"),
    Put("a", "image six", &["layer five"]),
    Refer("a", "of image six", "image six"),
    CollectUntagged,
    Scrub,
];

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

fn manifest_text(name: &str, blobs: &[&str]) -> String {
    let blobs: Vec<String> = blobs.iter().map(|text| digest(text).to_string()).collect();
    format!("{name} of {}", blobs.join(" "))
}

/// The text of the manifest that the script puts under this name.
fn text_of(name: &str) -> String {
    let text = SCRIPT.iter().find_map(|operation| match operation {
        Put(_, found, blobs) if *found == name => Some(manifest_text(found, blobs)),
        Refer(_, found, subject) if *found == name => Some(signature(found, subject)),
        _ => None,
    });
    text.unwrap()
}

fn signature(name: &str, subject: &str) -> String {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{}","size":2}},"layers":[],"subject":{{"mediaType":"{kind}","digest":"{}","size":1}},"annotations":{{"name":"{name}"}}}}"#,
        digest("{}"),
        digest(&text_of(subject)),
    )
}

fn stored(text: String) -> StoredManifest {
    let signs = text.starts_with('{');
    let kind = if signs { "application/vnd.oci.image.manifest.v1+json" } else { "text/example" };
    StoredManifest { digest: digest(&text), media_type: kind.into(), bytes: text.into() }
}

async fn push(
    store: &FsStore,
    repository: &str,
    text: &'static str,
    pieces: usize,
) -> Result<(), StoreError> {
    let repository = &repository.parse().unwrap();
    if pieces == 1 {
        let mut upload = store.upload_once(repository, Algorithm::Sha256).await?;
        upload.write(Bytes::from(text)).await?;
        return upload.finish(&digest(text)).await.map(drop);
    }
    let id = store.upload_create(repository, Algorithm::Sha256).await?;
    for piece in text.as_bytes().chunks(text.len().div_ceil(pieces)) {
        let mut upload = resumed(store, repository, &id).await?;
        upload.write(Bytes::from_static(piece)).await?;
        upload.pause().await?;
    }
    let upload = resumed(store, repository, &id).await?;
    upload.finish(&digest(text)).await.map(drop)
}

impl Operation {
    async fn run(self, store: &FsStore) -> Result<(), StoreError> {
        let name = |text: &str| text.parse().unwrap();
        match self {
            Push(repository, text) => push(store, repository, text, 1).await,
            PushInChunks(repository, text) => push(store, repository, text, 3).await,
            Mount(from, to, text) => {
                store.blob_mount(&name(from), &name(to), &digest(text)).await.map(drop)
            }
            Put(repository, text, blobs) => {
                let manifest = stored(manifest_text(text, blobs));
                let blobs = blobs.iter().map(|text| digest(text)).collect();
                let required = Required { blobs, manifests: Vec::new() };
                store.manifest_put(&name(repository), &manifest, None, &required).await
            }
            Refer(repository, text, subject) => {
                let manifest = stored(signature(text, subject));
                let descriptor = serde_json::from_value(serde_json::json!({
                    "mediaType": manifest.media_type, "digest": manifest.digest.to_string(), "size": 1,
                }));
                let subject = digest(&text_of(subject));
                let referral = Referral { subject, descriptor: descriptor.unwrap() };
                let required = Required::default();
                let referral = Some(&referral);
                store.manifest_put(&name(repository), &manifest, referral, &required).await
            }
            Tag(repository, tag, manifest) => {
                let (tag, digest) = (tag.parse().unwrap(), digest(&text_of(manifest)));
                store.tag_set(&name(repository), &tag, &digest, &Expected::Anything).await
            }
            Untag(repository, tag) => {
                store.tag_delete(&name(repository), &tag.parse().unwrap()).await.map(drop)
            }
            Delete(repository, manifest) => {
                let digest = digest(&text_of(manifest));
                store.manifest_delete(&name(repository), &digest).await.map(drop)
            }
            DeleteBlob(repository, text) => {
                store.blob_delete(&name(repository), &digest(text)).await.map(drop)
            }
            Collect | CollectUntagged => {
                // What was just pushed is old enough.
                tokio::time::sleep(Duration::from_millis(30)).await;
                let untagged = matches!(self, CollectUntagged).then_some(Duration::ZERO);
                let policy = CollectPolicy { untagged, dry_run: false, share: 100 };
                store.collect(&policy, Arc::new(|_| true)).await.map(drop)
            }
            Scrub => {
                let policy = ScrubPolicy { rate: None, afresh: true };
                store.scrub(&policy, Arc::new(|_| true)).await.map(drop)
            }
        }
    }

    /// What the repositories hold afterwards. Blobs that a collection may take
    /// are gone from the model before it runs.
    fn apply(self, model: &mut Model) {
        match self {
            Push(repository, text)
            | PushInChunks(repository, text)
            | Mount(_, repository, text) => {
                model.insert((repository, format!("blob {text}")), digest(text));
            }
            Put(repository, text, _) | Refer(repository, text, _) => {
                model.insert((repository, format!("manifest {text}")), digest(&text_of(text)));
            }
            Tag(repository, tag, manifest) => {
                model.insert((repository, format!("tag {tag}")), digest(&text_of(manifest)));
            }
            Untag(repository, tag) => drop(model.remove(&(repository, format!("tag {tag}")))),
            Delete(repository, manifest) => {
                let digest = digest(&text_of(manifest));
                model.retain(|(of, _), found| *of != repository || *found != digest);
            }
            DeleteBlob(repository, text) => {
                model.remove(&(repository, format!("blob {text}")));
            }
            CollectUntagged => {
                let before = model.clone();
                model.retain(|(of, what), _| {
                    what.strip_prefix("manifest ").is_none_or(|name| stays(&before, of, name))
                });
                Collect.apply(model);
            }
            Collect => {
                let used: Vec<(&str, String)> = model
                    .keys()
                    .filter(|(_, what)| what.starts_with("manifest"))
                    .cloned()
                    .collect();
                model.retain(|(of, what), digest| {
                    !what.starts_with("blob")
                        || used.iter().any(|(holder, manifest)| {
                            let name = manifest.trim_start_matches("manifest ");
                            holder == of && text_of(name).contains(&digest.to_string())
                        })
                });
            }
            Scrub => {}
        }
    }
}

/// Whether a tag leads to a manifest, or to one that it refers to.
fn stays(model: &Model, repository: &str, name: &str) -> bool {
    let digest = digest(&text_of(name));
    let subject = SCRIPT.iter().find_map(|operation| match operation {
        Refer(_, found, subject) if *found == name => Some(*subject),
        _ => None,
    });
    model.iter().any(|((of, what), found)| {
        *of == repository && what.starts_with("tag ") && *found == digest
    }) || subject.is_some_and(|subject| stays(model, repository, subject))
}

fn apply(script: &[Operation], model: &mut Model) {
    for operation in script {
        operation.apply(model);
    }
}

/// What the repositories hold, each content read and compared. A manifest or a
/// blob that is there must be whole.
async fn observe(store: &FsStore) -> Model {
    let mut found = Model::new();
    for repository in ["a", "b/c"] {
        let name = repository.parse().unwrap();
        for operation in SCRIPT {
            if let Push(_, text) | PushInChunks(_, text) = operation
                && let Some(read) = store.blob_read(&name, &digest(text), None).await.unwrap()
            {
                assert_eq!(read.stream.collect().await.unwrap(), text.as_bytes());
                found.insert((repository, format!("blob {text}")), digest(text));
            }
            if let Put(_, text, _) | Refer(_, text, _) = operation {
                let digest = digest(&text_of(text));
                if let Some(manifest) = store.manifest_get(&name, &digest).await.unwrap() {
                    assert_eq!(manifest.bytes, text_of(text));
                    found.insert((repository, format!("manifest {text}")), digest);
                }
            }
        }
        let page = Page { last: None, count: None };
        let listed = store.tags(&name, &page).await.unwrap();
        for tag in listed.map(|listed| listed.entries).unwrap_or_default() {
            let digest = store.tag_get(&name, &tag).await.unwrap().unwrap();
            let manifest = store.manifest_get(&name, &digest).await.unwrap();
            assert!(manifest.is_some(), "the tag {tag} of {repository} leads nowhere");
            found.insert((repository, format!("tag {tag}")), digest);
        }
    }
    found
}

fn open(root: &Path, faults: Option<Arc<dyn Faults>>) -> Result<FsStore, StoreError> {
    FsStore::open_with(root, options(faults))
}

/// The same, with uploads that go past the system's cache from their first byte on.
fn open_direct(root: &Path, faults: Option<Arc<dyn Faults>>) -> Result<FsStore, StoreError> {
    FsStore::open_with(root, FsOptions { cached: 0, ..options(faults) })
}

fn options(faults: Option<Arc<dyn Faults>>) -> FsOptions {
    FsOptions { lease: Duration::ZERO, faults, ..FsOptions::default() }
}

/// Runs the script until the process is stopped; gives the number of
/// operations that were acknowledged, or nothing where all were.
async fn until_stopped(root: &Path, stop: &Arc<Stop>) -> Option<usize> {
    let Ok(store) = open(root, Some(stop.clone())) else { return Some(0) };
    for (index, operation) in SCRIPT.iter().enumerate() {
        // An operation that went well although the process was stopped in it
        // counts as acknowledged or not: either must do.
        let result = operation.run(&store).await;
        if stop.is_over() {
            return Some(index);
        }
        result.unwrap();
    }
    None
}

/// Stops at this call, and looks; `false` where the script has fewer.
async fn stop_at(calls: usize) -> bool {
    let root = tempfile::tempdir().unwrap();
    let stop = Stop::after(calls);
    let Some(acknowledged) = until_stopped(root.path(), &stop).await else { return false };
    let told = format!("stopped at call {calls}, in {:?}", SCRIPT[acknowledged]);

    let mut before = Model::new();
    apply(&SCRIPT[..acknowledged], &mut before);
    let mut after = before.clone();
    SCRIPT[acknowledged].apply(&mut after);

    let store = open(root.path(), None).unwrap();
    let found = observe(&store).await;
    for key in before.keys().chain(after.keys()).chain(found.keys()) {
        let now = found.get(key);
        assert!(now == before.get(key) || now == after.get(key), "{told}: {key:?} is {now:?}");
    }
    for operation in &SCRIPT[acknowledged..] {
        operation.run(&store).await.unwrap_or_else(|error| panic!("{told}: {error}"));
    }
    let mut end = Model::new();
    apply(SCRIPT, &mut end);
    assert_eq!(observe(&store).await, end, "{told}, and went on after the restart");
    let page = Page { last: None, count: None };
    store.repositories(&page, &Permissions::everything()).await.unwrap();
    true
}

/// Stops at every call in turn; gives how many there were.
async fn stop_everywhere<F>(stop_at: impl Fn(usize) -> F) -> usize
where
    F: Future<Output = bool> + Send + 'static,
{
    // Many at a time: most of it is waiting for the disk.
    const TOGETHER: usize = 24;
    let mut stops = 0;
    for first in (1..).step_by(TOGETHER) {
        let tasks = (first..first + TOGETHER).map(|calls| tokio::spawn(stop_at(calls)));
        let mut stopped = 0;
        for task in tasks.collect::<Vec<_>>() {
            stopped += usize::from(task.await.unwrap());
        }
        stops += stopped;
        if stopped < TOGETHER {
            break;
        }
    }
    stops
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_at_any_call_loses_nothing_and_blocks_nothing() {
    let stops = stop_everywhere(stop_at).await;
    assert!(stops > 200, "the script has more calls than {stops}");
}

/// What an upload gathers before it writes, in bytes.
const BATCH: usize = 512 * 1024;

/// Three batches and a tail that is no whole block of a disk.
fn large(first: u8) -> Bytes {
    (first..=250).cycle().take(3 * BATCH + 100).collect()
}

/// What a client knows of its large blobs when the process stops.
#[derive(Default)]
struct Large {
    /// The upload in pieces, how many bytes of it were acknowledged, and
    /// whether its end was asked for.
    upload: Option<UploadId>,
    received: u64,
    ends: bool,
    /// The blobs that were acknowledged.
    blobs: Vec<Bytes>,
}

impl Large {
    /// Pushes one blob in pieces and one at once.
    async fn push(&mut self, store: &FsStore) -> Result<(), StoreError> {
        let (repository, bytes) = ("a".parse().unwrap(), large(0));
        let id = store.upload_create(&repository, Algorithm::Sha256).await?;
        self.upload = Some(id.clone());
        let mut upload = resumed(store, &repository, &id).await?;
        for start in [0, BATCH] {
            upload.write(bytes.slice(start..start + BATCH)).await?;
        }
        self.received = upload.pause().await?;
        let mut upload = resumed(store, &repository, &id).await?;
        self.ends = true;
        upload.write(bytes.slice(2 * BATCH..)).await?;
        upload.finish(&Digest::sha256(&bytes)).await?;
        self.blobs.push(bytes);

        let bytes = large(1);
        push_at_once(store, &bytes).await?;
        self.blobs.push(bytes);
        Ok(())
    }
}

async fn push_at_once(store: &FsStore, bytes: &Bytes) -> Result<(), StoreError> {
    let mut upload = store.upload_once(&"a".parse().unwrap(), Algorithm::Sha256).await?;
    for start in [0, BATCH] {
        upload.write(bytes.slice(start..start + BATCH)).await?;
    }
    upload.write(bytes.slice(2 * BATCH..)).await?;
    upload.finish(&Digest::sha256(bytes)).await.map(drop)
}

/// A blob of the repository, if it is there: then it is whole.
async fn read_large(store: &FsStore, bytes: &Bytes) -> bool {
    let digest = Digest::sha256(bytes);
    let read = store.blob_read(&"a".parse().unwrap(), &digest, None).await.unwrap();
    let Some(read) = read else { return false };
    assert!(read.stream.collect().await.unwrap() == *bytes, "{digest} has other bytes");
    true
}

/// Stops at this call of pushes past the system's cache, and looks; `false`
/// where there are fewer.
async fn stop_in_large_pushes(calls: usize) -> bool {
    let root = tempfile::tempdir().unwrap();
    let stop = Stop::after(calls);
    let mut known = Large::default();
    if let Ok(store) = open_direct(root.path(), Some(stop.clone())) {
        let pushed = known.push(&store).await;
        if !stop.is_over() {
            pushed.unwrap();
            return false;
        }
    }

    let store = open_direct(root.path(), None).unwrap();
    for bytes in &known.blobs {
        assert!(read_large(&store, bytes).await, "stopped at call {calls}: a blob is lost");
    }
    let all = [large(0), large(1)];
    if let Some(id) = &known.upload
        && !read_large(&store, &all[0]).await
    {
        let repository = "a".parse().unwrap();
        let status = store.upload_status(&repository, id).await.unwrap();
        let received = status.map(|status| status.received);
        assert!(
            known.ends || received >= Some(known.received),
            "stopped at call {calls}: of {} bytes {received:?} are left",
            known.received
        );
        // Where it goes on it holds what was sent, and not other bytes.
        if let Some(received) = received {
            let mut upload = resumed(&store, &repository, id).await.unwrap();
            let rest = all[0].slice(usize::try_from(received).unwrap()..);
            upload.write(rest).await.unwrap();
            upload.finish(&Digest::sha256(&all[0])).await.unwrap();
            assert!(read_large(&store, &all[0]).await, "stopped at call {calls}");
        }
    }
    for bytes in &all {
        if !read_large(&store, bytes).await {
            push_at_once(&store, bytes).await.unwrap();
            assert!(read_large(&store, bytes).await, "stopped at call {calls}");
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_a_push_past_the_cache_loses_nothing_and_blocks_nothing() {
    let stops = stop_everywhere(stop_in_large_pushes).await;
    assert!(stops > 50, "the pushes have more calls than {stops}");
}
