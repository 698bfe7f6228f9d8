//! The distribution protocol, operation by operation.

use axum::body::Body;
use serde_json::json;
use warren::digest::{Algorithm, Digest};
use warren::registry::access::Permissions;
use warren::registry::media;
use warren::registry::service::Registry;
use warren::registry::store::MemoryStore;

use crate::registry_client::{Client, image};

#[tokio::test]
async fn the_version_check() {
    let client = Client::new();
    for path in ["/v2", "/v2/"] {
        let reply = client.get(path).await;
        reply.expect(200);
        assert_eq!(reply.json(), json!({}));
    }
    client.send("HEAD /v2/", &[], Body::empty()).await.expect(200);
    client.send("POST /v2/", &[], Body::empty()).await.expect_error(405, "UNSUPPORTED");
}

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
        ("0-4", 416, "RANGE_INVALID"),
        ("4-8", 416, "RANGE_INVALID"),
        ("6-10", 416, "RANGE_INVALID"),
        ("nonsense", 416, "RANGE_INVALID"),
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
    reply.expect_error(416, "RANGE_INVALID");
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

#[tokio::test]
async fn ranges_and_conditions_of_a_blob() {
    let client = Client::new();
    let digest = client.push_blob("a", b"0123456789").await;
    let line = format!("GET /v2/a/blobs/{digest}");
    for (range, expected, content_range) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
    ] {
        let reply = client.send(&line, &[&format!("range: {range}")], Body::empty()).await;
        reply.expect(206);
        assert_eq!(reply.body, expected.as_bytes());
        assert_eq!(reply.header("content-range"), content_range);
        assert_eq!(reply.header("content-length"), expected.len().to_string());
    }
    let reply = client.send(&line, &["range: bytes=10-"], Body::empty()).await;
    reply.expect_error(416, "RANGE_INVALID");
    assert_eq!(reply.header("content-range"), "bytes */10");
    let reply =
        client.send(&line, &["range: bytes=1-2", "if-range: \"other\""], Body::empty()).await;
    reply.expect(200);
    assert_eq!(reply.body.len(), 10);
    for header in [format!("if-none-match: \"x\", W/\"{digest}\""), "if-none-match: *".to_owned()] {
        let reply = client.send(&line, &[&header], Body::empty()).await;
        reply.expect(304);
        assert!(reply.body.is_empty());
        assert_eq!(reply.header("etag"), format!("\"{digest}\""));
    }
}

#[tokio::test]
async fn a_large_blob_comes_back_whole() {
    let client = Client::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = client.push_blob("a", &bytes).await;
    let path = format!("/v2/a/blobs/{digest}");
    assert!(client.get(&path).await.body == bytes);
    let line = format!("GET {path}");
    let reply = client.send(&line, &["range: bytes=262143-1000000"], Body::empty()).await;
    assert!(reply.body == bytes[262_143..=1_000_000]);
}

#[tokio::test]
async fn deleting_a_blob_leaves_other_repositories_theirs() {
    let client = Client::new();
    let digest = client.push_blob("a", b"x").await;
    client.push_blob("b", b"x").await;
    let line = format!("DELETE /v2/a/blobs/{digest}");
    client.send(&line, &[], Body::empty()).await.expect(202);
    client.send(&line, &[], Body::empty()).await.expect_error(404, "BLOB_UNKNOWN");
    client.get(&format!("/v2/a/blobs/{digest}")).await.expect_error(404, "BLOB_UNKNOWN");
    client.get(&format!("/v2/b/blobs/{digest}")).await.expect(200);
}

#[tokio::test]
async fn an_image_by_tag_and_by_digest() {
    let client = Client::new();
    let (digest, text) = client.push_image("a", "latest", "layer").await;
    assert_eq!(digest, Digest::sha256(text.as_bytes()));
    for reference in ["latest".to_owned(), digest.to_string()] {
        let path = format!("/v2/a/manifests/{reference}");
        let reply = client.get(&path).await;
        reply.expect(200);
        assert_eq!(reply.body, text.as_bytes());
        let head = client.send(&format!("HEAD {path}"), &[], Body::empty()).await;
        head.expect(200);
        for reply in [reply, head] {
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
            assert_eq!(reply.header("content-type"), media::OCI_MANIFEST);
            assert_eq!(reply.header("content-length"), text.len().to_string());
        }
        let header = format!("if-none-match: \"{digest}\"");
        client.send(&format!("GET {path}"), &[&header], Body::empty()).await.expect(304);
    }
    let (other, _) = client.push_image("a", "latest", "another layer").await;
    let reply = client.get("/v2/a/manifests/latest").await;
    assert_eq!(reply.header("docker-content-digest"), other.to_string());
    client.get(&format!("/v2/a/manifests/{digest}")).await.expect(200);
    for path in ["/v2/a/manifests/none", "/v2/b/manifests/latest"] {
        client.get(path).await.expect_error(404, "MANIFEST_UNKNOWN");
    }
}

#[tokio::test]
async fn a_manifest_whose_parts_are_missing_is_refused() {
    let client = Client::new();
    let (config, layer) = (client.push_blob("a", b"{}").await, Digest::sha256(b"layer"));
    let text = image(&config, &layer, json!({}));
    let reply = client.put_manifest("a", "x", media::OCI_MANIFEST, &text).await;
    reply.expect_error(404, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(reply.json()["errors"][0]["detail"]["digest"], layer.to_string());
    // In another repository is not in this one.
    client.push_blob("b", b"layer").await;
    let reply = client.put_manifest("a", "x", media::OCI_MANIFEST, &text).await;
    reply.expect_error(404, "MANIFEST_BLOB_UNKNOWN");
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": media::OCI_MANIFEST, "digest": layer.to_string(), "size": 5}]});
    for kind in [media::OCI_INDEX, media::DOCKER_LIST] {
        let reply = client.put_manifest("a", "x", kind, &index.to_string()).await;
        reply.expect_error(404, "MANIFEST_BLOB_UNKNOWN");
    }
    client.get("/v2/a/manifests/x").await.expect_error(404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn every_kind_of_manifest() {
    let client = Client::new();
    let (child, _) = client.push_image("a", "child", "layer").await;
    let (config, layer) = (Digest::sha256(b"{}"), Digest::sha256(b"layer"));
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": media::OCI_MANIFEST, "digest": child.to_string(), "size": 5}]});
    for (kind, text) in [
        (media::OCI_INDEX, index.to_string()),
        (media::DOCKER_LIST, index.to_string()),
        (
            media::DOCKER_MANIFEST,
            image(&config, &layer, json!({"mediaType": media::DOCKER_MANIFEST})),
        ),
        ("application/vnd.example.unknown", "not even JSON".to_owned()),
        ("application/vnd.example.unknown+json", "{\"a\": 1}\n".to_owned()),
    ] {
        client.push_manifest("a", "kind", kind, &text).await;
        let reply = client.send("GET /v2/a/manifests/kind", &["accept: text/plain"], Body::empty());
        let reply = reply.await;
        assert_eq!((reply.header("content-type"), &*reply.body), (kind, text.as_bytes()));
    }
    let digest = Digest::of(Algorithm::Sha512, index.to_string().as_bytes());
    let pushed =
        client.push_manifest("a", &digest.to_string(), media::OCI_INDEX, &index.to_string()).await;
    assert_eq!(pushed, digest);
    client.get(&format!("/v2/a/manifests/{digest}")).await.expect(200);
}

#[tokio::test]
async fn bad_manifests() {
    let client = Client::new();
    for (kind, text) in [
        (media::OCI_MANIFEST, "{"),
        (media::OCI_MANIFEST, "{}"),
        (media::OCI_INDEX, r#"{"schemaVersion": 2}"#),
        (media::OCI_INDEX, r#"{"schemaVersion": 2, "mediaType": "a/b", "manifests": []}"#),
        (media::DOCKER_SCHEMA_1_SIGNED, "{}"),
        ("nonsense", "{}"),
    ] {
        let reply = client.put_manifest("a", "x", kind, text).await;
        reply.expect_error(400, "MANIFEST_INVALID");
    }
    let text = r#"{"schemaVersion": 2, "manifests": []}"#;
    let reply = client.send("PUT /v2/a/manifests/x", &[], text).await;
    reply.expect_error(400, "MANIFEST_INVALID");
    let other = Digest::sha256(b"other").to_string();
    let reply = client.put_manifest("a", &other, media::OCI_INDEX, text).await;
    reply.expect_error(400, "DIGEST_INVALID");
    assert_eq!(client.files(), ["layout"]);
}

#[tokio::test]
async fn a_manifest_may_have_four_mebibytes_and_no_more() {
    let client = Client::new();
    let limit = 4 * 1024 * 1024;
    let kind = "application/vnd.example.unknown";
    client.push_manifest("a", "large", kind, &"x".repeat(limit)).await;
    assert_eq!(client.get("/v2/a/manifests/large").await.body.len(), limit);
    let reply = client.put_manifest("a", "larger", kind, &"x".repeat(limit + 1)).await;
    reply.expect_error(413, "SIZE_INVALID");
    let header = format!("content-length: {}", limit + 1);
    let line = "PUT /v2/a/manifests/larger";
    client.send(line, &[&header], "x").await.expect_error(413, "SIZE_INVALID");
}

#[tokio::test]
async fn a_manifest_under_many_tags() {
    let client = Client::new();
    let text = r#"{"schemaVersion": 2, "manifests": []}"#;
    let digest = Digest::sha256(text.as_bytes());
    let to = format!("{digest}?tag=one&tag=two");
    let reply = client.put_manifest("a", &to, media::OCI_INDEX, text).await;
    reply.expect(201);
    let tags: Vec<_> = reply.headers.get_all("oci-tag").iter().collect();
    assert_eq!(tags, ["one", "two"]);
    for tag in ["one", "two"] {
        let reply = client.get(&format!("/v2/a/manifests/{tag}")).await;
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    }
    let to = format!("{digest}?tag=../x");
    client.put_manifest("a", &to, media::OCI_INDEX, text).await.expect_error(400, "TAG_INVALID");
}

#[tokio::test]
async fn deleting_tags_and_manifests() {
    let client = Client::new();
    let (digest, text) = client.push_image("a", "one", "layer").await;
    client.push_manifest("a", "two", media::OCI_MANIFEST, &text).await;
    client.push_image("b", "one", "layer").await;
    let delete = async |reference: &str| {
        client.send(&format!("DELETE /v2/a/manifests/{reference}"), &[], Body::empty()).await
    };
    delete("one").await.expect(202);
    delete("one").await.expect_error(404, "MANIFEST_UNKNOWN");
    client.get("/v2/a/manifests/two").await.expect(200);
    delete(&digest.to_string()).await.expect(202);
    delete(&digest.to_string()).await.expect_error(404, "MANIFEST_UNKNOWN");
    client.get("/v2/a/manifests/two").await.expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(client.get("/v2/a/tags/list").await.json(), json!({"name": "a", "tags": []}));
    let reply = client.get("/v2/b/manifests/one").await;
    reply.expect(200);
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
}

#[tokio::test]
async fn lists_come_in_pages() {
    let mut client = Client::new();
    client.get("/v2/a/tags/list").await.expect_error(404, "NAME_UNKNOWN");
    for tag in ["b", "B", "a", "_c"] {
        client.push_image("a", tag, "layer").await;
    }
    client.push_image("a-b", "x", "layer").await;
    client.push_image("a/b", "x", "layer").await;
    let all = client.get("/v2/a/tags/list").await;
    assert_eq!(all.json(), json!({"name": "a", "tags": ["B", "_c", "a", "b"]}));
    assert!(!all.headers.contains_key("link"));
    let first = client.get("/v2/a/tags/list?n=2").await;
    assert_eq!(first.json()["tags"], json!(["B", "_c"]));
    assert_eq!(first.header("link"), "</v2/a/tags/list?n=2&last=_c>; rel=\"next\"");
    let rest = client.get("/v2/a/tags/list?n=2&last=_c").await;
    assert_eq!(rest.json()["tags"], json!(["a", "b"]));
    assert!(!rest.headers.contains_key("link"));
    let none = client.get("/v2/a/tags/list?n=0").await;
    assert_eq!(none.json()["tags"], json!([]));
    assert!(!none.headers.contains_key("link"));
    for n in ["-1", "x", ""] {
        let reply = client.get(&format!("/v2/a/tags/list?n={n}")).await;
        reply.expect_error(400, "PAGINATION_NUMBER_INVALID");
    }

    let page = client.get("/v2/_catalog?n=2").await;
    assert_eq!(page.json(), json!({"repositories": ["a", "a-b"]}));
    assert_eq!(page.header("link"), "</v2/_catalog?n=2&last=a-b>; rel=\"next\"");
    let page = client.get("/v2/_catalog?n=2&last=a-b").await;
    assert_eq!(page.json(), json!({"repositories": ["a/b"]}));
    client.permissions = Some(Permissions::new(|name, _| name.as_str() == "a-b"));
    assert_eq!(client.get("/v2/_catalog").await.json(), json!({"repositories": ["a-b"]}));
}

#[tokio::test]
async fn referrers() {
    let client = Client::new();
    let (subject, _) = client.push_image("a", "subject", "layer").await;
    let path = format!("/v2/a/referrers/{subject}");
    let empty = client.get(&path).await;
    empty.expect(200);
    assert_eq!(empty.header("content-type"), media::OCI_INDEX);
    assert_eq!(empty.json()["manifests"], json!([]));

    let (config, layer) = (Digest::sha256(b"{}"), Digest::sha256(b"layer"));
    let of = json!({"mediaType": media::OCI_MANIFEST, "digest": subject.to_string(), "size": 1});
    let signed = image(
        &config,
        &layer,
        json!({"subject": of, "artifactType": "a/sig", "annotations": {"k": "v"}}),
    );
    let plain = image(&config, &layer, json!({"subject": of}));
    let signature = client.put_manifest("a", "sig", media::OCI_MANIFEST, &signed).await;
    signature.expect(201);
    assert_eq!(signature.header("oci-subject"), subject.to_string());
    let digest = signature.header("docker-content-digest");
    client.push_manifest("a", "plain", media::OCI_MANIFEST, &plain).await;

    let all = client.get(&path).await;
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);
    assert!(!all.headers.contains_key("oci-filters-applied"));
    let some = client.get(&format!("{path}?artifactType=a/sig")).await;
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    assert_eq!(
        some.json()["manifests"],
        json!([{"mediaType": media::OCI_MANIFEST, "digest": digest, "size": signed.len(),
                "artifactType": "a/sig", "annotations": {"k": "v"}}])
    );
    let by_config = "application/vnd.oci.image.config.v1%2Bjson";
    let some = client.get(&format!("{path}?artifactType={by_config}")).await;
    assert_eq!(some.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(client.get(&path.replace("/a/", "/b/")).await.json()["manifests"], json!([]));
    let line = format!("DELETE /v2/a/manifests/{digest}");
    client.send(&line, &[], Body::empty()).await.expect(202);
    assert_eq!(client.get(&path).await.json()["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn names_at_their_limits() {
    let client = Client::new();
    let longest = format!("{}/{}", "a".repeat(127), "b".repeat(127));
    client.push_image(&longest, &"t".repeat(128), "layer").await;
    client.get(&format!("/v2/{longest}/manifests/{}", "t".repeat(128))).await.expect(200);
    let longer = format!("/v2/{longest}b/tags/list");
    client.get(&longer).await.expect_error(400, "NAME_INVALID");
    let component = "c".repeat(255);
    client.push_image(&component, "x", "layer").await;
    assert_eq!(
        client.get("/v2/_catalog").await.json()["repositories"],
        json!([longest, component])
    );
}

#[tokio::test]
async fn the_same_over_memory() {
    let root = tempfile::tempdir().unwrap();
    let client = Client::with(root, Registry::new(MemoryStore::new()));
    let (digest, text) = client.push_image("a", "latest", "layer").await;
    assert_eq!(client.get("/v2/a/manifests/latest").await.body, text.as_bytes());
    let location = client.start("a").await;
    client.send(&format!("PATCH {location}"), &[], "0123").await.expect(202);
    assert_eq!(client.get(&location).await.header("range"), "0-3");
    let line = format!("DELETE /v2/a/manifests/{digest}");
    client.send(&line, &[], Body::empty()).await.expect(202);
    client.get("/v2/a/manifests/latest").await.expect_error(404, "MANIFEST_UNKNOWN");
}
