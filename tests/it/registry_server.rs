//! The server around the protocol: pages, TLS, addresses, folders, the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assert_cmd::assert::OutputAssertExt as _;
use axum::http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use warren::fs::{self, Access};

use crate::registry_support::{Running, bind, has_ipv6, http1, http2, request, tls};

/// A CA and files of a certificate for `localhost` that it signed.
pub struct Pki {
    pub ca: rcgen::Certificate,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pki {
    pub fn new(dir: &Path, name: &str) -> Self {
        Self::valid_until(dir, name, 2999)
    }

    fn valid_until(dir: &Path, name: &str, year: i32) -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        leaf.not_after = rcgen::date_time_ymd(year, 1, 1);
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let files = [dir.join(format!("{name}.crt")), dir.join(format!("{name}.key"))];
        fs::write_atomic(&files[0], leaf.pem().as_bytes(), Access::Everyone).unwrap();
        fs::write_atomic(&files[1], key.serialize_pem().as_bytes(), Access::Owner).unwrap();
        let [certificate_file, key] = files;
        Self { ca: certificate, certificate: certificate_file, key }
    }

    pub fn flag(&self) -> String {
        format!("--tls={},{}", self.certificate.display(), self.key.display())
    }
}

async fn refused(data_dir: &Path, arguments: &[&str]) -> String {
    bind(data_dir, arguments).await.map(|_| ()).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_are_trow_s_and_need_no_login() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    let answer = server.get("/", &[]).await;
    assert_eq!(answer.status(), 200);
    let page = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(page.contains("<h1>Welcome to Trow, the cluster registry</h1>"), "{page}");
    let answer = server.get("/healthz", &[]).await;
    assert_eq!(&answer.body()[..], br#"{"is_healthy":true,"message":""}"#);
    let answer = server.get("/readiness", &[]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(&answer.body()[..], br#"{"is_ready":true,"message":""}"#);
    assert_eq!(server.get("/nothing", &[]).await.status(), 404);

    fs::remove_dir_all_if_there(dir.path()).unwrap();
    fs::write_atomic(dir.path(), b"a file in place of the folder", Access::Everyone).unwrap();
    let answer = server.get("/readiness", &[]).await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["is_ready"], false);
    assert!(!body["message"].as_str().unwrap().is_empty());
    assert!(!body.to_string().contains(dir.path().to_str().unwrap()), "paths are for the log");
    assert_eq!(server.get("/healthz", &[]).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_serves_both_versions_of_http() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path(), "good");
    let data = dir.path().join("data");
    let server = Running::start(&data, &[&pki.flag(), "-U", "u", "-P", "p"]).await;
    let (stream, agreed) = tls(server.connect().await, &pki.ca, "localhost", &["http/1.1"]).await;
    assert_eq!(agreed.as_deref(), Some("http/1.1"));
    let answer = http1(stream, request("GET", "/v2/", &[("host", "localhost:1")])).await;
    assert_eq!(answer.status(), 401);
    assert!(
        answer.headers()["www-authenticate"].to_str().unwrap().contains("https://localhost:1/")
    );

    let (stream, agreed) =
        tls(server.connect().await, &pki.ca, "localhost", &["h2", "http/1.1"]).await;
    assert_eq!(agreed.as_deref(), Some("h2"));
    let request = Request::get("https://localhost:2/v2/").body(axum::body::Body::empty()).unwrap();
    let answer = http2(stream, request).await;
    assert!(
        answer.headers()["www-authenticate"].to_str().unwrap().contains("https://localhost:2/")
    );

    let (stream, agreed) = tls(server.connect().await, &pki.ca, "localhost", &[]).await;
    assert_eq!(agreed, None);
    let answer = http1(stream, crate::registry_support::request("GET", "/", &[])).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_pair_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (good, other) = (Pki::new(dir.path(), "good"), Pki::new(dir.path(), "other"));
    let empty = dir.path().join("empty.pem");
    fs::write_atomic(&empty, b"no PEM in here\n", Access::Everyone).unwrap();
    let damaged = dir.path().join("damaged.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write_atomic(&damaged, pem.as_bytes(), Access::Everyone).unwrap();
    let missing = dir.path().join("missing.pem");
    for (certificate, key, expected) in [
        (&missing, &good.key, "cannot read"),
        (&good.certificate, &missing, "cannot read"),
        (&empty, &good.key, "holds no certificate"),
        (&good.certificate, &empty, "holds no private key"),
        (&good.key, &good.key, "holds no certificate"),
        (&damaged, &good.key, "is damaged"),
        (&good.certificate, &other.key, "is not that of the certificate"),
    ] {
        let flag = format!("--tls={},{}", certificate.display(), key.display());
        let error = refused(&dir.path().join("data"), &[&flag]).await;
        assert!(error.contains(expected), "{expected}: {error}");
        let wrong = if [&missing, &empty, &damaged].contains(&key) { key } else { certificate };
        assert!(error.contains(wrong.to_str().unwrap()), "{error}");
    }
    let old = Pki::valid_until(dir.path(), "expired", 2001);
    bind(&dir.path().join("data"), &[&old.flag()]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    let flag = format!("--bind={}", server.address);
    let error = refused(dir.path(), &[&flag]).await;
    assert!(error.starts_with(&format!("cannot listen on {}", server.address)), "{error}");
    assert!(error.contains("in use") && error.contains("--bind"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_and_both_versions_of_ip() {
    let dir = tempfile::tempdir().unwrap();
    let server = bind(dir.path(), &["--bind=127.0.0.1:0,127.0.0.1:0"]).await.unwrap();
    assert_eq!(server.addresses().len(), 2);
    assert_ne!(server.addresses()[0], server.addresses()[1]);
    if has_ipv6() {
        let server = bind(dir.path(), &["--bind=[::1]:0,127.0.0.1:0"]).await.unwrap();
        assert!(server.addresses().iter().any(std::net::SocketAddr::is_ipv6));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_is_made_and_one_that_can_t_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    bind(&deep, &[]).await.unwrap();
    assert!(deep.is_dir());
    // Root may write anywhere, but not into a file.
    let file = dir.path().join("file");
    fs::write_atomic(&file, b"", Access::Everyone).unwrap();
    for folder in [file.clone(), file.join("below")] {
        let error = refused(&folder, &[]).await;
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
        assert!(error.contains("flag --data-dir") && error.contains("choose another"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_files_that_hold_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let empty = dir.path().join("empty");
    fs::write_atomic(&empty, b"\n", Access::Owner).unwrap();
    for file in [missing, empty] {
        let password = format!("file://{}", file.display());
        let error = refused(&dir.path().join("data"), &["-U", "u", "-P", &password]).await;
        assert!(error.contains(file.to_str().unwrap()), "{error}");
        assert!(error.contains("flag --password"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_arrives_although_the_body_is_still_coming() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    let mut stream = server.connect().await;
    let body = vec![b'x'; 7 << 20];
    let length = body.len();
    let head = format!(
        "PUT /v2/a/blobs/uploads/none?digest=sha256:no HTTP/1.1\r\nHost: r\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 404");
}

#[tokio::test]
async fn a_users_file_without_users_does_not_open_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    warren::fs::write_atomic(&file, b"# nobody yet\n", warren::fs::Access::Owner).unwrap();
    let error = refused(dir.path(), &["--htpasswd", file.to_str().unwrap()]).await;
    assert!(error.contains("users holds no user") && error.contains("htpasswd -B"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--stop-timeout", "0"]).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /v2/").await.unwrap();
    server.stopped().await;
    let _ = busy.read(&mut [0]).await;
}

fn registry(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren-registry"));
    command.args(arguments).env_clear();
    command
}

#[test]
fn the_binary_says_what_it_is() {
    for flag in ["--version", "-V", "-v"] {
        let output = registry(&[flag]).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("warren-registry "));
    }
    let output = registry(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Exit codes: 0") && help.contains("--environment"), "{help}");
}

#[test]
fn the_binary_s_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let output = registry(&["--dry-run", "-d", data]).assert().code(0).get_output().clone();
    assert!(String::from_utf8(output.stdout).unwrap().contains("valid"));
    assert!(!Path::new(data).exists(), "a dry run makes nothing");
    let output = registry(&["--environment", "burrow"]).assert().code(2).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("sandbox"));
    registry(&["--no-such-flag"]).assert().code(2);
    let output =
        registry(&["-d", data, "-c", "/nowhere.crt"]).assert().code(1).get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("/nowhere.crt") && stderr.contains("--no-tls"), "{stderr}");
    let output = registry(&["--environment", "sandbox", "--print-config", "--output", "json"])
        .assert()
        .code(0)
        .get_output()
        .clone();
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(config["user"]["value"], "trow-pass");
    assert_eq!(config["user"]["origin"]["name"], "sandbox");
}

/// The notes' own argument list, with a password file that is there; the log
/// tells neither the password nor what clients send.
#[test]
fn the_binary_starts_as_in_2020_and_ends_on_a_signal() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let dir = tempfile::tempdir().unwrap();
    let pass = dir.path().join("pass");
    fs::write_atomic(&pass, b"s3cr3t-p455\n", Access::Owner).unwrap();
    let mut child = registry(&[
        "--no-tls",
        "-n",
        "paasregistry.lapin.io",
        "-u",
        "trow-pass",
        "--password-file",
        pass.to_str().unwrap(),
        "--port",
        "0",
        "--host",
        "127.0.0.1",
        "--max-blob-size",
        "5",
        "--log-level",
        "trace",
    ])
    .current_dir(dir.path())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    let address = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "ended early: {text}");
        text.push_str(&line);
        if let Some((_, rest)) = line.split_once("address=")
            && line.contains("listening")
        {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let token = crate::registry_support::basic("trow-pass", "s3cr3t-p455");
    let answer = agent.get(format!("http://{address}/v2/")).header("authorization", &token).call();
    assert_eq!(answer.unwrap().status(), 200);
    let answer = agent.get(format!("http://{address}/v2/")).call().unwrap();
    assert_eq!(answer.status(), 401);

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    log.read_to_string(&mut text).unwrap();
    assert!(text.contains("user=\"trow-pass\"") && text.contains("status=401"), "{text}");
    assert!(!text.contains("not served by this version"), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
    assert!(!text.contains(&token), "{text}");
}
