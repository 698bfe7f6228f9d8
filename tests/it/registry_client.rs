//! A client of the registry's router, without sockets, for the tests of the
//! protocol.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use warren::digest::Digest;
use warren::registry::access::Permissions;
use warren::registry::http::router;
use warren::registry::media;
use warren::registry::service::Registry;
use warren::registry::store::{FsStore, Store};

/// A registry over a folder that goes with it.
pub struct Client {
    pub root: tempfile::TempDir,
    pub router: Router,
    pub permissions: Option<Permissions>,
}

/// A response, all of it.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = FsStore::open(root.path()).unwrap();
        Self::with(root, Registry::new(store))
    }

    pub fn with(root: tempfile::TempDir, registry: Registry<impl Store>) -> Self {
        Self { root, router: router(Arc::new(registry)), permissions: None }
    }

    /// Serves the router on a port of the loopback interface.
    pub async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        address
    }

    /// Sends a request that is written `METHOD path`, with `name: value`
    /// headers.
    pub async fn send(&self, line: &str, headers: &[&str], body: impl Into<Body>) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().extend(
            self.permissions
                .iter()
                .map(|permissions| {
                    let mut extensions = axum::http::Extensions::new();
                    extensions.insert(permissions.clone());
                    extensions
                })
                .next()
                .unwrap_or_default(),
        );
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers["docker-distribution-api-version"], "registry/2.0", "{line}");
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        if line.starts_with("HEAD ") {
            assert!(body.is_empty(), "{line}");
        }
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path}"), &[], Body::empty()).await
    }

    /// Pushes a blob in one request.
    pub async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let line = format!("POST /v2/{name}/blobs/uploads/?digest={digest}");
        let reply = self.send(&line, &[], bytes.to_vec()).await;
        reply.expect(201);
        assert_eq!(reply.header("location"), format!("/v2/{name}/blobs/{digest}"));
        digest
    }

    /// Begins an upload and gives where it goes on.
    pub async fn start(&self, name: &str) -> String {
        let line = format!("POST /v2/{name}/blobs/uploads/");
        let reply = self.send(&line, &[], Body::empty()).await;
        reply.expect(202);
        reply.header("location").to_owned()
    }

    /// Pushes an image with one layer under a tag.
    pub async fn push_image(&self, name: &str, tag: &str, content: &str) -> (Digest, String) {
        let config = self.push_blob(name, b"{}").await;
        let layer = self.push_blob(name, content.as_bytes()).await;
        let manifest = image(&config, &layer, json!({}));
        let digest = self.push_manifest(name, tag, media::OCI_MANIFEST, &manifest).await;
        (digest, manifest)
    }

    pub async fn push_manifest(&self, name: &str, to: &str, kind: &str, text: &str) -> Digest {
        let reply = self.put_manifest(name, to, kind, text).await;
        reply.expect(201);
        let digest = reply.header("docker-content-digest").parse().unwrap();
        assert_eq!(reply.header("location"), format!("/v2/{name}/manifests/{digest}"));
        digest
    }

    pub async fn put_manifest(&self, name: &str, to: &str, kind: &str, text: &str) -> Reply {
        let line = format!("PUT /v2/{name}/manifests/{to}");
        self.send(&line, &[&format!("content-type: {kind}")], text.to_owned()).await
    }

    /// Every file below the data folder, for tests of what is left.
    pub fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for path in warren::fs::list(folder).unwrap() {
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(self.root.path(), self.root.path(), &mut found);
        // What a store holds for as long as it is open.
        found.retain(|path| path != "collecting" && !path.starts_with("processes/"));
        found
    }
}

impl Reply {
    #[track_caller]
    pub fn expect(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
    }

    /// Expects an error of the specification's form.
    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str) {
        self.expect(status);
        assert_eq!(self.json()["errors"][0]["code"], code);
        assert!(self.json()["errors"][0]["message"].is_string());
        assert_eq!(self.header("content-type"), "application/json");
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An image manifest with more fields.
pub fn image(config: &Digest, layer: &Digest, more: Value) -> String {
    let mut manifest = json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": config.to_string(), "size": 2},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": layer.to_string(), "size": 1}],
    });
    let Value::Object(more) = more else { panic!("more fields") };
    manifest.as_object_mut().unwrap().extend(more);
    manifest.to_string()
}
