//! What must not go wrong with connections that are cut, clients that meet, and
//! paths that lead elsewhere.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use warren::digest::{Algorithm, Digest};
use warren::registry::media;
use warren::registry::store::{FsStore, Store as _, UploadWriter as _};

use crate::registry_client::Client;

/// Sends a request that announces more bytes than it has.
async fn send_a_part(client: &Client, line: &str, announced: usize, sent: Vec<u8>) -> TcpStream {
    let address = client.serve().await;
    let head = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {announced}\r\n\r\n");
    let sending = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(&sent).unwrap();
        socket
    });
    sending.await.unwrap()
}

async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn a_cut_patch_goes_on_where_it_was_cut() {
    let client = Client::new();
    let location = client.start("a").await;
    let line = format!("PATCH {location}");
    drop(send_a_part(&client, &line, 2_000_000, vec![7; 1_200_000]).await);
    until(async || client.get(&location).await.header("range") == "0-1199999").await;
    let whole = vec![7; 2_000_000];
    let digest = Digest::sha256(&whole);
    let line = format!("PUT {location}?digest={digest}");
    let rest = whole[1_200_000..].to_vec();
    client.send(&line, &["content-range: 1200000-1999999"], rest).await.expect(201);
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).await.body == whole);
}

#[tokio::test]
async fn a_cut_put_or_post_leaves_nothing_under_the_digest() {
    let client = Client::new();
    let digest = Digest::sha256(b"0123456789");
    let location = client.start("a").await;
    let line = format!("PUT {location}?digest={digest}");
    drop(send_a_part(&client, &line, 20, b"0123456789".to_vec()).await);
    until(async || client.get(&location).await.header("range") == "0-9").await;

    let arriving = || client.files().iter().any(|path| path.starts_with("tmp/"));
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    let socket = send_a_part(&client, &line, 20, b"0123456789".to_vec()).await;
    until(async || arriving()).await;
    drop(socket);
    until(async || !arriving()).await;
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    assert!(!client.files().iter().any(|path| path.starts_with("blobs")));
}

#[tokio::test]
async fn pushes_at_the_same_time_do_not_disturb_each_other() {
    let client = Arc::new(Client::new());
    let mut tasks = Vec::new();
    for index in 0..16 {
        let client = Arc::clone(&client);
        tasks.push(tokio::spawn(async move {
            let (name, layer) = (format!("r{}", index % 3), format!("layer {}", index % 5));
            let (digest, _) = client.push_image(&name, &format!("t{index}"), &layer).await;
            let reply = client.get(&format!("/v2/{name}/manifests/t{index}")).await;
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let text = r#"{"schemaVersion": 2, "manifests": []}"#;
    client.push_manifest("r0", "x", media::OCI_INDEX, text).await;
    assert!(!client.files().iter().any(|path| path.starts_with("tmp/")));
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let client = Client::new();
    let location = client.start("a").await;
    let outside = client.root.path().parent().unwrap().join("escaped");
    for digest in ["../x", "sha256:../../../escaped", "sha256:%2e%2e%2fescaped", "sha256:", "x:y"] {
        for line in [
            format!("PUT {location}?digest={digest}"),
            format!("POST /v2/a/blobs/uploads/?digest={digest}"),
            format!("POST /v2/a/blobs/uploads/?mount={digest}&from=a"),
        ] {
            client.send(&line, &[], "x").await.expect_error(400, "DIGEST_INVALID");
        }
    }
    for name in ["..", "a/../../escaped", "%2e%2e", "a%2f..%2fb", "a/%2e%2e/b", "_blobs", "a//b"] {
        for line in [
            format!("POST /v2/{name}/blobs/uploads/"),
            format!("PUT /v2/{name}/manifests/x"),
            format!("GET /v2/{name}/tags/list"),
        ] {
            client.send(&line, &[], "x").await.expect_error(400, "NAME_INVALID");
        }
    }
    for reference in ["..", "%2e%2e", "..%2fx", ".x", "sha256:..", "a%00b"] {
        let reply = client.put_manifest("a", reference, "a/b", "x").await;
        reply.expect(400);
    }
    client.get("/v2/f/x/manifests/latest").await.expect_error(501, "UNSUPPORTED");
    assert!(!outside.exists());
    assert_eq!(client.files().len(), 3, "{:?}", client.files());
}

#[tokio::test]
async fn leftovers_of_a_killed_process_are_in_nobodys_way() {
    let client = Client::new();
    let digest = Digest::sha256(b"x");
    let store = FsStore::open(client.root.path()).unwrap();
    let here = "a".parse().unwrap();
    let mut once = store.upload_once(&here, Algorithm::Sha256).await.unwrap();
    once.write(Bytes::from_static(b"half")).await.unwrap();
    std::mem::forget(once);
    warren::fs::create_dir_all(&client.root.path().join("uploads/without-anything")).unwrap();
    client.push_blob("a", b"x").await;
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect(200);
    store.upload_sweep(Duration::from_hours(1)).await.unwrap();
    assert_eq!(store.upload_sweep(Duration::ZERO).await.unwrap(), 1);
    let left = client.files();
    assert!(!left.iter().any(|path| path.starts_with("tmp") || path.starts_with("uploads")));
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect(200);
}
