//! `warren new` and `warren schema`, as they are typed.

use warren::pipeline::environment;

use crate::deploy::Repository;

fn said(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn defaults_make_an_environment_that_renders() {
    let root = Repository::new();
    let arguments = ["new", "staging", "--yes", "--domain", "registry.staging.example"];
    let output = root.warren(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    insta::assert_snapshot!(root.text("environments/staging.toml"), @r#"
    #:schema schema.json
    # The environment staging. docs/environments.md explains every key; what is absent has the
    # default given there.
    kubernetes = "1.36" # the manifests are checked against it
    domain = "registry.staging.example" # what clients type

    [cluster]
    context = "kubernetes-admin@staging"

    [registry]
    engine = "trow" # the pinned upstream; "warren" puts our own registry in its place
    user = "trow-pass" # `warren secret` sets the password

    [storage]
    kind = "dynamic"
    size = "10Gi"

    [tls]
    kind = "private-ca"

    [exposure]
    kind = "ingress"

    [ingress]
    controller = "ingress-nginx"
    "#);
    let text = said(&output);
    assert!(text.contains("wrote environments/staging.toml"), "{text}");
    for next in ["warren render staging", "warren check staging", "warren secret staging --apply"] {
        assert!(text.contains(next), "{text}");
    }
    root.warren(&["render", "staging"]).assert().code(0);
    root.warren(&["check", "staging"]).assert().code(0);
}

#[test]
fn options_answer_each_question() {
    let root = Repository::new();
    for (name, options) in [
        ("a", &["--storage", "local", "--node", "n-1", "--path", "/srv", "--size", "2Ti"][..]),
        ("b", &["--storage", "host-path", "--tls", "acme", "--email", "a@b.example"]),
        ("c", &["--storage", "existing-claim", "--claim", "images", "--engine", "warren"]),
        ("d", &["--exposure", "gateway", "--gateway-class", "envoy", "--address", "192.0.2.1"]),
        ("e", &["--exposure", "load-balancer", "--tls", "self-signed", "--namespace", "images"]),
        ("f", &["--controller", "haproxy-ingress", "--kubernetes", "1.30", "--user", "al\"ice"]),
    ] {
        let mut arguments = vec!["new", name, "--yes", "--domain", "registry.example.org"];
        arguments.extend(options);
        let output = root.warren(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));
        environment::read(&root.path(""), name).unwrap_or_else(|error| panic!("{error}"));
        root.warren(&["render", name]).assert().code(0);
    }
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal() {
    let root = Repository::new();
    for arguments in [
        &["new", "staging"][..],
        &["new", "staging", "--yes"],
        &["new", "staging", "--yes", "--domain", "a.example", "--storage", "local"],
    ] {
        let output = root.warren(arguments).write_stdin("a.example\n").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("hint: add --"), "{}", said(&output));
        assert!(!root.path("environments/staging.toml").exists());
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_wrong_is_written() {
    let root = Repository::new();
    let before = root.text("environments/sandbox.toml");
    let again = ["new", "sandbox", "--yes", "--domain", "a.example"];
    let output = root.warren(&again).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("environments/sandbox.toml is already there"));
    assert_eq!(root.text("environments/sandbox.toml"), before);
    for arguments in [
        &["new", "../out", "--yes", "--domain", "a.example"][..],
        &["new", "Staging", "--yes", "--domain", "a.example"],
        &["new", "staging", "--yes", "--domain", "localhost"],
        &["new", "staging", "--yes", "--domain", "a.example", "--kubernetes", "1.2"],
        &["new", "staging", "--yes", "--domain", "a.example", "--size", "ten"],
    ] {
        let output = root.warren(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(!root.path("environments/staging.toml").exists());
    }
}

#[test]
fn the_schema_is_printed_or_written() {
    let root = Repository::new();
    let output = root.warren(&["schema"]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(value["title"], "An environment of Warren");
    assert_eq!(value["additionalProperties"], false);
    let file = root.path("environments/schema.json");
    let arguments = ["schema", "--output", file.to_str().unwrap()];
    root.warren(&arguments).assert().code(0);
    assert_eq!(root.text("environments/schema.json"), printed);
}
