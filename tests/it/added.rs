//! What somebody adds to the base: it comes out as it went in, and is checked
//! like the rest.

use warren::fs::{self, Access};
use warren::pipeline::check::{Finding, check};
use warren::pipeline::compose::{Rendered, compose};
use warren::pipeline::upstream::{Lock, Upstream};
use warren::pipeline::yaml;

use crate::compose::{copy, repository};

fn upstream() -> Upstream {
    Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap().upstream().clone()
}

/// The environment with a file beside the base's, and a text behind its own.
fn added(name: &str, objects: &str, toml: &str) -> Result<Rendered, String> {
    let root = copy(false);
    let write = |file: &str, text: &str| {
        fs::write_atomic(&root.path().join(file), text.as_bytes(), Access::Everyone).unwrap();
    };
    if !objects.is_empty() {
        write("environments/base/added.yaml", objects);
    }
    let file = format!("environments/{name}.toml");
    let own = fs::read_to_string(&root.path().join(&file)).unwrap();
    write(&file, &format!("{own}{toml}"));
    compose(root.path(), name, &upstream()).map_err(|error| error.to_string())
}

fn rendered(objects: &str) -> Rendered {
    added("sandbox", objects, "").unwrap_or_else(|error| panic!("{error}"))
}

/// Code, object and field of the errors of an environment.
fn errors(rendered: &Rendered) -> Vec<String> {
    let line = |one: &Finding| format!("{} {} {}", one.code, one.object, one.field);
    check(rendered, &upstream(), &[]).iter().filter(|one| one.is_error()).map(line).collect()
}

#[test]
fn objects_that_are_not_ours_come_out_as_they_went_in() {
    for (object, file) in [
        (
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: extra}\nspec: {capacity: \
             {storage: 1Gi}, accessModes: [ReadWriteMany], hostPath: {path: /x}}\n",
            "persistentvolume-extra.yaml",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: kube-system}\nspec: \
             {ports: [{name: http, port: 80}]}\n",
            "service-other.yaml",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: trow}\nspec: {ports: \
             [{name: web, port: 80}]}\n",
            "service-other.yaml",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: other, namespace: \
             trow}\nspec: {defaultBackend: {service: {name: trow-svc, port: {number: 8000}}}}\n",
            "ingress-other.yaml",
        ),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n", "namespace-other.yaml"),
        (
            "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: other}\nspec: \
             {selfSigned: {}}\n",
            "clusterissuer-other.yaml",
        ),
        (
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: other, namespace: trow}\nspec: \
             {serviceName: x, selector: {matchLabels: {a: b}}}\n",
            "statefulset-other.yaml",
        ),
        (
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: other, \
             namespace: trow}\nspec: {refreshInterval: 5m}\n",
            "externalsecret-other.yaml",
        ),
        (
            "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: other, namespace: \
             metallb-system}\nspec: {addresses: [192.0.2.7/32]}\n",
            "ipaddresspool-other.yaml",
        ),
    ] {
        let text = rendered(object).files.remove(file).unwrap_or_else(|| panic!("no {file}"));
        let (before, after) =
            (yaml::read("in", object).unwrap(), yaml::read("out", &text).unwrap());
        assert_eq!(before, after, "{text}");
    }
}

#[test]
fn a_base_without_what_the_keys_go_into_is_refused() {
    let root = copy(false);
    let file = "environments/base/statefulset.yaml";
    crate::compose::change(root.path(), file, "name: trow-set", "name: registry");
    let error = compose(root.path(), "lapin", &upstream()).unwrap_err().to_string();
    assert!(error.contains("there is no statefulset/trow-set"), "{error}");
}

#[test]
fn the_level_of_the_namespace_is_the_one_that_is_declared() {
    let label = |value: &str| {
        format!(
            "[[patch]]\ntarget = {{ kind = \"Namespace\" }}\noperations = [{{ op = \"replace\", path \
             = 'metadata.labels[\"pod-security.kubernetes.io/enforce\"]', value = \"{value}\" }}]\n"
        )
    };
    let at = "metadata.labels[\"pod-security.kubernetes.io/enforce\"]";
    let network = "[[patch]]\ntarget = { kind = \"StatefulSet\" }\nmerge.spec.template.spec.hostNetwork \
                   = true\n";
    let patched = added("sandbox", "", &(label("privileged") + network)).unwrap();
    assert_eq!(
        errors(&patched),
        [
            format!("pod-security namespace/trow {at}"),
            "pod-security statefulset/trow-set spec.template.spec.hostNetwork".to_owned(),
        ]
    );
    // A stricter one is not what was declared either, and holds.
    let patched = added("sandbox", "", &label("restricted")).unwrap();
    let found = errors(&patched);
    assert!(found.contains(&format!("pod-security namespace/trow {at}")), "{found:?}");
    assert!(found.iter().any(|one| one.contains("initContainers[name=own-data]")), "{found:?}");
}

#[test]
fn a_password_that_a_patch_adds_to_the_arguments_is_found() {
    let patch = "[[patch]]\ntarget = { kind = \"StatefulSet\" }\noperations = [\n  { op = \"add\", \
                 path = \"spec.template.spec.containers[name=trow-pod].args[-]\", value = \"-P\" },\n  \
                 { op = \"add\", path = \"spec.template.spec.containers[name=trow-pod].args[-]\", value \
                 = \"blabla\" },\n]\n";
    let at = "spec.template.spec.containers[name=trow-pod]";
    let found = errors(&added("sandbox", "", patch).unwrap());
    assert_eq!(found, [format!("secret-pattern statefulset/trow-set {at}.args[after=-P]")]);
}
