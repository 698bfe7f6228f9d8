//! Any `Range` gets the bytes that it says it gets, and any `Content-Range`
//! moves an upload by what was taken in, or not at all.
#![no_main]

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use warren::digest::Digest;
use warren::registry::http::router;
use warren::registry::service::Registry;
use warren::registry::store::MemoryStore;

const BLOB: &[u8] = b"0123456789abcdef";

struct Client(axum::Router);

impl Client {
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: &[u8],
    ) -> (Response<()>, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let (parts, body) = self.0.clone().oneshot(request).await.unwrap().into_parts();
        (Response::from_parts(parts, ()), body.collect().await.unwrap().to_bytes().to_vec())
    }
}

fn header<'a>(response: &'a Response<()>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn pull(client: &Client, value: &[u8]) {
    let digest = Digest::sha256(BLOB);
    let start = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(client.send(Method::POST, &start, &[], BLOB).await.0.status(), 201);
    let path = format!("/v2/a/blobs/{digest}");
    let (answer, body) = client.send(Method::GET, &path, &[("range", value)], b"").await;
    let size = BLOB.len();
    match answer.status().as_u16() {
        200 => assert_eq!(body, BLOB),
        206 => {
            let said = header(&answer, "content-range").strip_prefix("bytes ").unwrap();
            let (range, whole) = said.split_once('/').unwrap();
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(whole, size.to_string());
            assert_eq!(body, BLOB[first..=last]);
        }
        416 => assert_eq!(header(&answer, "content-range"), format!("bytes */{size}")),
        other => panic!("{other}"),
    }
}

async fn push(client: &Client, value: &[u8]) {
    let (answer, _) = client.send(Method::POST, "/v2/a/blobs/uploads/", &[], b"").await;
    let location = header(&answer, "location").to_owned();
    client.send(Method::PATCH, &location, &[], BLOB).await;
    let more = b"0123456789";
    let (answer, _) =
        client.send(Method::PATCH, &location, &[("content-range", value)], more).await;
    let (now, _) = client.send(Method::GET, &location, &[], b"").await;
    let last: usize = header(&now, "range").strip_prefix("0-").unwrap().parse().unwrap();
    let taken = last + 1 - BLOB.len();
    match answer.status().as_u16() {
        202 => assert_eq!(taken, more.len()),
        // The range was longer than the body: what came is kept.
        400 => assert!(taken == 0 || taken == more.len()),
        416 => assert_eq!(taken, 0),
        other => panic!("{other}"),
    }
}

/// One for all runs: threads are not begun anew each time.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

libfuzzer_sys::fuzz_target!(|value: &[u8]| {
    if HeaderValue::from_bytes(value).is_err() {
        return;
    }
    let client = Client(router(Arc::new(Registry::new(MemoryStore::new()))));
    RUNTIME.block_on(async {
        pull(&client, value).await;
        push(&client, value).await;
    });
});
