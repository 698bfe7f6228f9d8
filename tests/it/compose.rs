//! Composition: what the shipped environments render, and each check on a
//! base that is broken in one place.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;
use warren::fs::{self, Access};
use warren::pipeline::check::{Finding, Severity, check};
use warren::pipeline::compose::{KUSTOMIZATION, Rendered, compose, registry_defaults};
use warren::pipeline::environment;
use warren::pipeline::faults;
use warren::pipeline::upstream::{Lock, Upstream};
use warren::pipeline::yaml::{self, Node};

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn upstream() -> Upstream {
    Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap().upstream().clone()
}

fn rendered(root: &Path, name: &str) -> Rendered {
    compose(root, name, &upstream()).unwrap_or_else(|error| panic!("{error}"))
}

/// A copy of the folders that rendering and checking read, its files made in
/// the order of their names or against it.
pub fn copy(backwards: bool) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["environments", "deploy", "vendor"] {
        copy_folder(&repository().join(folder), &root.path().join(folder), backwards);
    }
    root
}

fn copy_folder(from: &Path, to: &Path, backwards: bool) {
    fs::create_dir_all(to).unwrap();
    let mut entries = fs::list(from).unwrap();
    if backwards {
        entries.reverse();
    }
    for entry in entries {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_folder(&entry, &target, backwards);
        } else {
            fs::write_atomic(&target, &fs::read(&entry).unwrap(), Access::Everyone).unwrap();
        }
    }
}

/// Changes a file of a copy; the text to replace must be there.
pub fn change(root: &Path, file: &str, from: &str, to: &str) {
    let path = root.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write_atomic(&path, text.replace(from, to).as_bytes(), Access::Everyone).unwrap();
}

/// The errors that the checks find in `name` after a change.
fn errors(name: &str, file: &str, from: &str, to: &str) -> Vec<Finding> {
    let root = copy(false);
    change(root.path(), file, from, to);
    let mut found = check(&rendered(root.path(), name), &upstream(), &[]);
    found.retain(|finding| finding.severity == Severity::Error);
    assert!(found.iter().all(|finding| finding.environment == name && !finding.hint.is_empty()));
    found
}

fn codes(findings: &[Finding]) -> Vec<(&str, &str, &str)> {
    let code = |f| -> (&str, &str, &str) {
        let f: &Finding = f;
        (&f.code, &f.object, &f.field)
    };
    findings.iter().map(code).collect()
}

fn file<'a>(rendered: &'a Rendered, name: &str) -> &'a str {
    rendered.files.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", rendered.files.keys()))
}

/// The differing lines of two sets of files, as (file, left, right).
fn differences(
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
) -> Vec<(String, String, String)> {
    assert!(left.keys().eq(right.keys()));
    let mut found = Vec::new();
    for (name, text) in left {
        let other = &right[name];
        assert_eq!(text.lines().count(), other.lines().count(), "{name}");
        for (a, b) in text.lines().zip(other.lines()).filter(|(a, b)| a != b) {
            found.push((name.clone(), a.trim().to_owned(), b.trim().to_owned()));
        }
    }
    found
}

#[test]
fn the_committed_folders_are_what_renders() {
    for name in environment::names(repository()).unwrap() {
        let rendered = rendered(repository(), &name);
        let folder = repository().join("deploy").join(&name);
        let there: BTreeMap<_, _> = fs::list(&folder)
            .unwrap()
            .into_iter()
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).unwrap())
            })
            .collect();
        assert!(there == rendered.files, "run `warren render {name}` and commit deploy/{name}");
    }
}

#[test]
fn a_folder_copied_in_any_order_renders_the_same_bytes() {
    let (forwards, backwards) = (copy(false), copy(true));
    for name in ["sandbox", "lapin"] {
        let first = rendered(repository(), name).files;
        assert_eq!(first, rendered(forwards.path(), name).files);
        assert_eq!(first, rendered(backwards.path(), name).files);
        for (file, text) in &first {
            for root in [forwards.path(), repository()] {
                assert!(!text.contains(&*root.to_string_lossy()), "{file} names {root:?}");
            }
        }
    }
}

#[test]
fn a_rendered_folder_is_one_object_a_file_and_their_list() {
    for name in ["sandbox", "lapin"] {
        let rendered = rendered(repository(), name);
        let list = yaml::read(KUSTOMIZATION, file(&rendered, KUSTOMIZATION)).unwrap().remove(0);
        let resources = list.get("resources").and_then(Node::as_sequence).unwrap();
        let resources: Vec<_> = resources.iter().filter_map(Node::as_str).collect();
        let mut objects: Vec<_> = rendered.files.keys().map(String::as_str).collect();
        objects.retain(|name| *name != KUSTOMIZATION);
        assert_eq!(resources, objects);
        assert_eq!(rendered.objects.len(), objects.len());
        for object in &rendered.objects {
            let text = file(&rendered, &object.file_name());
            assert_eq!(yaml::read("t", text).unwrap(), std::slice::from_ref(&object.node));
            assert_eq!(object.file_name(), object.file_name().to_lowercase());
        }
    }
}

#[test]
fn names_and_selector_are_those_of_an_earlier_install() {
    let sandbox = rendered(repository(), "sandbox");
    let set = file(&sandbox, "statefulset-trow-set.yaml");
    assert!(set.contains("  selector:\n    matchLabels:\n      app: trow\n  "), "{set}");
    for text in
        ["name: trow-pod", "secretName: trow-pass", "name: data-vol", "mountPath: /etc/trow"]
    {
        assert!(set.contains(text), "{text}");
    }
    let volume = file(&sandbox, "persistentvolume-trow-data-hostpath-pv.yaml");
    assert!(volume.contains("name: data-vol-trow-set-0"), "{volume}");
    assert!(file(&sandbox, "ingress-trow-ingress.yaml").contains("secretName: trow-registry-tls"));
    assert!(file(&sandbox, "serviceaccount-trow.yaml").contains("name: trow-cred"));
}

#[test]
fn data_is_never_pruned() {
    for (name, volume) in [("sandbox", "trow-data-hostpath-pv"), ("lapin", "trow-data-local-pv")] {
        let rendered = rendered(repository(), name);
        for object in [
            format!("persistentvolume-{volume}"),
            "namespace-trow".into(),
            "statefulset-trow-set".into(),
        ] {
            let text = file(&rendered, &format!("{object}.yaml"));
            assert!(text.contains("argocd.argoproj.io/sync-options: Prune=false"), "{object}");
            assert!(text.contains("kustomize.toolkit.fluxcd.io/prune: disabled"), "{object}");
        }
    }
}

#[test]
fn nothing_runs_as_root_in_lapin() {
    let lapin = rendered(repository(), "lapin");
    let set = file(&lapin, "statefulset-trow-set.yaml");
    assert!(!set.contains("runAsUser: 0") && !set.contains("initContainers"), "{set}");
    let namespace = file(&lapin, "namespace-trow.yaml");
    assert!(namespace.contains("pod-security.kubernetes.io/enforce: restricted"), "{namespace}");
    let class = file(&lapin, "storageclass-trow-local.yaml");
    assert!(class.contains("volumeBindingMode: WaitForFirstConsumer"), "{class}");
    assert!(set.contains("storageClassName: trow-local"), "{set}");
}

#[test]
fn no_secret_is_rendered_and_none_needed_to_render() {
    for name in ["sandbox", "lapin"] {
        let rendered = rendered(repository(), name);
        assert!(rendered.objects.iter().all(|object| object.kind() != "Secret"));
    }
}

#[test]
fn the_engine_changes_exactly_the_image_line() {
    for name in ["sandbox", "lapin"] {
        let trow = rendered(repository(), name);
        let root = copy(false);
        let environment = format!("environments/{name}.toml");
        change(root.path(), &environment, "engine = \"trow\"", "engine = \"warren\"");
        let warren = rendered(root.path(), name);
        let image = format!("image: {}", upstream().image);
        let ours = concat!("image: localhost/warren-registry:", env!("CARGO_PKG_VERSION"));
        let expected = vec![("statefulset-trow-set.yaml".to_owned(), image, ours.to_owned())];
        assert_eq!(differences(&trow.files, &warren.files), expected);
    }
}

#[test]
fn an_environments_values_reach_their_fields() {
    let root = copy(false);
    for (from, to) in [
        ("paasregistry.lapin.io\"", "registry.example.org\""),
        ("namespace = \"trow\"", "namespace = \"images\""),
        ("\"trow-pass\"", "\"alice\""),
        ("\"/data\"", "\"/srv/images\""),
        ("\"10Gi\"", "\"2Ti\""),
        ("uid = 999, gid = 999", "uid = 1000, gid = 3000"),
        ("\"ca-issuer\"", "\"own-issuer\""),
        ("\"ca-priv\"", "\"own-ca\""),
        ("\"nginx\"", "\"public\""),
        ("192.168.1.250", "2001:db8::1"),
    ] {
        change(root.path(), "environments/sandbox.toml", from, to);
    }
    let rendered = rendered(root.path(), "sandbox");
    let all = rendered.files.values().cloned().collect::<String>();
    for gone in [
        "lapin",
        "namespace: trow\n",
        "trow-pass\n            - --p",
        "10Gi",
        "999",
        "ca-issuer\n",
        "ca-priv",
        "192.168",
        "registry.example\n",
    ] {
        assert!(!all.contains(gone), "{gone} is left:\n{all}");
    }
    for (name, text) in [
        ("ingress-trow-ingress", "host: registry.example.org"),
        ("ingress-trow-ingress", "ingressClassName: public"),
        ("ingress-trow-ingress", "cert-manager.io/cluster-issuer: own-issuer"),
        ("clusterissuer-own-issuer", "secretName: own-ca"),
        ("namespace-images", "name: images"),
        ("service-trow-svc", "namespace: images"),
        ("persistentvolume-trow-data-hostpath-pv", "namespace: images"),
        ("persistentvolume-trow-data-hostpath-pv", "path: /srv/images"),
        ("persistentvolume-trow-data-hostpath-pv", "storage: 2Ti"),
        ("statefulset-trow-set", "storage: 2Ti"),
        ("statefulset-trow-set", "- alice"),
        ("statefulset-trow-set", "runAsUser: 1000"),
        ("statefulset-trow-set", "fsGroup: 3000"),
        ("statefulset-trow-set", "1000:3000"),
        ("ipaddresspool-trow", "2001:db8::1/128"),
        ("ipaddresspool-trow", "namespace: metallb-system"),
    ] {
        let content = file(&rendered, &format!("{name}.yaml"));
        assert!(content.contains(text), "{name} has no {text}:\n{content}");
    }
    assert!(check(&rendered, &upstream(), &[]).iter().all(|f| f.severity == Severity::Warning));
}

#[test]
fn without_an_address_nothing_announces_one() {
    let root = copy(false);
    change(
        root.path(),
        "environments/sandbox.toml",
        "provider = \"metallb\"",
        "provider = \"none\"",
    );
    let rendered = rendered(root.path(), "sandbox");
    assert!(rendered.files.keys().all(|name| !name.contains("ipaddresspool")));
}

#[test]
fn the_registrys_defaults_are_those_of_its_arguments() {
    let rendered = rendered(repository(), "sandbox");
    let set = file(&rendered, "statefulset-trow-set.yaml");
    let defaults: BTreeMap<_, _> =
        registry_defaults(&rendered.environment, &upstream()).into_iter().collect();
    assert_eq!(defaults["hostname"], "paasregistry.lapin.io");
    assert_eq!(defaults["user"], "trow-pass");
    assert_eq!(defaults["password"], "file:///etc/trow/pass");
    assert_eq!(defaults["bind"], "[::]:8000");
    assert_eq!(defaults["data-dir"], "/data");
    for (name, value) in &defaults {
        let quoted = format!("- --{name}\n            - \"{value}\"\n");
        let plain = format!("- --{name}\n            - {value}\n");
        let there = set.contains(&quoted) || set.contains(&plain);
        assert!(there || name == "log-level", "{name} {value}");
    }
}

#[test]
fn the_shipped_environments_have_warnings_only() {
    let upstream = upstream();
    let known = faults::known(repository(), &upstream.version).unwrap();
    for name in ["sandbox", "lapin"] {
        let findings = check(&rendered(repository(), name), &upstream, &known);
        let errors: Vec<_> = findings.iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let faults = findings.iter().filter(|f| f.code.starts_with("upstream-fault/")).count();
        assert_eq!(faults, known.len());
        assert!(faults >= 10);
    }
}

#[test]
fn our_own_registry_has_none_of_the_upstreams_faults() {
    let root = copy(false);
    change(root.path(), "environments/lapin.toml", "engine = \"trow\"", "engine = \"warren\"");
    let known = faults::known(root.path(), &upstream().version).unwrap();
    let findings = check(&rendered(root.path(), "lapin"), &upstream(), &known);
    let codes: Vec<_> = findings.iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["engine-image"], "{findings:?}");
    let named = "engine = \"warren\"\nimage = \"r.example/w@sha256:";
    let named = format!("{named}{}\"", "0".repeat(64));
    change(root.path(), "environments/lapin.toml", "engine = \"warren\"", &named);
    let findings = check(&rendered(root.path(), "lapin"), &upstream(), &known);
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_service_name_without_service_is_found() {
    // As upstream's own manifests of 2020 have it.
    let file = "environments/base/statefulset.yaml";
    let found = errors("sandbox", file, "serviceName: trow-svc", "serviceName: trow");
    assert_eq!(codes(&found), [("service-name", "statefulset/trow-set", "spec.serviceName")]);
    assert!(found[0].message.contains("`trow`"), "{}", found[0].message);
}

#[test]
fn a_selector_without_pods_is_found() {
    let file = "environments/base/statefulset.yaml";
    let found =
        errors("sandbox", file, "matchLabels:\n      app: trow", "matchLabels:\n      app: other");
    let expected = [("selector", "statefulset/trow-set", "spec.selector.matchLabels")];
    assert_eq!(codes(&found), expected);
    let file = "environments/base/service.yaml";
    let found = errors("lapin", file, "selector:\n    app: trow", "selector:\n    app: other");
    assert_eq!(codes(&found), [("selector", "service/trow-svc", "spec.selector")]);
}

#[test]
fn a_port_that_no_container_declares_is_found() {
    let found =
        errors("sandbox", "environments/base/service.yaml", "targetPort: http", "targetPort: web");
    assert_eq!(
        codes(&found),
        [("target-port", "service/trow-svc", "spec.ports[name=http].targetPort")]
    );
}

#[test]
fn an_account_that_is_not_there_is_found() {
    let file = "environments/base/statefulset.yaml";
    let found = errors("sandbox", file, "serviceAccountName: trow", "serviceAccountName: nobody");
    let field = "spec.template.spec.serviceAccountName";
    assert_eq!(codes(&found), [("service-account", "statefulset/trow-set", field)]);
}

#[test]
fn an_ingress_to_no_service_is_found() {
    let file = "environments/base/service.yaml";
    let found = errors("sandbox", file, "name: trow-svc", "name: registry");
    let field = "spec.rules[host=paasregistry.lapin.io].http.paths[path=/].backend.service.name";
    let expected = [
        ("ingress-backend", "ingress/trow-ingress", field),
        ("service-name", "statefulset/trow-set", "spec.serviceName"),
    ];
    assert_eq!(codes(&found), expected);
}

#[test]
fn a_volume_for_no_claim_is_found() {
    let file = "environments/components/host-path-volume/persistentvolume.yaml";
    let found = errors("sandbox", file, "data-vol-trow-set-0", "data-vol-trow-0");
    let expected = [("claim-ref", "persistentvolume/trow-data-hostpath-pv", "spec.claimRef.name")];
    assert_eq!(codes(&found), expected);
    let file = "environments/components/local-volume/persistentvolume.yaml";
    assert_eq!(errors("lapin", file, "data-vol-trow-set-0", "x").len(), 1);
}

#[test]
fn a_secret_is_found() {
    // In the StatefulSet's file, as another document before it.
    let file = "environments/base/statefulset.yaml";
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n---\n";
    let found =
        errors("sandbox", file, "apiVersion: apps/v1", &format!("{secret}apiVersion: apps/v1"));
    assert_eq!(codes(&found), [("plain-secret", "secret/s", "data")]);
}

#[test]
fn a_namespace_on_a_kind_of_the_cluster_is_found() {
    let file = "environments/components/private-ca/clusterissuer.yaml";
    let found = errors("sandbox", file, "metadata:\n", "metadata:\n  namespace: trow\n");
    assert_eq!(codes(&found), [("namespace", "clusterissuer/ca-issuer", "metadata.namespace")]);
}

#[test]
fn an_image_that_floats_is_an_error_and_one_without_digest_a_warning() {
    // No key takes an image that floats; a patch does.
    for image in ["ghcr.io/a/b:latest", "ghcr.io/a/b", "b"] {
        let root = copy(false);
        let own = fs::read_to_string(&root.path().join("environments/lapin.toml")).unwrap();
        let patch = format!(
            "[[patch]]\ntarget = {{ kind = \"StatefulSet\" }}\noperations = [{{ op = \"replace\", path = \
             \"spec.template.spec.containers[name=trow-pod].image\", value = \"{image}\" }}]\n"
        );
        let file = root.path().join("environments/lapin.toml");
        fs::write_atomic(&file, (own + &patch).as_bytes(), Access::Everyone).unwrap();
        let mut found = check(&rendered(root.path(), "lapin"), &upstream(), &[]);
        found.retain(|finding| finding.severity == Severity::Error);
        let field = "spec.template.spec.containers[name=trow-pod].image";
        assert_eq!(codes(&found), [("image-pin", "statefulset/trow-set", field)], "{image}");
    }
    let digest = format!("ghcr.io/a/b:1@sha256:{}", "0".repeat(64));
    for (image, severity) in [("ghcr.io/a/b:1", Some(Severity::Warning)), (digest.as_str(), None)] {
        let root = copy(false);
        let line = format!("engine = \"trow\"\nimage = \"{image}\"");
        change(root.path(), "environments/lapin.toml", "engine = \"trow\"", &line);
        let found = check(&rendered(root.path(), "lapin"), &upstream(), &[]);
        let found: Vec<_> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(found, severity.into_iter().collect::<Vec<_>>(), "{image}");
    }
}

#[test]
fn a_broken_base_names_file_and_place() {
    for (file, from, to, says) in [
        (
            "environments/base/service.yaml",
            "kind: Service",
            "kind: Service\nkind: Service",
            "environments/base/service.yaml:5:1: the key `kind` stands twice",
        ),
        ("environments/base/service.yaml", "kind: Service", "kin: Service", "this has no kind"),
        (
            "environments/base/statefulset.yaml",
            "- name: trow-pod",
            "- name: other",
            "environments/base/statefulset.yaml: statefulset/trow-set: ",
        ),
        (
            "environments/base/serviceaccount.yaml",
            "kind: ServiceAccount\nmetadata:\n  name: trow\n",
            "kind: Service\nmetadata:\n  name: trow-svc\nspec:\n  ports: [{name: http}]\n",
            "both define service/trow-svc",
        ),
        (
            "environments/components/host-path-volume/statefulset.patch.yaml",
            "name: trow-set",
            "name: trow",
            "statefulset.patch.yaml changes statefulset/trow, which is not among the objects",
        ),
    ] {
        let root = copy(false);
        change(root.path(), file, from, to);
        let error = compose(root.path(), "sandbox", &upstream()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
