//! Collection and scrub as an operator asks for them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use assert_cmd::Command;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use warren::digest::Digest;
use warren::fs;
use warren::registry::media;

use crate::registry_client::image;
use crate::registry_process::Process;
use crate::registry_pull::flip_unseen;
use crate::registry_support::Running;

fn warren_registry(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("warren-registry").unwrap();
    command.args(arguments).env_clear();
    command
}

async fn push(server: &Running, name: &str, text: &'static str) -> Digest {
    let digest = Digest::sha256(text.as_bytes());
    let request = Request::post(format!("/v2/{name}/blobs/uploads/?digest={digest}"))
        .header("host", "registry")
        .header("content-length", text.len())
        .body(Body::from(text))
        .unwrap();
    assert_eq!(server.send(request).await.status(), 201);
    digest
}

/// Runs a command off the async threads, as the server answers in them. What it
/// printed on both streams, and its exit code.
async fn run(arguments: Vec<String>) -> (String, String, i32) {
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        warren_registry(&arguments).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let [out, told] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (out, told, output.status.code().unwrap())
}

async fn json(arguments: Vec<String>) -> (Value, i32) {
    let (out, told, code) = run(arguments).await;
    (serde_json::from_str(&out).unwrap_or(told.into()), code)
}

async fn text(arguments: Vec<String>) -> (String, i32) {
    let (out, _, code) = run(arguments).await;
    (out, code)
}

fn line(command: &str, folder: &Path, more: &[&str]) -> Vec<String> {
    let folder = folder.display().to_string();
    let text = more.iter().any(|word| word.starts_with("--output"));
    let format = if text { &[][..] } else { &["--output", "json"] };
    let start = [&[command, "--data-dir", &folder], format].concat();
    start.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_the_running_server_collect() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path(), &["--gc-lease", "0s"]).await;
    push(&server, "a", "nobody's").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (dry, code) = json(line("gc", root.path(), &["--dry-run"])).await;
    assert_eq!((dry["links"].as_u64(), code), (Some(1), 0), "{dry}");
    let (done, code) = json(line("gc", root.path(), &[])).await;
    assert_eq!((done["removed"].as_u64(), done["bytes"].as_u64(), code), (Some(1), Some(8), 0));
    push(&server, "a", "nobody's").await;
    server.stopped().await;
    // Without a server the command does it, and keeps what is young.
    let (done, code) = json(line("gc", root.path(), &[])).await;
    assert_eq!((done["links"].as_u64(), done["leased"].as_u64(), code), (Some(0), Some(1), 0));
}

/// Two versions of a tag: no tag leads to the first any more.
async fn push_twice(server: &Running) -> [String; 2] {
    let config = push(server, "a", "{}").await;
    let mut paths = Vec::new();
    for version in ["1", "2"] {
        let text = image(&config, &config, json!({"version": version}));
        let digest = Digest::sha256(text.as_bytes());
        let request = Request::put("/v2/a/manifests/tag")
            .header("host", "registry")
            .header("content-type", media::OCI_MANIFEST)
            .body(Body::from(text))
            .unwrap();
        assert_eq!(server.send(request).await.status(), 201);
        paths.push(format!("/v2/a/manifests/{digest}"));
    }
    paths.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_no_tag_leads_to_go_where_it_is_said() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path(), &["--gc-lease", "0s"]).await;
    let [old, new] = push_twice(&server).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for untagged in [&["--untagged", "off"][..], &["--untagged", "1h"], &[]] {
        let (done, code) = json(line("gc", root.path(), untagged)).await;
        assert_eq!((done["manifests"].as_u64(), code), (Some(0), 0), "{untagged:?}: {done}");
    }
    let (done, code) = json(line("gc", root.path(), &["--untagged", "0s"])).await;
    assert_eq!((done["manifests"].as_u64(), code), (Some(1), 0), "{done}");
    assert_eq!(server.get(&old, &[]).await.status(), 404);
    assert_eq!(server.get(&new, &[]).await.status(), 200);
    server.stopped().await;

    // By itself, as the server's settings say.
    let settings = ["--gc-lease", "0s", "--gc-untagged", "0s", "--gc-interval", "1s"];
    let server = Running::start(root.path(), &settings).await;
    let [old, new] = push_twice(&server).await;
    let mut status = server.get(&old, &[]).await.status();
    for _ in 0..40 {
        // What is asked for renews its lease, so not often.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        status = server.get(&old, &[]).await.status();
        if status == 404 {
            break;
        }
    }
    assert_eq!(status, 404);
    assert_eq!(server.get(&new, &[]).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_the_running_server_scrub() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path(), &[]).await;
    let digest = push(&server, "a", "content").await;
    let (found, code) = json(line("scrub", root.path(), &[])).await;
    assert_eq!((found["contents"].as_u64(), code), (Some(1), 0), "{found}");
    let hex = digest.hex();
    let file = root.path().join("blobs/sha256").join(&hex[..2]).join(hex);
    fs::write_atomic(&file, b"c0ntent", fs::Access::Everyone).unwrap();
    let (found, code) = json(line("scrub", root.path(), &["--rate", "100"])).await;
    assert_eq!((found["damaged"][0].as_str(), code), (Some(&*digest.to_string()), 1));
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(
        server.send(crate::registry_support::request("HEAD", &path, &[])).await.status(),
        404
    );
    push(&server, "a", "content").await;
    assert_eq!(server.get(&path, &[]).await.body(), "content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_is_asked_for_in_vain_until_it_is_pushed_again() {
    let root = tempfile::tempdir().unwrap();
    let server = Running::start(root.path(), &[]).await;
    let text = "any text";
    let digest = Digest::sha256(text.as_bytes());
    let path = format!("/v2/a/manifests/{digest}");
    let put = || {
        Request::put(&path)
            .header("host", "registry")
            .header("content-type", "text/plain")
            .body(Body::from(text))
            .unwrap()
    };
    let head = || crate::registry_support::request("HEAD", &path, &[]);
    assert_eq!(server.send(put()).await.status(), 201);
    // Long enough ago to be remembered.
    tokio::time::sleep(Duration::from_millis(150)).await;
    for _ in 0..2 {
        assert_eq!(server.send(head()).await.status(), 200);
    }
    let hex = digest.hex();
    let file = root.path().join("blobs/sha256").join(&hex[..2]).join(hex);
    fs::write_atomic(&file, b"other text", fs::Access::Everyone).unwrap();
    let (found, _) = json(line("scrub", root.path(), &[])).await;
    assert_eq!(found["damaged"][0].as_str(), Some(&*digest.to_string()));
    assert_eq!(server.send(head()).await.status(), 404);
    assert_eq!(server.get(&path, &[]).await.status(), 500);
    assert_eq!(server.send(put()).await.status(), 201);
    let answer = server.get(&path, &[]).await;
    assert_eq!((answer.status().as_u16(), &**answer.body()), (200, text.as_bytes()));
    assert_eq!(answer.headers()["content-security-policy"], "sandbox; default-src 'none'");
    assert!(fs::list(&root.path().join("quarantine")).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_cannot_be_set_aside_is_said_so_and_served_to_nobody() {
    let root = tempfile::tempdir().unwrap();
    let first = Running::start(root.path(), &[]).await;
    let digest = push(&first, "a", "content").await;
    let path = format!("/v2/a/blobs/{digest}");
    let second = Running::start(root.path(), &[]).await;
    for server in [&first, &second] {
        assert_eq!(server.get(&path, &[]).await.status(), 200);
    }
    let hex = digest.hex();
    flip_unseen(&root.path().join("blobs/sha256").join(&hex[..2]).join(hex));
    let (found, code) = json(line("scrub", root.path(), &[])).await;
    assert_eq!(code, 1, "{found}");
    assert_eq!(found["damaged"], serde_json::json!([]));
    assert_eq!(found["in_place"], serde_json::json!([digest.to_string()]));
    let (told, code) = text(line("scrub", root.path(), &["--output=text"])).await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(&format!("damaged, left in place: {digest}")), "{told}");
    assert!(!root.path().join("quarantine").join(format!("sha256-{hex}")).exists());

    // The later one is asked to scrub, and knows.
    let head = || crate::registry_support::request("HEAD", &path, &[]);
    assert_eq!(second.send(head()).await.status(), 404);
    assert_eq!(second.get(&path, &[]).await.status(), 500);
    assert_eq!(second.get(&path, &[("range", "bytes=0-1")]).await.status(), 404);
    // The other one finds out, and knows from then on.
    let cut = cut_or_refused(&first, &path).await;
    assert!(cut, "it was served");
    assert_eq!(first.send(head()).await.status(), 404);
    push(&first, "a", "content").await;
    for server in [&first, &second] {
        assert_eq!(server.get(&path, &[]).await.body(), "content");
    }
}

/// Whether a pull ends before its length.
async fn cut_or_refused(server: &Running, path: &str) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = server.connect().await;
    let head = format!("GET {path} HTTP/1.1\r\nhost: r\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let text = String::from_utf8_lossy(&all).into_owned();
    !text.starts_with("HTTP/1.1 200") || text.ends_with("\r\n\r\n")
}

/// Contents of half a MiB each, which a scrub at a MiB a second takes long to read.
const HALVES: usize = 3;

fn push_halves(process: &Process) -> Vec<Digest> {
    let push = |number: usize| {
        let bytes = vec![b'0' + u8::try_from(number).unwrap(); 1 << 19];
        let digest = Digest::sha256(&bytes);
        let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        assert_eq!(process.send(&line, &[], &bytes).status, 201);
        digest
    };
    (0..HALVES).map(push).collect()
}

#[test]
fn a_scrub_runs_by_itself_at_its_rate_and_finds_what_rotted() {
    let root = tempfile::tempdir().unwrap();
    let process = Process::start(root.path(), &["--scrub-interval=off"]);
    let digests = push_halves(&process);
    process.terminate();
    process.ended();
    let hex = digests[1].hex();
    flip_unseen(&root.path().join("blobs/sha256").join(&hex[..2]).join(hex));

    let process = Process::start(root.path(), &["--scrub-interval=1s", "--scrub-rate=1"]);
    let done = process.line(|line| line["message"] == "scrubbed the store");
    assert_eq!((&done["contents"], &done["damaged"]), (&3.into(), &1.into()), "{done}");
    assert_eq!((&done["bytes"], &done["finished"]), (&(HALVES << 19).into(), &true.into()));
    for (digest, status) in digests.iter().zip([200, 404, 200]) {
        assert_eq!(process.send(&format!("HEAD /v2/a/blobs/{digest}"), &[], b"").status, status);
    }
    let metrics = String::from_utf8(process.send("GET /metrics", &[], b"").body).unwrap();
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).trim().parse::<f64>().unwrap()
    };
    let items = "warren_registry_task_items_total";
    assert!(value(&format!(r#"{items}{{task="scrub",treatment="damaged"}}"#)) >= 1.0);
    assert!(value(&format!(r#"{items}{{task="scrub",treatment="examined"}}"#)) >= 3.0);
    // A MiB and a half at a MiB a second; a slow machine only takes longer.
    let seconds = value(r#"warren_registry_task_seconds_total{task="scrub"}"#);
    assert!(seconds > 1.3, "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_scrub_tells_of_its_progress() {
    let root = tempfile::tempdir().unwrap();
    let process = Process::start(root.path(), &["--scrub-interval=off"]);
    push_halves(&process);
    let scrub = || line("scrub", root.path(), &["--rate", "1"]);
    let (out, told, code) = run(scrub()).await;
    assert_eq!(code, 0, "{out}{told}");
    assert!(told.contains("looked at "), "by the server: {told}");
    process.terminate();
    process.ended();
    let (out, told, code) = run(scrub()).await;
    assert_eq!(code, 0, "{out}{told}");
    assert!(told.contains("looked at "), "by the command: {told}");
}

/// How many repositories a collection has to wait for.
const HELD: usize = 20;

/// Runs a collection that waits for the lock of each repository, until it tells
/// of its progress; gives whether it did before it had them all.
fn waiting_collection(root: &Path) -> bool {
    let hold = |number: usize| {
        let path = root.join("repositories").join(name(number)).join("_lock");
        let options = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = options.unwrap();
        file.lock().unwrap();
        file
    };
    let mut locks: Vec<File> = (0..HELD).rev().map(hold).collect();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_warren-registry"));
    command.args(line("gc", root, &[])).env_clear().env("WARREN_REGISTRY_GC_LEASE", "0s");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let (mut told, mut all) = (false, String::new());
    while !told && !locks.is_empty() {
        // A command tells once a second. How soon it comes to the first lock is
        // nobody's business: at each it waits longer than that.
        match lines.recv_timeout(Duration::from_millis(1200)) {
            Ok(line) => {
                told = line.contains("looked at ");
                all.push_str(&line);
            }
            Err(RecvTimeoutError::Timeout) => drop(locks.pop()),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    drop(locks);
    assert!(child.wait().unwrap().success(), "{all}");
    told
}

/// Repositories in the order in which a collection comes to them.
fn name(number: usize) -> String {
    format!("r{number:02}")
}

#[test]
fn a_slow_collection_tells_of_its_progress() {
    let root = tempfile::tempdir().unwrap();
    let process = Process::start(root.path(), &["--gc-interval=off", "--gc-lease=0s"]);
    let push = || {
        let digest = Digest::sha256(b"nobody's");
        for number in 0..HELD {
            let line = format!("POST /v2/{}/blobs/uploads/?digest={digest}", name(number));
            assert_eq!(process.send(&line, &[], b"nobody's").status, 201);
        }
        // Old enough to be taken.
        std::thread::sleep(Duration::from_millis(50));
    };
    push();
    assert!(waiting_collection(root.path()), "by the server");
    push();
    process.terminate();
    process.ended();
    assert!(waiting_collection(root.path()), "by the command");
}

#[test]
fn what_cannot_be_done_is_said() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().to_str().unwrap();
    let output = warren_registry(&["gc", "--data-dir", folder]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("there is no registry in it") && told.contains("--data-dir"), "{told}");
    assert!(fs::list(root.path()).unwrap().is_empty(), "and nothing was made there");
    let output = warren_registry(&["gc", "--untagged", "soon"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("7d"));
    let output = warren_registry(&["scrub", "--help"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("Example: warren-registry scrub"));
}
