//! Pushing, pulling and deleting manifests.

use axum::body::Body;
use serde_json::json;
use warren::digest::{Algorithm, Digest};
use warren::registry::media;
use warren::registry::service::Registry;
use warren::registry::store::FsStore;

use crate::registry_client::{Client, image};

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
async fn sparse_manifests_are_a_choice() {
    let root = tempfile::tempdir().unwrap();
    let mut registry = Registry::new(FsStore::open(root.path()).unwrap());
    registry.limits.sparse_manifests = true;
    let client = Client::with(root, registry);
    let (config, layer) = (client.push_blob("a", b"{}").await, Digest::sha256(b"layer"));
    let text = image(&config, &layer, json!({}));
    let child = client.push_manifest("a", "image", media::OCI_MANIFEST, &text).await;
    client.get(&format!("/v2/a/blobs/{layer}")).await.expect_error(404, "BLOB_UNKNOWN");
    let index = json!({"schemaVersion": 2, "manifests": [
        {"mediaType": media::OCI_MANIFEST, "digest": child.to_string(), "size": text.len()},
        {"mediaType": media::OCI_MANIFEST, "digest": layer.to_string(), "size": 5}]});
    client.push_manifest("a", "index", media::OCI_INDEX, &index.to_string()).await;
    client.get("/v2/a/manifests/index").await.expect(200);
    // Malformed stays malformed.
    let text = text.replace(&layer.to_string(), "sha256:../x");
    let reply = client.put_manifest("a", "image", media::OCI_MANIFEST, &text).await;
    reply.expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn a_push_that_may_be_a_mistake_is_warned_about() {
    let root = tempfile::tempdir().unwrap();
    let mut registry = Registry::new(FsStore::open(root.path()).unwrap());
    registry.limits.sparse_manifests = true;
    let client = Client::with(root, registry);
    let (config, layer) = (client.push_blob("a", b"{}").await, Digest::sha256(b"layer"));
    let whole = image(&config, &config, json!({}));
    let lacking = image(&config, &layer, json!({}));
    let foreign = json!({"layers": [{"mediaType": "a/b", "digest": layer.to_string(), "size": 1,
                                     "urls": ["https://example.com/layer"]}]});
    let foreign = image(&config, &layer, foreign);
    let index = r#"{"schemaVersion": 2, "manifests": []}"#;
    let schema = format!("sha256-{}", layer.hex());
    for (to, kind, text, expected) in [
        ("x", media::OCI_MANIFEST, whole.as_str(), None),
        (
            "x",
            media::OCI_MANIFEST,
            &lacking,
            Some("the repository lacks 1 blob and 0 manifests of this sparse manifest"),
        ),
        (
            "x",
            media::OCI_MANIFEST,
            &foreign,
            Some(
                "1 layer of this manifest can't be pushed here and must be fetched from elsewhere",
            ),
        ),
        ("x", media::OCI_INDEX, index, None),
        (
            &schema,
            media::OCI_INDEX,
            index,
            Some("this registry lists referrers itself; an index by the tag schema is not needed"),
        ),
        (&schema, media::OCI_MANIFEST, &whole, None),
    ] {
        let reply = client.put_manifest("a", to, kind, text).await;
        reply.expect(201);
        let warnings = reply.headers.get_all("warning").iter();
        let warnings: Vec<_> = warnings.map(|text| text.to_str().unwrap()).collect();
        let expected: Vec<_> = expected.iter().map(|text| format!("299 - \"{text}\"")).collect();
        assert_eq!(warnings, expected, "{to} {text}");
    }
}

#[tokio::test]
async fn a_tag_moves_only_as_expected() {
    let client = Client::new();
    let kind = format!("content-type: {}", media::OCI_INDEX);
    let index = |note: &str| {
        json!({"schemaVersion": 2, "manifests": [], "annotations": {"note": note}}).to_string()
    };
    let digest = |note: &str| Digest::sha256(index(note).as_bytes()).to_string();
    let push = async |note: &str, condition: &str| {
        client.send("PUT /v2/a/manifests/x", &[&kind, condition], index(note)).await
    };
    push("one", "if-match: *").await.expect_error(412, "DENIED");
    push("one", "if-none-match: *").await.expect(201);
    push("two", "if-none-match: *").await.expect_error(412, "DENIED");
    push("two", &format!("if-match: \"{}\"", digest("two"))).await.expect_error(412, "DENIED");
    assert_eq!(client.get("/v2/a/manifests/x").await.body, index("one").as_bytes());
    push("two", &format!("if-match: \"{}\"", digest("one"))).await.expect(201);
    push("three", "if-match: *").await.expect(201);
    for bad in ["if-match: x", "if-match: \"x\"", "if-none-match: \"x\""] {
        push("four", bad).await.expect_error(400, "UNSUPPORTED");
    }
    assert_eq!(client.get("/v2/a/manifests/x").await.body, index("three").as_bytes());
}

#[tokio::test]
async fn a_manifest_that_the_client_has_is_not_sent_again() {
    let client = Client::new();
    let (digest, _) = client.push_image("a", "x", "layer").await;
    for line in ["GET /v2/a/manifests/x", "HEAD /v2/a/manifests/x"] {
        for header in [format!("if-none-match: \"{digest}\""), "if-none-match: *".to_owned()] {
            let reply = client.send(line, &[&header], Body::empty()).await;
            reply.expect(304);
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
            assert!(reply.body.is_empty());
        }
        client.send(line, &["if-none-match: \"other\""], Body::empty()).await.expect(200);
    }
    let line = "GET /v2/a/manifests/other";
    client.send(line, &["if-none-match: *"], Body::empty()).await.expect(404);
}

#[tokio::test]
async fn parameters_of_a_media_type_do_not_count() {
    let client = Client::new();
    let text = json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": []});
    let kind = format!("{}; charset=utf-8", media::OCI_INDEX);
    client.put_manifest("a", "x", &kind, &text.to_string()).await.expect(201);
    let reply = client.get("/v2/a/manifests/x").await;
    assert_eq!(reply.header("content-type"), media::OCI_INDEX);
    assert_eq!(reply.body, text.to_string().as_bytes());
}

#[tokio::test]
async fn a_push_by_digest_names_up_to_many_tags() {
    let client = Client::new();
    let text = r#"{"schemaVersion": 2, "manifests": []}"#;
    let tags: Vec<String> = (0..50).map(|count| format!("tag-{count}")).collect();
    let to = format!("{}?tag={}", Digest::sha256(text.as_bytes()), tags.join("&tag="));
    let reply = client.put_manifest("a", &to, media::OCI_INDEX, text).await;
    reply.expect(201);
    let told: Vec<_> = reply.headers.get_all("oci-tag").iter().collect();
    assert_eq!(told, tags.iter().map(String::as_str).collect::<Vec<_>>());
    let listed = client.get("/v2/a/tags/list?n=100").await;
    assert_eq!(listed.json()["tags"].as_array().unwrap().len(), 50);
    assert!(!listed.headers.contains_key("link"));
}

#[tokio::test]
async fn nothing_in_a_manifest_of_an_unknown_type_is_wrong() {
    let client = Client::new();
    let (kind, absent) = ("application/vnd.example+json", Digest::sha256(b"absent"));
    for text in [
        r#"{"mediaType":"text/plain"}"#.to_owned(),
        r#"{"manifests":[{"digest":"whatever"}]}"#.to_owned(),
        r#"{"subject":{"digest":"none"}}"#.to_owned(),
        format!(r#"{{"layers":[{{"digest":"{absent}"}}],"manifests":{{}}}}"#),
    ] {
        client.push_manifest("a", "x", kind, &text).await;
        let reply = client.get("/v2/a/manifests/x").await;
        assert_eq!((reply.header("content-type"), &*reply.body), (kind, text.as_bytes()));
    }
    let text = format!(r#"{{"subject":{{"digest":"{absent}"}},"artifactType":"a/b"}}"#);
    let reply = client.put_manifest("a", "x", kind, &text).await;
    reply.expect(201);
    assert_eq!(reply.header("oci-subject"), absent.to_string());
    let referrers = client.get(&format!("/v2/a/referrers/{absent}")).await.json();
    assert_eq!(referrers["manifests"][0]["artifactType"], "a/b", "{referrers}");
    // What the registry knows is held to what it says.
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{absent}"}}]}}"#);
    let reply = client.put_manifest("a", "x", media::OCI_INDEX, &text).await;
    reply.expect_error(404, "MANIFEST_BLOB_UNKNOWN");
}
