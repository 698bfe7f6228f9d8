//! Who refers to a manifest.

use axum::body::Body;
use serde_json::json;
use warren::digest::Digest;
use warren::registry::media;

use crate::registry_client::{Client, image};

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
