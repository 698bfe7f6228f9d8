//! Who may do what where: the policy file, by Basic and by token.

use std::path::{Path, PathBuf};

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use warren::digest::Digest;
use warren::fs::{self, Access};

use crate::registry_support::{Running, basic, bind, header, request};

const POLICY: &str = r#"
[[rule]]
users = ["anonymous"]
repositories = ["public/**"]
actions = ["pull"]

[[rule]]
users = ["*"]
repositories = ["shared/*"]
actions = ["pull"]

[[rule]]
users = ["alice"]
repositories = ["public/**", "shared/*", "alice/**"]
actions = ["pull", "push"]

[[rule]]
users = ["root"]
repositories = ["**"]
actions = ["pull", "push", "delete"]
"#;

/// A folder with users and a policy, and the arguments that name them. Each
/// password is the user's name.
struct House {
    dir: tempfile::TempDir,
    users: PathBuf,
    policy: PathBuf,
}

impl House {
    fn new(users: &[&str], policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let house =
            Self { users: dir.path().join("users"), policy: dir.path().join("policy.toml"), dir };
        let lines = users.iter().map(|name| format!("{name}:{}\n", bcrypt::hash(name, 4).unwrap()));
        write(&house.users, &lines.collect::<String>());
        write(&house.policy, policy);
        house
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    async fn start(&self) -> Running {
        let [users, policy] = [&self.users, &self.policy].map(|path| path.to_str().unwrap());
        Running::start(&self.data(), &["--htpasswd", users, "--policy", policy]).await
    }
}

fn write(path: &Path, text: &str) {
    fs::write_atomic(path, text.as_bytes(), Access::Owner).unwrap();
}

/// `METHOD path` by somebody: a user, or nobody with an empty name.
async fn by(server: &Running, user: &str, line: &str, body: &'static str) -> Response<Bytes> {
    let (method, path) = line.split_once(' ').unwrap();
    let credentials = basic(user, user);
    let headers = [("authorization", credentials.as_str())];
    let headers = if user.is_empty() { &[][..] } else { &headers };
    let (head, _) = request(method, path, headers).into_parts();
    server.send(Request::from_parts(head, Body::from(body))).await
}

/// The same with a token that was asked for with this query, by a user or,
/// with an empty name, by nobody.
async fn by_token(server: &Running, user: &str, query: &str, line: &str) -> Response<Bytes> {
    let login = by(server, user, &format!("GET /login?{query}"), "").await;
    assert_eq!(login.status(), 200, "{user} {query}");
    let body: serde_json::Value = serde_json::from_slice(login.body()).unwrap();
    let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
    let (method, path) = line.split_once(' ').unwrap();
    server.send(request(method, path, &[("authorization", &bearer)])).await
}

const NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who may what: pull (a 404 where nothing is there), push, delete.
const TABLE: [(&str, &str, [u16; 3]); 13] = [
    ("", "public/a", [404, 401, 401]),
    ("", "shared/a", [401, 401, 401]),
    ("", "alice/a", [401, 401, 401]),
    ("bob", "public/a/b", [404, 403, 403]),
    ("bob", "shared/a", [404, 403, 403]),
    ("bob", "shared/a/b", [403, 403, 403]),
    ("bob", "alice/a", [403, 403, 403]),
    ("alice", "public/a", [404, 202, 403]),
    ("alice", "shared/a", [404, 202, 403]),
    ("alice", "alice/a/b", [404, 202, 403]),
    ("alice", "other", [403, 403, 403]),
    ("root", "other", [404, 202, 404]),
    ("root", "alice/a", [404, 202, 404]),
];

fn lines(repository: &str) -> [String; 3] {
    [
        format!("GET /v2/{repository}/manifests/none"),
        format!("POST /v2/{repository}/blobs/uploads/"),
        format!("DELETE /v2/{repository}/manifests/none"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_does_what_the_policy_allows_and_no_more() {
    let house = House::new(&["alice", "bob", "root"], POLICY);
    let server = house.start().await;
    for (user, repository, expected) in TABLE {
        for (line, status) in lines(repository).iter().zip(expected) {
            let answer = by(&server, user, line, "").await;
            assert_eq!(answer.status(), status, "{user:?} {line}");
            let body = String::from_utf8_lossy(answer.body()).into_owned();
            match status {
                403 => assert!(body.contains("DENIED") && body.contains(user), "{body}"),
                401 => assert!(header(&answer, "www-authenticate").contains(repository)),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_carries_what_the_policy_allows_and_no_more() {
    let house = House::new(&["alice", "bob", "root"], POLICY);
    let server = house.start().await;
    for (user, repository, expected) in TABLE {
        for (line, status) in lines(repository).iter().zip(expected) {
            for query in [
                format!("scope=repository:{repository}:pull,push,delete"),
                format!("scope=repository:{repository}:*"),
                "service=trow_registry".to_owned(),
            ] {
                let answer = by_token(&server, user, &query, line).await;
                assert_eq!(answer.status(), status, "{user:?} {query} {line}");
            }
        }
        // What is in the token can be read: it is not encrypted.
        let query = format!("GET /login?scope=repository:{repository}:*,push%20other:x:y");
        let answer = by(&server, user, &query, "").await;
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        let access = &claims(body["token"].as_str().unwrap())["access"];
        let granted: Vec<&str> = ["pull", "push", "delete"]
            .into_iter()
            .zip(expected)
            .filter(|(_, status)| ![401, 403].contains(status))
            .map(|(action, _)| action)
            .collect();
        match access.as_array().unwrap().as_slice() {
            [] => assert!(granted.is_empty(), "{user} {repository}"),
            [row] => assert_eq!(row["actions"], serde_json::json!(granted), "{user} {repository}"),
            more => panic!("{more:?}"),
        }
    }
}

fn claims(token: &str) -> serde_json::Value {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

async fn catalog(server: &Running, user: &str) -> Vec<String> {
    let answer = by(server, user, "GET /v2/_catalog", "").await;
    assert_eq!(answer.status(), 200, "{user}");
    let listed: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let by_basic: Vec<String> = serde_json::from_value(listed["repositories"].clone()).unwrap();
    let scope = "scope=registry:catalog:*";
    let answer = by_token(server, user, scope, "GET /v2/_catalog").await;
    let by_token: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(by_token, listed, "{user}");
    by_basic
}

async fn push(server: &Running, user: &str, repository: &str, content: &'static str) -> String {
    let digest = Digest::sha256(content.as_bytes()).to_string();
    let line = format!("POST /v2/{repository}/blobs/uploads/?digest={digest}");
    assert_eq!(by(server, user, &line, content).await.status(), 201);
    digest
}

/// A repository is in the catalog when it has a manifest.
async fn push_manifest(server: &Running, user: &str, repository: &str) {
    let empty = push(server, user, repository, "{}").await;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
        "layers": [],
    });
    let credentials = basic(user, user);
    let headers = [
        ("authorization", credentials.as_str()),
        ("content-type", "application/vnd.oci.image.manifest.v1+json"),
    ];
    let path = format!("/v2/{repository}/manifests/latest");
    let (head, _) = request("PUT", &path, &headers).into_parts();
    let answer = server.send(Request::from_parts(head, Body::from(manifest.to_string()))).await;
    assert_eq!(answer.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_shows_what_may_be_pulled() {
    let house = House::new(&["alice", "bob", "root"], POLICY);
    let server = house.start().await;
    for repository in ["alice/a", "other", "public/a/b", "shared/a", "shared/a/b"] {
        push_manifest(&server, "root", repository).await;
    }
    assert_eq!(catalog(&server, "").await, ["public/a/b"]);
    assert_eq!(catalog(&server, "bob").await, ["public/a/b", "shared/a"]);
    assert_eq!(catalog(&server, "alice").await, ["alice/a", "public/a/b", "shared/a"]);
    assert_eq!(catalog(&server, "root").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_takes_only_from_where_its_user_may_pull() {
    let house = House::new(&["alice", "bob", "root"], POLICY);
    let server = house.start().await;
    let secret = push(&server, "root", "other", "secret").await;
    let shared = push(&server, "root", "shared/a", "shared").await;
    for (digest, from, status) in [
        (&secret, "&from=other", 202),
        (&secret, "", 202),
        (&shared, "&from=shared/a", 201),
        (&shared, "", 201),
    ] {
        let line = format!("POST /v2/alice/a/blobs/uploads/?mount={digest}{from}");
        let answer = by_token(&server, "alice", "scope=repository:alice/a:pull,push", &line).await;
        assert_eq!(answer.status(), status, "{line}");
        assert_eq!(by(&server, "alice", &line, "").await.status(), status, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_logs_in_as_a_wrong_user_or_where_nothing_is_public() {
    let house = House::new(&["alice"], POLICY);
    let server = house.start().await;
    // The version check is where clients learn how to log in.
    assert_eq!(by(&server, "", "GET /v2/", "").await.status(), 401);
    assert_eq!(by(&server, "stranger", "GET /login", "").await.status(), 401);
    let line = format!("GET /v2/public/a/blobs/{NOTHING}");
    assert_eq!(by(&server, "", &line, "").await.status(), 404);
    assert_eq!(by(&server, "stranger", &line, "").await.status(), 401, "wrong is not nobody");

    let closed = House::new(&["alice"], &POLICY.replace("\"anonymous\"", "\"*\""));
    let server = closed.start().await;
    assert_eq!(by(&server, "", "GET /login", "").await.status(), 401);
    assert_eq!(by(&server, "", &line, "").await.status(), 401);
    assert_eq!(by(&server, "", "GET /v2/_catalog", "").await.status(), 401);
    assert_eq!(by(&server, "alice", &line, "").await.status(), 404);
}

/// The policy is asked when a token is used, not only when it is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_shrinks_with_the_policy() {
    let house = House::new(&["alice", "bob", "root"], POLICY);
    let server = house.start().await;
    let token = server.token("alice", "alice", "?scope=repository:alice/a:pull,push").await;
    let anonymous = by(&server, "", "GET /login?scope=repository:public/a:pull", "").await;
    let anonymous: serde_json::Value = serde_json::from_slice(anonymous.body()).unwrap();
    let anonymous = format!("Bearer {}", anonymous["token"].as_str().unwrap());
    let alice = format!("Bearer {token}");
    let requests = [
        (&alice, "GET", "/v2/alice/a/manifests/none", 404, 404),
        (&alice, "POST", "/v2/alice/a/blobs/uploads/", 202, 403),
        (&anonymous, "GET", "/v2/public/a/manifests/none", 404, 401),
    ];
    for (bearer, method, path, before, _) in &requests {
        let answer = server.send(request(method, path, &[("authorization", bearer)])).await;
        assert_eq!(answer.status(), *before, "{method} {path}");
    }
    server.stopped().await;
    let rule = "[[rule]]\nusers = [\"alice\"]\nrepositories = [\"**\"]\nactions = [\"pull\"]\n";
    write(&house.policy, rule);
    let server = house.start().await;
    for (bearer, method, path, _, after) in &requests {
        let answer = server.send(request(method, path, &[("authorization", bearer)])).await;
        assert_eq!(answer.status(), *after, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_the_policy_is_all_there_is() {
    let house = House::new(&[], POLICY);
    let policy = house.policy.to_str().unwrap();
    let server = Running::start(&house.data(), &["--policy", policy]).await;
    for (line, status) in [
        ("GET /v2/public/a/manifests/none", 404),
        ("POST /v2/public/a/blobs/uploads/", 401),
        ("GET /v2/shared/a/manifests/none", 401),
    ] {
        assert_eq!(by(&server, "", line, "").await.status(), status, "{line}");
    }
}

#[tokio::test]
async fn a_policy_that_is_none_is_named_with_its_line() {
    for (from, to, expected) in [
        ("\"pull\", \"push\"", "\"pull\", \"psuh\"", "policy.toml:15:20: \"psuh\" is no action"),
        ("users = [\"*\"]", "user = [\"*\"]", "policy.toml:8:1: unknown field `user`"),
        ("\"shared/*\"", "\"Shared/*\"", "policy.toml:9:17: the pattern \"Shared/*\""),
    ] {
        let house = House::new(&["alice"], &POLICY.replacen(from, to, 1));
        let policy = house.policy.to_str().unwrap();
        let error = bind(&house.data(), &["--policy", policy]).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let house = House::new(&["anonymous"], POLICY);
    let [users, policy] = [&house.users, &house.policy].map(|path| path.to_str().unwrap());
    let arguments = ["--htpasswd", users, "--policy", policy];
    let error = bind(&house.data(), &arguments).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("\"anonymous\" means something else"), "{error}");
}
