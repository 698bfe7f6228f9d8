//! What an operator runs beside delivering: `warren ca`, `client`, `doctor`
//! and `smoke`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::api_server::ApiServer;
use super::deploy::{Repository, outcome};

const CONTEXT: &str = "kubernetes-admin@sandbox";

fn run(repository: &Repository, arguments: &[&str]) -> (i32, String, String) {
    outcome(repository.warren(arguments).env("KUBECONFIG", repository.path("kubeconfig")))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A repository with an API server whose components are all there.
fn with_cluster() -> (Repository, ApiServer) {
    let (repository, server) = (Repository::new(), ApiServer::start());
    server.kubeconfig(&repository.path("kubeconfig"), CONTEXT);
    server.put(
        "/apis/networking.k8s.io/v1/ingressclasses/nginx",
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": "nginx"}}),
    );
    server.put(
        "/apis/apps/v1/namespaces/cert-manager/deployments/cert-manager",
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "cert-manager", "generation": 1}, "spec": {"replicas": 1},
            "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1}}),
    );
    (repository, server)
}

/// The verdicts by what they are about.
fn doctor(repository: &Repository) -> (i32, Vec<(String, String, String)>) {
    let (code, stdout, _) = run(repository, &["doctor", "sandbox", "--output", "json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |one: &Value| {
        let more = format!("{} -> {}", text(&one["found"]), text(&one["remedy"]));
        (text(&one["about"]), text(&one["verdict"]), more)
    };
    (code, report["diagnoses"].as_array().unwrap().iter().map(one).collect())
}

#[test]
fn an_authority_is_made_once_and_issues() {
    let repository = Repository::new();
    let (code, stdout, stderr) = run(&repository, &["ca", "init", "sandbox"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.ends_with("ca/ca.key\n") && stderr.contains("valid until"), "{stdout}{stderr}");
    let (crt, key) = (".warren/sandbox/ca/ca.crt", ".warren/sandbox/ca/ca.key");
    assert_eq!(mode(&repository.path(key)), 0o600);
    let before = repository.text(crt);
    assert_eq!(run(&repository, &["ca", "init", "sandbox"]).0, 0);
    assert_eq!(repository.text(crt), before, "it is found again");

    let dir = repository.path("issued").display().to_string();
    let issue = ["ca", "issue", "sandbox", "--name", "build.lapin.io", "--dir", dir.as_str()];
    let (code, _, stderr) = run(&repository, &issue);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(mode(&repository.path("issued/tls.key")), 0o600);
    assert!(repository.text("issued/tls.crt").ends_with(&before), "with its chain");
    let (code, _, stderr) = run(&repository, &["ca", "issue", "sandbox"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--dir DIR") && stderr.contains("--apply"), "{stderr}");
}

#[test]
fn a_rotation_has_two_steps_and_clients_trust_both_in_between() {
    let repository = Repository::new();
    assert_eq!(run(&repository, &["ca", "init", "sandbox"]).0, 0);
    let old = repository.text(".warren/sandbox/ca/ca.crt");
    let (code, _, stderr) = run(&repository, &["ca", "rotate", "sandbox"]);
    assert_eq!(code, 0, "{stderr}");
    let (_, script, _) = run(&repository, &["client", "sandbox", "--script"]);
    assert_eq!(script.matches("BEGIN CERTIFICATE").count() % 2, 0, "both are trusted");
    assert!(script.contains(old.trim()));
    assert_eq!(repository.text(".warren/sandbox/ca/ca.crt"), old, "nothing else changed yet");
    let (code, _, stderr) = run(&repository, &["ca", "rotate", "sandbox", "--finish"]);
    assert_eq!(code, 0, "{stderr}");
    assert_ne!(repository.text(".warren/sandbox/ca/ca.crt"), old);
    assert_eq!(repository.text(".warren/sandbox/ca/old/ca.crt"), old);
    let (code, _, stderr) = run(&repository, &["ca", "rotate", "sandbox", "--finish"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("no authority was prepared"), "{stderr}");
}

#[test]
fn an_authority_is_given_to_the_cluster() {
    let (repository, server) = with_cluster();
    let (code, _, stderr) = run(&repository, &["ca", "init", "sandbox", "--apply"]);
    assert_eq!(code, 0, "{stderr}");
    let secret = server.get("/api/v1/namespaces/cert-manager/secrets/ca-priv").unwrap();
    assert_eq!(secret["type"], "kubernetes.io/tls");
}

#[test]
fn a_certificate_is_issued_straight_into_the_cluster() {
    let (repository, server) = with_cluster();
    assert_eq!(run(&repository, &["ca", "init", "sandbox"]).0, 0);
    let issue = ["ca", "issue", "sandbox", "--apply", "--output", "json"];
    let (code, _, stderr) = run(&repository, &issue);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("the namespace is made by deploying the environment"), "{stderr}");
    server.put(
        "/api/v1/namespaces/trow",
        json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "trow"}}),
    );
    let (code, stdout, stderr) = run(&repository, &issue);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let title = report["secrets"][0].as_str().unwrap();
    let (namespace, name) = title.split_once('/').unwrap();
    let secret =
        server.get(&format!("/api/v1/namespaces/{namespace}/secrets/{name}")).expect(title);
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let content = |key: &str| {
        let text = secret["data"][key].as_str().unwrap();
        String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap()
    };
    let authority = repository.text(".warren/sandbox/ca/ca.crt");
    assert_eq!(content("ca.crt"), authority);
    assert!(content("tls.crt").ends_with(&authority), "with its chain");
    assert!(content("tls.key").contains("PRIVATE KEY"));
    let files = warren::fs::list(&repository.path(".warren/sandbox")).unwrap();
    assert_eq!(files, [repository.path(".warren/sandbox/ca")], "its key is nowhere else");
    assert_eq!(server.get("/api/v1/namespaces/cert-manager/secrets/ca-priv"), None);
}

#[test]
fn an_authority_that_signs_is_not_replaced_by_accident() {
    let (repository, server) = with_cluster();
    assert_eq!(run(&repository, &["ca", "init", "sandbox", "--apply"]).0, 0);
    let live = || server.get("/api/v1/namespaces/cert-manager/secrets/ca-priv").unwrap();
    let before = live();
    // Another machine, which has no authority, or one of its own.
    let other = Repository::new();
    server.kubeconfig(&other.path("kubeconfig"), CONTEXT);
    other.write("pass", "correct horse battery");
    let file = other.path("pass").display().to_string();
    let secret = ["secret", "sandbox", "ca-priv", "--apply", "--password-file", file.as_str()];
    for arguments in [&["ca", "init", "sandbox", "--apply"][..], &secret] {
        let (code, _, stderr) = run(&other, arguments);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("signs with another authority"), "{stderr}");
        assert!(stderr.contains("--replace-authority"), "{stderr}");
        assert_eq!(live(), before);
        assert!(!other.path(".warren/sandbox/ca/ca.crt").exists(), "nothing is made");
    }
    for arguments in [&["ca", "rotate", "sandbox"][..], &["ca", "issue", "sandbox", "--apply"]] {
        let (code, _, stderr) = run(&other, arguments);
        assert_eq!(code, 1, "{arguments:?}: {stderr}");
    }
    // What it rotated it may replace.
    assert_eq!(run(&repository, &["ca", "rotate", "sandbox"]).0, 0);
    let finish = ["ca", "rotate", "sandbox", "--finish", "--apply"];
    let (code, _, stderr) = run(&repository, &finish);
    assert_eq!(code, 0, "{stderr}");
    assert_ne!(live(), before);
    let replace = ["ca", "init", "sandbox", "--apply", "--replace-authority"];
    let (code, _, stderr) = run(&other, &replace);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_script_installs_and_undoes_itself() {
    let repository = Repository::new();
    assert_eq!(run(&repository, &["ca", "init", "sandbox"]).0, 0);
    let (code, script, stderr) = run(&repository, &["client", "sandbox", "--script"]);
    assert_eq!(code, 0, "{stderr}");
    repository.write("client.sh", &script);
    let docker = "machine/etc/docker/certs.d/paasregistry.lapin.io/ca.crt";
    repository.write(docker, "an older one\n");
    repository.write("machine/etc/hosts", "127.0.0.1 localhost\n10.0.0.1 caf\u{e9}\n");
    let sh = |argument: &str| {
        let mut command = Command::new("sh");
        command.arg(repository.path("client.sh")).arg(argument);
        command.env("ROOT", repository.path("machine"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    // Twice is once.
    sh("install");
    sh("install");
    let hosts = "127.0.0.1 localhost\n10.0.0.1 caf\u{e9}\n192.168.1.250 paasregistry.lapin.io # warren sandbox\n";
    assert_eq!(repository.text("machine/etc/hosts"), hosts);
    let authority = repository.text(".warren/sandbox/ca/ca.crt");
    for path in ["docker/certs.d", "containers/certs.d", "containerd/certs.d"] {
        let file = format!("machine/etc/{path}/paasregistry.lapin.io/ca.crt");
        assert_eq!(repository.text(&file), authority, "{file}");
    }
    // What somebody changed is put right, and is not what was there before.
    repository.write(docker, "somebody's\n");
    sh("install");
    assert_eq!(repository.text(docker), authority);
    sh("undo");
    assert_eq!(repository.text("machine/etc/hosts"), "127.0.0.1 localhost\n10.0.0.1 caf\u{e9}\n");
    assert_eq!(repository.text(docker), "an older one\n");
    let gone = repository.path("machine/etc/containerd/certs.d/paasregistry.lapin.io");
    assert!(!gone.exists(), "{}", gone.display());
    sh("undo");
}

#[test]
fn without_an_authority_the_way_out_is_told() {
    let repository = Repository::new();
    let (code, _, stderr) = run(&repository, &["client", "sandbox"]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("--ca FILE"), "{stderr}");
}

#[test]
fn a_cluster_that_has_everything_gets_a_clean_bill() {
    let (repository, _server) = with_cluster();
    assert_eq!(run(&repository, &["ca", "init", "sandbox", "--apply"]).0, 0);
    repository.write("pass", "correct horse battery");
    let file = repository.path("pass").display().to_string();
    let secrets = ["secret", "sandbox", "--apply", "--password-file", file.as_str()];
    assert_eq!(run(&repository, &["deploy", "sandbox", "--no-wait"]).0, 0);
    assert_eq!(run(&repository, &secrets).0, 0);
    let (code, found) = doctor(&repository);
    let verdict = |about: &str| found.iter().find(|one| one.0 == about).map(|one| one.1.as_str());
    for about in [
        "cluster",
        "version",
        "kinds",
        "cert-manager",
        "ingress class",
        "address pool",
        "secrets",
        "authority",
    ] {
        assert_eq!(verdict(about), Some("good"), "{about}: {found:#?}");
    }
    // Nobody makes pods here, and that is told.
    assert_eq!((code, verdict("registry")), (1, Some("bad")), "{found:#?}");
}

#[test]
fn each_thing_that_is_missing_is_told_with_what_mends_it() {
    let (repository, server) = with_cluster();
    server.forget("IPAddressPool");
    server.remove("/apis/networking.k8s.io/v1/ingressclasses/nginx");
    server.remove("/apis/apps/v1/namespaces/cert-manager/deployments/cert-manager");
    let expired = "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n";
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(expired)
    };
    server.put(
        "/api/v1/namespaces/cert-manager/secrets/ca-priv",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca-priv"},
            "data": {"tls.crt": encoded}}),
    );
    let (code, found) = doctor(&repository);
    assert_eq!(code, 1);
    for (about, told) in [
        ("kinds", "install MetalLB: warren prerequisites sandbox"),
        ("cert-manager", "install it: warren prerequisites sandbox"),
        ("ingress class", "install the ingress controller"),
        ("secrets", "warren secret sandbox trow-pass --apply"),
        ("authority", "warren ca init sandbox --apply"),
    ] {
        let is = |one: &&(String, String, String)| {
            one.0 == about && one.1 == "bad" && one.2.contains(told)
        };
        assert!(found.iter().any(|one| is(&one)), "{about}, {told}: {found:#?}");
    }
    let nobody = Repository::new();
    let (code, found) = doctor(&nobody);
    assert_eq!((code, found[0].1.as_str()), (4, "bad"), "{found:#?}");
}

/// An authority's certificate, or another's, that expires in so many days.
fn certificate(authority: bool, days: i64) -> String {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    let mut parameters = CertificateParams::new(vec!["paasregistry.lapin.io".to_owned()]).unwrap();
    if authority {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let now = time::OffsetDateTime::now_utc();
    parameters.not_before = now - time::Duration::days(400);
    parameters.not_after = now + time::Duration::days(days);
    parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn tls_secret(name: &str, pem: &str) -> Value {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(pem);
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "data": {"tls.crt": encoded}})
}

#[test]
fn what_fits_the_environment_badly_is_told_with_what_mends_it() {
    let (repository, server) = with_cluster();
    let toml = repository.text("environments/sandbox.toml");
    let told = |about: &str, verdict: &str, told: &str| {
        let (_, found) = doctor(&repository);
        let is = |one: &&(String, String, String)| {
            one.0 == about && one.1 == verdict && one.2.contains(told)
        };
        assert!(found.iter().any(|one| is(&one)), "{about}, {verdict}, {told}: {found:#?}");
    };
    let with = |from: &str, to: &str| {
        assert!(toml.contains(from), "{from}");
        repository.write("environments/sandbox.toml", &toml.replace(from, to));
    };

    with("kubernetes = \"1.36\"", "kubernetes = \"1.34\"");
    told("version", "warning", "the cluster is 1.36.3");
    told("version", "warning", "set kubernetes = \"1.36\" in environments/sandbox.toml");
    with("kind = \"host-path\"", "kind = \"dynamic\"\nclass = \"fast\"");
    told("storage class", "bad", "there is no StorageClass fast");
    server.put(
        "/apis/storage.k8s.io/v1/storageclasses/fast",
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "fast"}}),
    );
    told("storage class", "good", "fast is there");
    with("kind = \"host-path\"", "kind = \"local\"\nnode = \"n9\"");
    server.put(
        "/api/v1/nodes/n1",
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}}),
    );
    told("node", "bad", "no node has the label kubernetes.io/hostname=n9");
    told("node", "bad", "there is n1");
    repository.write("environments/sandbox.toml", &toml);

    let pool = |name: &str, range: &str| {
        json!({"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
            "metadata": {"name": name}, "spec": {"addresses": [range]}})
    };
    let pools = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools";
    server.put(&format!("{pools}/theirs"), pool("theirs", "192.168.1.240-192.168.1.254"));
    told("address pool", "bad", "is in the pool theirs already");
    server.remove(&format!("{pools}/theirs"));
    server.put(&format!("{pools}/trow"), pool("trow", "10.0.0.0/24"));
    told("address pool", "bad", "192.168.1.250 is not in the pool trow");

    let authority = "/api/v1/namespaces/cert-manager/secrets/ca-priv";
    for (pem, verdict, said) in [
        (certificate(true, -1), "bad", "expired"),
        (certificate(true, 10), "warning", "warren ca rotate sandbox"),
        (certificate(false, 300), "bad", "may not sign others"),
        (certificate(true, 300), "good", ""),
    ] {
        server.put(authority, tls_secret("ca-priv", &pem));
        told("authority", verdict, said);
    }
    assert_eq!(run(&repository, &["ca", "init", "sandbox"]).0, 0);
    told("authority", "warning", "signs with another authority than");
    server.put(
        "/api/v1/namespaces/trow/secrets/trow-registry-tls",
        tls_secret("trow-registry-tls", &certificate(false, -1)),
    );
    told("certificate", "bad", "expired");

    // The data folder is somebody else's.
    assert_eq!(run(&repository, &["deploy", "sandbox", "--no-wait"]).0, 0);
    server.put(
        "/api/v1/namespaces/trow/pods/trow-set-0",
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "trow-set-0", "labels": {"app": "trow"}},
            "status": {"containerStatuses": [{"name": "trow-pod", "restartCount": 1,
                "state": {"waiting": {"reason": "CrashLoopBackOff",
                    "message": "/data: Permission denied"}}}]}}),
    );
    told("registry", "bad", "on the node: chown -R 999:");
}

#[test]
fn what_an_environment_needs_is_named_pinned_and_applied() {
    let (repository, server) = with_cluster();
    let list = "[[component]]\nname = \"cert-manager\"\nfor = \"certificates\"\nversion = \"1\"\n\
                group = \"cert-manager.io\"\nurl = \"http://127.0.0.1:1/a.yaml\"\n\n\
                # theirs\n[[component]]\nname = \"ingress\"\nfor = \"ingress-nginx\"\nversion = \
                \"2\"\nclass = \"other\"\nurl = \"http://127.0.0.1:1/b.yaml\"\n";
    repository.write("vendor/prerequisites.toml", list);
    let (code, stdout, stderr) = run(&repository, &["prerequisites", "sandbox"]);
    assert_eq!(code, 0, "{stderr}");
    let state = |name: &str| stdout.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(state("cert-manager").contains("installed"), "{stdout}");
    assert!(state("ingress ").contains("missing"), "{stdout}");

    let apply = ["prerequisites", "sandbox", "--apply"];
    let (code, _, stderr) = run(&repository, &apply);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("nobody pinned ingress 2") && stderr.contains("--pin"), "{stderr}");
    let (code, _, stderr) = run(&repository, &["prerequisites", "sandbox", "ingress", "--pin"]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("--from DIR"), "{stderr}");

    let text = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata:\n  name: other\n";
    repository.write("got/ingress.yaml", text);
    let got = repository.path("got").display().to_string();
    let pin = ["prerequisites", "sandbox", "ingress", "--pin", "--from", got.as_str()];
    let (code, stdout, stderr) = run(&repository, &pin);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("ingress 2 is sha256:"), "{stdout}");
    let pinned = repository.text("vendor/prerequisites.toml");
    assert!(pinned.contains("# theirs") && pinned.contains("sha256 = \""), "{pinned}");

    repository.write("got/ingress.yaml", &format!("{text}# exchanged\n"));
    let from = [&apply[..], &["--from", got.as_str()]].concat();
    let (code, _, stderr) = run(&repository, &from);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("this is not what was pinned"), "{stderr}");
    assert!(server.get("/apis/networking.k8s.io/v1/ingressclasses/other").is_none());
    repository.write("got/ingress.yaml", text);
    let (code, _, stderr) = run(&repository, &from);
    assert_eq!(code, 0, "{stderr}");
    assert!(server.get("/apis/networking.k8s.io/v1/ingressclasses/other").is_some());
    let (code, _, stderr) = run(&repository, &from);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("ingress is there"), "{stderr}");
    let (code, _, stderr) = run(&repository, &["prerequisites", "sandbox", "nginx"]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn a_component_is_waited_for_until_its_webhooks_can_be_called() {
    let (repository, server) = with_cluster();
    let text = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
                metadata:\n  name: theirs\nwebhooks:\n- name: theirs.example\n  clientConfig:\n    \
                service:\n      name: theirs\n      namespace: cert-manager\n---\napiVersion: \
                apps/v1\nkind: Deployment\nmetadata:\n  name: theirs\n  namespace: \
                cert-manager\nspec:\n  replicas: 1\n---\napiVersion: v1\nkind: Service\n\
                metadata:\n  name: theirs\n  namespace: cert-manager\nspec:\n  type: LoadBalancer\n";
    repository.write("got/theirs.yaml", text);
    let sha256 = warren::digest::Digest::sha256(text.as_bytes());
    let list = format!(
        "[[component]]\nname = \"theirs\"\nfor = \"certificates\"\nversion = \"1\"\n\
         class = \"theirs\"\nurl = \"http://127.0.0.1:1/theirs.yaml\"\nsha256 = \"{}\"\n",
        sha256.hex()
    );
    repository.write("vendor/prerequisites.toml", &list);
    let got = repository.path("got").display().to_string();
    let apply = ["prerequisites", "sandbox", "--apply", "--from", got.as_str(), "--timeout"];
    let with = |seconds: &'static str| run(&repository, &[&apply[..], &[seconds]].concat());
    let deployment = "/apis/apps/v1/namespaces/cert-manager/deployments/theirs";
    let webhook = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/theirs";
    let (code, _, stderr) = with("0");
    assert_eq!(code, 1, "{stderr}");
    let told = "theirs 1 is applied, but deployment/theirs is not healthy: 0 of 1 pods";
    assert!(stderr.contains(told), "{stderr}");
    assert!(server.get(webhook).is_some(), "all was applied");

    // Its pods are ready, and nobody has given the webhook an authority.
    let status = json!({"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1});
    server.edit(deployment, "/status", status, "its controller");
    let (code, _, stderr) = with("0");
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("its webhook theirs.example has no caBundle yet"), "{stderr}");

    // Its own program does that in a moment.
    let program = server.clone();
    let injected = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(900));
        let bundle = json!([{"name": "theirs.example", "clientConfig": {"caBundle": "Y2E=",
            "service": {"name": "theirs", "namespace": "cert-manager"}}}]);
        program.edit(webhook, "/webhooks", bundle, "its program");
    });
    let (code, _, stderr) = with("60");
    injected.join().unwrap();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("validatingwebhookconfiguration/theirs is healthy"), "{stderr}");
}

/// A registry as `warren up` runs it; it stops when this goes out of scope.
struct Up {
    child: Child,
    port: u16,
}

impl Up {
    fn start(repository: &Repository) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("warren"));
        command.arg("--root").arg(repository.path(""));
        command.args(["up", "sandbox", "--bind", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                let line = line.unwrap();
                let rest = line.split_once("localhost:")?.1;
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
            .unwrap();
        // What it still has to say must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_deployed_registry_is_tested_as_a_client_does() {
    let repository = Repository::new();
    let up = Up::start(&repository);
    let address = format!("127.0.0.1:{}", up.port);
    let password = repository.path(".warren/sandbox/password").display().to_string();
    let smoke = |more: &[&str]| {
        let arguments = ["smoke", "sandbox", "--address", address.as_str()];
        run(&repository, &[&arguments, more].concat())
    };
    let (code, stdout, stderr) = smoke(&["--password-file", &password, "--output", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["resolve", "certificate", "redirect", "login", "wrong password", "push", "pull", "delete"]
    );
    assert_eq!(steps.last().unwrap()["outcome"], "gone", "{stdout}");

    let (code, stdout, stderr) = smoke(&["--password-file", &password]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("ok    pull") && stdout.contains("digests equal"), "{stdout}");
    assert!(stderr.contains("all 8 steps passed"), "{stderr}");

    repository.write("wrong", "not it");
    let wrong = repository.path("wrong").display().to_string();
    let (code, stdout, stderr) = smoke(&["--password-file", &wrong]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("ok    certificate") && stderr.contains("401"), "{stdout}{stderr}");
    let failed: Vec<_> = stdout.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(failed.len() == 1 && failed[0].contains("login"), "{stdout}");
    assert!(stderr.contains("warren secret sandbox trow-pass"), "{stderr}");

    let other = Repository::new();
    assert_eq!(run(&other, &["ca", "init", "sandbox"]).0, 0);
    let ca = other.path(".warren/sandbox/ca/ca.crt").display().to_string();
    let (code, _, stderr) = smoke(&["--password-file", &password, "--ca", &ca]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("not signed by the authority"), "{stderr}");
}
