//! `warren import`: the notes' overlay, older and odder ones, and bad input.

use std::collections::BTreeMap;
use std::path::Path;

use crate::deploy::{Repository, outcome};
use warren::pipeline::compose::compose;
use warren::pipeline::upstream::Lock;
use warren::pipeline::yaml::{self, Node, Value};

const POD: &str = "StatefulSet/spec/template/spec/containers/trow-pod";
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/import");

/// Imports an overlay and gives exit code, stdout and stderr.
fn import(root: &Repository, overlay: &Path, more: &[&str]) -> (i32, String, String) {
    let overlay = overlay.to_str().unwrap();
    outcome(&mut root.warren(&[&["import", overlay][..], more].concat()))
}

/// A repository with the files of an overlay in `overlay/`.
fn with(files: &[(&str, &str)]) -> Repository {
    let root = Repository::new();
    for (name, text) in files {
        root.write(&format!("overlay/{name}"), text);
    }
    root
}

fn overlay(root: &Repository) -> std::path::PathBuf {
    root.path("overlay")
}

fn notes() -> std::path::PathBuf {
    Path::new(FIXTURES).join("install/overlays/paas-sandbox")
}

/// Every leaf by its path; elements go by name, or by index.
fn leaves(node: &Node, path: &str, to: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Scalar(scalar) => drop(to.insert(path.to_owned(), scalar.text().to_owned())),
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                leaves(value, &format!("{path}/{}", key.name().replace('/', "~1")), to);
            }
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Node::as_str).map(str::to_owned);
                let step = name.unwrap_or_else(|| index.to_string());
                leaves(item, &format!("{path}/{step}"), to);
            }
        }
    }
}

#[test]
fn the_overlay_of_the_notes_becomes_an_environment() {
    let root = Repository::new();
    let (code, report, said) = import(&root, &notes(), &[]);
    assert_eq!(code, 0, "{said}");
    insta::assert_snapshot!(root.text("environments/paas-sandbox.toml"), @r#"
    #:schema schema.json
    # The environment paas-sandbox, imported from an overlay of kustomize. docs/environments.md
    # explains every key; what is absent has the default given there.
    kubernetes = "1.36" # the manifests are checked against it
    domain = "paasregistry.lapin.io"
    namespace = "trow"

    [cluster]
    context = "kubernetes-admin@paas-sandbox"

    [registry]
    engine = "trow" # the pinned upstream
    user = "trow-pass"

    [storage]
    kind = "host-path"
    path = "/data"
    size = "10Gi"

    [storage.owner]
    uid = 999
    gid = 999

    [tls]
    kind = "private-ca"
    issuer = "ca-issuer"
    create_issuer = false # it is in the cluster already

    [ingress]
    class = "nginx"

    [address]
    ip = "192.168.1.250"
    provider = "metallb"

    [pod_security]
    enforce = "baseline" # a host path needs an init container that runs as root
    "#);
    for line in [
        "ignored     a remark that is no YAML: `<<< two blocks, one of them with our volume` \
         (kustomization.yaml:22)",
        "moved out   what is in the Secret trow-pass; `warren secret` makes it in the cluster",
        "fixed       the address 192.168.1.250",
        "fixed       the owner of the folder",
        "ignored     patch-validator-domain.yaml: kustomization.yaml does not name it",
    ] {
        assert!(report.contains(line), "{line}\n{report}");
    }
    assert!(!report.contains("not carried") && !report.contains("patched"), "{report}");
    assert!(!format!("{report}{said}").contains("not-the-real-one"), "{report}{said}");
    root.warren(&["render", "paas-sandbox"]).assert().code(0);
}

#[test]
fn bases_that_are_not_at_hand_are_those_of_trow() {
    let beside = Repository::new();
    assert_eq!(import(&beside, &notes(), &[]).0, 0);
    let without = Repository::new();
    for path in warren::fs::list(&notes()).unwrap() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = warren::fs::read_to_string(&path).unwrap();
        without.write(&format!("paas-sandbox/{name}"), &text);
    }
    let (code, report, said) = import(&without, &without.path("paas-sandbox"), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(report.contains("assumed     `../cert-manager-nginx` is not at hand"), "{report}");
    let file = "environments/paas-sandbox.toml";
    assert_eq!(beside.text(file), without.text(file));
}

#[test]
fn rendering_agrees_with_kustomize_but_for_the_report() {
    let root = Repository::new();
    let (code, report, said) = import(&root, &notes(), &[]);
    assert_eq!(code, 0, "{said}");
    let lock = Lock::read(&root.path("vendor/trow.lock.toml")).unwrap();
    let rendered = compose(&root.path(""), "paas-sandbox", lock.upstream()).unwrap();
    let expected = Path::new(FIXTURES).join("expected.yaml");
    let expected = warren::fs::read_to_string(&expected).unwrap();
    let mut differing = Vec::new();
    for object in yaml::read("expected.yaml", &expected).unwrap() {
        let part = |node: &Node, key: &str| node.get(key).and_then(Node::as_str).map(str::to_owned);
        let kind = part(&object, "kind").unwrap();
        let name = part(object.get("metadata").unwrap(), "name").unwrap();
        let same = |other: &&warren::pipeline::manifest::Object| {
            other.kind() == kind && other.name() == name
        };
        let ours = rendered.objects.iter().find(same).unwrap_or_else(|| panic!("no {kind} {name}"));
        let (mut theirs, mut here) = (BTreeMap::new(), BTreeMap::new());
        leaves(&object, "", &mut theirs);
        leaves(&ours.node, "", &mut here);
        for (path, value) in theirs {
            let now = here.get(&path).map_or("(none)", String::as_str);
            if now != value {
                differing.push((format!("{kind}{path}"), format!("{value} -> {now}")));
            }
        }
    }
    let args = "upgraded    the arguments are those of Trow 0.10";
    let port = "upgraded    port 8000 is named http";
    let image = "upgraded    the image `containersol/trow:0.2`";
    let ingress = "upgraded    the Ingress is of networking.k8s.io/v1";
    let table = [
        ("Service/spec/ports/0/port", "8000 -> (none)", port),
        ("Service/spec/ports/0/protocol", "TCP -> (none)", port),
        ("Service/spec/ports/0/targetPort", "8000 -> (none)", port),
        ("Service/spec/type", "NodePort -> ClusterIP", "fixed       the Service is of the type"),
        ("StatefulSet/spec/serviceName", "trow -> trow-svc", "fixed       serviceName named"),
        ("POD/args/0", "--no-tls -> --bind", args),
        ("POD/args/1", "-n -> [::]:8000", args),
        ("POD/args/2", "paasregistry.lapin.io -> --hostname", args),
        ("POD/args/3", "-u -> paasregistry.lapin.io", args),
        ("POD/args/4", "trow-pass -> --data-dir", args),
        ("POD/args/5", "--password-file -> /data", args),
        ("POD/args/6", "/etc/trow/pass -> --user", args),
        ("POD/image", "containersol/trow:0.2 -> ghcr.io/trow-registry/trow:0.10.0", image),
        ("POD/imagePullPolicy", "Always -> IfNotPresent", image),
        ("POD/ports/0/containerPort", "8000 -> (none)", port),
        (
            "StatefulSet/spec/volumeClaimTemplates/0/spec/resources/requests/storage",
            "20Gi -> 10Gi",
            "fixed       the claim asked for 20Gi",
        ),
        ("Ingress/apiVersion", "extensions/v1beta1 -> networking.k8s.io/v1", ingress),
        (
            "Ingress/metadata/annotations/kubernetes.io~1ingress.class",
            "nginx -> (none)",
            "upgraded    the annotation kubernetes.io/ingress.class",
        ),
        ("Ingress/spec/rules/0/http/paths/0/backend/serviceName", "trow-svc -> (none)", ingress),
        ("Ingress/spec/rules/0/http/paths/0/backend/servicePort", "8000 -> (none)", ingress),
    ];
    let table = table.map(|(path, change, told)| {
        assert!(report.contains(told), "{told}\n{report}");
        (path.replace("POD", POD), change.to_owned())
    });
    let sorted = |mut list: Vec<(String, String)>| {
        list.sort();
        list
    };
    assert_eq!(sorted(differing), sorted(table.to_vec()));
}

/// A kustomization on Trow's own folder, with this at its end.
fn on_base(rest: &str) -> String {
    format!("namespace: images\nresources: [../cert-manager-nginx]\n{rest}")
}

const HOST: &str = "
patches:
  - target: {kind: Ingress, name: trow-ingress, group: networking.k8s.io, version: v1}
    patch: |-
      - {op: replace, path: /spec/rules/0/host, value: r.example.org}
      - {op: replace, path: /spec/tls/0/hosts/0, value: r.example.org}
";

#[test]
fn a_patch_that_kustomize_would_skip_is_applied_and_told() {
    let root = with(&[("kustomization.yaml", &on_base(HOST))]);
    let (code, report, said) = import(&root, &overlay(&root), &["--name", "r"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        report.contains("fixed       the patch of Ingress trow-ingress asks for an API version")
    );
    assert!(report.contains("nothing replaced, is the domain"), "{report}");
    let text = root.text("environments/r.toml");
    assert!(text.contains("domain = \"r.example.org\"\nnamespace = \"images\""), "{text}");
    assert!(text.contains("kind = \"dynamic\"\nsize = \"20Gi\""), "{text}");
    assert!(text.contains("kind = \"acme\"\nissuer = \"letsencrypt-prod\""), "{text}");
}

#[test]
fn what_no_key_says_becomes_a_patch_and_a_password_does_not() {
    let more = "
patchesStrategicMerge:
  - |-
    apiVersion: apps/v1
    kind: StatefulSet
    metadata: {name: trow-set}
    spec:
      template:
        spec:
          priorityClassName: system-cluster-critical
          nodeSelector: {registry: \"yes\"}
          containers:
            - name: trow-pod
              args: [-n, r.example.org, -u, alice, -p, hunter2-and-more, --odd]
              env:
                - {name: COLOUR, value: blue}
                - {name: DB_PASSWORD, value: hunter2-and-more}
                - {name: DB_PASS, value: hunter2-and-less}
                - {name: BACKUP, value: hunter2-and-more}
commonLabels: {team: platform}
configMapGenerator: [{name: x, literals: [a=b]}]
";
    let root = with(&[("kustomization.yaml", &on_base(&format!("{HOST}{more}")))]);
    let (code, report, said) = import(&root, &overlay(&root), &["--name", "r"]);
    assert_eq!(code, 0, "{said}");
    let text = root.text("environments/r.toml");
    for part in [
        "user = \"alice\"",
        "labels = { team = \"platform\" }",
        "node_selector = { registry = \"yes\" }",
        "[[patch]]",
        "priorityClassName: system-cluster-critical",
        "name: COLOUR",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    for line in [
        "patched     StatefulSet trow-set: spec.template.spec.",
        "moved out   the value of `--password`",
        "moved out   `DB_PASSWORD` looks like a password: the variable is left out",
        "moved out   `DB_PASS` looks like a password: the variable is left out",
        "moved out   `BACKUP` looks like a password: the variable is left out",
        "not carried `configMapGenerator` of the kustomization",
        "not carried `--odd` among the arguments is not known here",
        "extra_args = [\"--odd\"]",
    ] {
        assert!(report.contains(line), "{line}\n{report}");
    }
    assert!(!format!("{text}{report}{said}").contains("hunter2"), "{text}{report}{said}");
    // Nor is a variable left without its value.
    assert!(!text.contains("DB_PASS") && !text.contains("BACKUP"), "{text}");
    let (code, out, said) = outcome(&mut root.warren(&["render", "r", "--output", "-"]));
    assert_eq!(code, 0, "{said}");
    assert!(out.contains("priorityClassName: system-cluster-critical"), "{out}");
}

#[test]
fn json_says_the_same_and_nothing_is_overwritten() {
    let root = with(&[("kustomization.yaml", &on_base(HOST))]);
    let arguments = ["--name", "r", "--output", "json", "--address", "192.0.2.7"];
    let (code, out, said) = import(&root, &overlay(&root), &arguments);
    assert_eq!(code, 0, "{said}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["file"], "environments/r.toml");
    let report = json["report"].as_array().unwrap();
    assert!(report.iter().any(|entry| entry["deed"] == "upgraded"));
    let before = root.text("environments/r.toml");
    assert!(before.contains("ip = \"192.0.2.7\""));
    let (code, _, said) = import(&root, &overlay(&root), &["--name", "r"]);
    assert_eq!((code, root.text("environments/r.toml")), (2, before));
    assert!(said.contains("environments/r.toml is already there"), "{said}");
}

#[test]
fn bad_input_is_told_with_file_and_line_and_nothing_is_written() {
    let missing = on_base("patches: [{path: gone.yaml, target: {kind: Ingress}}]\n");
    let beyond = on_base(
        "patches:\n  - target: {kind: StatefulSet}\n    patch: |-\n      - op: replace\n        \
         path: /spec/template/spec/containers/0/args/9\n        value: x\n",
    );
    let secret = on_base("secretGenerator:\n  - name: trow-pass\n    literals: [\"hunter2\" x]\n");
    let upper = on_base(&HOST.replace("r.example.org", "R_example"));
    for (text, code, parts) in [
        (missing.as_str(), 3, ["kustomization.yaml:3", "no file `gone.yaml`"]),
        (&beyond, 3, ["kustomization.yaml:6", "the list ends before index 9"]),
        (&secret, 3, ["kustomization.yaml:5", "not YAML"]),
        (&upper, 3, ["kustomization.yaml:7", "is no host name"]),
        (&on_base(""), 3, ["sets no domain", "--domain"]),
        ("resources: [../elsewhere]\n", 3, ["kustomization.yaml:1", "is not there"]),
        ("resources: [\".\"]\n", 3, ["kustomization.yaml:1", "in a circle"]),
        ("resources: x\n", 3, ["kustomization.yaml:1", "a list is due"]),
        ("a: 1\na: 2\n", 3, ["kustomization.yaml:2", "stands twice"]),
        ("", 3, ["kustomization.yaml:1", "nothing in this file"]),
    ] {
        let root = with(&[("kustomization.yaml", text)]);
        let (found, _, said) = import(&root, &overlay(&root), &["--name", "r"]);
        assert_eq!(found, code, "{text}\n{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}\n{said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!root.path("environments/r.toml").exists(), "{text}");
    }
    let root = with(&[("README.md", "")]);
    let (code, _, said) = import(&root, &overlay(&root), &["--name", "r"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no kustomization.yaml"), "{said}");
}
