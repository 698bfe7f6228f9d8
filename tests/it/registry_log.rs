//! The log as people read it, as text: a line an event, none of it written by a
//! client, and no secret in it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use warren::digest::Digest;
use warren::registry::media;

use crate::registry_reload::Binary;
use crate::registry_support::basic;

/// What would pass for a line.
const FORGED: &str = "1999-12-31T23:59:59.000000Z ERROR forged";

fn start(data_dir: &std::path::Path, level: &str) -> (Binary, String) {
    let data_dir = data_dir.to_str().unwrap();
    let level = format!("--log-level={level}");
    let user = ["-U", "alice", "-P", "s3cr3t-p455"];
    let line = [&["--data-dir", data_dir, "--bind=127.0.0.1:0", &level], &user[..]].concat();
    let mut binary = Binary::start(&line);
    let address = binary.listens();
    (binary, address)
}

/// Sends a request as it stands here, each header with its end of line, and
/// gives the answer as it comes.
fn send(address: &str, line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: r\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A refusal may end with a reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap()
}

#[track_caller]
fn has_only_lines_of_its_own(log: &str) {
    for line in log.lines() {
        // 2026-11-30T14:51:55.123456Z  INFO …
        let mut words = line.split_whitespace();
        let time = words.next().unwrap_or_default();
        assert!(time.len() == 27 && time.ends_with('Z') && time.starts_with("20"), "{line:?}");
        let level = words.next().unwrap_or_default();
        assert!(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn no_password_and_no_token_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (binary, address) = start(dir.path(), "trace");
    let ask = |line: &str, credentials: &str, body: &str| {
        send(&address, line, &format!("authorization: {credentials}\r\n"), body)
    };
    let (right, wrong) = (basic("alice", "s3cr3t-p455"), basic("alice", "wr0ng-p455"));
    assert_eq!(status(&ask("GET /login", &wrong, "")), "401");
    let answer = ask("GET /login", &right, "");
    assert_eq!(status(&answer), "200");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let token = body["token"].as_str().unwrap();
    let (bearer, forged) = (format!("Bearer {token}"), format!("Bearer {token}x"));
    let push = format!("POST /v2/a/blobs/uploads/?digest={}", Digest::sha256(b"blob"));
    assert_eq!(status(&ask(&push, &bearer, "blob")), "201");
    assert_eq!(status(&ask(&push, &right, "blob")), "201");
    assert_eq!(status(&ask(&push, &forged, "blob")), "401");
    // A password in the field of the user.
    assert_eq!(status(&ask("GET /v2/", &basic("my-p455w0rd", ""), "")), "401");

    let log = binary.ended();
    has_only_lines_of_its_own(&log);
    assert!(log.contains("status=401") && log.contains("status=201"), "{log}");
    assert!(log.contains("user=\"alice\""), "{log}");
    for credentials in [&right, &wrong, &bearer] {
        let (_, secret) = credentials.split_once(' ').unwrap();
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    for secret in ["s3cr3t", "wr0ng", "my-p455w0rd"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[test]
fn no_path_user_or_header_writes_a_line_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (binary, address) = start(dir.path(), "trace");
    let encoded = FORGED.replace(' ', "%20");
    // The last three come raw, as far as HTTP lets them.
    for path in [
        format!("/v2/a%0A{encoded}/tags/list"),
        format!("/v2/a%0D%0A{encoded}"),
        format!("/%1B[2K%1B[1A{encoded}"),
        format!("/\u{9b}2K\u{85}\u{2028}{encoded}"),
        format!("/\u{7f}{encoded}"),
        format!("/\u{1b}[2K{encoded}"),
    ] {
        let answer = send(&address, &format!("GET {path}"), "", "");
        assert!(["400", "401", "404"].contains(&status(&answer)), "{path:?}: {answer}");
    }
    let users = [format!("al\r\n{FORGED}"), "\u{1b}[2K\u{9b}1Aalice".to_owned()];
    for authorization in users.map(|user| basic(&user, "s3cr3t-p455")) {
        for path in ["/login", "/v2/"] {
            let header = format!("authorization: {authorization}\r\n");
            let answer = send(&address, &format!("GET {path}"), &header, "");
            assert_eq!(status(&answer), "401", "{answer}");
        }
    }
    for name in ["user-agent", "x-request-id", "x-forwarded-for", "host", "referer"] {
        for value in [
            format!("\u{9b}2K\u{85}{FORGED}"),
            format!("x\r\n {FORGED}"),
            format!("x\n{FORGED}: y"),
            format!("\u{1b}[2K{FORGED}"),
        ] {
            // Some are refused as no HTTP at all. None may be written down raw.
            let answer = send(&address, "GET /nothing", &format!("{name}: {value}\r\n"), "");
            assert!(answer.starts_with("HTTP/1.1 "), "{name}: {value:?}: {answer}");
        }
    }
    let log = binary.ended();
    has_only_lines_of_its_own(&log);
    assert!(log.contains(&format!("a%0A{encoded}")), "the paths are in it: {log}");
    assert!(log.contains("user=\"(unknown)\""), "the users were looked at: {log}");
}

/// What a refusal quotes comes from wherever a client can put a line's end.
#[test]
fn no_refusal_writes_a_line_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (binary, address) = start(dir.path(), "debug");
    let authorization = format!("authorization: {}\r\n", basic("alice", "s3cr3t-p455"));
    let encoded = FORGED.replace(' ', "%20");
    let digest = format!("x%0A{encoded}:00");
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(status(&send(&address, &line, &authorization, "")), "400");
    let config = serde_json::json!({"digest": format!("x\n{FORGED}")});
    let manifest = serde_json::json!({"schemaVersion": 2, "config": config, "layers": []});
    let headers = format!("{authorization}content-type: {}\r\n", media::OCI_MANIFEST);
    let answer = send(&address, "PUT /v2/a/manifests/x", &headers, &manifest.to_string());
    assert_eq!(status(&answer), "400");
    let log = binary.ended();
    assert!(log.contains("request refused") && log.contains("forged"), "{log}");
    has_only_lines_of_its_own(&log);
}
