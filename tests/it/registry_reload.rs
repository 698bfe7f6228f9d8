//! What changes while the server runs: users, policy, configuration,
//! certificate, levels of the log, together and without a dropped connection.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use warren::digest::Digest;
use warren::fs::{self, Access};

use crate::registry_support::{Running, basic, http1, request, tls};

/// Files as a `ConfigMap` or Secret holds them in a pod: links through a link
/// `..data` to a folder, and a change puts another folder behind it.
struct Mount {
    dir: tempfile::TempDir,
    versions: u32,
}

const FILES: [&str; 5] = ["users", "policy.toml", "trow.yaml", "tls.crt", "tls.key"];

impl Mount {
    fn new(files: &[(&str, String)]) -> Self {
        let mut mount = Self { dir: tempfile::tempdir().unwrap(), versions: 0 };
        for name in FILES {
            symlink(format!("..data/{name}"), mount.path(name)).unwrap();
        }
        mount.swap(files);
        mount
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the kubelet does: a new folder, a new link, and a rename over the
    /// old one. The old folder goes away.
    fn swap(&mut self, files: &[(&str, String)]) {
        let old = self.path(&format!("..version{}", self.versions));
        self.versions += 1;
        let folder = format!("..version{}", self.versions);
        fs::create_dir_all(&self.path(&folder)).unwrap();
        for (name, text) in files {
            write(&self.path(&folder).join(name), text);
        }
        symlink(&folder, self.path("..data_tmp")).unwrap();
        fs::rename(&self.path("..data_tmp"), &self.path("..data")).unwrap();
        fs::remove_dir_all_if_there(&old).unwrap();
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let path = |name| self.path(name).display().to_string();
        let mut arguments = vec![
            "--htpasswd".to_owned(),
            path("users"),
            "--policy".to_owned(),
            path("policy.toml"),
            "--config-file".to_owned(),
            path("trow.yaml"),
            format!("--tls={},{}", path("tls.crt"), path("tls.key")),
        ];
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    async fn start(&self, more: &[&str]) -> Running {
        let arguments = self.arguments(more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Running::start(&self.path("data"), &arguments).await
    }
}

fn write(path: &Path, text: &str) {
    fs::write_atomic(path, text.as_bytes(), Access::Owner).unwrap();
}

/// One user, whose password is their name and who may pull everywhere, and a
/// certificate for `localhost`. The certificate signs itself.
struct Version {
    user: &'static str,
    certificate: rcgen::Certificate,
    key: String,
}

impl Version {
    fn new(user: &'static str) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { user, certificate, key: key.serialize_pem() }
    }

    fn files(&self) -> Vec<(&'static str, String)> {
        let user = self.user;
        let rule = format!(
            "[[rule]]\nusers = [\"{user}\"]\nrepositories = [\"**\"]\nactions = [\"pull\"]\n"
        );
        let config = format!(
            "registry_proxies:\nimage_validation:\n  default: Deny\n  allow: [\"r.example/{user}/\"]\n  deny: []\n"
        );
        vec![
            ("users", format!("{user}:{}\n", bcrypt::hash(user, 4).unwrap())),
            ("policy.toml", rule),
            ("trow.yaml", config),
            ("tls.crt", self.certificate.pem()),
            ("tls.key", self.key.clone()),
        ]
    }

    /// The same files with one of them broken.
    fn broken(&self, name: &str, text: &str) -> Vec<(&'static str, String)> {
        let mut files = self.files();
        for (_, content) in files.iter_mut().filter(|(known, _)| *known == name) {
            text.clone_into(content);
        }
        files
    }

    /// A connection that is kept open.
    async fn connect(&self, server: &Running) -> SendRequest<Body> {
        let (stream, _) = tls(server.connect().await, &self.certificate, "localhost", &[]).await;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Whether the server shows this certificate to a new connection.
    async fn is_served(&self, server: &Running) -> bool {
        self.is_shown(server.connect().await).await
    }

    /// Whether it is what whoever is at the other end shows.
    async fn is_shown(&self, stream: TcpStream) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        connector.connect(name, stream).await.is_ok()
    }
}

/// What `GET` of a repository says to a user over this connection: 404 where
/// the user may look, 403 where the policy doesn't let them, 401 for others.
async fn status(sender: &mut SendRequest<Body>, user: &str) -> u16 {
    let credentials = basic(user, user);
    let headers = [("authorization", credentials.as_str())];
    sender.ready().await.unwrap();
    let answer = sender.send_request(request("GET", "/v2/a/tags/list", &headers)).await.unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    status
}

/// Whether the admission webhook lets in the images of a user.
async fn admits(sender: &mut SendRequest<Body>, user: &str) -> bool {
    let review = serde_json::json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "CREATE", "namespace": "a", "object": {
            "spec": {"containers": [{"image": format!("r.example/{user}/a:b")}]}
        }},
    });
    sender.ready().await.unwrap();
    let post = Request::post("/validate-image")
        .header("host", "r.example")
        .header("content-type", "application/json")
        .body(Body::from(review.to_string()))
        .unwrap();
    let answer = sender.send_request(post).await.unwrap();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    body["response"]["allowed"].as_bool().unwrap()
}

/// Waits until the server does what it will do, however long a busy machine
/// takes for it.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if done().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("a minute was not enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configmap_s_swap_is_seen_and_drops_no_connection() {
    let (old, new) = (Version::new("alice"), Version::new("bob"));
    let mut mount = Mount::new(&old.files());
    let server = mount.start(&["--reload-interval", "1"]).await;
    let mut open = old.connect(&server).await;
    assert_eq!([status(&mut open, "alice").await, status(&mut open, "bob").await], [404, 401]);
    assert!(admits(&mut open, "alice").await && !admits(&mut open, "bob").await);

    mount.swap(&new.files());
    until(async || new.is_served(&server).await).await;
    assert!(!old.is_served(&server).await);
    // The same connection as before, by the new rules.
    assert_eq!([status(&mut open, "alice").await, status(&mut open, "bob").await], [401, 404]);
    assert!(!admits(&mut open, "alice").await && admits(&mut open, "bob").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_ends_as_it_began() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    write(&users, &format!("alice:{}\n", bcrypt::hash("alice", 4).unwrap()));
    let arguments = ["--htpasswd", users.to_str().unwrap()];
    let server = Running::start(&dir.path().join("data"), &arguments).await;
    let digest = Digest::sha256(b"0123456789");
    let mut push = server.connect().await;
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: r\r\nAuthorization: {}\r\n\
         Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
        basic("alice", "alice")
    );
    push.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    push.read_exact(&mut go_on).await.unwrap();
    push.write_all(b"01234").await.unwrap();

    write(&users, &format!("bob:{}\n", bcrypt::hash("bob", 4).unwrap()));
    server.reloader.reload().unwrap();
    let alice = basic("alice", "alice");
    assert_eq!(server.get("/v2/", &[("authorization", &alice)]).await.status(), 401);
    push.write_all(b"56789").await.unwrap();
    let mut answer = [0; 12];
    push.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_under_way_ends_whole_whoever_may_pull_by_then() {
    // More than the buffers of a socket hold on both sides.
    const LARGE: usize = 48 << 20;
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    write(&users, &format!("alice:{}\n", bcrypt::hash("alice", 4).unwrap()));
    let arguments = ["--htpasswd", users.to_str().unwrap()];
    let server = Running::start(&dir.path().join("data"), &arguments).await;
    let blob: Vec<u8> = (0..251).cycle().take(LARGE).collect();
    let digest = Digest::sha256(&blob);
    let alice = basic("alice", "alice");
    let push = Request::post(format!("/v2/a/blobs/uploads/?digest={digest}"))
        .header("host", "r.example")
        .header("authorization", &alice)
        .body(Body::from(blob.clone()))
        .unwrap();
    assert_eq!(server.send(push).await.status(), 201);

    let stream = TokioIo::new(server.connect().await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let path = format!("/v2/a/blobs/{digest}");
    let get = || request("GET", &path, &[("authorization", &alice)]);
    let answer = sender.send_request(get()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    write(&users, &format!("bob:{}\n", bcrypt::hash("bob", 4).unwrap()));
    server.reloader.reload().unwrap();
    assert_eq!(server.send(get()).await.status(), 401);
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), LARGE);
    assert!(blob.starts_with(&first) && blob.ends_with(&rest));
    // The next request on the same connection is one by the new rules.
    sender.ready().await.unwrap();
    assert_eq!(sender.send_request(get()).await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_out_shrinks_at_once_and_ends_with_its_user() {
    let (old, new) = (Version::new("alice"), Version::new("bob"));
    let mut mount = Mount::new(&old.files());
    let server = mount.start(&["--reload-interval", "0"]).await;
    let connect = async || tls(server.connect().await, &old.certificate, "localhost", &[]).await.0;
    let alice = basic("alice", "alice");
    let login = request("GET", "/login?scope=repository:a:pull", &[("authorization", &alice)]);
    let answer = http1(connect().await, login).await;
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
    let status = async || {
        let list = request("GET", "/v2/a/tags/list", &[("authorization", &bearer)]);
        http1(connect().await, list).await.status().as_u16()
    };
    assert_eq!(status().await, 404);
    let elsewhere = "[[rule]]\nusers = [\"*\"]\nrepositories = [\"b\"]\nactions = [\"pull\"]\n";
    mount.swap(&old.broken("policy.toml", elsewhere));
    server.reloader.reload().unwrap();
    assert_eq!(status().await, 403);
    let mut files = new.files();
    files.retain(|(name, _)| ["users", "policy.toml", "trow.yaml"].contains(name));
    files.extend(old.files().into_iter().filter(|(name, _)| name.starts_with("tls")));
    mount.swap(&files);
    server.reloader.reload().unwrap();
    assert_eq!(status().await, 401);
}

/// Everything else in the mount is good and new: none of it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_refused_by_name_and_line_with_all_that_came_with_it() {
    let (old, new) = (Version::new("alice"), Version::new("bob"));
    let mut mount = Mount::new(&old.files());
    let server = mount.start(&["--reload-interval", "0"]).await;
    let mut open = old.connect(&server).await;
    let hash = bcrypt::hash("bob", 4).unwrap();
    for (name, text, expected) in [
        ("users", format!("bob:{hash}\ncarol\n"), "users, line 2: expected `user:hash`"),
        ("users", format!("# none\nbob:{hash}\nbob:{hash}\n"), "users, line 3: the user \"bob\""),
        ("users", String::new(), "users holds no user"),
        ("policy.toml", "[[rule]]\nuser = []\n".to_owned(), "policy.toml:2:1: unknown field"),
        ("policy.toml", String::new(), "policy.toml:1:1: there is no [[rule]]"),
        ("trow.yaml", "registry_proxies:\nlog_level: loud\n".to_owned(), "trow.yaml: "),
        ("trow.yaml", "registry_proxies:\nlog_level: loud\n".to_owned(), "line 2"),
        ("tls.crt", old.certificate.pem(), "tls.key is not that of the certificate"),
        ("tls.crt", "nothing".to_owned(), "tls.crt holds no certificate"),
        ("tls.key", String::new(), "tls.key holds no private key"),
    ] {
        mount.swap(&new.broken(name, &text));
        let error = server.reloader.reload().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(&hash), "{error}");
        assert!(old.is_served(&server).await && !new.is_served(&server).await, "{name}");
        assert_eq!(status(&mut open, "alice").await, 404);
        assert!(admits(&mut open, "alice").await && !admits(&mut open, "bob").await);
    }
    let mut files = new.files();
    files.remove(0);
    mount.swap(&files);
    let error = server.reloader.reload().unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("users"), "{error}");
    mount.swap(&new.files());
    server.reloader.reload().unwrap();
    assert!(new.is_served(&server).await);
    assert_eq!([status(&mut open, "alice").await, status(&mut open, "bob").await], [401, 404]);
}

/// A running binary and what it has logged so far, as text.
pub struct Binary {
    child: std::process::Child,
    log: std::io::BufReader<std::process::ChildStderr>,
    text: String,
}

impl Binary {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_warren-registry"))
            .args(arguments)
            .env_clear()
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let log = std::io::BufReader::new(child.stderr.take().unwrap());
        Self { child, log, text: String::new() }
    }

    /// Reads the log up to a line with this in it.
    fn wait_for(&mut self, what: &str) -> String {
        use std::io::BufRead as _;
        loop {
            let mut line = String::new();
            let count = self.log.read_line(&mut line).unwrap();
            assert_ne!(count, 0, "no {what:?} in the log: {}", self.text);
            self.text.push_str(&line);
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits until it listens, and says where.
    pub fn listens(&mut self) -> String {
        let line = self.wait_for("listening");
        let (_, address) = line.split_once("address=").unwrap();
        address.split_whitespace().next().unwrap().to_owned()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Has it end, which it must do well, and gives all of its log.
    pub fn ended(mut self) -> String {
        use std::io::Read as _;
        self.signal(rustix::process::Signal::TERM);
        self.log.read_to_string(&mut self.text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.text);
        std::mem::take(&mut self.text)
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const KEY: &str = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldCBzZWNyZXQ=";
const OTHER_KEY: &str = "YW5vdGhlciBvbmUgYW5vdGhlciBvbmUgYW5vdGhlciBvbmUgYW5vdGhlcg==";

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_takes_a_new_policy_certificate_and_token_key() {
    let (old, new) = (Version::new("alice"), Version::new("alice"));
    let mut mount = Mount::new(&old.files());
    let [key, data] = ["key", "data"].map(|name| mount.path(name));
    write(&key, KEY);
    let arguments = mount.arguments(&[
        "--bind=127.0.0.1:0",
        "--reload-interval=0",
        "--data-dir",
        data.to_str().unwrap(),
        "--token-key-file",
        key.to_str().unwrap(),
    ]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut binary = Binary::start(&arguments);
    let address = binary.listens();
    let connect = async || TcpStream::connect(&address).await.unwrap();
    let get = async |version: &Version, path: &str, credentials: &str| {
        let (stream, _) = tls(connect().await, &version.certificate, "localhost", &[]).await;
        http1(stream, request("GET", path, &[("authorization", credentials)])).await
    };
    let status = async |version: &Version, name: &str, credentials: &str| {
        let path = format!("/v2/{name}/tags/list");
        get(version, &path, credentials).await.status().as_u16()
    };
    let alice = basic("alice", "alice");
    let log_in = async |version: &Version, name: &str| {
        let path = format!("/login?scope=repository:{name}:pull");
        let answer = get(version, &path, &alice).await;
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        format!("Bearer {}", body["token"].as_str().unwrap())
    };
    let before = log_in(&old, "a").await;
    assert_eq!(status(&old, "a", &before).await, 404);
    assert_eq!(status(&old, "a", &alice).await, 404);

    let elsewhere = "[[rule]]\nusers = [\"*\"]\nrepositories = [\"b\"]\nactions = [\"pull\"]\n";
    mount.swap(&new.broken("policy.toml", elsewhere));
    write(&key, OTHER_KEY);
    binary.signal(rustix::process::Signal::HUP);
    binary.wait_for("are read again");
    assert!(new.is_shown(connect().await).await && !old.is_shown(connect().await).await);
    // By the old key, which would be 403 otherwise.
    assert_eq!(status(&new, "a", &before).await, 401);
    assert_eq!([status(&new, "a", &alice).await, status(&new, "b", &alice).await], [403, 404]);
    let after = log_in(&new, "b").await;
    assert_eq!(status(&new, "b", &after).await, 404);
    binary.ended();
}

#[test]
fn a_hangup_reloads_and_no_output_ever_shows_a_secret() {
    use std::io::Read as _;

    use rustix::process::Signal;
    let dir = tempfile::tempdir().unwrap();
    let [users, policy, config, key] =
        ["users", "policy.toml", "trow.yaml", "key"].map(|name| dir.path().join(name));
    let hashes = ["alice-s3cret", "bob-s3cret"].map(|text| bcrypt::hash(text, 4).unwrap());
    let alice = format!("alice:{}\n", hashes[0]);
    let proxy = "registry_proxies:\n  registries:\n  - {host: r.example, username: me, password: ";
    write(&users, &alice);
    write(&policy, "[[rule]]\nusers = [\"*\"]\nrepositories = [\"**\"]\nactions = [\"pull\"]\n");
    write(&config, &format!("{proxy}proxy-s3cret}}\nlog_level: info\n"));
    write(&key, KEY);
    let data = dir.path().join("data");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let paths = [&data, &users, &policy, &config, &key].map(|path| text(path));
    let mut binary = Binary::start(&[
        "--bind=127.0.0.1:0",
        "--reload-interval=0",
        "--data-dir",
        &paths[0],
        "--htpasswd",
        &paths[1],
        "--policy",
        &paths[2],
        "--config-file",
        &paths[3],
        "--token-key-file",
        &paths[4],
        "-U",
        "carol",
        "-P",
        "carol-s3cret",
    ]);
    let address = binary.listens();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let get = |path: &str, credentials: &str| {
        let url = format!("http://{address}{path}");
        let mut answer = agent.get(url).header("authorization", credentials).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    let mut secrets: Vec<String> =
        ["alice-s3cret", "bob-s3cret", "carol-s3cret", "proxy-s3cret"].map(str::to_owned).to_vec();
    secrets.extend(hashes.iter().cloned().chain([KEY.to_owned(), "wr0ng".to_owned()]));
    let mut bodies = String::new();
    let log_in = |user: &str, bodies: &mut String, secrets: &mut Vec<String>| {
        let right = basic(user, &format!("{user}-s3cret"));
        let (status, body) = get("/login", &right);
        assert_eq!(status, 200);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let token = body["token"].as_str().unwrap().to_owned();
        for credentials in [right, basic(user, "wr0ng"), format!("Bearer {token}")] {
            for path in ["/v2/", "/v2/a/tags/list", "/v2/_catalog", "/nothing"] {
                let (_, body) = get(path, &credentials);
                bodies.push_str(&body);
            }
            secrets.push(credentials.split_once(' ').unwrap().1.to_owned());
        }
    };
    log_in("alice", &mut bodies, &mut secrets);
    log_in("carol", &mut bodies, &mut secrets);

    // Each broken file is named with its line, and refused.
    for (path, good, broken, expected) in [
        (&users, alice.clone(), format!("{alice}bob {}\n", hashes[1]), "users, line 2: "),
        (&config, text_of(&config), format!("{proxy}4711}}\n"), "line 3"),
        (&key, KEY.to_owned(), KEY[..20].to_owned(), "key does not hold a token key"),
    ] {
        write(path, &broken);
        binary.signal(Signal::HUP);
        let line = binary.wait_for("are refused");
        assert!(line.contains("ERROR") && line.contains(expected), "{line}");
        assert!(line.contains(path.to_str().unwrap()) && line.contains("SIGHUP"), "{line}");
        write(path, &good);
    }
    assert!(!binary.text.contains("DEBUG"), "{}", binary.text);
    write(&users, &format!("{alice}bob:{}\n", hashes[1]));
    write(&config, &format!("{proxy}proxy-s3cret}}\nlog_level: trace\n"));
    binary.signal(Signal::HUP);
    binary.wait_for("are read again");
    log_in("bob", &mut bodies, &mut secrets);
    binary.signal(Signal::TERM);
    assert!(binary.child.wait().unwrap().success());
    let mut rest = String::new();
    binary.log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("DEBUG"), "the new level holds: {rest}");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        for output in [&binary.text, &rest, &bodies] {
            assert!(!output.contains(secret), "{secret} in {output}");
        }
    }
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
