//! `warren secret`: where the password comes from, where the Secrets go.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::Value;

use crate::deploy::{Repository, outcome};

/// The documents of a YAML text.
fn documents(text: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn decoded(secret: &Value, key: &str) -> String {
    let text = secret["data"][key].as_str().unwrap();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn all_three_are_made_from_one_password() {
    let repository = Repository::new();
    let mut command = repository.warren(&["secret", "sandbox", "--password-file", "-"]);
    let (code, stdout, stderr) = outcome(command.write_stdin("s3cr3tp@55\n"));
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains("s3cr3t"), "{stderr}");
    let secrets = documents(&stdout);
    let names: Vec<_> =
        secrets.iter().map(|secret| secret["metadata"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["trow-pass", "trow-cred", "ca-priv"]);
    assert_eq!(decoded(&secrets[0], "pass"), "s3cr3tp@55");
    assert_eq!(secrets[1]["type"], "kubernetes.io/dockerconfigjson");
    let config: serde_json::Value =
        serde_json::from_str(&decoded(&secrets[1], ".dockerconfigjson")).unwrap();
    let login = &config["auths"]["paasregistry.lapin.io"];
    assert_eq!(login["username"], "trow-pass");
    assert_eq!(login["auth"], STANDARD.encode("trow-pass:s3cr3tp@55"));
    assert_eq!(secrets[2]["metadata"]["namespace"], "cert-manager");
    // The same authority as that of `warren up`, and the next time again.
    let ca = repository.text(".warren/sandbox/ca/ca.crt");
    assert_eq!(decoded(&secrets[2], "tls.crt"), ca);
    let (_, again, stderr) = outcome(&mut repository.warren(&["secret", "sandbox", "ca-priv"]));
    assert_eq!(decoded(&documents(&again)[0], "tls.crt"), ca, "{stderr}");
}

#[test]
fn names_choose_and_an_unknown_one_is_refused() {
    let repository = Repository::new();
    let mut command =
        repository.warren(&["secret", "sandbox", "trow-pass", "--password-env", "REGISTRY_PASS"]);
    let (code, stdout, stderr) = outcome(command.env("REGISTRY_PASS", "x y"));
    assert_eq!(code, 0, "{stderr}");
    let secrets = documents(&stdout);
    assert_eq!((secrets.len(), decoded(&secrets[0], "pass").as_str()), (1, "x y"));
    assert!(!repository.path(".warren").exists(), "no CA was asked for");

    let (code, _, stderr) = outcome(&mut repository.warren(&["secret", "sandbox", "trow-past"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("trow-pass, trow-cred, ca-priv"), "{stderr}");
}

#[test]
fn a_password_is_never_an_argument() {
    let repository = Repository::new();
    for arguments in [&["--password", "s3cr3t"][..], &["--password=s3cr3t"], &["--password"]] {
        let all = [&["secret", "sandbox"], arguments].concat();
        let (code, stdout, stderr) = outcome(&mut repository.warren(&all));
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.contains("hint: ") && stderr.contains("--password-file"), "{stderr}");
        assert!(!stderr.contains("s3cr3t"), "{stderr}");
    }
}

#[test]
fn without_a_usable_password_nothing_is_made() {
    let repository = Repository::new();
    let (code, stdout, stderr) = outcome(&mut repository.warren(&["secret", "sandbox"]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("no terminal to ask on"), "{stderr}");
    for bad in ["", "\n", "a\nb\n"] {
        let mut command = repository.warren(&["secret", "sandbox", "--password-file", "-"]);
        let (code, stdout, stderr) = outcome(command.write_stdin(bad));
        assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    }
    let mut command = repository.warren(&["secret", "sandbox", "--password-env", "REGISTRY_PASS"]);
    let (code, _, stderr) = outcome(command.env_remove("REGISTRY_PASS"));
    assert_eq!(code, 3);
    assert!(stderr.contains("REGISTRY_PASS is not set"), "{stderr}");
    let toml = repository.text("environments/sandbox.toml").replace("\"trow-pass\"", "\"a:b\"");
    repository.write("environments/sandbox.toml", &toml);
    let (code, _, stderr) = outcome(&mut repository.warren(&["secret", "sandbox"]));
    assert_eq!(code, 3);
    assert!(stderr.contains("`a:b`"), "{stderr}");
}

#[test]
fn a_file_is_for_its_owner_and_not_overwritten() {
    let repository = Repository::new();
    let path = repository.path("secret.yaml");
    let shown = path.to_str().unwrap();
    let run = |more: &[&str], password: &str| {
        let base = ["secret", "sandbox", "trow-pass", "--password-file", "-", "--output", shown];
        outcome(repository.warren(&[&base, more].concat()).write_stdin(password))
    };
    let (code, stdout, stderr) = run(&[], "one");
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, _, stderr) = run(&[], "two");
    assert_eq!(code, 2);
    assert!(stderr.contains("--force"), "{stderr}");
    assert_eq!(decoded(&documents(&repository.text("secret.yaml"))[0], "pass"), "one");
    assert_eq!(run(&["--force"], "two").0, 0);
    assert_eq!(decoded(&documents(&repository.text("secret.yaml"))[0], "pass"), "two");
}

#[test]
fn nothing_secret_is_written_where_it_would_be_committed() {
    let repository = Repository::new();
    warren::fs::create_dir_all(&repository.path("deploy/sandbox")).unwrap();
    std::os::unix::fs::symlink(repository.path("deploy"), repository.path("link")).unwrap();
    for below in
        ["deploy/x.yaml", "environments/x.yaml", "link/sandbox/x.yaml", "vendor/../deploy/x"]
    {
        let path = repository.path(below);
        let mut command = repository.warren(&["secret", "sandbox", "--password-file", "-"]);
        let (code, _, stderr) = outcome(command.arg("--output").arg(&path).write_stdin("x"));
        assert_eq!(code, 2, "{below}: {stderr}");
        assert!(stderr.contains("a Secret there is a leak"), "{stderr}");
        assert!(!path.exists());
    }
}

#[test]
fn without_a_cluster_apply_asks_for_nothing() {
    let repository = Repository::new();
    let (code, stdout, stderr) = outcome(&mut repository.warren(&["secret", "lapin", "--apply"]));
    assert_eq!((code, stdout.as_str()), (4, ""));
    assert!(
        stderr.contains("there is no kubeconfig to use") && stderr.contains("--output"),
        "{stderr}"
    );
    assert!(!repository.path(".warren").exists());
}
