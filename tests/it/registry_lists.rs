//! Lists of tags and repositories.

use std::time::Duration;

use serde_json::json;
use warren::digest::Digest;
use warren::fs;
use warren::registry::access::Permissions;
use warren::registry::name::RepositoryName;
use warren::registry::service::Registry;
use warren::registry::store::{
    Expected, FsStore, MemoryStore, Required, Store as _, StoredManifest,
};

use crate::registry_client::Client;

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
        reply.expect_error(400, "UNSUPPORTED");
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
async fn no_page_of_tags_is_longer_than_ten_thousand() {
    const TAGS: usize = 10_001;
    let (store, name) = (MemoryStore::new(), "a".parse::<RepositoryName>().unwrap());
    let digest = Digest::sha256(b"{}");
    let manifest =
        StoredManifest { digest: digest.clone(), media_type: "a/b".to_owned(), bytes: "{}".into() };
    store.manifest_put(&name, &manifest, None, &Required::default()).await.unwrap();
    let tags: Vec<String> = (0..TAGS).map(|number| format!("{number:05}")).collect();
    for tag in &tags {
        let tag = tag.parse().unwrap();
        store.tag_set(&name, &tag, &digest, &Expected::Anything).await.unwrap();
    }
    let client = Client::with(tempfile::tempdir().unwrap(), Registry::new(store));
    for query in ["", "?n=10001", "?n=18446744073709551615"] {
        let page = client.get(&format!("/v2/a/tags/list{query}")).await;
        page.expect(200);
        assert_eq!(page.json(), json!({"name": "a", "tags": tags[..TAGS - 1]}), "{query}");
        let link = "</v2/a/tags/list?n=10000&last=09999>; rel=\"next\"";
        assert_eq!(page.header("link"), link, "{query}");
    }
    let rest = client.get("/v2/a/tags/list?n=10000&last=09999").await;
    assert_eq!(rest.json()["tags"], json!(["10000"]));
    assert!(!rest.headers.contains_key("link"));
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
    let deepest = format!("{}a", "a/".repeat(127));
    client.push_image(&deepest, "x", "layer").await;
    assert_eq!(
        client.get("/v2/_catalog").await.json()["repositories"],
        json!([deepest, longest, component])
    );
    let tag = "t".repeat(129);
    let line = format!("/v2/{longest}/manifests/{tag}");
    client.get(&line).await.expect_error(400, "TAG_INVALID");
}

#[tokio::test]
async fn a_catalog_of_many_folders_is_whole_however_it_is_read() {
    let root = tempfile::tempdir().unwrap();
    let mut names: Vec<String> = (0..40)
        .map(|number| format!("flat-{number:02}"))
        .chain((0..40).map(|number| format!("deep/{:02}/image-{number}", number % 3)))
        .chain((0..40).map(|number| format!("deep-{number}/image")))
        .collect();
    for name in &names {
        fs::create_dir_all(&root.path().join("repositories").join(name).join("_manifests"))
            .unwrap();
    }
    names.sort();
    // What is old enough is remembered from then on.
    tokio::time::sleep(Duration::from_millis(150)).await;
    let store = FsStore::open(root.path()).unwrap();
    let client = Client::with(root, Registry::new(store));
    for _ in 0..2 {
        assert_eq!(client.get("/v2/_catalog").await.json()["repositories"], json!(names));
        let mut paged = Vec::new();
        let mut path = Some("/v2/_catalog?n=33".to_owned());
        while let Some(page) = path {
            let page = client.get(&page).await;
            let found = page.json()["repositories"].as_array().unwrap().clone();
            paged.extend(found.iter().map(|name| name.as_str().unwrap().to_owned()));
            path = page.headers.get("link").map(|link| {
                let link = link.to_str().unwrap();
                link[1..link.find('>').unwrap()].to_owned()
            });
        }
        assert_eq!(paged, names);
    }
}
