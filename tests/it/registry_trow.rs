//! Trow's surface, and one test for each fault of Trow 0.10.0 that is known.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::Request;
use warren::digest::{Algorithm, Digest};
use warren::registry::name::RepositoryName;
use warren::registry::service::Registry;
use warren::registry::store::{FsStore, MemoryStore, Store as _};

use crate::registry_client::Client;
use crate::registry_process::Process;
use crate::registry_support::{Running, basic, header, http2, push_image, request};

#[tokio::test]
async fn fault_1_blob_digests_are_verified() {
    let client = Client::new();
    let wrong = Digest::sha256(b"right");
    let line = format!("POST /v2/a/blobs/uploads/?digest={wrong}");
    client.send(&line, &[], "wrong").await.expect_error(400, "DIGEST_INVALID");
    let location = client.start("a").await;
    let line = format!("PUT {location}?digest={wrong}");
    client.send(&line, &[], "wrong").await.expect_error(400, "DIGEST_INVALID");
    client.get(&format!("/v2/a/blobs/{wrong}")).await.expect_error(404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn fault_2_no_pusher_overwrites_a_blob() {
    let client = Client::new();
    let digest = client.push_blob("a", b"first").await;
    let line = format!("POST /v2/b/blobs/uploads/?digest={digest}");
    client.send(&line, &[], "other").await.expect_error(400, "DIGEST_INVALID");
    let location = client.start("b").await;
    client.send(&format!("PATCH {location}"), &[], "other").await.expect(202);
    let line = format!("PUT {location}?digest={digest}");
    client.send(&line, &[], Body::empty()).await.expect_error(400, "DIGEST_INVALID");
    client.get(&format!("/v2/b/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).await.body, b"first");
}

#[tokio::test]
async fn fault_3_a_digest_is_no_path() {
    let client = Client::new();
    let before = client.files();
    for digest in ["../x", "sha256:../../x", "..%2f..%2fx", "sha256:%2e%2e/x", "/etc/x"] {
        let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        client.send(&line, &[], "x").await.expect_error(400, "DIGEST_INVALID");
    }
    assert_eq!(client.files(), before);
}

#[tokio::test]
async fn fault_4_no_handler_panics() {
    let client = Client::new();
    client.get("/v2/f/x/manifests/latest").await.expect_error(501, "UNSUPPORTED");
    client.get("/v2/f/x").await.expect_error(404, "NAME_UNKNOWN");
    let location = client.start("a").await;
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    let line = format!("PUT {elsewhere}?digest={}", Digest::sha256(b"x"));
    client.send(&line, &[], "x").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

/// The listener stands for any address that someone wants to have dialled.
#[tokio::test]
async fn fault_5_no_request_makes_it_dial() {
    let client = Client::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for path in [
        format!("/v2/a/manifests/latest?ns={address}"),
        format!("/v2/library/x/blobs/{}?ns={address}", Digest::sha256(b"")),
        format!("/v2/a/tags/list?n=1&ns={address}"),
    ] {
        client.get(&path).await.expect(404);
    }
    for host in [address.to_string().replace(':', "."), "docker".to_owned()] {
        let reply = client.get(&format!("/v2/f/{host}/nginx/tags/list")).await;
        reply.expect_error(501, "UNSUPPORTED");
    }
    let line = "PUT /v2/f/docker.io/library/x/manifests/latest";
    client.send(line, &[], "{}").await.expect_error(501, "UNSUPPORTED");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// What containerd sends a registry that stands for itself, or for another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_serves_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-n", "own.example"]).await;
    push_image(&server, "", "a", "latest").await;
    for ns in ["own.example", "10.0.0.1:8000", "docker.io"] {
        let get = async |name: &str| {
            let path = format!("/v2/{name}/manifests/latest?ns={ns}");
            server.get(&path, &[("host", "10.0.0.1:8000")]).await.status().as_u16()
        };
        assert_eq!((get("a").await, get("b").await), (200, 404), "{ns}");
    }
}

#[tokio::test]
async fn fault_6_a_delete_takes_nothing_from_other_repositories() {
    let client = Client::new();
    let (digest, manifest) = client.push_image("a", "x", "layer").await;
    client.push_image("b", "x", "layer").await;
    let layer = Digest::sha256(b"layer");
    for path in [format!("manifests/{digest}"), format!("blobs/{layer}")] {
        client.send(&format!("DELETE /v2/a/{path}"), &[], "").await.expect(202);
        client.get(&format!("/v2/a/{path}")).await.expect(404);
    }
    assert_eq!(client.get(&format!("/v2/b/manifests/{digest}")).await.body, manifest.as_bytes());
    assert_eq!(client.get(&format!("/v2/b/blobs/{layer}")).await.body, b"layer");
}

#[tokio::test]
async fn fault_7_uploads_that_only_saw_a_post_expire() {
    let root = tempfile::tempdir().unwrap();
    let store = FsStore::open(root.path()).unwrap();
    let here: RepositoryName = "a".parse().unwrap();
    let id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
    assert_eq!(store.upload_sweep(Duration::from_hours(1)).await.unwrap(), 0);
    assert_eq!(store.upload_sweep(Duration::ZERO).await.unwrap(), 1);
    assert!(store.upload_status(&here, &id).await.unwrap().is_none());
}

/// One that is a day and an hour old when the server starts, and one that is new.
#[test]
fn fault_7_a_server_sweeps_out_what_expired_without_being_asked() {
    let root = tempfile::tempdir().unwrap();
    let begin = |process: &Process| {
        process.send("POST /v2/a/blobs/uploads/", &[], b"").header("location").to_owned()
    };
    let process = Process::start(root.path(), &[]);
    let (old, new) = (begin(&process), begin(&process));
    process.terminate();
    process.ended();
    let (_, id) = old.rsplit_once('/').unwrap();
    let folder = root.path().join("uploads").join(id);
    let then = SystemTime::now() - Duration::from_hours(25);
    let mut paths = warren::fs::list(&folder).unwrap();
    paths.push(folder);
    for path in paths {
        std::fs::File::open(path).unwrap().set_modified(then).unwrap();
    }
    let process = Process::start(root.path(), &[]);
    let swept = process.line(|line| line["message"] == "swept out expired uploads");
    assert_eq!(swept["count"], 1);
    for (location, status) in [(old, 404), (new, 204)] {
        assert_eq!(process.send(&format!("GET {location}"), &[], b"").status, status);
    }
}

#[tokio::test]
async fn fault_7_a_registry_goes_on_sweeping() {
    let store = MemoryStore::new();
    let mut registry = Registry::new(store.clone());
    registry.limits.upload_expiry = Duration::ZERO;
    let here: RepositoryName = "a".parse().unwrap();
    let mut id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
    let sweeping = tokio::spawn(async move { registry.sweep_uploads().await });
    // The second one began after the sweep that took the first.
    for _ in 0..2 {
        let gone = async {
            while store.upload_status(&here, &id).await.unwrap().is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), gone).await.unwrap();
        id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
    }
    sweeping.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_8_several_users_any_password_lasting_tokens_absolute_realms() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    let text = format!("second:{}\n", bcrypt::hash("two", 4).unwrap());
    warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Owner).unwrap();
    let line = ["-U", "first", "-P", "a:b:", "--htpasswd", file.to_str().unwrap()];
    let data = dir.path().join("data");
    let server = Running::start(&data, &line).await;
    for (user, password) in [("first", "a:b:"), ("second", "two")] {
        let login = basic(user, password);
        assert_eq!(server.get("/v2/", &[("authorization", &login)]).await.status(), 200, "{user}");
    }
    let token = format!("Bearer {}", server.token("first", "a:b:", "").await);
    server.stopped().await;
    let server = Running::start(&data, &line).await;
    assert_eq!(server.get("/v2/", &[("authorization", &token)]).await.status(), 200);
    let asked = Request::get("http://h2.example/v2/").body(Body::empty()).unwrap();
    let answer = http2(server.connect().await, asked).await;
    let challenge = header(&answer, "www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"http://h2.example/login\""), "{challenge}");
}

#[tokio::test]
async fn fault_9_the_parts_of_the_protocol_that_were_missing() {
    let client = Client::new();
    let (manifest, text) = client.push_image("a", "latest", "0123456789").await;
    let layer = Digest::sha256(b"0123456789");
    let blob = format!("/v2/a/blobs/{layer}");
    let reply = client.send(&format!("GET {blob}"), &["range: bytes=2-4"], "").await;
    reply.expect(206);
    assert_eq!(reply.body, b"234");

    let line = format!("POST /v2/b/blobs/uploads/?mount={layer}&from=a");
    client.send(&line, &[], "").await.expect(201);
    client.send(&format!("DELETE /v2/b/blobs/{layer}"), &[], "").await.expect(202);
    let location = client.start("b").await;
    client.send(&format!("DELETE {location}"), &[], "").await.expect(204);

    for tag in ["Beta", "alpha", "Zeta"] {
        client.push_manifest("a", tag, warren::registry::media::OCI_MANIFEST, &text).await;
    }
    let (mut path, mut tags) = ("/v2/a/tags/list?n=1".to_owned(), Vec::new());
    loop {
        let reply = client.get(&path).await;
        tags.push(reply.json()["tags"][0].as_str().unwrap().to_owned());
        let Some(found) = reply.headers.get("link") else { break };
        let next = found.to_str().unwrap();
        path = next[1..next.find('>').unwrap()].to_owned();
    }
    assert_eq!(tags, ["Beta", "Zeta", "alpha", "latest"]);

    let config = client.push_blob("a", b"{}").await;
    let referrer = crate::registry_client::image(
        &config,
        &layer,
        serde_json::json!({"artifactType": "a/b", "subject": {
            "mediaType": warren::registry::media::OCI_MANIFEST,
            "digest": manifest.to_string(), "size": text.len()}}),
    );
    client.push_manifest("a", "ref", warren::registry::media::OCI_MANIFEST, &referrer).await;
    for (filter, count) in [("", 1), ("?artifactType=a/b", 1), ("?artifactType=c/d", 0)] {
        let reply = client.get(&format!("/v2/a/referrers/{manifest}{filter}")).await;
        assert_eq!(reply.json()["manifests"].as_array().unwrap().len(), count, "{filter}");
    }

    let sha512 = Digest::of(Algorithm::Sha512, b"x");
    let line = format!("POST /v2/a/blobs/uploads/?digest={sha512}");
    client.send(&line, &[], "x").await.expect(201);
    let missing =
        crate::registry_client::image(&config, &Digest::sha256(b"?"), serde_json::json!({}));
    let reply =
        client.put_manifest("a", "x", warren::registry::media::OCI_MANIFEST, &missing).await;
    assert_eq!(reply.json()["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
    let large = " ".repeat((4 << 20) + 1);
    let reply = client.put_manifest("a", "x", "a/b", &large).await;
    reply.expect_error(413, "SIZE_INVALID");
}

/// Whoever asks for a manifest gets it, or an answer at once: nothing is
/// pulled for it, and no layer need be there.
#[tokio::test]
async fn fault_10_a_manifest_waits_for_no_layer() {
    let client = Client::new();
    let (_, manifest) = client.push_image("a", "latest", "layer").await;
    let layer = Digest::sha256(b"layer");
    client.send(&format!("DELETE /v2/a/blobs/{layer}"), &[], "").await.expect(202);
    assert_eq!(client.get("/v2/a/manifests/latest").await.body, manifest.as_bytes());
    client.get("/v2/f/ghcr.io/a/manifests/latest").await.expect_error(501, "UNSUPPORTED");
}

/// Trow's flag, in MiB.
#[tokio::test(flavor = "multi_thread")]
async fn max_blob_size_is_the_size_of_the_largest_blob() {
    let dir = tempfile::tempdir().unwrap();
    let line = ["--no-tls", "--host=127.0.0.1", "--port=0", "--max-blob-size=1"];
    let server = Running::start_2020(dir.path(), &line).await;
    for (length, status) in [(1 << 20, 201), ((1 << 20) + 1, 413)] {
        let bytes = vec![b'x'; length];
        let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(&bytes));
        let push = Request::post(path).header("host", "r.example").body(Body::from(bytes));
        assert_eq!(server.send(push.unwrap()).await.status(), status, "{length}");
    }
}

fn history(body: &[u8]) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let moves = body["history"].as_array().unwrap().iter();
    moves.map(|found| found["digest"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_tag_is_told_as_trow_told_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    let login = basic("u", "p");
    let get = async |path: &str| server.get(path, &[("authorization", &login)]).await;
    let mut digests = Vec::new();
    for tag in ["x", "y"] {
        digests.push(push_image(&server, &login, "team/app", tag).await.to_string());
    }
    // x moves to what y is, and back.
    for digest in [&digests[1], &digests[0]] {
        let path = format!("/v2/team/app/manifests/{digest}");
        let body = get(&path).await.into_body();
        let request = Request::put("/v2/team/app/manifests/x")
            .header("host", "r.example")
            .header("authorization", &login)
            .header("content-type", warren::registry::media::OCI_MANIFEST)
            .body(Body::from(body));
        assert_eq!(server.send(request.unwrap()).await.status(), 201);
    }
    let answer = get("/team/app/manifest_history/x").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "application/json");
    let all = [&digests[0], &digests[1], &digests[0]].map(String::clone);
    assert_eq!(history(answer.body()), all);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["image"], "team/app:x");
    let date = body["history"][0]["date"].as_str().unwrap();
    let year = time::OffsetDateTime::from(SystemTime::now()).year().to_string();
    assert!(date.starts_with(&year) && date.ends_with(" UTC") && date.len() == 27, "{date}");
    assert_eq!(history(get("/v2/team/app/manifest_history/x").await.body()), all);

    let (mut path, mut seen) = ("/team/app/manifest_history/x?n=1".to_owned(), Vec::new());
    while seen.len() < 9 {
        let answer = get(&path).await;
        seen.extend(history(answer.body()));
        let Some(link) = answer.headers().get("link") else { break };
        let link = link.to_str().unwrap();
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!(seen, all);
    let first = &digests[0];
    for (query, expected) in [
        (format!("?last={first}"), &all[1..]),
        (format!("?last-digest={first}&limit=1"), &all[1..2]),
        (format!("?last={}", Digest::sha256(b"?")), &[]),
        ("?n=0".to_owned(), &[]),
    ] {
        let answer = get(&format!("/team/app/manifest_history/x{query}")).await;
        assert_eq!(history(answer.body()), expected, "{query}");
    }
    for (path, status) in [
        ("/team/app/manifest_history/none", 404),
        ("/none/manifest_history/x", 404),
        ("/team/app/manifest_history/x?n=some", 400),
        ("/team/app/manifest_history/sha256:00", 400),
        ("/TEAM/manifest_history/x", 400),
    ] {
        assert_eq!(get(path).await.status(), status, "{path}");
    }
    let answer = server.get("/team/app/manifest_history/x", &[]).await;
    assert_eq!(answer.status(), 401);
    assert!(header(&answer, "www-authenticate").contains("scope=\"repository:team/app:pull\""));
    let answer = server.send(request("POST", "/team/app/manifest_history/x", &[])).await;
    assert_eq!(answer.status(), 404);
}
