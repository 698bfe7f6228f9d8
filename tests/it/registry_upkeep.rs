//! Collection and scrub as an operator asks for them.

use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use warren::digest::Digest;
use warren::fs;

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

/// Runs a command off the async threads, as the server answers in them.
async fn json(arguments: Vec<String>) -> (Value, i32) {
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = warren_registry(&arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (serde_json::from_slice(&output.stdout).unwrap_or(told.into()), output.status.code())
    };
    let (value, code) = tokio::task::spawn_blocking(run).await.unwrap();
    (value, code.unwrap())
}

fn line(command: &str, folder: &Path, more: &[&str]) -> Vec<String> {
    let folder = folder.display().to_string();
    let start = [command, "--output", "json", "--data-dir", &folder];
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
