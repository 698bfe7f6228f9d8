//! Pulling and deleting blobs.

use axum::body::Body;

use crate::registry_client::Client;

#[tokio::test]
async fn ranges_and_conditions_of_a_blob() {
    let client = Client::new();
    let digest = client.push_blob("a", b"0123456789").await;
    let line = format!("GET /v2/a/blobs/{digest}");
    for (range, expected, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let reply = client.send(&line, &[&format!("range: {range}")], Body::empty()).await;
        reply.expect(206);
        assert_eq!(reply.body, expected.as_bytes());
        assert_eq!(reply.header("content-range"), content_range);
        assert_eq!(reply.header("content-length"), expected.len().to_string());
    }
    let reply = client.send(&line, &["range: bytes=10-"], Body::empty()).await;
    reply.expect_error(416, "SIZE_INVALID");
    assert_eq!(reply.header("content-range"), "bytes */10");
    let reply =
        client.send(&line, &["range: bytes=1-2", "if-range: \"other\""], Body::empty()).await;
    reply.expect(200);
    assert_eq!(reply.body.len(), 10);
    for header in [format!("if-none-match: \"x\", W/\"{digest}\""), "if-none-match: *".to_owned()] {
        let reply = client.send(&line, &[&header], Body::empty()).await;
        reply.expect(304);
        assert!(reply.body.is_empty());
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
    }
}

#[tokio::test]
async fn a_large_blob_comes_back_whole() {
    let client = Client::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = client.push_blob("a", &bytes).await;
    let path = format!("/v2/a/blobs/{digest}");
    assert!(client.get(&path).await.body == bytes);
    let line = format!("GET {path}");
    let reply = client.send(&line, &["range: bytes=262143-1000000"], Body::empty()).await;
    assert!(reply.body == bytes[262_143..=1_000_000]);
}

#[tokio::test]
async fn deleting_a_blob_leaves_other_repositories_theirs() {
    let client = Client::new();
    let digest = client.push_blob("a", b"x").await;
    client.push_blob("b", b"x").await;
    let line = format!("DELETE /v2/a/blobs/{digest}");
    client.send(&line, &[], Body::empty()).await.expect(202);
    client.send(&line, &[], Body::empty()).await.expect_error(404, "BLOB_UNKNOWN");
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    client.get(&format!("/v2/b/blobs/{digest}")).await.expect(200);
}

#[tokio::test]
async fn ranges_at_the_edges_of_a_blob() {
    let client = Client::new();
    let digest = client.push_blob("a", b"0123456789").await;
    let (get, etag) = (format!("GET /v2/a/blobs/{digest}"), format!("\"{digest}\""));
    for (header, status, expected) in [
        ("range: bytes=-99", 206, "0123456789"),
        ("range: bytes=9-9", 206, "9"),
        ("range: bytes=0-18446744073709551615", 206, "0123456789"),
        // What isn't one range of bytes is not there.
        ("range: bytes=0-1,4-5", 200, "0123456789"),
        ("range: lines=0-1", 200, "0123456789"),
        ("range: bytes=five-six", 200, "0123456789"),
    ] {
        let reply = client.send(&get, &[header], Body::empty()).await;
        reply.expect(status);
        assert_eq!(reply.body, expected.as_bytes(), "{header}");
        assert_eq!(reply.headers.contains_key("content-range"), status == 206, "{header}");
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    }
    for header in ["range: bytes=-0", "range: bytes=5-4", "range: bytes=10-10"] {
        let reply = client.send(&get, &[header], Body::empty()).await;
        reply.expect_error(416, "SIZE_INVALID");
        assert_eq!(reply.header("content-range"), "bytes */10", "{header}");
    }
    let same = format!("if-range: {etag}");
    client.send(&get, &["range: bytes=1-2", &same], Body::empty()).await.expect(206);
    let known = format!("if-none-match: {etag}");
    client.send(&get, &["range: bytes=1-2", &known], Body::empty()).await.expect(304);
    let head = get.replace("GET", "HEAD");
    let reply = client.send(&head, &["range: bytes=1-2"], Body::empty()).await;
    reply.expect(200);
    assert_eq!(reply.header("content-length"), "10");

    let empty = client.push_blob("a", b"").await;
    let get = format!("GET /v2/a/blobs/{empty}");
    let reply = client.send(&get, &[], Body::empty()).await;
    reply.expect(200);
    assert_eq!((reply.header("content-length"), reply.body.len()), ("0", 0));
    let reply = client.send(&get, &["range: bytes=0-"], Body::empty()).await;
    reply.expect_error(416, "SIZE_INVALID");
    assert_eq!(reply.header("content-range"), "bytes */0");
}
