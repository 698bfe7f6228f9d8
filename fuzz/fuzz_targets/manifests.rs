//! Any bytes of any type are taken as a manifest and given back as they came,
//! or refused with an error of the protocol. The first line is the type.
#![no_main]

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use warren::digest::Digest;
use warren::registry::http::router;
use warren::registry::manifest::Manifest;
use warren::registry::service::Registry;
use warren::registry::store::MemoryStore;

async fn push_and_pull(content_type: &[u8], bytes: &[u8]) {
    // Its blobs need not be there: what is looked at is the manifest itself.
    let mut registry = Registry::new(MemoryStore::new());
    registry.limits.sparse_manifests = true;
    let app = router(Arc::new(registry));
    let digest = Digest::sha256(bytes);
    let path = format!("/v2/a/manifests/{digest}");
    let mut push = Request::put(format!("{path}?tag=b"));
    if let Ok(value) = HeaderValue::from_bytes(content_type)
        && !content_type.is_empty()
    {
        push = push.header("content-type", value);
    }
    let answer = app.clone().oneshot(push.body(Body::from(bytes.to_vec())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    if status != 201 {
        assert_eq!(status, 400);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(error["errors"][0]["code"].is_string());
        return;
    }
    for path in [path.as_str(), "/v2/a/manifests/b"] {
        let pull = Request::get(path).body(Body::empty()).unwrap();
        let answer = app.clone().oneshot(pull).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("content-type"));
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), bytes);
    }
}

/// One for all runs: threads are not begun anew each time.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (content_type, rest) = input.split_at(end);
    let bytes = rest.strip_prefix(b"\n").unwrap_or(rest);
    let text = std::str::from_utf8(content_type).ok().filter(|text| !text.is_empty());
    if let Ok((media_type, manifest)) = Manifest::parse(text, bytes) {
        // What was understood is understood the same under its own type.
        assert_eq!(Manifest::parse(Some(&media_type), bytes).unwrap(), (media_type, manifest));
    }
    RUNTIME.block_on(push_and_pull(content_type, bytes));
});
