//! Pulls: every byte is the right one and every length is kept, over every way
//! that bytes take, also while the files under them change.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use warren::digest::{Algorithm, Digest};
use warren::registry::name::RepositoryName;
use warren::registry::store::{
    Expected, FsStore, Required, Store as _, StoredManifest, UploadWriter as _,
};

use crate::registry_support::{Running, header, http2, request};

/// The borders of pieces, chunks and pages.
const SIZES: [usize; 14] = [
    0,
    1,
    4095,
    16 * 1024,
    128 * 1024 - 1,
    256 * 1024,
    256 * 1024 + 1,
    (1 << 20) - 1,
    1 << 20,
    (1 << 20) + 1,
    (2 << 20) + 12_345,
    4 << 20,
    (5 << 20) - 1,
    (9 << 20) + 1,
];

fn name() -> RepositoryName {
    "a/b".parse().unwrap()
}

/// Bytes of which no two stretches are the same, and none is zeros.
fn content(size: usize) -> Vec<u8> {
    let mut state = size as u64 + 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

async fn push(data: &Path, bytes: &[u8]) -> Digest {
    let store = FsStore::open(data).unwrap();
    let digest = Digest::sha256(bytes);
    let mut upload = store.upload_once(&name(), Algorithm::Sha256).await.unwrap();
    upload.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    upload.finish(&digest).await.unwrap();
    digest
}

fn file(data: &Path, digest: &Digest) -> PathBuf {
    data.join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

/// Changes a byte in the middle and nothing else but the time.
fn flip(path: &Path) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
}

/// Changes a byte in the middle and sets the file's time back.
pub fn flip_unseen(path: &Path) {
    // File times move in ticks.
    std::thread::sleep(Duration::from_millis(50));
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    flip(path);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), before);
}

fn get(digest: &Digest, more: &str) -> String {
    format!("GET /v2/a/b/blobs/{digest} HTTP/1.1\r\nhost: r\r\n{more}\r\n")
}

/// Sends bytes and reads until the server closes, through a small window and
/// in small bites where the reader is to be slow.
async fn exchange(server: &Running, send: &str, slow: bool) -> Vec<u8> {
    let socket = TcpSocket::new_v4().unwrap();
    if slow {
        socket.set_recv_buffer_size(4096).unwrap();
    }
    let mut stream = socket.connect(server.address).await.unwrap();
    stream.write_all(send.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let mut bite = vec![0; if slow { 7001 } else { 1 << 20 }];
    loop {
        match stream.read(&mut bite).await {
            Ok(0) | Err(_) => return all,
            Ok(count) => all.extend_from_slice(&bite[..count]),
        }
        if slow {
            tokio::task::yield_now().await;
        }
    }
}

/// Splits a stream of answers, each with its length, except to a HEAD.
fn answers(mut bytes: &[u8], heads: &[bool]) -> Vec<(u16, String, Vec<u8>)> {
    let mut found = Vec::new();
    for head_only in heads {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let length = if *head_only { 0 } else { length };
        let status = head[9..12].parse().unwrap();
        let body = bytes[end..].get(..length).expect("a whole body").to_vec();
        found.push((status, head, body));
        bytes = &bytes[end + length..];
    }
    assert!(bytes.is_empty(), "nothing after the last answer");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_blobs_arrive_byte_for_byte_checked_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut digests = Vec::new();
    for size in SIZES {
        digests.push(push(folder.path(), &content(size)).await);
    }
    let server = Running::start(folder.path(), &[]).await;
    // The first pull is hashed on its way, the second is what the table knows.
    for round in ["unknown", "verified"] {
        for (digest, size) in digests.iter().zip(SIZES) {
            let path = format!("/v2/a/b/blobs/{digest}");
            let answer = server.get(&path, &[]).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.body()[..] == content(size)[..], "{size} bytes, {round}");
            let answer = http2(server.connect().await, request("GET", &path, &[])).await;
            assert!(answer.body()[..] == content(size)[..], "{size} bytes, {round}, HTTP/2");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_arrive_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let size = (3 << 20) + 17;
    let digest = push(folder.path(), &content(size)).await;
    let server = Running::start(folder.path(), &[]).await;
    let piece = 1 << 20;
    for (start, end) in [
        (0, 0),
        (0, size - 1),
        (1, 1),
        (piece - 1, piece),
        (piece, 2 * piece - 1),
        (1, 2 * piece + 1),
        (4095, 3 * piece),
        (size - 1, size - 1),
    ] {
        let range = format!("bytes={start}-{end}");
        let answer = server.get(&format!("/v2/a/b/blobs/{digest}"), &[("range", &range)]).await;
        assert_eq!(answer.status(), 206, "{range}");
        assert_eq!(header(&answer, "content-length"), (end - start + 1).to_string());
        assert!(answer.body()[..] == content(size)[start..=end], "{range}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_row_on_one_connection_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let small = push(folder.path(), &content(1000)).await;
    let large = push(folder.path(), &content((2 << 20) + 3)).await;
    let server = Running::start(folder.path(), &[]).await;
    let head = get(&large, "").replace("GET", "HEAD");
    let unknown = get(&Digest::sha256(b"unknown"), "");
    let send = [
        &get(&large, ""),
        &get(&small, ""),
        &head,
        &get(&large, "range: bytes=5-1500000\r\n"),
        &unknown,
        "GET /v2/ HTTP/1.1\r\nhost: r\r\n\r\n",
        &get(&large, ""),
        &get(&small, "range: bytes=-10\r\n"),
        &get(&large, "connection: close\r\n"),
    ]
    .concat();
    for slow in [false, true] {
        let heads: Vec<_> = (0..9).map(|at| at == 2).collect();
        let found = answers(&exchange(&server, &send, slow).await, &heads);
        let statuses: Vec<_> = found.iter().map(|(status, _, _)| *status).collect();
        assert_eq!(statuses, [200, 200, 200, 206, 404, 200, 200, 206, 200]);
        let whole = content((2 << 20) + 3);
        for at in [0, 6, 8] {
            assert!(found[at].2 == whole, "answer {at}");
        }
        assert!(found[1].2 == content(1000));
        assert!(found[3].2 == whole[5..=1_500_000]);
        assert!(found[7].2 == content(1000)[990..]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = content(8 << 20);
    let digest = push(folder.path(), &bytes).await;
    let server = Running::start(folder.path(), &[]).await;
    for wanted in [1, 100, 70_000, 1_500_000] {
        let mut stream = server.connect().await;
        stream.write_all(get(&digest, "").as_bytes()).await.unwrap();
        stream.read_exact(&mut vec![0; wanted]).await.unwrap();
        drop(stream);
        let answer = server.get(&format!("/v2/a/b/blobs/{digest}"), &[]).await;
        assert!(answer.body()[..] == bytes[..]);
    }
}

/// Whether the client got the whole length that it was promised. Where the
/// fault is found early no promise was made.
fn is_complete(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let end = end + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    // Once it was found it is in quarantine.
    if head.starts_with("http/1.1 500") {
        return false;
    }
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    answer.len() - end >= length
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_never_ends_as_a_whole_blob() {
    let folder = tempfile::tempdir().unwrap();
    for size in [1, 4096, 256 * 1024, 1 << 20, (3 << 20) + 1] {
        // Before the first pull, and between two pulls.
        for pulled in [false, true] {
            let digest = push(folder.path(), &content(size)).await;
            let server = Running::start(folder.path(), &[]).await;
            let send = get(&digest, "connection: close\r\n");
            if pulled {
                assert!(is_complete(&exchange(&server, &send, false).await));
            }
            flip(&file(folder.path(), &digest));
            for _ in 0..2 {
                assert!(!is_complete(&exchange(&server, &send, false).await), "{size} {pulled}");
            }
            let cut = http2_fails(&server, &digest).await;
            assert!(cut, "HTTP/2, {size} {pulled}");
            // A push heals it.
            push(folder.path(), &content(size)).await;
            assert!(is_complete(&exchange(&server, &send, false).await), "{size} {pulled}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_that_was_flipped_under_its_old_time_never_ends_as_a_whole_blob() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::start(folder.path(), &[]).await;
    // What this process wrote itself, and what it has hashed as well.
    for (size, pulled) in [(300_000, false), ((3 << 20) + 1, true)] {
        let (bytes, digest) = (content(size), Digest::sha256(&content(size)));
        let push = || {
            Request::post(format!("/v2/a/b/blobs/uploads/?digest={digest}"))
                .header("host", "r")
                .body(Body::from(bytes.clone()))
                .unwrap()
        };
        let send = get(&digest, "connection: close\r\n");
        assert_eq!(server.send(push()).await.status(), 201);
        if pulled {
            assert!(is_complete(&exchange(&server, &send, false).await));
        }
        flip_unseen(&file(folder.path(), &digest));
        for _ in 0..2 {
            assert!(!is_complete(&exchange(&server, &send, false).await), "{size}");
        }
        assert!(http2_fails(&server, &digest).await, "HTTP/2, {size}");
        assert_eq!(server.send(push()).await.status(), 201);
        assert!(is_complete(&exchange(&server, &send, false).await), "{size}");
    }
}

async fn http2_fails(server: &Running, digest: &Digest) -> bool {
    use http_body_util::BodyExt as _;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(server.connect().await),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = request("GET", &format!("/v2/a/b/blobs/{digest}"), &[]);
    match sender.send_request(request).await {
        Ok(answer) => answer.status() == 500 || answer.into_body().collect().await.is_err(),
        Err(_) => true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_length_is_an_error_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let size = (1 << 20) + 5;
    let server = Running::start(folder.path(), &[]).await;
    for (length, pulled) in [(size - 1, false), (size + 1, false), (0, true), (size + 9, true)] {
        let digest = push(folder.path(), &content(size)).await;
        let path = format!("/v2/a/b/blobs/{digest}");
        if pulled {
            assert_eq!(server.get(&path, &[]).await.status(), 200);
        }
        let damaged = std::fs::File::options().write(true).open(file(folder.path(), &digest));
        damaged.unwrap().set_len(length as u64).unwrap();
        assert_eq!(server.get(&path, &[]).await.status(), 500, "{length}");
        let ranged = server.get(&path, &[("range", "bytes=0-9")]).await;
        assert_eq!(ranged.status(), 404, "clients push it again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_gets_shorter_on_its_way_out_cuts_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let size = 48 << 20;
    let bytes = content(size);
    let digest = push(folder.path(), &bytes).await;
    let server = Running::start(folder.path(), &[]).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    assert!(server.get(&path, &[]).await.body()[..] == bytes[..]);
    let mut stream = server.connect().await;
    stream.write_all(get(&digest, "connection: close\r\n").as_bytes()).await.unwrap();
    let mut all = vec![0; 100_000];
    stream.read_exact(&mut all).await.unwrap();
    let shorter = std::fs::File::options().write(true).open(file(folder.path(), &digest));
    shorter.unwrap().set_len(1 << 20).unwrap();
    let _ = stream.read_to_end(&mut all).await;
    assert!(!is_complete(&all), "{} bytes came", all.len());
    let body = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    // What is under way when the file is cut may be empty pages by now.
    let kept = (1 << 20).min(all.len() - body);
    assert!(bytes.starts_with(&all[body..body + kept]), "what the file kept is right");
}

#[tokio::test]
async fn content_that_was_taken_away_is_not_there_and_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let digest = push(folder.path(), b"gone").await;
    let server = Running::start(folder.path(), &[]).await;
    let path = format!("/v2/a/b/blobs/{digest}");
    warren::fs::remove_if_there(&file(folder.path(), &digest)).unwrap();
    assert_eq!(server.get(&path, &[]).await.status(), 500, "its link is there");
    FsStore::open(folder.path()).unwrap().blob_delete(&name(), &digest).await.unwrap();
    assert_eq!(server.get(&path, &[]).await.status(), 404);
}

async fn put(store: &FsStore, text: &str) -> Digest {
    let manifest = StoredManifest {
        digest: Digest::sha256(text.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    };
    store.manifest_put(&name(), &manifest, None, &Required::default()).await.unwrap();
    manifest.digest
}

#[tokio::test]
async fn what_another_process_changes_is_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let other = FsStore::open(folder.path()).unwrap();
    let tag = "latest".parse().unwrap();
    let digests = [put(&other, "{\"a\":1}").await, put(&other, "{\"b\":2}").await];
    let server = Running::start(folder.path(), &[]).await;
    for round in 0..60 {
        let digest = &digests[round % 2];
        other.tag_set(&name(), &tag, digest, &Expected::Anything).await.unwrap();
        if round % 20 < 4 {
            // Long enough for it to be remembered.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        for _ in 0..3 {
            let answer = server.get("/v2/a/b/manifests/latest", &[]).await;
            assert_eq!(header(&answer, "docker-content-digest"), digest.to_string());
            assert_eq!(Digest::sha256(answer.body()), *digest);
        }
    }
    other.tag_delete(&name(), &tag).await.unwrap();
    assert_eq!(server.get("/v2/a/b/manifests/latest", &[]).await.status(), 404);
    let path = format!("/v2/a/b/manifests/{}", digests[0]);
    assert_eq!(server.get(&path, &[]).await.status(), 200);
    other.manifest_delete(&name(), &digests[0]).await.unwrap();
    assert_eq!(server.get(&path, &[]).await.status(), 404);
}
