//! The webhook for images: `POST /validate-image`.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use warren::registry::admission::Rules;
use warren::registry::settings::{Flags, Settings, Variables};

use crate::registry_support::{Running, basic, push_image};

/// A configuration file with rules.
fn config(dir: &Path, default: &str, allow: &[&str], deny: &[&str]) -> String {
    let rules = json!({"default": default, "allow": allow, "deny": deny});
    let text = json!({"registry_proxies": null, "image_validation": rules}).to_string();
    let file = dir.join("trow.yaml");
    warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Everyone).unwrap();
    format!("--config-file={}", file.display())
}

/// A review of an object, as an API server writes it.
fn review(kind: &str, object: &Value) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "0b4ab323-b607-11e8-a555-42010a8002b4",
            "kind": {"group": "", "version": "v1", "kind": kind},
            "namespace": "default",
            "operation": "CREATE",
            "object": object,
            "oldObject": null,
        }
    })
}

fn pod(images: &[&str]) -> Value {
    let containers: Vec<_> = images.iter().map(|image| json!({"image": image})).collect();
    json!({"metadata": {"name": "web"}, "spec": {"containers": containers}})
}

async fn post(server: &Running, body: impl Into<Body>) -> (u16, Value) {
    let request = Request::post("/validate-image")
        .header("host", "r.example")
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let answer = server.send(request).await;
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

/// Why an object is not let in; `None` where it is.
async fn denied(server: &Running, kind: &str, object: &Value) -> Option<String> {
    let (status, answer) = post(server, review(kind, object).to_string()).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    let response = &answer["response"];
    assert_eq!(response["uid"], "0b4ab323-b607-11e8-a555-42010a8002b4");
    if response["allowed"] == true {
        assert!(response["status"].is_null(), "{answer}");
        return None;
    }
    assert_eq!(response["status"]["code"], 403);
    Some(response["status"]["message"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_prefix_wins_and_nobody_logs_in() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(
        dir.path(),
        "Deny",
        &["docker.io", "quay.io/team/", "localhost:8000"],
        &["quay.io/", "localhost:8000/secret/", "docker.io/bad"],
    );
    let server = Running::start(&dir.path().join("data"), &[&file, "-U", "u", "-P", "p"]).await;
    for (image, expected) in [
        ("ubuntu", None),
        ("docker.io/library/ubuntu:24.04", None),
        ("bad", Some("denied by the prefix docker.io/bad of image_validation.deny")),
        ("bad/app", Some("denied by the prefix docker.io/bad of")),
        ("quay.io/team/app:v1", None),
        ("quay.io/other/app", Some("denied by the prefix quay.io/ of")),
        ("localhost:8000/hello/world", None),
        ("localhost:8000/secret/box", Some("denied by the prefix localhost:8000/secret/ of")),
        ("docker.io.example/ubuntu", Some("matches no prefix of image_validation.allow")),
        ("ghcr.io/a/b", Some("image_validation.default is Deny")),
        ("hello human", Some("is no image name")),
        ("docker.io/voyager@jasper-byrne", Some("is no image name")),
    ] {
        let found = denied(&server, "Pod", &pod(&[image])).await;
        match (&found, expected) {
            (None, None) => {}
            (Some(why), Some(expected)) if why.contains(expected) && why.contains(image) => {}
            _ => panic!("{image}: {found:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_of_allow_lets_in_what_no_rule_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(dir.path(), "Allow", &["toto.land/good"], &["docker.io", "toto.land"]);
    let server = Running::start(&dir.path().join("data"), &[&file]).await;
    for (image, allowed) in [
        ("quay.io/a", true),
        ("ubuntu", false),
        ("Docker.IO:443/library/ubuntu", false),
        ("index.docker.io/ubuntu", false),
        ("toto.land/a", false),
        ("toto.land/good/a", true),
    ] {
        let found = denied(&server, "Pod", &pod(&[image])).await;
        assert_eq!(found.is_none(), allowed, "{image}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_container_of_every_kind_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = config(dir.path(), "Deny", &["good.io/"], &[]);
    let server = Running::start(&dir.path().join("data"), &[&file]).await;
    let good = json!([{"name": "a", "image": "good.io/a"}]);
    let bad = json!([{"name": "a", "image": "good.io/a"}, {"name": "b", "image": "bad.io/b"}]);
    let volume = json!([{"name": "v", "image": {"reference": "bad.io/b"}}]);
    let mut specs = vec![(true, json!({"containers": good, "initContainers": null}))];
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let mut spec = json!({"containers": good, "initContainers": good});
        spec[list] = bad.clone();
        specs.push((false, spec));
    }
    specs.push((false, json!({"containers": good, "volumes": volume})));
    for (allowed, spec) in specs {
        let template = json!({"spec": {"template": {"spec": spec}}});
        let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"];
        let mut objects: Vec<_> = kinds.iter().map(|kind| (*kind, template.clone())).collect();
        objects.push(("Pod", json!({"spec": spec})));
        objects.push(("CronJob", json!({"spec": {"jobTemplate": template}})));
        objects.push(("PodTemplate", json!({"template": {"spec": spec}})));
        for (kind, object) in objects {
            let found = denied(&server, kind, &object).await;
            assert_eq!(found.is_none(), allowed, "{kind} {spec}: {found:?}");
            assert!(found.is_none_or(|why| why.contains("bad.io/b")));
        }
    }
    assert_eq!(denied(&server, "ConfigMap", &json!({"data": {"image": "bad.io/b"}})).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_review_is_a_clear_400() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(&dir.path().join("data"), &[]).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut review = review("Pod", &pod(&["a"]));
        change(&mut review);
        review.to_string()
    };
    for (body, expected) in [
        (String::new(), "no JSON"),
        ("{".to_owned(), "no JSON"),
        ("[".repeat(100_000), "no JSON"),
        ("[]".to_owned(), "apiVersion is missing"),
        ("{}".to_owned(), "apiVersion is missing"),
        (with(&|review| review["apiVersion"] = json!("v2")), "apiVersion is \"v2\""),
        (with(&|review| review["kind"] = json!("Pod")), "kind is not"),
        (with(&|review| review["request"] = json!(null)), "request.uid is missing"),
        (with(&|review| review["request"]["uid"] = json!(7)), "request.uid is missing"),
        (with(&|review| review["request"]["object"] = json!(null)), "request.object is missing"),
        (
            with(&|review| review["request"]["object"]["spec"]["containers"] = json!({})),
            "request.object/spec/containers is no list",
        ),
        (
            with(&|review| {
                review["request"]["object"]["spec"]["containers"][0]["image"] = json!(1);
            }),
            "request.object/spec/containers/0/image is no text",
        ),
    ] {
        let (status, answer) = post(&server, body.clone()).await;
        let message = answer["errors"][0]["message"].as_str().unwrap().to_owned();
        assert_eq!(status, 400, "{message}");
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let (status, answer) = post(&server, vec![b' '; (8 << 20) + 1]).await;
    assert_eq!((status, answer["errors"][0]["code"].as_str()), (413, Some("SIZE_INVALID")));
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("AdmissionReview"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_brings_nothing_and_older_reviews_are_answered_in_kind() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(&dir.path().join("data"), &[]).await;
    let mut asked = review("Pod", &Value::Null);
    asked["request"]["operation"] = json!("DELETE");
    asked["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let (status, answer) = post(&server, asked.to_string()).await;
    assert_eq!((status, &answer["response"]["allowed"]), (200, &json!(true)));
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1beta1");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_nothing_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(&dir.path().join("data"), &[]).await;
    let why = denied(&server, "Pod", &pod(&["ubuntu"])).await.unwrap();
    assert!(why.contains("no rules") && why.contains("--config-file"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flags_of_2020_ask_what_the_registry_holds() {
    let dir = tempfile::tempdir().unwrap();
    let line = [
        "--no-tls",
        "-n",
        "r.example:5000,second",
        "--external-url",
        "https://outside.example",
        "-u",
        "u",
        "-p",
        "p",
        "--allow-prefixes",
        "quay.io/coreos,myhost.com/",
        "--allow-images",
        "ghcr.io/a/b:1,nginx",
        "--disallow-local-prefixes",
        "beta",
        "--disallow-local-images",
        "old/app:1,gone",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ];
    let server = Running::start_2020(dir.path(), &line).await;
    let login = basic("u", "p");
    for (name, tag) in
        [("app", "1"), ("beta/app", "1"), ("old/app", "1"), ("old/app", "2"), ("gone", "x")]
    {
        push_image(&server, &login, name, tag).await;
    }
    for (image, expected) in [
        ("r.example:5000/app:1", None),
        ("outside.example/app:1", None),
        ("second/app:1", Some("is not of this registry")),
        ("r.example:5000/app:2", Some("is not in this registry, and neither")),
        ("r.example:5000/beta/app:1", Some("the prefix beta of --disallow-local-prefixes")),
        ("r.example:5000/old/app:1", Some("the image old/app:1 of --disallow-local-images")),
        ("r.example:5000/old/app:2", None),
        ("r.example:5000/gone:x", Some("the image gone of")),
        ("quay.io/coreos/etcd:v3", None),
        ("quay.io/other", Some("is not of this registry")),
        ("myhost.com/any", None),
        ("ghcr.io/a/b:1", None),
        ("ghcr.io/a/b:2", Some("is not of this registry")),
        ("nginx", None),
        ("nginx:1.27", Some("is not of this registry")),
        ("k8s.gcr.io/pause:3", None),
        ("registry.k8s.io/pause:3", None),
    ] {
        let found = denied(&server, "Pod", &pod(&[image])).await;
        match (&found, expected) {
            (None, None) => {}
            (Some(why), Some(expected)) if why.contains(expected) && why.contains(image) => {}
            _ => panic!("{image}: {found:?} instead of {expected:?}"),
        }
    }
    let server = Running::start_2020(
        dir.path(),
        &[
            "--no-tls",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--deny-k8s-images",
            "--allow-docker-official",
        ],
    )
    .await;
    assert!(denied(&server, "Pod", &pod(&["k8s.gcr.io/pause:3"])).await.is_some());
    assert!(denied(&server, "Pod", &pod(&["nginx:1.27"])).await.is_none());
}

/// A reload replaces the rules of a registry that runs.
#[test]
fn rules_can_be_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let rules = |default| {
        let file = config(dir.path(), default, &[], &[]);
        let flags = Flags::parse_line(["warren-registry", file.as_str()]).unwrap();
        Rules::of(&Settings::resolve(&flags, &Variables::these(&[])).unwrap())
    };
    let swap = warren::registry::swap::Swap::new(rules("Deny"));
    let before = swap.current();
    swap.replace(rules("Allow"));
    assert_ne!(before.judge("a").1, swap.current().judge("a").1);
}

#[tokio::test]
async fn a_review_of_very_many_images_is_refused_and_quickly_read() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        crate::registry_support::Running::start(dir.path(), &["--allow-docker-official"]).await;
    let review = |images: Vec<String>| {
        let containers: Vec<_> =
            images.iter().map(|image| serde_json::json!({"image": image})).collect();
        let review = serde_json::json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "1", "operation": "CREATE", "object": {"spec": {"containers": containers}}},
        });
        axum::http::Request::post("/validate-image")
            .header("host", "registry")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(review.to_string()))
            .unwrap()
    };
    let many = (0..1001).map(|index| format!("a{index}")).collect();
    let answer = server.send(review(many)).await;
    assert_eq!(answer.status(), 400);
    assert!(String::from_utf8_lossy(answer.body()).contains("at most 1000"));
    let same = std::iter::repeat_n("same".to_owned(), 5000).collect();
    assert_eq!(server.send(review(same)).await.status(), 200);
    assert_eq!(server.send(review(vec!["x".repeat(1025)])).await.status(), 400);
}
