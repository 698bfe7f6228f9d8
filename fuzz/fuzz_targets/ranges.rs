//! Any `Range` gets the bytes that HTTP says it gets, and any `Content-Range`
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

/// What a `Range` is answered with.
#[derive(Debug)]
enum Expected {
    /// All bytes: the header is not understood, or asks for several ranges,
    /// which a server may ignore (RFC 9110, 14.2).
    Whole,
    /// From the first byte to the last.
    Part(usize, usize),
    /// None of the bytes that there are.
    Unsatisfiable,
}

/// The grammar of RFC 9110, 14.1.1 and 14.1.2, read from the left, with spaces
/// where lists may have them. A position that doesn't fit 64 bits is not
/// understood, and a last one before the first is refused, as a server may do.
fn expected(value: &[u8]) -> Expected {
    let mut rest = blanks(value);
    let Some((unit, after)) = rest.split_at_checked(5) else { return Expected::Whole };
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Expected::Whole;
    }
    rest = blanks(after);
    let Some(after) = rest.strip_prefix(b"=") else { return Expected::Whole };
    let (first, after) = digits(blanks(after));
    let Some(after) = after.strip_prefix(b"-") else { return Expected::Whole };
    let (last, after) = digits(after);
    if !blanks(after).is_empty() {
        return Expected::Whole;
    }
    let size = BLOB.len() as u64;
    let (first, last) = match (position(first), position(last)) {
        // The last so many bytes.
        (Position::None, Position::At(count)) => (size - count.min(size), size - 1),
        (Position::At(first), Position::None) => (first, size - 1),
        (Position::At(first), Position::At(last)) => (first, last.min(size - 1)),
        _ => return Expected::Whole,
    };
    if first > last {
        return Expected::Unsatisfiable;
    }
    let within = |position: u64| usize::try_from(position).unwrap();
    Expected::Part(within(first), within(last))
}

/// Drops blanks at the start.
fn blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[end..]
}

/// The digits at the start, and what comes after them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

enum Position {
    None,
    At(u64),
    TooFar,
}

fn position(digits: &[u8]) -> Position {
    if digits.is_empty() {
        return Position::None;
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.iter().try_fold(0, add).map_or(Position::TooFar, Position::At)
}

async fn pull(client: &Client, value: &[u8]) {
    let digest = Digest::sha256(BLOB);
    let start = format!("/v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(client.send(Method::POST, &start, &[], BLOB).await.0.status(), 201);
    let path = format!("/v2/a/blobs/{digest}");
    let (answer, body) = client.send(Method::GET, &path, &[("range", value)], b"").await;
    let (status, range) = (answer.status().as_u16(), header(&answer, "content-range"));
    let size = BLOB.len();
    let expected = expected(value);
    match expected {
        Expected::Whole => {
            assert_eq!((status, range, &*body), (200, "", BLOB), "{expected:?}");
            assert_eq!(header(&answer, "content-length"), size.to_string());
        }
        Expected::Part(first, last) => {
            let said = format!("bytes {first}-{last}/{size}");
            assert_eq!((status, range, &*body), (206, &*said, &BLOB[first..=last]));
            assert_eq!(header(&answer, "content-length"), (last - first + 1).to_string());
        }
        Expected::Unsatisfiable => {
            assert_eq!((status, range), (416, &*format!("bytes */{size}")), "{expected:?}");
        }
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
