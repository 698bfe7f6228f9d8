//! Any bytes of any type are taken as a manifest and given back as they came,
//! or refused with an error of the protocol; unless the registry takes sparse
//! ones, nothing is taken whose parts are not there. The first line is the type.
#![no_main]

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use warren::digest::Digest;
use warren::registry::http::router;
use warren::registry::manifest::Manifest;
use warren::registry::service::Registry;
use warren::registry::store::MemoryStore;

/// What the repository holds beforehand, as blobs. The first one is a manifest
/// of it, too.
static THERE: [&str; 2] = ["", "{}"];

/// A registry that takes sparse manifests and holds nothing, or one that takes
/// none and holds something.
async fn registry(sparse: bool) -> Router {
    let mut registry = Registry::new(MemoryStore::new());
    registry.limits.sparse_manifests = sparse;
    let app = router(Arc::new(registry));
    if sparse {
        return app;
    }
    let mut pushes = Vec::new();
    for text in THERE {
        let digest = Digest::sha256(text.as_bytes());
        let push = Request::post(format!("/v2/a/blobs/uploads/?digest={digest}"));
        pushes.push(push.body(Body::from(text)).unwrap());
    }
    let manifest = format!("/v2/a/manifests/{}", Digest::sha256(THERE[0].as_bytes()));
    let push = Request::put(manifest).header("content-type", "application/x-other");
    pushes.push(push.body(Body::from(THERE[0])).unwrap());
    for push in pushes {
        assert_eq!(app.clone().oneshot(push).await.unwrap().status(), 201);
    }
    app
}

/// Whether that repository lacks something that a manifest needs, by its JSON
/// alone. `None` where that is written in a way that isn't looked into here.
fn lacks(media_type: &str, bytes: &[u8]) -> Option<bool> {
    let (fields, there): (&[&str], &[&str]) = match media_type {
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => (&["config", "layers"], &THERE),
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            (&["manifests"], &THERE[..1])
        }
        // It may be anything, so it needs nothing.
        _ => return Some(false),
    };
    let there: Vec<String> =
        there.iter().map(|text| Digest::sha256(text.as_bytes()).to_string()).collect();
    let manifest: Value = serde_json::from_slice(bytes).ok()?;
    let manifest = manifest.as_object()?;
    let mut lacks = false;
    for field in fields {
        let descriptors = match manifest.get(*field) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        for descriptor in descriptors {
            let descriptor = descriptor.as_object()?;
            let text = |key: &str| descriptor.get(key).and_then(Value::as_str);
            let kind = text("mediaType").unwrap_or_default();
            let urls = descriptor.get("urls").and_then(Value::as_array);
            let elsewhere = kind.contains(".nondistributable.")
                || kind.contains(".foreign.")
                || urls.is_some_and(|urls| !urls.is_empty());
            let digest = text("digest")?;
            lacks |= !elsewhere && !there.iter().any(|known| known == digest);
        }
    }
    Some(lacks)
}

async fn push_and_pull(sparse: bool, content_type: &[u8], bytes: &[u8]) {
    let app = registry(sparse).await;
    let digest = Digest::sha256(bytes);
    let path = format!("/v2/a/manifests/{digest}");
    let mut push = Request::put(format!("{path}?tag=b"));
    let header = HeaderValue::from_bytes(content_type).ok().filter(|value| !value.is_empty());
    if let Some(value) = &header {
        push = push.header("content-type", value);
    }
    let answer = app.clone().oneshot(push.body(Body::from(bytes.to_vec())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let told = header.as_ref().and_then(|value| value.to_str().ok());
    match Manifest::parse(told, bytes) {
        Err(_) => assert_eq!(status, 400),
        Ok(_) if sparse => assert_eq!(status, 201),
        Ok((media_type, _)) => match lacks(&media_type, bytes) {
            Some(lacks) => assert_eq!(status, if lacks { 404 } else { 201 }),
            None => assert!([201, 404].contains(&status), "{status}"),
        },
    }
    if status != 201 {
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let error: Value = serde_json::from_slice(&body).unwrap();
        let code = error["errors"][0]["code"].as_str().unwrap();
        assert_eq!(code == "MANIFEST_BLOB_UNKNOWN", status == 404, "{code}");
        let pull = Request::get("/v2/a/manifests/b").body(Body::empty()).unwrap();
        assert_eq!(app.oneshot(pull).await.unwrap().status(), 404);
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
    RUNTIME.block_on(async {
        push_and_pull(true, content_type, bytes).await;
        push_and_pull(false, content_type, bytes).await;
    });
});
