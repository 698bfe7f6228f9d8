//! The environments: those of the repository, and files that are wrong.

use std::path::Path;

use warren::pipeline::environment::{self, AddressProvider, Engine, EnvironmentError, Volume};
use warren::pipeline::faults;

const GOOD: &str = r#"kubernetes = "1.36"
domain = "registry.example.org"

[cluster]
context = "kubernetes-admin@test"

[registry]
user = "alice"

[storage]
kind = "local"
node = "node-1"
path = "/data"
size = "10Gi"
"#;

/// The message for a file `test.toml` in which `from` became `to`.
fn refused(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    read_text(&GOOD.replacen(from, to, 1)).unwrap_err().to_string()
}

fn read_text(text: &str) -> Result<environment::Environment, EnvironmentError> {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "test", text);
    environment::read(root.path(), "test")
}

fn add(root: &Path, name: &str, text: &str) {
    let folder = root.join("environments");
    warren::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.toml"));
    warren::fs::write_atomic(&path, text.as_bytes(), warren::fs::Access::Everyone).unwrap();
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_environments_carry_the_facts_of_the_notes() {
    assert_eq!(environment::names(repository()).unwrap(), ["lapin", "sandbox"]);
    for name in ["lapin", "sandbox"] {
        let it = environment::read(repository(), name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(it.name, name);
        assert_eq!(it.kubernetes.minor(), 36);
        assert_eq!(it.domain.as_str(), "paasregistry.lapin.io");
        assert_eq!(it.namespace.as_str(), "trow");
        assert_eq!(it.cluster.context.as_str(), format!("kubernetes-admin@{name}"));
        assert_eq!(it.registry.engine, Engine::Trow);
        assert_eq!(it.registry.user.as_str(), "trow-pass");
        assert_eq!(it.storage.path().unwrap().as_str(), "/data");
        assert_eq!(it.storage.size.as_ref().unwrap().as_str(), "10Gi");
        assert_eq!((it.storage.owner.uid, it.storage.owner.gid), (999, 999));
        assert_eq!((it.tls.issuer.as_str(), it.tls.ca_secret.as_str()), ("ca-issuer", "ca-priv"));
        assert_eq!((it.ingress.class.as_str(), it.ingress.body_size.as_str()), ("nginx", "0"));
        assert_eq!((it.ingress.read_timeout.get(), it.ingress.send_timeout.get()), (600, 600));
        let address = it.address.unwrap();
        assert_eq!(address.ip.to_string(), "192.168.1.250");
        assert_eq!(address.provider, AddressProvider::Metallb);
    }
}

#[test]
fn the_twins_differ_in_volume_and_pod_security() {
    let sandbox = environment::read(repository(), "sandbox").unwrap();
    let lapin = environment::read(repository(), "lapin").unwrap();
    assert!(matches!(sandbox.storage.volume, Volume::HostPath { node: None, .. }));
    assert_eq!(sandbox.pod_security.enforce.as_str(), "baseline");
    assert_eq!(lapin.storage.node().unwrap().as_str(), "lapin-1");
    assert_eq!(lapin.pod_security.enforce.as_str(), "restricted");
}

#[test]
fn absent_keys_have_their_defaults() {
    let it = read_text(GOOD).unwrap();
    assert_eq!(it.namespace.as_str(), "trow");
    assert_eq!(it.registry.log_level.as_str(), "info");
    assert_eq!(it.registry.image, None);
    assert_eq!(it.address, None);
    assert_eq!(it.pod_security.enforce.as_str(), "restricted");
}

#[test]
fn an_unknown_environment_lists_those_there_are() {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "one", GOOD);
    insta::assert_snapshot!(
        environment::read(root.path(), "two").unwrap_err(),
        @"there is no environment `two`; there is `one`"
    );
    add(root.path(), "three", GOOD);
    for name in ["../environments/one", "one/../one", "", "One", "one.toml", "one\n"] {
        let error = environment::read(root.path(), name).unwrap_err();
        assert!(matches!(error, EnvironmentError::Unknown { .. }), "{error}");
        assert!(error.to_string().ends_with("there are `one` and `three`"), "{error}");
    }
}

#[test]
fn a_file_whose_name_is_no_label_is_refused() {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "Sand Box", GOOD);
    let error = environment::names(root.path()).unwrap_err();
    assert!(matches!(error, EnvironmentError::FileName { .. }), "{error}");
}

#[test]
fn an_unknown_key_suggests_the_nearest() {
    insta::assert_snapshot!(refused("user = ", "engin = \"trow\"\nuser = "), @r#"
    environments/test.toml:8:1: unknown field `engin`, expected one of `engine`, `image`, `replicas`, `user`, `users`, `log_level`, `resources`, `extra_args`, `cors`, `trusted_proxies`
      |
    8 | engin = "trow"
      | ^^^^^
    hint: did you mean `engine`?
    "#);
    insta::assert_snapshot!(refused("[cluster]", "[clutser]"), @r#"
    environments/test.toml:4:2: unknown field `clutser`, expected one of `extends`, `patch`, `kubernetes`, `domain`, `aliases`, `namespace`, `labels`, `annotations`, `cluster`, `registry`, `storage`, `tls`, `exposure`, `ingress`, `gateway`, `service`, `address`, `scheduling`, `admission`, `network_policy`, `disruption_budget`, `monitoring`, `secrets`, `pod_security`, `waive`
      |
    4 | [clutser]
      |  ^^^^^^^
    hint: did you mean `cluster`?
    "#);
}

#[test]
fn an_unknown_word_suggests_the_nearest() {
    insta::assert_snapshot!(refused("\"local\"", "\"lokal\""), @r#"
    environments/test.toml:11:8: unknown variant `lokal`, expected one of `host-path`, `local`, `dynamic`, `existing-claim`
       |
    11 | kind = "lokal"
       |        ^^^^^^^
    hint: did you mean `local`?
    "#);
}

#[test]
fn a_key_that_resembles_none_gets_no_suggestion() {
    let message = refused("user = ", "quux-frobnicate = 1\nuser = ");
    assert!(!message.contains("hint:"), "{message}");
}

#[test]
fn a_wrong_type_is_shown_in_its_place() {
    insta::assert_snapshot!(refused("\"1.36\"", "1.36"), @r#"
    environments/test.toml:1:14: invalid type: floating point `1.36`, expected a string
      |
    1 | kubernetes = 1.36
      |              ^^^^
    hint: put it in quotes
    "#);
    insta::assert_snapshot!(refused("size = \"10Gi\"", "size = [10]"), @r#"
    environments/test.toml:14:8: invalid type: sequence, expected a string
       |
    14 | size = [10]
       |        ^^^^
    "#);
}

#[test]
fn an_absent_key_and_a_syntax_error_are_shown_in_their_place() {
    insta::assert_snapshot!(refused("user = \"alice\"\n", ""), @r#"
    environments/test.toml:7:1: missing field `user`
      |
    7 | [registry]
      | ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(refused("\"/data\"", "\"/data"), @r#"
    environments/test.toml:13:14: invalid basic string, expected `"`
       |
    13 | path = "/data
       |              ^
    "#);
    insta::assert_snapshot!(refused("node = \"node-1\"", "node = \"a\"\nnode = \"b\""), @r#"
    environments/test.toml:13:1: duplicate key
       |
    13 | node = "b"
       | ^^^^
    "#);
}

#[test]
fn columns_count_characters() {
    insta::assert_snapshot!(
        refused("user = \"alice\"", "log_level = \"info\" # é\nuser = \"é:è\""),
        @r#"
    environments/test.toml:9:8: `é:è` holds a `:`, with which Basic authentication cannot log in
      |
    9 | user = "é:è"
      |        ^^^^^
    "#
    );
}

#[test]
fn a_domain_that_is_none_is_refused() {
    insta::assert_snapshot!(refused("registry.example.org", "Registry_1.example"), @r#"
    environments/test.toml:2:10: `Registry_1.example` is no host name: use labels of a-z, 0-9 and `-`, joined by dots
      |
    2 | domain = "Registry_1.example"
      |          ^^^^^^^^^^^^^^^^^^^^
    "#);
    let long = format!("{}.example", "a.".repeat(130));
    for domain in [
        "localhost",
        "a..b",
        "-a.b",
        "a-.b",
        "a.b.",
        "",
        "10.0.0.1",
        "a.b:8000",
        "http://a.b",
        &long,
    ] {
        let message = refused("registry.example.org", domain);
        assert!(message.starts_with("environments/test.toml:2:10: "), "{domain}: {message}");
    }
}

#[test]
fn values_outside_their_grammar_are_refused_in_their_place() {
    for (from, to, place) in [
        ("\"1.36\"", "\"1.24\"", "1:14"),
        ("\"1.36\"", "\"1.036\"", "1:14"),
        ("kubernetes-admin@test", "--kubeconfig=/x", "5:11"),
        ("alice", "a:b", "8:8"),
        ("\"/data\"", "\"data\"", "13:8"),
        ("\"/data\"", "\"/data/../etc\"", "13:8"),
        ("\"/data\"", "\"/\"", "13:8"),
        ("10Gi", "10 Gi", "14:8"),
        ("10Gi", "0Gi", "14:8"),
        ("10Gi", "10GB", "14:8"),
        ("node-1", "Node_1", "12:8"),
        ("alice\"", "alice\"\nimage = \"trow:latest\"", "9:9"),
        ("alice\"", "alice\"\nimage = \"ghcr.io/trow\"", "9:9"),
        ("alice\"", "alice\"\nimage = \"trow@sha256:12\"", "9:9"),
        ("10Gi\"", "10Gi\"\nowner = { uid = 0, gid = 0 }", "15:9"),
        ("10Gi\"", "10Gi\"\n[address]\nip = \"192.168.1.256\"", "16:6"),
        ("10Gi\"", "10Gi\"\n[ingress]\nread_timeout = 0", "16:16"),
        ("10Gi\"", "10Gi\"\n[ingress]\nbody_size = \"1GiB\"", "16:13"),
    ] {
        let message = refused(from, to);
        assert!(message.starts_with(&format!("environments/test.toml:{place}: ")), "{message}");
    }
}

#[test]
fn images_with_ports_tags_and_digests_pass() {
    let digest = "a".repeat(64);
    for image in ["trow:0.10", "host:5000/a/b:1", &format!("host/a@sha256:{digest}")] {
        let text = GOOD.replacen("alice\"", &format!("alice\"\nimage = \"{image}\""), 1);
        assert_eq!(read_text(&text).unwrap().registry.image.unwrap().as_str(), image);
    }
}

#[test]
fn a_local_volume_needs_its_node_and_a_host_path_needs_baseline() {
    insta::assert_snapshot!(refused("node = \"node-1\"\n", ""), @r#"
    environments/test.toml:10:1: a local volume lives on one node: add `node = "…"`
       |
    10 | [storage]
       | ^^^^^^^^^
    "#);
    insta::assert_snapshot!(refused("\"local\"", "\"host-path\""), @r#"
    environments/test.toml:11:8: a restricted namespace refuses the init container that gives a host path its owner
       |
    11 | kind = "host-path"
       |        ^^^^^^^^^^^
    hint: set `enforce = "baseline"` below `[pod_security]`, or use a local volume
    "#);
}

#[test]
fn the_faults_of_the_pinned_release_are_known_and_of_no_other() {
    let known = faults::known(repository(), "v0.10.0").unwrap();
    assert_eq!(known.len(), 10);
    assert_eq!(known, faults::known(repository(), "0.10.0").unwrap());
    let mut codes: Vec<_> = known.iter().map(|fault| &fault.code).collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), 10);
    assert_eq!(faults::known(repository(), "0.10").unwrap(), []);
}
