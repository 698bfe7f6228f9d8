//! What must not go wrong on a disk that fails: full, without writes, and with
//! errors at any step.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use warren::digest::{Algorithm, Digest};
use warren::registry::service::Registry;
use warren::registry::store::fs::{Faults, Step};
use warren::registry::store::{
    CollectPolicy, FsOptions, FsStore, Store as _, StoreError, UploadWriter as _,
};

use crate::registry_client::Client;
use crate::registry_process::Process;
use crate::registry_support::{Running, basic};
use crate::store_upload::resumed;

/// Every step that changes what is on the disk.
const WRITING: [Step; 7] = [
    Step::MakeFolder,
    Step::Create,
    Step::Write,
    Step::Sync,
    Step::Rename,
    Step::SyncFolder,
    Step::Remove,
];

/// Answers for the system, when a test says so.
#[derive(Default)]
struct Script {
    /// Which steps fail, with what, and how many of them go well before.
    fault: Mutex<Option<(Vec<Step>, Fault)>>,
    spare: AtomicUsize,
}

/// What the system says.
#[derive(Clone, Copy)]
enum Fault {
    Kind(io::ErrorKind),
    /// The disk is broken.
    Eio,
}

impl From<io::ErrorKind> for Fault {
    fn from(kind: io::ErrorKind) -> Self {
        Self::Kind(kind)
    }
}

impl Script {
    fn fail(&self, step: Step, fault: impl Into<Fault>, spare: usize) {
        self.fail_all(&[step], fault, spare);
    }

    fn fail_all(&self, steps: &[Step], fault: impl Into<Fault>, spare: usize) {
        *self.fault.lock().unwrap() = Some((steps.to_vec(), fault.into()));
        self.spare.store(spare, Ordering::SeqCst);
    }

    fn heal(&self) {
        *self.fault.lock().unwrap() = None;
    }
}

impl Faults for Script {
    fn before(&self, step: Step, _: &Path) -> io::Result<()> {
        match &*self.fault.lock().unwrap() {
            Some((failing, fault)) if failing.contains(&step) => {
                let spare = |left: usize| left.checked_sub(1);
                match self.spare.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spare) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(match *fault {
                        Fault::Kind(kind) => kind.into(),
                        Fault::Eio => rustix::io::Errno::IO.into(),
                    }),
                }
            }
            _ => Ok(()),
        }
    }
}

fn open(root: &Path, script: &Arc<Script>) -> Result<FsStore, StoreError> {
    let faults: Arc<dyn Faults> = script.clone();
    let lease = Duration::ZERO;
    FsStore::open_with(root, FsOptions { faults: Some(faults), lease, ..FsOptions::default() })
}

fn scripted() -> (Client, Arc<Script>) {
    let root = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::default());
    let store = open(root.path(), &script).unwrap();
    (Client::with(root, Registry::new(store)), script)
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing() {
    let (client, script) = scripted();
    let digest = Digest::sha256(b"x");
    script.fail(Step::Write, io::ErrorKind::StorageFull, 0);
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    let reply = client.send(&line, &[], "x").await;
    reply.expect_error(507, "UNAVAILABLE");
    assert!(String::from_utf8_lossy(&reply.body).contains("no space left"));
    assert!(!String::from_utf8_lossy(&reply.body).contains("tmp"));
    let reply = client.put_manifest("a", "x", "a/b", "x").await;
    reply.expect_error(507, "UNAVAILABLE");
    script.heal();
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    client.get("/v2/a/manifests/x").await.expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(client.files(), ["layout", "repositories/a/_lock"]);
    client.push_blob("a", b"x").await;
}

#[tokio::test]
async fn an_upload_goes_on_once_the_disk_has_room_again() {
    let (client, script) = scripted();
    let location = client.start("a").await;
    let patch = format!("PATCH {location}");
    client.send(&patch, &[], "0123").await.expect(202);
    script.fail(Step::Write, io::ErrorKind::StorageFull, 0);
    client.send(&patch, &[], "4567").await.expect_error(507, "UNAVAILABLE");
    script.heal();
    assert_eq!(client.get(&location).await.header("range"), "0-3");
    let digest = Digest::sha256(b"0123456789");
    let line = format!("PUT {location}?digest={digest}");
    client.send(&line, &["content-range: 4-9"], "456789").await.expect(201);
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).await.body, b"0123456789");
}

#[tokio::test]
async fn a_large_upload_goes_on_from_what_was_written_before_the_disk_was_full() {
    large_upload_on_a_full_disk(FsOptions::default()).await;
    // The same past the system's cache.
    large_upload_on_a_full_disk(FsOptions { cached: 0, ..FsOptions::default() }).await;
}

async fn large_upload_on_a_full_disk(options: FsOptions) {
    let here = "a".parse().unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(12 << 20).collect();
    let digest = Digest::sha256(&bytes);
    // After how many writes the disk is full. What comes then is hashed already.
    for spare in [0, 1, 2, 7] {
        let root = tempfile::tempdir().unwrap();
        let script = Arc::new(Script::default());
        let options = FsOptions { faults: Some(script.clone()), ..options.clone() };
        let store = FsStore::open_with(root.path(), options).unwrap();
        let id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
        let mut upload = store.upload_resume(&here, &id).await.unwrap().unwrap();
        script.fail(Step::Write, io::ErrorKind::StorageFull, spare);
        let mut failed = None;
        for piece in bytes.chunks(100_000) {
            if let Err(error) = upload.write(Bytes::copy_from_slice(piece)).await {
                failed = Some(error);
                break;
            }
        }
        assert!(failed.as_ref().is_some_and(StoreError::is_full), "{spare}: {failed:?}");
        script.heal();
        let received = upload.received();
        let data = root.path().join("uploads").join(id.as_str()).join("data");
        assert_eq!(std::fs::metadata(&data).unwrap().len(), received, "{spare}");
        assert_eq!(received > 0, spare > 0, "{received}");
        assert_eq!(upload.pause().await.unwrap(), received);
        let mut upload = resumed(&store, &here, &id).await.unwrap();
        assert_eq!(upload.received(), received);
        let rest = Bytes::copy_from_slice(&bytes[usize::try_from(received).unwrap()..]);
        upload.write(rest).await.unwrap();
        assert_eq!(upload.finish(&digest).await.unwrap(), bytes.len() as u64);
    }
}

#[tokio::test]
async fn whatever_step_fails_nothing_half_written_is_served() {
    for step in WRITING {
        for spare in 0.. {
            let (client, script) = scripted();
            let old = client.push_manifest("a", "tag", "a/b", "old").await;
            let (blob, new) = (Digest::sha256(b"blob"), Digest::sha256(b"new"));
            script.fail(step, Fault::Eio, spare);
            let line = format!("POST /v2/a/blobs/uploads/?digest={blob}");
            let pushed = client.send(&line, &[], "blob").await.status.as_u16();
            let put = client.put_manifest("a", "tag", "a/b", "new").await.status.as_u16();
            script.heal();

            let reply = client.get(&format!("/v2/a/blobs/{blob}")).await;
            match (pushed, reply.status.as_u16()) {
                // It may be in its place before the step that failed; then it is whole.
                (201, status) | (_, status @ 200) => {
                    let found = (status, &*reply.body);
                    assert_eq!(found, (200, &b"blob"[..]), "{step:?} {spare}");
                }
                (_, status) => assert_eq!(status, 404, "{step:?} {spare}"),
            }
            let reply = client.get("/v2/a/manifests/tag").await;
            reply.expect(200);
            let digest = reply.header("docker-content-digest");
            assert_eq!(Digest::sha256(&reply.body).to_string(), digest, "{step:?} {spare}");
            if put == 201 {
                assert_eq!(digest, new.to_string(), "{step:?} {spare}");
            } else {
                assert!([&old, &new].iter().any(|known| known.to_string() == digest));
            }
            client.push_blob("a", b"blob").await;
            client.push_manifest("a", "tag", "a/b", "new").await;
            if (pushed, put) == (201, 201) {
                break;
            }
            assert!(spare < 50, "{step:?} fails for ever");
        }
    }
}

#[tokio::test]
async fn what_is_there_already_is_acknowledged_only_once_it_is_durable() {
    let (client, script) = scripted();
    let blob = client.push_blob("a", b"blob").await;
    client.push_manifest("a", "tag", "a/b", "x").await;
    script.fail(Step::SyncFolder, Fault::Eio, 0);
    client.put_manifest("a", "tag", "a/b", "x").await.expect_error(500, "UNKNOWN");
    let line = format!("POST /v2/a/blobs/uploads/?mount={blob}&from=a");
    client.send(&line, &[], Body::empty()).await.expect_error(500, "UNKNOWN");
    // The manifest's two folders, but not that of its tag.
    script.fail(Step::SyncFolder, Fault::Eio, 2);
    client.put_manifest("a", "tag", "a/b", "x").await.expect_error(500, "UNKNOWN");
    // The blob's own folder, but not that of its link.
    script.fail(Step::SyncFolder, Fault::Eio, 1);
    let line = format!("POST /v2/a/blobs/uploads/?digest={blob}");
    client.send(&line, &[], "blob").await.expect_error(500, "UNKNOWN");
    script.heal();
    client.put_manifest("a", "tag", "a/b", "x").await.expect(201);
}

#[tokio::test]
async fn a_folder_that_is_not_durable_does_not_stay() {
    let (client, script) = scripted();
    script.fail(Step::SyncFolder, Fault::Eio, 0);
    client.put_manifest("a", "tag", "a/b", "x").await.expect_error(500, "UNKNOWN");
    assert!(!client.root.path().join("repositories/a").exists());
    script.heal();
    client.put_manifest("a", "tag", "a/b", "x").await.expect(201);
}

#[tokio::test]
async fn a_sync_that_fails_is_no_success_and_the_data_is_not_trusted_again() {
    let (client, script) = scripted();
    let location = client.start("a").await;
    let digest = Digest::sha256(b"x");
    let line = format!("PUT {location}?digest={digest}");
    script.fail(Step::Sync, Fault::Eio, 0);
    client.send(&line, &[], "x").await.expect_error(500, "UNKNOWN");
    script.heal();
    assert_eq!(client.files(), ["layout"]);
    client.send(&line, &[], Body::empty()).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
}

/// A disk that fails to sync a file once, when it is told to, and says so once.
#[derive(Default)]
struct BadSync {
    next: AtomicBool,
}

impl Faults for BadSync {
    fn before(&self, step: Step, _: &Path) -> io::Result<()> {
        let fails = step == Step::Sync && self.next.swap(false, Ordering::SeqCst);
        if fails { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }
}

/// What is synced ahead is synced while the client still sends, and the sync at
/// the end would go well. Nothing else of a `PATCH` is synced.
#[tokio::test]
async fn a_sync_ahead_that_fails_is_told_to_the_client_and_nothing_is_served() {
    // More than an upload leaves to the system before it syncs.
    const PIECES: usize = 40;
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(BadSync::default());
    let options = FsOptions { faults: Some(disk.clone()), ..FsOptions::default() };
    let store = FsStore::open_with(root.path(), options).unwrap();
    let client = Client::with(root, Registry::new(store));
    let piece = Bytes::from((0..=250).cycle().take(1 << 20).collect::<Vec<u8>>());
    let digest = Digest::sha256(&piece.repeat(PIECES));
    let pieces = || {
        let pieces = std::iter::repeat_n(piece.clone(), PIECES);
        Body::from_stream(futures_util::stream::iter(pieces.map(Ok::<_, io::Error>)))
    };
    let location = client.start("a").await;
    for line in [format!("PATCH {location}"), format!("POST /v2/a/blobs/uploads/?digest={digest}")]
    {
        disk.next.store(true, Ordering::SeqCst);
        client.send(&line, &[], pieces()).await.expect_error(500, "UNKNOWN");
        assert!(!disk.next.load(Ordering::SeqCst), "{line}: it was not synced");
        assert_eq!(client.files(), ["layout"], "{line}");
    }
    let line = format!("PUT {location}?digest={digest}");
    client.send(&line, &[], Body::empty()).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    client.send(&line, &[], pieces()).await.expect(201);
    assert_eq!(Digest::sha256(&client.get(&format!("/v2/a/blobs/{digest}")).await.body), digest);
}

async fn readiness(server: &Running) -> u16 {
    server.get("/readiness", &[]).await.status().as_u16()
}

async fn push(server: &Running, text: &'static str) -> u16 {
    let digest = Digest::sha256(text.as_bytes());
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let request = Request::post(path).header("host", "r").body(Body::from(text)).unwrap();
    server.send(request).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readiness_tells_of_a_disk_that_fails_to_sync() {
    let root = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::default());
    let server = Running::over(root.path(), open(root.path(), &script).unwrap()).await;
    assert_eq!((push(&server, "one").await, readiness(&server).await), (201, 200));
    for step in [Step::Sync, Step::SyncFolder] {
        script.fail(step, Fault::Eio, 0);
        assert_eq!(push(&server, "two").await, 500, "{step:?}");
        for _ in 0..2 {
            assert_eq!(readiness(&server).await, 503, "{step:?}");
        }
        script.heal();
        assert_eq!((readiness(&server).await, push(&server, "two").await), (200, 201), "{step:?}");
    }
    assert_eq!(server.get("/healthz", &[]).await.status(), 200);
}

#[tokio::test]
async fn a_store_opens_on_a_disk_that_takes_no_writes() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::ReadOnlyFilesystem] {
        let root = tempfile::tempdir().unwrap();
        let script = Arc::new(Script::default());
        script.fail_all(&WRITING, kind, 0);
        assert!(open(root.path(), &script).is_err(), "there is no store yet");
        script.heal();
        let store = open(root.path(), &script).unwrap();
        let client = Client::with(root, Registry::new(store));
        let (manifest, _) = client.push_image("a", "x", "layer").await;
        let Client { root, router, .. } = client;
        drop(router);

        script.fail_all(&WRITING, kind, 0);
        let store = open(root.path(), &script).unwrap();
        let client = Client::with(root, Registry::new(store.clone()));
        client.get("/v2/a/manifests/x").await.expect(200);
        let layer = Digest::sha256(b"layer");
        client.get(&format!("/v2/a/blobs/{layer}")).await.expect(200);
        client.send(&format!("HEAD /v2/a/blobs/{layer}"), &[], Body::empty()).await.expect(200);
        assert!(store.ready().await.is_err());
        let line = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(b"new"));
        let status = if kind == io::ErrorKind::StorageFull { 507 } else { 503 };
        client.send(&line, &[], "new").await.expect_error(status, "UNAVAILABLE");

        // On a full disk what is there can be taken away.
        script.fail(Step::Write, kind, 0);
        client
            .send(&format!("DELETE /v2/a/manifests/{manifest}"), &[], Body::empty())
            .await
            .expect(202);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let policy = CollectPolicy { share: 100, ..CollectPolicy::default() };
        let collected = store.collect(&policy, Arc::new(|_| true)).await.unwrap();
        assert_eq!(collected.removed, 3, "{collected:?}");
        script.heal();
        store.ready().await.unwrap();
        client.send(&line, &[], "new").await.expect(201);
        let other = FsStore::open(client.root.path()).unwrap();
        let refused = other.collect(&policy, Arc::new(|_| true)).await;
        assert!(matches!(refused, Err(StoreError::Shared)), "each knows of the other");
    }
}

/// A process that may write no byte to any file, as on a full disk.
#[test]
fn a_server_starts_on_a_full_disk_and_makes_room() {
    let root = tempfile::tempdir().unwrap();
    let arguments = ["-U", "u", "-P", "p", "--gc-lease=0s"];
    let login = [("authorization", &*basic("u", "p"))];
    let process = Process::start(root.path(), &arguments);
    let digests = ["one", "two"].map(|text| {
        let digest = Digest::sha256(text.as_bytes());
        let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        assert_eq!(process.send(&line, &login, text.as_bytes()).status, 201);
        digest
    });
    process.terminate();
    process.ended();

    let process = Process::start_full(root.path(), &arguments);
    let [one, two] = digests.map(|digest| format!("/v2/a/blobs/{digest}"));
    assert_eq!(process.send(&format!("GET {one}"), &login, b"").body, b"one");
    let ready = process.send("GET /readiness", &[], b"");
    assert_eq!(ready.status, 503);
    assert!(String::from_utf8_lossy(&ready.body).contains("the disk is full"));
    let line = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(b"new"));
    assert_eq!(process.send(&line, &login, b"new").status, 507);
    assert_eq!(process.send(&format!("DELETE {one}"), &login, b"").status, 202);
    let collect = || {
        std::thread::sleep(Duration::from_millis(50));
        let gc = ["gc", "--output=json", "--data-dir", root.path().to_str().unwrap()];
        let output = Process::full(&gc).env("WARREN_REGISTRY_GC_LEASE", "0s").output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        let done: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        done["removed"].as_u64()
    };
    // What is left in the repository is as unused as what was taken out of it.
    assert_eq!(collect(), Some(2));
    assert_eq!(process.send(&format!("GET {two}"), &login, b"").status, 404);
    process.terminate();
    process.ended();

    let process = Process::start(root.path(), &arguments);
    let line = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(b"new"));
    assert_eq!(process.send(&line, &login, b"new").status, 201);
    process.terminate();
    process.ended();
    assert_eq!(collect(), Some(1), "without a server too");
}

/// Whether a pull gave all of a blob.
async fn whole(store: &FsStore, digest: &Digest) -> bool {
    let Ok(Some(mut read)) = store.blob_read(&"a".parse().unwrap(), digest, None).await else {
        return false;
    };
    loop {
        match std::future::poll_fn(|cx| read.stream.poll_chunk(cx)).await {
            None => return true,
            Some(Ok(_)) => {}
            Some(Err(_)) => return false,
        }
    }
}

#[tokio::test]
async fn content_that_the_disk_does_not_give_back_is_healed_by_a_push() {
    let root = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::default());
    let (here, digest) = ("a".parse().unwrap(), Digest::sha256(b"blob"));
    let push = async |store: &FsStore| {
        let mut upload = store.upload_once(&here, Algorithm::Sha256).await.unwrap();
        upload.write(Bytes::from_static(b"blob")).await.unwrap();
        upload.finish(&digest).await.unwrap();
    };
    push(&open(root.path(), &script).unwrap()).await;
    // Opened anew, it reads what it has not read before.
    let store = open(root.path(), &script).unwrap();
    let mut lost = 0;
    for spare in 0.. {
        script.fail(Step::Read, Fault::Eio, spare);
        let whole = whole(&store, &digest).await;
        script.heal();
        if whole {
            break;
        }
        // What failed before the content itself says nothing of that.
        lost += usize::from(store.blob_size(&here, &digest).await.unwrap().is_none());
    }
    assert_eq!(lost, 1);
    push(&store).await;
    assert_eq!(store.blob_size(&here, &digest).await.unwrap(), Some(4));
}

#[test]
fn what_a_killed_process_left_is_durable_before_anyone_builds_on_it() {
    let root = tempfile::tempdir().unwrap();
    let script = Arc::new(Script::default());
    drop(open(root.path(), &script).unwrap());
    script.fail(Step::Sync, Fault::Eio, 0);
    drop(open(root.path(), &script).unwrap());
    let left = root.path().join("processes/0123456789abcdef0123456789abcdef");
    std::fs::File::create(&left).unwrap();
    assert!(open(root.path(), &script).is_err(), "nobody knows whether it is durable");
    assert!(left.exists(), "who comes next has to know");
    script.heal();
    let store = open(root.path(), &script).unwrap();
    assert!(!left.exists());
    drop(store);
}

/// Counts the files that are made, and has each wait for the test.
#[derive(Default)]
struct Gate {
    made: AtomicUsize,
    shut: AtomicBool,
}

impl Faults for Gate {
    fn before(&self, step: Step, _: &Path) -> io::Result<()> {
        if step == Step::Create {
            self.made.fetch_add(1, Ordering::SeqCst);
            while self.shut.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn who_asks_for_readiness_at_the_same_time_shares_one_answer() {
    let root = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let faults: Arc<dyn Faults> = gate.clone();
    let options = FsOptions { faults: Some(faults), ..FsOptions::default() };
    let store = FsStore::open_with(root.path(), options).unwrap();
    gate.made.store(0, Ordering::SeqCst);
    let ask = || {
        let store = store.clone();
        tokio::spawn(async move { store.ready().await.is_ok() })
    };
    gate.shut.store(true, Ordering::SeqCst);
    let mut asked = vec![ask()];
    while gate.made.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    asked.extend((0..50).map(|_| ask()));
    // There is one thread for all of them: each has asked by then.
    tokio::task::yield_now().await;
    gate.shut.store(false, Ordering::SeqCst);
    for answer in asked {
        assert!(answer.await.unwrap());
    }
    assert_eq!(gate.made.load(Ordering::SeqCst), 2);
    assert!(ask().await.unwrap());
    assert_eq!(gate.made.load(Ordering::SeqCst), 3, "who asks later gets an answer of then");
}
