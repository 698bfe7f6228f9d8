//! A registry in this process, and a client small enough to see every byte.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use base64::Engine as _;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warren::digest::Digest;
use warren::registry::server::{Reloader, Server, ServerError};
use warren::registry::settings::{Flags, Settings, Variables};
use warren::registry::store::Store;

/// A running server. Dropping it ends it without grace.
pub struct Running {
    pub address: SocketAddr,
    pub reloader: Arc<Reloader>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a server on a port of its own, with no variables but these
    /// arguments.
    pub async fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::run(bind(data_dir, arguments).await.unwrap())
    }

    /// The same with a line of the 2020 generation, which `--bind` would make a
    /// newer one. It says where to listen.
    pub async fn start_2020(data_dir: &Path, arguments: &[&str]) -> Self {
        let mut line = vec!["warren-registry", "--data-dir", data_dir.to_str().unwrap()];
        line.extend(arguments);
        let flags = Flags::parse_line(line).unwrap();
        let settings = Settings::resolve(&flags, &Variables::these(&[])).unwrap();
        Self::run(Server::bind(settings).await.unwrap())
    }

    /// A server over a store that the test has made in this folder.
    pub async fn over(data_dir: &Path, store: impl Store) -> Self {
        let line =
            ["warren-registry", "--data-dir", data_dir.to_str().unwrap(), "--bind=127.0.0.1:0"];
        let settings =
            Settings::resolve(&Flags::parse_line(line).unwrap(), &Variables::these(&[])).unwrap();
        Self::run(Server::bind_with(settings, store).await.unwrap())
    }

    fn run(server: Server) -> Self {
        let reloader = server.reloader();
        let address = server.addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, reloader, stop: Some(stop), task }
    }

    /// Tells it to stop, and does not wait.
    pub fn begin_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Waits until it has.
    pub async fn stopped(mut self) {
        self.begin_stop();
        (&mut self.task).await.unwrap();
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One request over a connection of its own, HTTP/1.
    pub async fn send(&self, request: Request<Body>) -> Response<Bytes> {
        http1(self.connect().await, request).await
    }

    /// GET with headers.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
        self.send(request("GET", path, headers)).await
    }

    /// A token for this user, asked for with this query.
    pub async fn token(&self, user: &str, password: &str, query: &str) -> String {
        let answer =
            self.get(&format!("/login{query}"), &[("authorization", &basic(user, password))]).await;
        assert_eq!(answer.status(), 200);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["token"], body["access_token"]);
        assert_eq!(body["expires_in"], 3600);
        body["token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Binds a server on a port of its own unless the arguments name one.
pub async fn bind(data_dir: &Path, arguments: &[&str]) -> Result<Server, ServerError> {
    let data_dir = data_dir.to_str().unwrap();
    let mut line = vec!["warren-registry", "--data-dir", data_dir];
    if !arguments.iter().any(|argument| argument.starts_with("--bind")) {
        line.push("--bind=127.0.0.1:0");
    }
    line.extend(arguments);
    let flags = Flags::parse_line(line).unwrap();
    Server::bind(Settings::resolve(&flags, &Variables::these(&[]))?).await
}

/// Whether this machine has IPv6 at all. Where it has not a test leaves that out,
/// and everybody who runs it is told, also where it passes.
pub fn has_ipv6() -> bool {
    use std::io::Write as _;
    let six = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !six {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Unlike `eprintln`, whose output is shown of tests that fail alone.
        let _ = writeln!(std::io::stderr(), "NOTICE: no ::1 here: {test} left IPv6 out");
    }
    six
}

/// A request without a body. A host header is the caller's affair.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "r.example");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// The value of an `Authorization` header.
pub fn basic(user: &str, password: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {encoded}")
}

/// One request over HTTP/1.
pub async fn http1<S>(stream: S, request: Request<Body>) -> Response<Bytes>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    collect(sender.send_request(request).await.unwrap()).await
}

/// One request over HTTP/2 with prior knowledge.
pub async fn http2<S>(stream: S, request: Request<Body>) -> Response<Bytes>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    collect(sender.send_request(request).await.unwrap()).await
}

async fn collect(response: Response<hyper::body::Incoming>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// TLS to a server whose certificate this CA has signed, offering these
/// protocols. The second value is what was agreed on.
pub async fn tls(
    stream: TcpStream,
    ca: &rcgen::Certificate,
    name: &str,
    protocols: &[&str],
) -> (tokio_rustls::client::TlsStream<TcpStream>, Option<String>) {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    let agreed = stream.get_ref().1.alpn_protocol();
    let agreed = agreed.map(|name| String::from_utf8(name.to_vec()).unwrap());
    (stream, agreed)
}

/// Pushes an image of one small layer under a tag, and gives its digest.
pub async fn push_image(server: &Running, login: &str, name: &str, tag: &str) -> Digest {
    let send = async |method: &str, path: String, kind: &str, body: String| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "r.example")
            .header("authorization", login)
            .header("content-type", kind)
            .body(Body::from(body))
            .unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.status(), 201, "{:?}", answer.body());
    };
    let config = "{}";
    let layer = format!("{name}:{tag}");
    for blob in [config, &layer] {
        let digest = Digest::sha256(blob.as_bytes());
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        send("POST", path, "application/octet-stream", blob.to_owned()).await;
    }
    let manifest = crate::registry_client::image(
        &Digest::sha256(config.as_bytes()),
        &Digest::sha256(layer.as_bytes()),
        serde_json::json!({}),
    );
    let path = format!("/v2/{name}/manifests/{tag}");
    send("PUT", path, warren::registry::media::OCI_MANIFEST, manifest.clone()).await;
    Digest::sha256(manifest.as_bytes())
}

/// A header as text.
pub fn header<B>(response: &Response<B>, name: &str) -> String {
    response
        .headers()
        .get(name)
        .map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}
