//! Uploads as a client sees them: sequences of requests, decoded from bytes,
//! against the router over a store, and what a simple model says of each
//! answer. The fuzz target `uploads` has this file too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use warren::digest::{Algorithm, Digest};
use warren::registry::http::router;
use warren::registry::service::Registry;
use warren::registry::store::Store;

/// Names that share a folder, and one that is like an upload's.
const REPOSITORIES: [&str; 3] = ["a", "a/b", "uploads"];

/// An upload as its client remembers it.
struct Upload {
    repository: &'static str,
    location: String,
    algorithm: Algorithm,
    bytes: Vec<u8>,
    open: bool,
}

/// An answer, all of it.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A registry, and what it should hold.
struct Game<'a, S> {
    open: &'a dyn Fn() -> S,
    router: Router,
    uploads: Vec<Upload>,
    blobs: BTreeMap<(&'static str, Digest), Vec<u8>>,
    digests: Vec<Digest>,
    script: &'a [u8],
    sent: usize,
}

/// Plays a script against a store. `open` is also a restart: what it gives
/// holds what the last one held.
///
/// # Panics
/// Where an answer is not what the model says.
pub async fn play<S: Store>(script: &[u8], open: &dyn Fn() -> S) {
    let mut game = Game {
        open,
        router: serve(open()),
        uploads: Vec::new(),
        blobs: BTreeMap::new(),
        digests: vec![Digest::sha256(b"never pushed")],
        script,
        sent: 0,
    };
    // As many as a second of fuzzing should see several of.
    for _ in 0..64 {
        let Some((command, rest)) = game.script.split_first() else { break };
        game.script = rest;
        game.step(*command).await;
    }
    game.agree().await;
    game.router = serve(open());
    game.agree().await;
}

fn serve<S: Store>(store: S) -> Router {
    router(Arc::new(Registry::new(store)))
}

impl<S: Store> Game<'_, S> {
    /// The next byte of the script, less than `below`; digits stand for
    /// themselves, so that a script can be written by hand.
    fn number(&mut self, below: usize) -> usize {
        let Some((byte, rest)) = self.script.split_first() else { return 0 };
        self.script = rest;
        usize::from(byte.wrapping_sub(b'0')) % below
    }

    fn repository(&mut self) -> &'static str {
        REPOSITORIES[self.number(REPOSITORIES.len())]
    }

    /// Other bytes each time.
    fn bytes(&mut self) -> Vec<u8> {
        let count = self.number(40);
        self.sent += 1;
        (0..count).map(|index| u8::try_from((self.sent * 31 + index) % 251).unwrap()).collect()
    }

    fn digest(&mut self) -> Digest {
        let index = self.number(self.digests.len());
        self.digests[index].clone()
    }

    async fn send(&self, line: &str, headers: &[(&str, String)], body: Vec<u8>) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Remembers a blob that was acknowledged.
    fn acknowledged(&mut self, repository: &'static str, digest: Digest, bytes: Vec<u8>) {
        if !self.digests.contains(&digest) {
            self.digests.push(digest.clone());
        }
        self.blobs.insert((repository, digest), bytes);
    }

    fn begun(&mut self, repository: &'static str, algorithm: Algorithm, reply: &Reply) {
        assert_eq!(reply.status, 202);
        assert_eq!(reply.header("range"), "0-0");
        let location = reply.header("location").to_owned();
        assert!(location.starts_with(&format!("/v2/{repository}/blobs/uploads/")), "{location}");
        self.uploads.push(Upload {
            repository,
            location,
            algorithm,
            bytes: Vec::new(),
            open: true,
        });
    }
}

/// What a request with a body says of where its bytes go.
enum Chunk {
    /// Nothing.
    Unsaid,
    /// A range from so far off the right start, and a body which is so much
    /// longer than the range; a negative number is shorter.
    Said { off: isize, longer: isize, length: bool },
}

impl<S: Store> Game<'_, S> {
    async fn step(&mut self, command: u8) {
        match command {
            b's' => self.start(Algorithm::Sha256).await,
            b'S' => self.start(Algorithm::Sha512).await,
            b'o' => self.once(true).await,
            b'O' => self.once(false).await,
            b'p' => self.patch(Chunk::Unsaid).await,
            b'c' => self.patch(Chunk::Said { off: 0, longer: 0, length: true }).await,
            b'C' => {
                let off = self.number(9).cast_signed() - 4;
                self.patch(Chunk::Said { off, longer: 0, length: false }).await;
            }
            b'x' => {
                let longer = self.number(9).cast_signed() - 4;
                let length = self.number(2) == 1;
                self.patch(Chunk::Said { off: 0, longer, length }).await;
            }
            b'g' => self.status().await,
            b'f' => self.finish(true, false).await,
            b'z' => self.finish(true, true).await,
            b'F' => self.finish(false, false).await,
            b'b' => self.finish_badly().await,
            b'k' => self.cancel().await,
            b'm' => self.mount(true).await,
            b'M' => self.mount(false).await,
            b'd' => self.delete().await,
            b'r' => self.router = serve((self.open)()),
            b'a' => self.agree().await,
            _ => {}
        }
    }

    async fn start(&mut self, algorithm: Algorithm) {
        let repository = self.repository();
        let line =
            format!("POST /v2/{repository}/blobs/uploads/?digest-algorithm={}", algorithm.name());
        let reply = self.send(&line, &[], Vec::new()).await;
        self.begun(repository, algorithm, &reply);
    }

    /// One POST with everything.
    async fn once(&mut self, right: bool) {
        let (repository, bytes) = (self.repository(), self.bytes());
        let digest = if right { Digest::sha256(&bytes) } else { Digest::sha256(b"other") };
        let line = format!("POST /v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.send(&line, &[], bytes.clone()).await;
        if right {
            assert_eq!(reply.status, 201);
            self.acknowledged(repository, digest, bytes);
        } else {
            assert_eq!((reply.status, reply.code()), (400, "DIGEST_INVALID".to_owned()));
        }
    }

    /// One of the uploads, or none where none was begun.
    fn upload(&mut self) -> Option<usize> {
        if self.uploads.is_empty() {
            return None;
        }
        Some(self.number(self.uploads.len()))
    }

    /// A chunk, right or not: what is refused changes nothing, or leaves a
    /// part from which the client can go on.
    async fn patch(&mut self, chunk: Chunk) {
        let Some(index) = self.upload() else { return };
        let bytes = self.bytes();
        let upload = &self.uploads[index];
        let mut headers = Vec::new();
        let (received, mut expected, mut kept) = (upload.bytes.len(), 202, bytes.len());
        if let Chunk::Said { off, longer, length } = chunk {
            let start = received.saturating_add_signed(off);
            let promised = bytes.len().saturating_add_signed(-longer);
            if promised == 0 {
                return;
            }
            headers.push(("content-range", format!("{start}-{}", start + promised - 1)));
            if length {
                headers.push(("content-length", bytes.len().to_string()));
            }
            if start != received {
                (expected, kept) = (416, 0);
            } else if promised != bytes.len() {
                // A length that contradicts the range is seen before the body.
                expected = 400;
                if length || bytes.len() > promised {
                    kept = 0;
                }
            }
        }
        let line = format!("PATCH {}", upload.location);
        let reply = self.send(&line, &headers, bytes.clone()).await;
        let upload = &mut self.uploads[index];
        if !upload.open {
            assert_eq!((reply.status, reply.code()), (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
            return;
        }
        assert_eq!(reply.status, expected, "{line} {headers:?}: {}", reply.code());
        upload.bytes.extend_from_slice(&bytes[..kept]);
        if expected != 400 {
            assert_eq!(reply.header("location"), upload.location);
            assert_eq!(reply.header("range"), upload.range());
        }
    }

    async fn status(&mut self) {
        let Some(index) = self.upload() else { return };
        let elsewhere = self.repository();
        let upload = &self.uploads[index];
        upload.agrees(&self.send(&format!("GET {}", upload.location), &[], Vec::new()).await);
        if elsewhere != upload.repository {
            let name = upload.location.rsplit('/').next().unwrap();
            let line = format!("GET /v2/{elsewhere}/blobs/uploads/{name}");
            assert_eq!(self.send(&line, &[], Vec::new()).await.status, 404, "{line}");
        }
    }
}

impl Upload {
    fn range(&self) -> String {
        format!("0-{}", self.bytes.len().saturating_sub(1))
    }

    fn agrees(&self, reply: &Reply) {
        if self.open {
            assert_eq!((reply.status, reply.header("range")), (204, self.range().as_str()));
        } else {
            assert_eq!(reply.status, 404, "{}", self.location);
        }
    }
}

impl Reply {
    /// The code of an error.
    fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl<S: Store> Game<'_, S> {
    /// The last bytes and the digest: of these bytes or of others, by the
    /// algorithm that was announced or by the other one.
    async fn finish(&mut self, right: bool, other_algorithm: bool) {
        let Some(index) = self.upload() else { return };
        let bytes = self.bytes();
        let upload = &self.uploads[index];
        let algorithm = match (upload.algorithm, other_algorithm) {
            (Algorithm::Sha256, false) | (Algorithm::Sha512, true) => Algorithm::Sha256,
            (Algorithm::Sha512, false) | (Algorithm::Sha256, true) => Algorithm::Sha512,
        };
        let all = [upload.bytes.as_slice(), bytes.as_slice()].concat();
        let digest = Digest::of(algorithm, if right { &all } else { b"other" });
        let line = format!("PUT {}?digest={digest}", upload.location);
        let reply = self.send(&line, &[], bytes).await;
        let upload = &mut self.uploads[index];
        if !upload.open {
            assert_eq!((reply.status, reply.code()), (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
            return;
        }
        upload.open = false;
        let repository = upload.repository;
        if right {
            assert_eq!(reply.status, 201, "{}", reply.code());
            assert_eq!(reply.header("location"), format!("/v2/{repository}/blobs/{digest}"));
            self.acknowledged(repository, digest, all);
        } else {
            assert_eq!((reply.status, reply.code()), (400, "DIGEST_INVALID".to_owned()));
        }
    }

    /// Something that is no digest, or a range that is none: the upload stays
    /// as it was.
    async fn finish_badly(&mut self) {
        let Some(index) = self.upload() else { return };
        let which = self.number(4);
        let bytes = self.bytes();
        let upload = &self.uploads[index];
        let query = ["", "?digest=", "?digest=sha256:0", "?digest=md5:d41d8cd98f00b204e9800998"];
        let line = format!("PUT {}{}", upload.location, query[which]);
        let reply = self.send(&line, &[], bytes).await;
        assert_eq!((reply.status, reply.code()), (400, "DIGEST_INVALID".to_owned()), "{line}");
        upload.agrees(&self.send(&format!("GET {}", upload.location), &[], Vec::new()).await);
    }

    async fn cancel(&mut self) {
        let Some(index) = self.upload() else { return };
        let line = format!("DELETE {}", self.uploads[index].location);
        let reply = self.send(&line, &[], Vec::new()).await;
        let expected = if self.uploads[index].open { 204 } else { 404 };
        assert_eq!(reply.status, expected, "{line}");
        self.uploads[index].open = false;
    }

    /// From a repository, or from wherever the blob is; what can't be mounted
    /// becomes an upload.
    async fn mount(&mut self, named: bool) {
        let (to, from, digest) = (self.repository(), self.repository(), self.digest());
        let source = if named { format!("&from={from}") } else { String::new() };
        let line = format!("POST /v2/{to}/blobs/uploads/?mount={digest}{source}");
        let reply = self.send(&line, &[], Vec::new()).await;
        let places: &[&'static str] = if named { &[to, from] } else { &REPOSITORIES };
        let held = places.iter().find_map(|place| self.blobs.get(&(*place, digest.clone())));
        if let Some(bytes) = held.cloned() {
            assert_eq!(reply.status, 201, "{line}");
            self.acknowledged(to, digest, bytes);
        } else {
            self.begun(to, Algorithm::Sha256, &reply);
        }
    }

    async fn delete(&mut self) {
        let (repository, digest) = (self.repository(), self.digest());
        let line = format!("DELETE /v2/{repository}/blobs/{digest}");
        let reply = self.send(&line, &[], Vec::new()).await;
        let held = self.blobs.remove(&(repository, digest)).is_some();
        assert_eq!(reply.status, if held { 202 } else { 404 }, "{line}");
    }

    /// Everything is as the model has it, and nothing else is there.
    async fn agree(&self) {
        for upload in &self.uploads {
            upload.agrees(&self.send(&format!("GET {}", upload.location), &[], Vec::new()).await);
        }
        let digests: BTreeSet<&Digest> = self.digests.iter().collect();
        for repository in REPOSITORIES {
            for digest in &digests {
                let path = format!("/v2/{repository}/blobs/{digest}");
                let head = self.send(&format!("HEAD {path}"), &[], Vec::new()).await;
                let reply = self.send(&format!("GET {path}"), &[], Vec::new()).await;
                match self.blobs.get(&(repository, (*digest).clone())) {
                    None => assert_eq!((head.status, reply.status), (404, 404), "{path}"),
                    Some(bytes) => {
                        assert_eq!((head.status, reply.status), (200, 200), "{path}");
                        assert_eq!(head.header("content-length"), bytes.len().to_string());
                        assert_eq!(&reply.body, bytes, "{path}");
                    }
                }
            }
        }
    }
}
