//! What an operator sees of a registry: metrics, request ids, audit, traces.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use warren::digest::Digest;
use warren::registry::metrics::{Job, Method, Metrics, Operation, Outcome, Treatment};

use crate::registry_client::image;
use crate::registry_process::Process;
use crate::registry_support::{Running, basic, header};

async fn scrape(server: &Running) -> String {
    let answer = server.get("/metrics", &[]).await;
    assert_eq!(answer.status(), 200);
    assert!(header(&answer, "content-type").starts_with("application/openmetrics-text;"));
    String::from_utf8(answer.body().to_vec()).unwrap()
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_under_labels_that_no_client_chooses() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    let right = basic("u", "p");
    let wrong = basic("u", "wrong");
    server.get("/v2/", &[]).await;
    server.get("/v2/secret-name/manifests/x", &[("authorization", &right)]).await;
    server.get("/v2/other-name/manifests/y", &[("authorization", &right)]).await;
    server.get("/v2/", &[("authorization", &wrong)]).await;
    server.get("/v2/", &[("authorization", "Bearer no-token")]).await;
    let body = Body::from("12345");
    let push = Request::post("/v2/a/blobs/uploads/?digest=sha256:5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5")
        .header("host", "r.example")
        .header("authorization", &right)
        .body(body)
        .unwrap();
    assert_eq!(server.send(push).await.status(), 201);
    let text = scrape(&server).await;
    let requests = "warren_registry_http_requests_total";
    has(&text, &format!(r#"{requests}{{operation="pull_manifest",method="GET",status="4xx"}} 2"#));
    has(&text, &format!(r#"{requests}{{operation="start_upload",method="POST",status="2xx"}} 1"#));
    has(&text, r#"warren_registry_http_request_seconds_count{operation="version"} 3"#);
    has(&text, r#"warren_registry_auth_failures_total{reason="password"} 1"#);
    has(&text, r#"warren_registry_auth_failures_total{reason="token"} 1"#);
    has(&text, "warren_registry_http_received_bytes_total 5");
    // The scrape itself.
    has(&text, "warren_registry_http_requests_in_flight 1");
    has(&text, "warren_registry_uploads_in_flight 0");
    assert!(!text.contains("name") && !text.contains("r.example"), "{text}");
    let resident =
        text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    assert!(resident.unwrap().parse::<f64>().unwrap() > 1e6, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_need_a_login_or_be_off() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p", "--metrics=login"]).await;
    assert_eq!(server.get("/metrics", &[]).await.status(), 401);
    let answer = server.get("/metrics", &[("authorization", &basic("u", "p"))]).await;
    assert_eq!(answer.status(), 200);
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p", "--metrics=off"]).await;
    assert_eq!(server.get("/metrics", &[]).await.status(), 404);
}

/// Everything that looks like the name of a metric.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let ours = |word: &&str| {
        (word.starts_with("warren_registry_") || word.starts_with("process_"))
            && !word.ends_with('_')
    };
    text.split(word).filter(ours).map(str::to_owned).collect()
}

/// The names under which what is rendered can be asked for, and those that the
/// manual calls them by.
fn exposed() -> (BTreeSet<String>, BTreeSet<String>) {
    let metrics = Metrics::default();
    // What has labels shows with its first event.
    metrics.http.answered(Operation::Other, Method::Other, 200, Duration::ZERO);
    let mut run = metrics.jobs.begin(Job::Scrub);
    run.count(Treatment::Examined, 1, 1);
    run.end(Outcome::Ok);
    let text = metrics.render();
    let (mut series, mut families) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        series.extend(endings.iter().map(|ending| format!("{name}{ending}")));
        let ending = if kind == "histogram" { "" } else { endings[0] };
        families.insert(format!("{name}{ending}"));
    }
    (series, families)
}

#[test]
fn the_dashboard_asks_only_for_what_there_is() {
    let text = warren::fs::read_to_string(Path::new("dashboards/warren-registry.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut asked = names(&dashboard["templating"].to_string());
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert!(!names(query).is_empty(), "{query} asks for nothing of ours");
            asked.extend(names(query));
        }
    }
    let (series, _) = exposed();
    let missing: Vec<_> = asked.difference(&series).collect();
    assert!(missing.is_empty(), "the dashboard asks for {missing:?}; there are {series:?}");
}

#[test]
fn the_manual_names_every_metric_and_no_other() {
    let page = warren::fs::read_to_string(Path::new("docs/operations.md")).unwrap();
    let table: String = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(names(&table), exposed().1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    let answer = server.get("/v2/", &[("x-request-id", "from-the-proxy.1")]).await;
    assert_eq!(header(&answer, "x-request-id"), "from-the-proxy.1");
    let answer = server.get("/nothing", &[("x-request-id", "a b")]).await;
    let own = header(&answer, "x-request-id");
    assert!(own.len() > 9 && own != "a b", "{own}");
    assert_ne!(header(&server.get("/nothing", &[]).await, "x-request-id"), own);
}

fn push_image(process: &Process, authorization: &str) -> String {
    let send = |line: &str, kind: &str, body: &[u8]| {
        let headers = [("authorization", authorization), ("content-type", kind)];
        let answer = process.send(line, &headers, body);
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    };
    let (config, layer) = (Digest::sha256(b"{}"), Digest::sha256(b"layer"));
    for (digest, bytes) in [(&config, &b"{}"[..]), (&layer, &b"layer"[..])] {
        let line = format!("POST /v2/team/app/blobs/uploads/?digest={digest}");
        send(&line, "application/octet-stream", bytes);
    }
    let manifest = image(&config, &layer, json!({}));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    send("PUT /v2/team/app/manifests/1", kind, manifest.as_bytes());
    Digest::sha256(manifest.as_bytes()).to_string()
}

/// Each push, deletion and login is one line, also where the log is as quiet
/// as it gets short of `audit=off`; no line holds a password or a token.
#[test]
fn the_audit_says_who_did_what_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["-U", "alice", "-P", "s3cr3t-p455", "--log-level=warren=info,audit=info"];
    let process = Process::start(dir.path(), &arguments);
    let authorization = basic("alice", "s3cr3t-p455");
    let login = process.send("GET /login", &[("authorization", &authorization)], b"");
    let token: Value = serde_json::from_slice(&login.body).unwrap();
    let token = token["token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let digest = push_image(&process, &bearer);
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-request-id", "id-1"),
        ("x-forwarded-for", "10.1.2.3"),
    ];
    let image = process.send(&format!("GET /v2/team/app/manifests/{digest}"), &headers, b"");
    let media_type = [headers[0], ("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let line = format!("PUT /v2/team/app/manifests/{digest}?tag=b&tag=c");
    assert_eq!(process.send(&line, &media_type, &image.body).status, 201);
    // Where the manifest has a tag by its path, others don't count.
    let line = "PUT /v2/team/app/manifests/1?tag=d";
    assert_eq!(process.send(line, &media_type, &image.body).status, 201);
    let delete = process.send(&format!("DELETE /v2/team/app/manifests/{digest}"), &headers, b"");
    assert_eq!(delete.status, 202);
    // A first try without credentials is part of the protocol, and no event.
    process.send("DELETE /v2/team/app/manifests/x", &[], b"");
    let wrong = basic("alice", "wr0ng-p455");
    process.send("GET /v2/", &[("authorization", &wrong)], b"");
    let mistyped = basic("my-p455w0rd", "");
    process.send("GET /login", &[("authorization", &mistyped)], b"");
    let gone = process.send("DELETE /v2/team/app/manifests/none", &headers[..1], b"");
    assert_eq!(gone.status, 404);
    process.terminate();
    let log = process.ended();

    let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let audit: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    let short: Vec<String> = audit
        .iter()
        .map(|line| {
            assert!(line["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
            assert!(!line["request_id"].as_str().unwrap().is_empty());
            let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            [text("action"), text("user"), text("repository"), text("outcome")].join(" ")
        })
        .collect();
    assert_eq!(
        short,
        [
            "login alice - ok",
            "push_blob alice team/app ok",
            "push_blob alice team/app ok",
            "push_manifest alice team/app ok",
            "push_manifest alice team/app ok",
            "push_manifest alice team/app ok",
            "delete_manifest alice team/app ok",
            "login alice - refused",
            "login (unknown) - refused",
            "delete_manifest alice team/app refused",
        ]
    );
    assert_eq!(audit[3]["reference"], "1");
    assert_eq!(audit[3]["digest"], digest);
    assert_eq!(audit[3].get("tags"), None);
    assert_eq!(
        (&audit[4]["reference"], &audit[4]["tags"]),
        (&digest.clone().into(), &"b,c".into())
    );
    assert_eq!((&audit[5]["reference"], audit[5].get("tags")), (&"1".into(), None));
    assert_eq!(audit[6]["request_id"], "id-1");
    assert_eq!(audit[6]["forwarded_for"], "10.1.2.3");
    assert_eq!(audit[6]["reference"], digest);
    // Also what the handler itself logs, in a task of its own.
    let of_handler = lines.iter().find(|line| line["message"] == "manifest deleted").unwrap();
    assert_eq!(of_handler["span"]["request_id"], "id-1");
    let request =
        lines.iter().find(|line| line["path"] == format!("/v2/team/app/manifests/{digest}"));
    assert_eq!(request.unwrap()["span"]["request_id"], "id-1");
    for secret in ["s3cr3t", "wr0ng", "my-p455w0rd", token, &authorization, &wrong] {
        assert!(!log.iter().any(|line| line.contains(secret)), "{secret}");
    }
}

#[test]
fn a_quiet_log_still_has_the_audit() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["--log-level=warren::registry::server=info,off"]);
    push_image(&process, "");
    assert_eq!(process.line(|line| line["target"] == "audit")["action"], "push_blob");
}

/// Each of these manifests is as large as one may be, and all come together.
#[tokio::test(flavor = "multi_thread")]
async fn many_large_manifests_take_turns_in_the_memory() {
    const CLIENTS: usize = 48;
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["--log-level=warn,warren::registry::server=info"]);
    let address = process.address.clone();
    let mut pushes = Vec::new();
    for number in 0..CLIENTS {
        let address = address.clone();
        pushes.push(tokio::spawn(async move {
            let mut text = format!("{number}:");
            text.extend(std::iter::repeat_n(' ', (4 << 20) - text.len()));
            let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            let request = Request::put(format!("/v2/a/manifests/t{number}"))
                .header("host", "r")
                .header("content-type", "text/plain")
                .body(Body::from(text))
                .unwrap();
            crate::registry_support::http1(stream, request).await.status().as_u16()
        }));
    }
    let mut taken = 0;
    for push in pushes {
        match push.await.unwrap() {
            201 => taken += 1,
            // On a slow machine not all of them come to their turn.
            status => assert_eq!(status, 429),
        }
    }
    assert!(taken > 0);
    let text = String::from_utf8(process.send("GET /metrics", &[], b"").body).unwrap();
    let peak = "process_resident_memory_peak_bytes ";
    let peak = text.lines().find_map(|line| line.strip_prefix(peak)).unwrap();
    let peak = peak.parse::<f64>().unwrap();
    eprintln!("{taken} of {CLIENTS} taken, at most {:.0} MiB", peak / f64::from(1 << 20));
    assert!(peak < 96e6, "{peak} bytes for {} bytes of manifests", CLIENTS << 22);
}

#[test]
fn the_audit_has_every_way_to_push_mount_and_delete_a_blob() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["-U", "alice", "-P", "secret"]);
    let authorization = basic("alice", "secret");
    let headers = [("authorization", authorization.as_str())];
    let send = |line: &str, body: &[u8], status: u16| {
        let answer = process.send(line, &headers, body);
        assert_eq!(answer.status, status, "{line}");
        answer.header("location").to_owned()
    };
    let (blob, other) = (Digest::sha256(b"blob"), Digest::sha256(b"other"));
    let path = send("POST /v2/a/blobs/uploads/", b"", 202);
    send(&format!("PATCH {path}"), b"bl", 202);
    send(&format!("PUT {path}?digest={blob}"), b"ob", 201);
    send(&format!("POST /v2/b/blobs/uploads/?mount={blob}&from=a"), b"", 201);
    // What can't be mounted becomes an upload, which has pushed nothing yet.
    let path = send(&format!("POST /v2/b/blobs/uploads/?mount={other}&from=a"), b"", 202);
    send(&format!("PUT {path}?digest={other}"), b"wrong", 400);
    send(&format!("DELETE /v2/b/blobs/{blob}"), b"", 202);
    send(&format!("DELETE /v2/b/blobs/{blob}"), b"", 404);
    process.terminate();
    let log = process.ended();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
    let audit: Vec<String> = log
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["target"] == "audit")
        .map(|line| {
            assert_eq!(line["user"], "alice");
            let keys = ["action", "repository", "reference", "digest", "outcome"];
            keys.map(|key| text(&line, key)).join(" ")
        })
        .collect();
    assert_eq!(
        audit,
        [
            format!("push_blob a - {blob} ok"),
            format!("mount_blob b - {blob} ok"),
            "push_blob b - - refused".to_owned(),
            format!("delete_blob b {blob} - ok"),
            format!("delete_blob b {blob} - refused"),
        ]
    );
}

/// Waits for a line of the metrics, however long a busy machine takes for it.
fn until(process: &Process, line: &str) {
    for _ in 0..1200 {
        let text = String::from_utf8(process.send("GET /metrics", &[], b"").body).unwrap();
        if text.lines().any(|found| found == line) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the metrics never have {line}");
}

/// A push that waits for another one while its client goes away: it is done,
/// and that it was is written down.
#[test]
fn a_write_is_in_the_audit_although_its_client_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["-U", "alice", "-P", "secret"]);
    let authorization = basic("alice", "secret");
    let headers = [("authorization", authorization.as_str())];
    let path = process.send("POST /v2/a/blobs/uploads/", &headers, b"");
    let path = path.header("location");
    let connect = |line: &str, rest: &str| {
        let mut stream = TcpStream::connect(&process.address).unwrap();
        let head =
            format!("{line} HTTP/1.1\r\nhost: r\r\nauthorization: {authorization}\r\n{rest}");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut first =
        connect(&format!("PATCH {path}"), "expect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    let mut go_on = [0; 25];
    first.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n", "the upload is taken");
    let digest = Digest::sha256(b"abc");
    let second = connect(
        &format!("PUT {path}?digest={digest}"),
        "x-request-id: gone\r\ncontent-length: 1\r\n\r\nc",
    );
    until(&process, "warren_registry_uploads_in_flight 2");
    drop(second);
    until(&process, r#"warren_registry_connections_closed_early_total{reason="broken"} 1"#);
    first.write_all(b"ab").unwrap();
    let mut status = [0; 12];
    first.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 202");

    let of = |line: &Value| line["span"]["request_id"] == "gone";
    let request = process.line(|line| of(line) && line["message"] == "request");
    assert_eq!((&request["method"], &request["user"]), (&json!("PUT"), &json!("alice")));
    let audit = process.line(|line| of(line) && line["target"] == "audit");
    assert_eq!(audit["action"], "push_blob");
    assert_eq!(audit["user"], "alice");
    assert_eq!(audit["request_id"], "gone");
    let blob = process.send(&format!("GET /v2/a/blobs/{digest}"), &headers, b"");
    assert_eq!(audit["outcome"] == "ok", blob.status == 200);
    let labels = r#"operation="finish_upload",method="PUT""#;
    let text = String::from_utf8(process.send("GET /metrics", &[], b"").body).unwrap();
    assert!(text.contains(labels), "{text}");
    process.terminate();
    let left = process.ended();
    let again = left.iter().filter(|line| line.contains("gone") && line.contains("audit"));
    assert_eq!(again.count(), 0, "and once only");
}
