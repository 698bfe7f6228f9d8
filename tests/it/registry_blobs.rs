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
    reply.expect_error(416, "RANGE_INVALID");
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
