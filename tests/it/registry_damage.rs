//! What must not go wrong with files that changed behind the registry's back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use axum::body::Body;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use warren::digest::Digest;
use warren::registry::store::FsStore;

use crate::registry_client::Client;

fn blob_file(client: &Client, digest: &Digest) -> std::path::PathBuf {
    client.root.path().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

/// The hash of before the loss of power would vouch for data that is gone.
#[tokio::test]
async fn a_hash_of_another_boot_is_not_trusted() {
    let client = Client::new();
    let location = client.start("a").await;
    client.send(&format!("PATCH {location}"), &[], "01234").await.expect(202);
    let folder = client.root.path().join("uploads").join(location.rsplit_once('/').unwrap().1);
    let write = |name: &str, bytes: &[u8]| {
        let access = warren::fs::Access::Everyone;
        warren::fs::write_atomic(&folder.join(name), bytes, access).unwrap();
    };
    let text = warren::fs::read(&folder.join("hash")).unwrap();
    let mut hash: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let state: Vec<u8> = serde_json::from_value(hash["hasher"].clone()).unwrap();
    let check = Digest::sha256(&[&5_u64.to_be_bytes()[..], &state].concat());
    hash["check"] = check.to_string().into();
    write("hash", hash.to_string().as_bytes());
    write("data", &[0; 5]);
    let before = Digest::sha256(b"01234");
    let line = format!("PUT {location}?digest={before}");
    client.send(&line, &[], Body::empty()).await.expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_blob_that_lost_bytes_is_no_success_and_a_push_heals_it() {
    let client = Client::new();
    let digest = client.push_blob("a", b"0123456789").await;
    let path = format!("/v2/a/blobs/{digest}");
    let file = blob_file(&client, &digest);
    for damage in [&b"01234"[..], b""] {
        std::fs::OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
        warren::fs::write_atomic(&file, damage, warren::fs::Access::Everyone).unwrap();
        client.get(&path).await.expect_error(500, "UNKNOWN");
        // A client that asks first is told to push it again, and heals it.
        client.send(&format!("HEAD {path}"), &[], Body::empty()).await.expect(404);
        client.push_blob("a", b"0123456789").await;
        assert_eq!(client.get(&path).await.body, b"0123456789");
    }
    warren::fs::remove_if_there(&file).unwrap();
    client.get(&path).await.expect_error(500, "UNKNOWN");
}

#[tokio::test]
async fn a_blob_that_shrinks_while_it_is_served_breaks_off() {
    let client = Client::new();
    let digest = client.push_blob("a", &vec![7; 2_000_000]).await;
    let request = axum::http::Request::get(format!("/v2/a/blobs/{digest}"));
    let request = request.body(Body::empty()).unwrap();
    let response = client.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-length"], "2000000");
    let file = std::fs::OpenOptions::new().write(true).open(blob_file(&client, &digest)).unwrap();
    file.set_len(1_000_000).unwrap();
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_manifest_with_other_bytes_is_not_served_and_a_push_heals_it() {
    let client = Client::new();
    let digest = client.push_manifest("a", "x", "a/b", "right").await;
    let file = blob_file(&client, &digest);
    warren::fs::write_atomic(&file, b"wrong", warren::fs::Access::Everyone).unwrap();
    let reply = client.get("/v2/a/manifests/x").await;
    reply.expect_error(500, "UNKNOWN");
    assert!(!String::from_utf8_lossy(&reply.body).contains("wrong"));
    client.push_manifest("a", "x", "a/b", "right").await;
    assert_eq!(client.get("/v2/a/manifests/x").await.body, b"right");
}

#[tokio::test]
async fn a_damaged_blob_is_cut_off_on_the_wire_too() {
    let client = Client::new();
    let digest = client.push_blob("a", &vec![7; 30_000_000]).await;
    let address = client.serve().await;
    let file = std::fs::OpenOptions::new().write(true).open(blob_file(&client, &digest)).unwrap();
    let received = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: x\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut first = [0; 64];
        socket.read_exact(&mut first).unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200 OK"));
        // More than the buffers on the way hold is still to be read.
        file.set_len(1_000_000).unwrap();
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        rest.len()
    });
    assert!(received.await.unwrap() < 30_000_000);
}

#[tokio::test]
async fn a_store_of_another_layout_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("layout");
    warren::fs::write_atomic(&file, b"99", warren::fs::Access::Everyone).unwrap();
    let error = FsStore::open(root.path()).unwrap_err().to_string();
    assert!(error.contains("layout `99`") && error.contains("only `1`"), "{error}");
}
