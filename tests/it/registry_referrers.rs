//! Who refers to a manifest.

use axum::body::Body;
use serde_json::json;
use warren::digest::Digest;
use warren::registry::media;
use warren::registry::name::RepositoryName;
use warren::registry::service::Registry;
use warren::registry::store::{FsStore, Required, Store as _, StoredManifest};

use crate::registry_client::{Client, Reply, image};

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

/// A manifest that refers to a subject, with a note that makes it another one.
fn referrer(subject: &Digest, note: &str) -> String {
    json!({"schemaVersion": 2, "artifactType": "a/sig+x", "manifests": [],
           "subject": {"mediaType": media::OCI_MANIFEST, "digest": subject.to_string(), "size": 1},
           "annotations": {"note": note}})
    .to_string()
}

/// Follows the links from a path; gives each page.
async fn pages(client: &Client, path: &str) -> Vec<Reply> {
    let mut pages = vec![client.get(path).await];
    while let Some(link) = pages.last().unwrap().headers.get("link") {
        let link = link.to_str().unwrap().to_owned();
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        pages.push(client.get(next).await);
        assert!(pages.len() < 100, "the links go round");
    }
    pages
}

fn digests(pages: &[Reply]) -> Vec<String> {
    let listed = pages.iter().flat_map(|page| page.json()["manifests"].as_array().unwrap().clone());
    listed.map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_long_list_of_referrers_comes_in_pages() {
    let root = tempfile::tempdir().unwrap();
    let mut registry = Registry::new(FsStore::open(root.path()).unwrap());
    registry.limits.referrers_bytes = 2000;
    let client = Client::with(root, registry);
    let subject = Digest::sha256(b"subject");
    let mut pushed = Vec::new();
    for count in 0..20 {
        let text = referrer(&subject, &format!("{count} {}", "x".repeat(400)));
        pushed.push(client.push_manifest("a", "x", media::OCI_INDEX, &text).await.to_string());
    }
    pushed.sort();
    let path = format!("/v2/a/referrers/{subject}");
    let all = pages(&client, &path).await;
    assert!(all.len() > 5, "{} pages", all.len());
    assert_eq!(digests(&all), pushed);
    for page in &all {
        page.expect(200);
        assert!(page.body.len() <= 2000, "{} bytes", page.body.len());
        assert_eq!(page.json()["mediaType"], media::OCI_INDEX);
    }
    let some = pages(&client, &format!("{path}?artifactType=a/sig%2Bx")).await;
    assert_eq!(digests(&some), pushed);
    assert!(some.iter().all(|page| page.header("oci-filters-applied") == "artifactType"));
    assert!(some[0].header("link").contains("?artifactType=a/sig%2Bx&last=sha256:"));
    client.get(&format!("{path}?last=x")).await.expect_error(400, "DIGEST_INVALID");
}

#[tokio::test]
async fn no_page_of_referrers_is_larger_than_a_manifest_may_be() {
    let client = Client::new();
    let (subject, limit) = (Digest::sha256(b"subject"), 4 * 1024 * 1024);
    // With its annotations this one alone is larger than a page.
    let kind = "application/vnd.example+json";
    let text = json!({"subject": {"digest": subject.to_string()}, "annotations": {"a": ""}});
    let room = limit - text.to_string().len();
    let text = text.to_string().replace(r#""a":"""#, &format!(r#""a":"{}""#, "x".repeat(room)));
    client.push_manifest("a", "x", kind, &text).await;
    for note in ["y", "z"] {
        let text = referrer(&subject, &note.repeat(3_000_000));
        client.push_manifest("a", "x", media::OCI_INDEX, &text).await;
    }
    let all = pages(&client, &format!("/v2/a/referrers/{subject}")).await;
    assert_eq!((all.len(), digests(&all).len()), (2, 3));
    assert!(all.iter().all(|page| page.body.len() <= limit));
}

/// A store as one that is older than the list of referrers left it: the
/// manifests are there, and only the index by the tag schema lists them.
async fn before_the_list(subject: &Digest, count: usize) -> (Client, Vec<String>) {
    let root = tempfile::tempdir().unwrap();
    let store = FsStore::open(root.path()).unwrap();
    let name: RepositoryName = "a".parse().unwrap();
    let mut old = Vec::new();
    for note in 0..count {
        let text = referrer(subject, &note.to_string());
        let digest = Digest::sha256(text.as_bytes());
        let manifest = StoredManifest {
            digest: digest.clone(),
            media_type: media::OCI_INDEX.to_owned(),
            bytes: text.into(),
        };
        store.manifest_put(&name, &manifest, None, &Required::default()).await.unwrap();
        old.push(digest.to_string());
    }
    (Client::with(root, Registry::new(store)), old)
}

#[tokio::test]
async fn what_the_tag_schema_lists_is_listed() {
    let subject = Digest::sha256(b"subject");
    let (client, mut expected) = before_the_list(&subject, 250).await;
    let path = format!("/v2/a/referrers/{subject}");
    assert_eq!(client.get(&path).await.json()["manifests"], json!([]));
    // One that the list has as well, and one that has another subject.
    let both = client.push_manifest("a", "x", media::OCI_INDEX, &referrer(&subject, "both")).await;
    let other = referrer(&Digest::sha256(b"other"), "other");
    let other = client.push_manifest("a", "y", media::OCI_INDEX, &other).await;
    let named: Vec<_> = expected
        .iter()
        .chain([&both.to_string(), &other.to_string()])
        .map(|digest| json!({"mediaType": media::OCI_INDEX, "digest": digest, "size": 1}))
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": named}).to_string();
    let tag = format!("sha256-{}", subject.hex());
    client.push_manifest("a", &tag, media::OCI_INDEX, &index).await;

    expected.push(both.to_string());
    expected.sort();
    // No answer reads more than a hundred manifests: the rest is on other pages.
    let all = pages(&client, &path).await;
    assert_eq!((digests(&all), all.len()), (expected, 3));
    let page = client.get(&format!("{path}?artifactType=a/other")).await;
    assert_eq!(page.json()["manifests"], json!([]));

    // What isn't an index under that tag is nobody's list.
    client.push_manifest("a", &tag, "application/vnd.example", "not even JSON").await;
    assert_eq!(digests(&pages(&client, &path).await), [both.to_string()]);
}

#[tokio::test]
async fn a_damaged_manifest_takes_the_list_away_from_no_other() {
    let subject = Digest::sha256(b"subject");
    let (client, mut expected) = before_the_list(&subject, 3).await;
    let named: Vec<_> = expected
        .iter()
        .map(|digest| json!({"mediaType": media::OCI_INDEX, "digest": digest, "size": 1}))
        .collect();
    let index = json!({"schemaVersion": 2, "manifests": named}).to_string();
    let tag = format!("sha256-{}", subject.hex());
    let index = client.push_manifest("a", &tag, media::OCI_INDEX, &index).await;
    let listed = client.push_manifest("a", "x", media::OCI_INDEX, &referrer(&subject, "l")).await;
    let lose = |digest: &Digest| {
        let hex = digest.hex();
        let file = client.root.path().join("blobs/sha256").join(&hex[..2]).join(hex);
        assert!(warren::fs::remove_file(&file).unwrap());
    };
    lose(&expected.remove(0).parse().unwrap());
    expected.push(listed.to_string());
    expected.sort();
    let path = format!("/v2/a/referrers/{subject}");
    let page = client.get(&path).await;
    page.expect(200);
    assert_eq!(digests(&[page]), expected);
    // Nor does a damaged index by the tag schema.
    lose(&index);
    let page = client.get(&path).await;
    page.expect(200);
    assert_eq!(digests(&[page]), [listed.to_string()]);
}
