//! Pushing blobs: at once, in chunks, in streams, by a mount.

use std::time::Duration;

use axum::body::Body;
use warren::digest::{Algorithm, Digest};
use warren::registry::access::Permissions;
use warren::registry::service::Registry;
use warren::registry::store::FsStore;

use crate::registry_client::Client;

#[tokio::test]
async fn a_blob_in_one_post() {
    let client = Client::new();
    let digest = client.push_blob("a/b", b"hello").await;
    let reply = client.get(&format!("/v2/a/b/blobs/{digest}")).await;
    reply.expect(200);
    assert_eq!(reply.body, b"hello");
    for (name, value) in [
        ("content-length", "5"),
        ("content-type", "application/octet-stream"),
        ("accept-ranges", "bytes"),
        ("docker-content-digest", &digest.to_string()),
        ("etag", &format!("\"{digest}\"")),
    ] {
        assert_eq!(reply.header(name), value);
    }
    let head = client.send(&format!("HEAD /v2/a/b/blobs/{digest}"), &[], Body::empty()).await;
    head.expect(200);
    assert_eq!(head.header("content-length"), "5");
    for name in ["a", "b", "a/b/c"] {
        client.get(&format!("/v2/{name}/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    }
    client.send(&format!("HEAD /v2/a/blobs/{digest}"), &[], Body::empty()).await.expect(404);
}

#[tokio::test]
async fn a_blob_that_does_not_match_its_digest_is_refused_everywhere() {
    let client = Client::new();
    let digest = Digest::sha256(b"right");
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    let reply = client.send(&line, &[], "wrong").await;
    reply.expect_error(400, "DIGEST_INVALID");
    assert!(String::from_utf8_lossy(&reply.body).contains(&Digest::sha256(b"wrong").to_string()));
    let location = client.start("a").await;
    let line = format!("PUT {location}?digest={digest}");
    client.send(&line, &[], "wrong").await.expect_error(400, "DIGEST_INVALID");
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    client.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(client.files(), ["layout"]);
}

#[tokio::test]
async fn a_blob_in_chunks() {
    let client = Client::new();
    let location = client.start("a").await;
    let first = client
        .send(&format!("PATCH {location}"), &["content-range: 0-4", "content-length: 5"], "01234")
        .await;
    first.expect(202);
    assert_eq!((first.header("range"), first.header("location")), ("0-4", location.as_str()));

    for (range, status, code) in [
        ("0-4", 416, "SIZE_INVALID"),
        ("4-8", 416, "SIZE_INVALID"),
        ("6-10", 416, "SIZE_INVALID"),
        ("nonsense", 416, "SIZE_INVALID"),
    ] {
        let header = format!("content-range: {range}");
        let reply = client.send(&format!("PATCH {location}"), &[&header], "56789").await;
        reply.expect_error(status, code);
        assert_eq!((reply.header("range"), reply.header("location")), ("0-4", location.as_str()));
    }
    let reply = client
        .send(&format!("PATCH {location}"), &["content-range: 5-8", "content-length: 5"], "56789")
        .await;
    reply.expect_error(400, "SIZE_INVALID");

    let status = client.get(&location).await;
    status.expect(204);
    assert_eq!((status.header("range"), status.header("location")), ("0-4", location.as_str()));

    let digest = Digest::sha256(b"0123456789");
    let line = format!("PUT {location}?digest={digest}");
    let reply = client.send(&line, &["content-range: 4-8"], "56789").await;
    reply.expect_error(416, "SIZE_INVALID");
    let reply = client.send(&line, &["content-range: 5-9"], "56789").await;
    reply.expect(201);
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).await.body, b"0123456789");
    client.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn nothing_beyond_a_chunk_s_range_is_written() {
    let client = Client::new();
    let location = client.start("a").await;
    let patch = format!("PATCH {location}");
    client.send(&patch, &["content-range: 0-4"], "01234").await.expect(202);
    let body = Body::new(http_body_util::Full::new(bytes::Bytes::from_static(b"567890123")));
    let reply = client.send(&patch, &["content-range: 5-8"], body).await;
    reply.expect_error(400, "SIZE_INVALID");
    assert_eq!(client.get(&location).await.header("range"), "0-4");
    client.send(&patch, &["content-range: 5-8"], "5678").await.expect(202);
}

#[tokio::test]
async fn a_blob_in_streams() {
    let client = Client::new();
    let location = client.start("a").await;
    for text in ["0123", "4567", "89"] {
        client.send(&format!("PATCH {location}"), &[], text).await.expect(202);
    }
    client
        .send(&format!("PUT {location}"), &[], Body::empty())
        .await
        .expect_error(400, "DIGEST_INVALID");
    let digest = Digest::sha256(b"0123456789");
    let line = format!("PUT {location}?digest={digest}");
    client.send(&line, &[], Body::empty()).await.expect(201);
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).await.body, b"0123456789");
}

#[tokio::test]
async fn an_upload_is_cancelled_and_belongs_to_its_repository() {
    let client = Client::new();
    let location = client.start("a").await;
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    let digest = Digest::sha256(b"x");
    for line in [
        format!("GET {elsewhere}"),
        format!("PATCH {elsewhere}"),
        format!("PUT {elsewhere}?digest={digest}"),
        format!("DELETE {elsewhere}"),
        format!("GET /v2/a/blobs/uploads/{}", "0".repeat(32)),
        "GET /v2/a/blobs/uploads/nonsense".to_owned(),
    ] {
        client.send(&line, &[], "x").await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    client.send(&format!("DELETE {location}"), &[], Body::empty()).await.expect(204);
    client.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(client.files(), ["layout"]);
}

#[tokio::test]
async fn the_algorithm_of_an_upload() {
    let client = Client::new();
    let digest = Digest::of(Algorithm::Sha512, b"x");
    let line = "POST /v2/a/blobs/uploads/?digest-algorithm=sha512";
    let location = client.send(line, &[], Body::empty()).await.header("location").to_owned();
    client.send(&format!("PUT {location}?digest={digest}"), &[], "x").await.expect(201);
    assert_eq!(client.get(&format!("/v2/a/blobs/{digest}")).await.body, b"x");
    let line = "POST /v2/a/blobs/uploads/?digest-algorithm=md5";
    client.send(line, &[], Body::empty()).await.expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn mounts() {
    let mut client = Client::new();
    let digest = client.push_blob("private/source", b"x").await;
    let mount = |to: &str, from: &str| format!("POST /v2/{to}/blobs/uploads/?mount={digest}{from}");
    let named = client.send(&mount("b", "&from=private/source"), &[], Body::empty()).await;
    named.expect(201);
    assert_eq!(named.header("location"), format!("/v2/b/blobs/{digest}"));
    client.send(&mount("c", ""), &[], Body::empty()).await.expect(201);
    for name in ["b", "c"] {
        assert_eq!(client.get(&format!("/v2/{name}/blobs/{digest}")).await.body, b"x");
    }
    // What can't be mounted becomes an upload.
    for from in ["&from=nowhere", "&from=IN/VALID"] {
        let reply = client.send(&mount("d", from), &[], Body::empty()).await;
        reply.expect(202);
        assert!(reply.header("location").starts_with("/v2/d/blobs/uploads/"));
    }
    let line = "POST /v2/d/blobs/uploads/?mount=sha256:../x&from=b";
    client.send(line, &[], Body::empty()).await.expect_error(400, "DIGEST_INVALID");

    client.permissions = Some(Permissions::new(|name, _| name.as_str() == "d"));
    for from in ["&from=private/source", ""] {
        client.send(&mount("d", from), &[], Body::empty()).await.expect(202);
    }
    client.get(&format!("/v2/d/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
}

/// A registry that counts the bytes of a body over this time.
fn impatient(window: Duration, rate: u64) -> Client {
    let root = tempfile::tempdir().unwrap();
    let mut registry = Registry::new(FsStore::open(root.path()).unwrap());
    registry.limits.body_window = window;
    registry.limits.body_rate = rate;
    Client::with(root, registry)
}

/// A registry of blobs of at most ten bytes.
fn limited() -> Client {
    let root = tempfile::tempdir().unwrap();
    let mut registry = Registry::new(FsStore::open(root.path()).unwrap());
    registry.limits.blob_bytes = Some(10);
    Client::with(root, registry)
}

#[tokio::test]
async fn a_blob_as_large_as_one_may_be_is_taken() {
    let client = limited();
    let digest = client.push_blob("a", b"0123456789").await;
    let location = client.start("a").await;
    for (range, text) in [("0-3", "0123"), ("4-5", "45")] {
        let range = format!("content-range: {range}");
        client.send(&format!("PATCH {location}"), &[&range], text).await.expect(202);
    }
    let line = format!("PUT {location}?digest={digest}");
    client.send(&line, &["content-length: 4"], "6789").await.expect(201);
}

#[tokio::test]
async fn a_blob_that_is_too_large_is_refused_and_nothing_is_left_of_it() {
    let client = limited();
    let digest = Digest::sha256(b"0123456789x");
    // Where it is announced, no byte of the body is looked at.
    for (headers, body) in [(&["content-length: 11"][..], ""), (&[], "0123456789x")] {
        let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        client.send(&line, headers, body).await.expect_error(413, "SIZE_INVALID");
    }
    for method in ["PATCH", "PUT"] {
        for (headers, body) in
            [(&["content-length: 5"][..], ""), (&["content-range: 6-10"], ""), (&[], "6789x")]
        {
            let location = client.start("a").await;
            client.send(&format!("PATCH {location}"), &[], "012345").await.expect(202);
            let line = format!("{method} {location}?digest={digest}");
            let reply = client.send(&line, headers, body).await;
            reply.expect_error(413, "SIZE_INVALID");
            assert!(String::from_utf8_lossy(&reply.body).contains("at most 10 bytes"));
            client.get(&location).await.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
    assert_eq!(client.files(), ["layout"]);
}

/// A body of which so many bytes come one by one.
fn drips(count: usize, pause: Duration) -> Body {
    Body::from_stream(futures_util::stream::unfold(0, move |sent| async move {
        if sent == count {
            return None;
        }
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>("x"), sent + 1))
    }))
}

#[tokio::test]
async fn a_body_that_hardly_comes_is_given_up_and_what_came_is_kept() {
    let client = impatient(Duration::from_secs(1), 1000);
    let location = client.start("a").await;
    let forever = || drips(usize::MAX, Duration::from_millis(50));
    let reply = client.send(&format!("PATCH {location}"), &[], forever()).await;
    reply.expect_error(408, "BLOB_UPLOAD_INVALID");
    assert!(String::from_utf8_lossy(&reply.body).contains("1000 bytes"));
    let range = client.get(&location).await.header("range").to_owned();
    let (_, last) = range.split_once('-').unwrap();
    assert!(last.parse::<usize>().unwrap() > 0, "{range}");
    let digest = Digest::sha256(b"x");
    for line in [
        format!("PUT {location}?digest={digest}"),
        format!("POST /v2/a/blobs/uploads/?digest={digest}"),
        "PUT /v2/a/manifests/x".to_owned(),
    ] {
        client.send(&line, &[], forever()).await.expect_error(408, "BLOB_UPLOAD_INVALID");
    }
}

#[tokio::test]
async fn a_slow_body_that_comes_fast_enough_is_taken() {
    let client = impatient(Duration::from_secs(1), 1);
    let bytes = vec![b'x'; 30];
    let digest = Digest::sha256(&bytes);
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    client.send(&line, &[], drips(bytes.len(), Duration::from_millis(50))).await.expect(201);
}
