//! Who gets in: challenges, passwords, tokens.

use warren::registry::auth::{
    AccessList, Argon2id, Authenticator, Cost, Credentials, Refused, Secret, TokenKey, Users,
    Verifier, parse_htpasswd,
};

use crate::registry_support::{Running, basic, bind, header, http2, request};

const USER: &[&str] = &["-U", "rabbit", "-P", "s3cr3t:p@55:"];

/// The hash of one password, cheap.
fn htpasswd(users: &[(&str, &str, u32)]) -> String {
    let lines = users.iter().map(|(user, password, cost)| {
        format!("{user}:{}\n", bcrypt::hash(password, *cost).unwrap())
    });
    format!("# users\n\n{}", lines.collect::<String>())
}

/// The same with argon2id.
fn argon2id(password: &str) -> String {
    let cost = Cost { memory: 8, passes: 2, lanes: 1, length: 32 };
    Argon2id::new(password, b"salt and pepper", cost).unwrap().text().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_challenge_says_where_and_for_what() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    for (path, scope) in [
        ("/v2/", ""),
        ("/v2/a/b/tags/list", ",scope=\"repository:a/b:pull\""),
        ("/v2/_catalog", ",scope=\"registry:catalog:*\""),
        ("/v2/a/manifests/sha256:nonsense", ""),
        ("/v2/nothing-of-ours", ""),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = server.send(request(method, path, &[])).await;
            assert_eq!(answer.status(), 401, "{method} {path}");
            assert_eq!(
                header(&answer, "www-authenticate"),
                format!("Bearer realm=\"http://r.example/login\",service=\"trow_registry\"{scope}")
            );
            assert_eq!(header(&answer, "docker-distribution-api-version"), "registry/2.0");
            assert_eq!(header(&answer, "content-type"), "application/json");
            if method == "GET" {
                let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(body["errors"][0]["code"], "UNAUTHORIZED");
            }
        }
    }
    let answer = server.send(request("POST", "/v2/a/blobs/uploads/", &[])).await;
    assert!(header(&answer, "www-authenticate").contains("scope=\"repository:a:pull,push\""));
    for (query, scope) in [
        ("from=b/c", "repository:a:pull,push repository:b/c:pull"),
        ("from=b%2Fc", "repository:a:pull,push repository:b/c:pull"),
        ("from=No%22", "repository:a:pull,push"),
        ("", "repository:a:pull,push"),
    ] {
        let path = format!("/v2/a/blobs/uploads/?mount=sha256:0&{query}");
        let answer = server.send(request("POST", &path, &[])).await;
        let challenge = header(&answer, "www-authenticate");
        assert!(challenge.ends_with(&format!(",scope=\"{scope}\"")), "{challenge}");
    }
}

/// Clients keep a token for each repository and name no source in it: a blob
/// comes from wherever its user may pull.
#[tokio::test(flavor = "multi_thread")]
async fn a_mount_asks_what_the_user_may_pull() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let digest = warren::digest::Digest::sha256(b"");
    let user = basic("rabbit", "s3cr3t:p@55:");
    let push = format!("/v2/source/blobs/uploads/?digest={digest}");
    let answer = server.send(request("POST", &push, &[("authorization", &user)])).await;
    assert_eq!(answer.status(), 201);
    for (repository, mount, status) in
        [("named", "&from=source", 201), ("elsewhere", "&from=nowhere", 202), ("unnamed", "", 201)]
    {
        let query = format!("?scope=repository:{repository}:pull,push");
        let token = server.token("rabbit", "s3cr3t:p@55:", &query).await;
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}{mount}");
        let bearer = format!("Bearer {token}");
        let answer = server.send(request("POST", &path, &[("authorization", &bearer)])).await;
        assert_eq!(answer.status(), status, "{repository} {mount}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_realm_is_absolute_and_follows_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let proxied = [
        ("host", "10.0.0.1:8000"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "paasregistry.lapin.io"),
    ];
    let answer = server.get("/v2/", &proxied).await;
    assert!(
        header(&answer, "www-authenticate")
            .starts_with("Bearer realm=\"https://paasregistry.lapin.io/login\",")
    );
    let attack = [("host", "r.example"), ("x-forwarded-host", "a\",service=\"evil")];
    let answer = server.get("/v2/", &attack).await;
    assert!(
        header(&answer, "www-authenticate").starts_with("Bearer realm=\"http://r.example/login\",")
    );
    // HTTP/2 has no Host header, but an authority.
    let answer = http2(
        server.connect().await,
        axum::http::Request::get("http://h2.example:5000/v2/")
            .body(axum::body::Body::empty())
            .unwrap(),
    )
    .await;
    assert_eq!(answer.status(), 401);
    assert!(
        header(&answer, "www-authenticate")
            .starts_with("Bearer realm=\"http://h2.example:5000/login\",")
    );
}

/// A balancer that ends TLS below HTTP adds no header that says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_realm_is_the_external_url_where_one_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let line = [USER, &["--external-url", "HTTPS://registry.example:8443/"]].concat();
    let server = Running::start(dir.path(), &line).await;
    let proxied = [("host", "10.0.0.1:8000"), ("x-forwarded-host", "elsewhere.example")];
    for headers in [&proxied[..], &proxied[..1], &[]] {
        let realm = "realm=\"https://registry.example:8443/login\"";
        let answer = server.get("/v2/", headers).await;
        assert!(header(&answer, "www-authenticate").starts_with(&format!("Bearer {realm},")));
        let answer = server.get("/login", headers).await;
        assert_eq!(header(&answer, "www-authenticate"), format!("Basic {realm}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_users_everyone_may() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    assert_eq!(server.get("/v2/", &[]).await.status(), 200);
    // Clients that were logged in before send what they have.
    let stale = [("authorization", "Bearer stale")];
    assert_eq!(server.get("/v2/", &stale).await.status(), 200);
    let token = server.token("any", "thing", "").await;
    let bearer = format!("Bearer {token}");
    assert_eq!(server.get("/v2/", &[("authorization", &bearer)]).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_with_colons_logs_in_by_basic_and_by_token() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let right = basic("rabbit", "s3cr3t:p@55:");
    assert_eq!(server.get("/v2/", &[("authorization", &right)]).await.status(), 200);
    let token = server.token("rabbit", "s3cr3t:p@55:", "?service=trow_registry").await;
    let bearer = format!("Bearer {token}");
    let answer = server.get("/v2/", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(&answer.body()[..], b"{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_a_wrong_user_are_told_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    for path in ["/v2/", "/login"] {
        let mut answers = Vec::new();
        for (user, password) in [
            ("rabbit", "wrong"),
            ("nobody", "wrong"),
            ("nobody", "s3cr3t:p@55:"),
            ("rabbit", "s3cr3t"),
        ] {
            let answer = server.get(path, &[("authorization", &basic(user, password))]).await;
            let challenge = header(&answer, "www-authenticate");
            answers.push((answer.status().as_u16(), challenge, answer.into_body()));
        }
        assert_eq!(answers[0].0, 401);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{path}: {answers:?}");
    }
    let answer = server.get("/login", &[]).await;
    assert_eq!(answer.status(), 401);
    assert!(header(&answer, "www-authenticate").starts_with("Basic realm="));
}

/// What a clock would have to show, without one: the same work is done.
#[tokio::test]
async fn a_wrong_user_costs_what_a_wrong_password_costs() {
    let mut users = Users::default();
    users.add("plain", Verifier::plain(&Secret::new("right"))).unwrap();
    let text = htpasswd(&[("low", "right", 4), ("high", "right", 5)]);
    let text = format!("{text}argon:{}\n", argon2id("right"));
    parse_htpasswd("users".as_ref(), &text, &mut users).unwrap();
    let gate = AccessList::new(users, None, TokenKey::random().unwrap()).unwrap();
    let gate = Authenticator::new(gate).unwrap();
    // Each attempt comes from elsewhere: none is too soon.
    let mut clients = 0;
    let mut cost = async |user: &str, password: &str| {
        let before = gate.work();
        let credentials = Credentials::Basic { user: user.into(), password: Secret::new(password) };
        clients += 1;
        let client = std::net::Ipv4Addr::from_bits(clients).into();
        let right = gate.identify(&gate.list(), credentials, client, 0).await.is_ok();
        let after = gate.work();
        (right, (after.0 - before.0, after.1 - before.1, after.2 - before.2))
    };
    let work = (1, 32, 16);
    for user in ["nobody", "plain", "low", "high", "argon", ""] {
        assert_eq!(cost(user, "wrong").await, (false, work), "{user}");
    }
    for user in ["plain", "low", "high", "argon"] {
        assert_eq!(cost(user, "right").await, (true, work), "{user}");
        assert_eq!(cost(user, "right").await, (true, (0, 0, 0)), "{user} is remembered");
        assert_eq!(cost(user, "wrong").await, (false, work), "{user}, wrong ones are not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_users_of_an_htpasswd_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    let text = htpasswd(&[("alice", "a", 4), ("bob", "b", 4)]);
    let text = format!("{text}dave:{}\n", argon2id("d"));
    warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Owner).unwrap();
    let data = dir.path().join("data");
    let arguments = [USER, &["--htpasswd", file.to_str().unwrap()]].concat();
    let server = Running::start(&data, &arguments).await;
    for (user, password, status) in [
        ("alice", "a", 200),
        ("bob", "b", 200),
        ("dave", "d", 200),
        ("dave", "a", 401),
        ("rabbit", "s3cr3t:p@55:", 200),
        ("alice", "b", 401),
        ("carol", "a", 401),
    ] {
        let answer = server.get("/v2/", &[("authorization", &basic(user, password))]).await;
        assert_eq!(answer.status(), status, "{user}");
    }
}

#[test]
fn a_broken_htpasswd_line_is_named_without_its_hash() {
    let hash = bcrypt::hash("x", 4).unwrap();
    for (line, expected) in [
        ("alice", "found no colon"),
        (&format!("bob:{hash}"), "the user \"bob\" is defined twice"),
        (":x", "is empty"),
        ("alice:$apr1$abc$secret", "is not bcrypt"),
        ("alice:plain-secret", "is not bcrypt"),
        ("alice:$2y$05$tooshort", "is damaged"),
        ("alice:$argon2id$v=19$secret", "\"alice\" is damaged"),
        (&format!("alice:{}", argon2id("x").replace("t=2", "t=99")), "t=99, and 1 to 16"),
        (&format!("alice:{}", hash.replace("$04$", "$31$")), "cost of the user \"alice\" is 31"),
    ] {
        let text = format!("# one\nbob:{hash}\n{line}\n");
        let error = parse_htpasswd("users".as_ref(), &text, &mut Users::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("users, line 3: ") && error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_survives_a_restart_on_the_same_data() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let bearer = format!("Bearer {}", server.token("rabbit", "s3cr3t:p@55:", "").await);
    server.stopped().await;

    let server = Running::start(dir.path(), USER).await;
    assert_eq!(server.get("/v2/", &[("authorization", &bearer)]).await.status(), 200);
    let tampered = format!("{}A", &bearer[..bearer.len() - 1]);
    let changed = if tampered == bearer { format!("{bearer}A") } else { tampered };
    let answer = server.get("/v2/", &[("authorization", &changed)]).await;
    assert_eq!(answer.status(), 401);
    assert!(header(&answer, "www-authenticate").ends_with(",error=\"invalid_token\""));
    server.stopped().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let server = Running::start(elsewhere.path(), USER).await;
    assert_eq!(server.get("/v2/", &[("authorization", &bearer)]).await.status(), 401);

    // A token ends with its user.
    let server = Running::start(dir.path(), &["-U", "hare", "-P", "x"]).await;
    assert_eq!(server.get("/v2/", &[("authorization", &bearer)]).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_scope_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let query = "?service=trow_registry&scope=repository:a:pull&scope=repository%3Ab%3Apull,push";
    let bearer = format!("Bearer {}", server.token("rabbit", "s3cr3t:p@55:", query).await);
    for (method, path, allowed) in [
        ("GET", "/v2/", true),
        ("GET", "/v2/a/tags/list", true),
        ("POST", "/v2/a/blobs/uploads/", false),
        ("POST", "/v2/b/blobs/uploads/", true),
        ("GET", "/v2/c/tags/list", false),
        ("DELETE", "/v2/b/manifests/x", false),
        ("GET", "/v2/_catalog", false),
    ] {
        let answer = server.send(request(method, path, &[("authorization", &bearer)])).await;
        assert_eq!(answer.status() != 401, allowed, "{method} {path}");
        if !allowed {
            let challenge = header(&answer, "www-authenticate");
            assert!(challenge.ends_with(",error=\"insufficient_scope\""), "{challenge}");
        }
    }
    // What a request needs may have been asked for in several scopes.
    let query = "?scope=repository:a:pull&scope=repository:a:push%20repository:a:pull";
    let several = format!("Bearer {}", server.token("rabbit", "s3cr3t:p@55:", query).await);
    let push = request("POST", "/v2/a/blobs/uploads/", &[("authorization", &several)]);
    assert_eq!(server.send(push).await.status(), 202);
    // A token does not get its user another one.
    let answer = server.get("/login", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_more_than_can_be_in_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let query = |count: usize| {
        let scopes = (0..count).map(|number| format!("repository:team/{number}:pull,push"));
        format!("/login?scope={}", scopes.collect::<Vec<_>>().join("%20"))
    };
    let right = basic("rabbit", "s3cr3t:p@55:");
    let answer = server.get(&query(50), &[("authorization", &right)]).await;
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let bearer = format!("Bearer {}", body["token"].as_str().unwrap());
    let push = request("POST", "/v2/team/49/blobs/uploads/", &[("authorization", &bearer)]);
    assert_eq!(server.send(push).await.status(), 202);
    let answer = server.get(&query(500), &[("authorization", &right)]).await;
    assert_eq!(answer.status(), 400);
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["errors"][0]["code"], "UNSUPPORTED");
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("fewer scopes"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn login_takes_get_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), USER).await;
    let answer = server.send(request("POST", "/login", &[])).await;
    assert_eq!(answer.status(), 405, "clients that post an OAuth2 form fall back on this");
    let right = basic("rabbit", "s3cr3t:p@55:");
    let answer = server.get("/login", &[("authorization", &right)]).await;
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let issued = body["issued_at"].as_str().unwrap();
    assert!(issued.len() == 20 && issued.ends_with('Z'), "{issued}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_one_key_take_each_other_s_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("token.key");
    let write = |text: &str| {
        warren::fs::write_atomic(&key, text.as_bytes(), warren::fs::Access::Owner).unwrap();
    };
    write("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n");
    let arguments = [USER, &["--token-key-file", key.to_str().unwrap()]].concat();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    let first = Running::start(&one, &arguments).await;
    let bearer = format!("Bearer {}", first.token("rabbit", "s3cr3t:p@55:", "").await);
    let second = Running::start(&two, &arguments).await;
    assert_eq!(second.get("/v2/", &[("authorization", &bearer)]).await.status(), 200);
    assert!(!one.join("auth").exists(), "no second key is made");
    // The key of the data folder is another one.
    let third = Running::start(&dir.path().join("three"), USER).await;
    assert_eq!(third.get("/v2/", &[("authorization", &bearer)]).await.status(), 401);

    for text in ["c2hvcnQ=", "not base64"] {
        write(text);
        let error = bind(&one, &arguments).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("token.key does not hold a token key"), "{error}");
        assert!(!error.contains(text), "{error}");
    }
    warren::fs::remove_if_there(&key).unwrap();
    let error = bind(&one, &arguments).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("token.key"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_waits_and_nobody_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    let text = htpasswd(&[("alice", "a", 4), ("bob", "b", 4)]);
    warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Owner).unwrap();
    let users = ["--htpasswd", file.to_str().unwrap(), "--trusted-proxies", "127.0.0.0/8"];
    let server = Running::start(&dir.path().join("data"), &users).await;
    let log_in = async |client: &str, user: &str, password: &str, path: &str| {
        let credentials = basic(user, password);
        let headers = [("authorization", credentials.as_str()), ("x-forwarded-for", client)];
        server.get(path, &headers).await
    };
    let token = server.token("alice", "a", "").await;
    let (guesser, elsewhere) = ("198.51.100.1", "198.51.100.2");
    for _ in 0..5 {
        assert_eq!(log_in(guesser, "alice", "wrong", "/v2/").await.status(), 401);
    }
    // Also the right one: else it would show which one is right.
    for (password, path) in [("wrong", "/v2/"), ("a", "/v2/"), ("a", "/login")] {
        let answer = log_in(guesser, "alice", password, path).await;
        assert_eq!(answer.status(), 429, "{path}");
        assert!((1..=4).contains(&header(&answer, "retry-after").parse().unwrap()));
        assert!(String::from_utf8_lossy(answer.body()).contains("TOOMANYREQUESTS"));
    }
    assert_eq!(log_in(elsewhere, "alice", "a", "/v2/").await.status(), 200);
    assert_eq!(log_in(guesser, "bob", "b", "/v2/").await.status(), 200);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-for", guesser)];
    assert_eq!(server.get("/v2/", &headers).await.status(), 200, "a token is no guess");
}

/// Each name costs a hash, whether there is such a user or not.
#[tokio::test(flavor = "multi_thread")]
async fn many_names_of_one_client_lock_nobody_out_who_was_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    let text = format!("alice:{0}\nbob:{0}\n", argon2id("right"));
    warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Owner).unwrap();
    let users = ["--htpasswd", file.to_str().unwrap(), "--trusted-proxies", "127.0.0.0/8"];
    let server = Running::start(&dir.path().join("data"), &users).await;
    let log_in = async |client: &str, user: &str| {
        let credentials = basic(user, "right");
        let headers = [("authorization", credentials.as_str()), ("x-forwarded-for", client)];
        server.get("/v2/", &headers).await
    };
    // Both are addresses of one client.
    let (here, too, elsewhere) = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1");
    assert_eq!(log_in(here, "alice").await.status(), 200);
    let (mut wrong, mut refused) = (0, 0);
    for number in 0..200 {
        let answer = log_in(if number % 2 == 0 { here } else { too }, &number.to_string()).await;
        match answer.status().as_u16() {
            401 => wrong += 1,
            429 => {
                assert!((1..=9).contains(&header(&answer, "retry-after").parse().unwrap()));
                assert!(String::from_utf8_lossy(answer.body()).contains("TOOMANYREQUESTS"));
                refused += 1;
            }
            status => panic!("{status}"),
        }
    }
    assert!(wrong >= 100 && refused > 0, "{wrong} and {refused}");
    assert_eq!(log_in(here, "alice").await.status(), 200);
    assert_eq!(log_in(too, "alice").await.status(), 200);
    assert_eq!(log_in(elsewhere, "bob").await.status(), 200);
}

/// Many attempts at once do not get past the throttle together.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_at_once_are_checked_one_by_one() {
    let mut users = Users::default();
    let text = htpasswd(&[("alice", "a", 4)]);
    parse_htpasswd("users".as_ref(), &text, &mut users).unwrap();
    let list = AccessList::new(users, None, TokenKey::random().unwrap()).unwrap();
    let gate = std::sync::Arc::new(Authenticator::new(list).unwrap());
    let attempt = |password: &str, client: u8| {
        let (gate, password) = (std::sync::Arc::clone(&gate), Secret::new(password));
        tokio::spawn(async move {
            let credentials = Credentials::Basic { user: "alice".into(), password };
            gate.identify(&gate.list(), credentials, [10, 0, 0, client].into(), 0).await
        })
    };
    let guesses: Vec<_> = (0..100).map(|guess| attempt(&guess.to_string(), 1)).collect();
    let mut wrong = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Err(Refused::Wrong) => wrong += 1,
            Err(Refused::TooSoon(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wrong, 5);
    assert_eq!(gate.work().0, 5);
    // What is right many times at once is computed once.
    let logins: Vec<_> = (0..100).map(|_| attempt("a", 2)).collect();
    for login in logins {
        login.await.unwrap().unwrap();
    }
    assert_eq!(gate.work().0, 6);
}
