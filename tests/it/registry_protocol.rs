//! The distribution protocol as a whole.

use axum::body::Body;
use serde_json::json;
use warren::registry::service::Registry;
use warren::registry::store::MemoryStore;

use crate::registry_client::Client;

#[tokio::test]
async fn the_version_check() {
    let client = Client::new();
    for path in ["/v2", "/v2/"] {
        let reply = client.get(path).await;
        reply.expect(200);
        assert_eq!(reply.json(), json!({}));
    }
    client.send("HEAD /v2/", &[], Body::empty()).await.expect(200);
    let reply = client.send("POST /v2/", &[], Body::empty()).await;
    reply.expect_error(405, "UNSUPPORTED");
    assert_eq!(reply.header("allow"), "GET, HEAD");
}

#[tokio::test]
async fn the_same_over_memory() {
    let root = tempfile::tempdir().unwrap();
    let client = Client::with(root, Registry::new(MemoryStore::new()));
    let (digest, text) = client.push_image("a", "latest", "layer").await;
    assert_eq!(client.get("/v2/a/manifests/latest").await.body, text.as_bytes());
    let location = client.start("a").await;
    client.send(&format!("PATCH {location}"), &[], "0123").await.expect(202);
    assert_eq!(client.get(&location).await.header("range"), "0-3");
    let line = format!("DELETE /v2/a/manifests/{digest}");
    client.send(&line, &[], Body::empty()).await.expect(202);
    client.get("/v2/a/manifests/latest").await.expect_error(404, "MANIFEST_UNKNOWN");
}
