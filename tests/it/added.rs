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

#[test]
fn an_object_of_our_name_in_another_namespace_is_not_ours() {
    let object = "apiVersion: v1\nkind: Service\nmetadata: {name: trow-svc, namespace: \
                  kube-system}\nspec: {ports: [{name: http, port: 80}]}\n";
    let rendered = rendered(object);
    let there = |one: &&warren::pipeline::manifest::Object| one.namespace() == "kube-system";
    let other = rendered.objects.iter().find(there).unwrap();
    assert_eq!(other.node, yaml::read("in", object).unwrap()[0]);
}

#[test]
fn what_is_sealed_is_not_patched() {
    let repository = repository();
    let file = |name: &str| {
        fs::read_to_string(&repository.join("tests/schema/environments/sealed").join(name)).unwrap()
    };
    for (provider, sealed, kind) in
        [("sops", "sops.yaml", "Secret"), ("sealed-secrets", "trow-pass.yaml", "SealedSecret")]
    {
        let root = copy(false);
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write_atomic(&path, text.as_bytes(), Access::Everyone).unwrap();
        };
        write("environments/sealed/one.yaml", &file(sealed));
        let own = fs::read_to_string(&root.path().join("environments/sandbox.toml")).unwrap();
        let secrets =
            format!("\n[secrets]\nprovider = \"{provider}\"\nfiles = [\"sealed/one.yaml\"]\n");
        let patch = format!(
            "[[patch]]\ntarget = {{ kind = \"{kind}\" }}\nmerge.metadata.labels.x = \"y\"\n"
        );
        write("environments/sandbox.toml", &format!("{own}{secrets}"));
        let count = match compose(root.path(), "sandbox", &upstream()) {
            Ok(rendered) => rendered.objects.iter().filter(|one| one.kind() == kind).count(),
            Err(error) => panic!("{error}"),
        };
        let patch = patch.replacen(" }", &format!(" }}\nexpect = {count}"), 1);
        write("environments/sandbox.toml", &format!("{own}{secrets}{patch}"));
        let error = compose(root.path(), "sandbox", &upstream()).unwrap_err().to_string();
        let line = own.lines().count() + secrets.lines().count() + 1;
        let place = format!("environments/sandbox.toml:{line}:1: kind {kind} ");
        assert!(error.starts_with(&place) && error.contains("is sealed"), "{error}");
        assert!(error.contains("hint: narrow the target"), "{error}");
        // In the base it is left as it is too.
        write(
            "environments/sandbox.toml",
            &own.replacen("[cluster]", "labels = { x = \"y\" }\n[cluster]", 1),
        );
        write("environments/base/added.yaml", &file(sealed));
        let rendered = compose(root.path(), "sandbox", &upstream()).unwrap();
        for before in yaml::read("in", &file(sealed)).unwrap() {
            assert!(rendered.objects.iter().any(|object| object.node == before), "{provider}");
        }
    }
}

fn map(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\n---\n"
    )
}

#[test]
fn objects_are_told_apart_by_group_kind_namespace_and_name() {
    let event = |api: &str, more: &str| {
        format!(
            "apiVersion: {api}\nkind: Event\nmetadata: {{name: e, namespace: trow}}\n{more}---\n"
        )
    };
    let objects = [
        map("m", "a"),
        map("m", "trow"),
        map("m", "b"),
        event("events.k8s.io/v1", "eventTime: null\n"),
        event("v1", "involvedObject: {}\n"),
    ];
    let names = |rendered: &Rendered| -> Vec<String> {
        let ours = |name: &&String| name.starts_with("configmap-") || name.starts_with("event-");
        rendered.files.keys().filter(ours).cloned().collect()
    };
    let expected = [
        "configmap-m.yaml",
        "configmap-m_in_a.yaml",
        "configmap-m_in_b.yaml",
        "event-e.yaml",
        "event-e_in_trow_of_events.k8s.io.yaml",
    ];
    let rendered = rendered(&objects.concat());
    assert_eq!(names(&rendered), expected);
    assert!(rendered.files["configmap-m.yaml"].contains("namespace: trow"));
    // Whatever the order in which they stand.
    let backwards: String = objects.iter().rev().map(String::as_str).collect();
    assert_eq!(names(&self::rendered(&backwards)), expected);
    assert_eq!(rendered.objects.len(), rendered.files.len() - 1);
    // The same one twice is refused, by another version too.
    let twice = map("m", "a") + &map("m", "a");
    let error = added("sandbox", &twice, "").unwrap_err();
    assert!(error.contains("both define configmap/m"), "{error}");
    let policy = |version: &str| {
        format!(
            "apiVersion: policy/{version}\nkind: PodDisruptionBudget\nmetadata: {{name: p}}\n---\n"
        )
    };
    let error = added("sandbox", &(policy("v1") + &policy("v1beta1")), "").unwrap_err();
    assert!(error.contains("both define poddisruptionbudget/p"), "{error}");
}

#[test]
fn no_name_leads_out_of_the_folder_or_is_too_long_for_a_file() {
    let long = "a".repeat(253);
    let objects = ["'Foo Bar/../x'", "../../../pwn", "'a_2fb'", "a/b", long.as_str()]
        .map(|name| map(name, "trow"));
    let rendered = rendered(&objects.concat());
    let names: Vec<_> =
        rendered.files.keys().filter(|name| name.starts_with("configmap-")).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for name in names {
        assert!(!name.contains('/') && name.len() <= 255, "{name}");
    }
}

#[test]
fn a_name_or_a_label_that_the_api_server_refuses_is_an_error() {
    let metadata = |kind: &str, metadata: &str| {
        let api = if kind == "Role" { "rbac.authorization.k8s.io/v1" } else { "v1" };
        let more =
            if kind == "Service" { "spec: {ports: [{port: 80}], externalName: a.b}\n" } else { "" };
        format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{{metadata}}}\n{more}")
    };
    for (object, expected) in [
        (
            metadata("ConfigMap", "name: 'Foo Bar/../x'"),
            vec!["object-name configmap/Foo Bar/../x metadata.name"],
        ),
        (
            metadata("ConfigMap", "name: ../../../pwn"),
            vec!["object-name configmap/../../../pwn metadata.name"],
        ),
        (
            metadata("ConfigMap", "name: m, namespace: A.b"),
            vec!["object-name configmap/m metadata.namespace"],
        ),
        (metadata("Service", "name: 1a"), vec!["object-name service/1a metadata.name"]),
        (metadata("Role", "name: 'system:Trow'"), vec![]),
        (metadata("Role", "name: a/b"), vec!["object-name role/a/b metadata.name"]),
        (
            metadata(
                "ConfigMap",
                "name: m, labels: {'bad key!': x, good: 'a b'}, annotations: {'also bad': x, a.b/c: any text}",
            ),
            vec![
                "label configmap/m metadata.labels[\"bad key!\"]",
                "label configmap/m metadata.labels.good",
                "label configmap/m metadata.annotations[\"also bad\"]",
            ],
        ),
    ] {
        assert_eq!(errors(&rendered(&object)), expected, "{object}");
    }
    // Within a pod's template too.
    let pod = "apiVersion: v1\nkind: PodTemplate\nmetadata: {name: p}\ntemplate: {}\n---\n\
               apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {metadata: \
               {labels: {'bad key!': x}}, spec: {restartPolicy: Never, automountServiceAccountToken: false, \
               containers: []}}}\n";
    let found = errors(&rendered(pod));
    let at = "label job/j spec.template.metadata.labels[\"bad key!\"]".to_owned();
    assert!(found.contains(&at), "{found:?}");
}

#[test]
fn very_many_faults_of_one_object_are_told_in_short_and_in_time() {
    use std::fmt::Write as _;
    let mut object = map("m", "trow").replace("---\n", "");
    for number in 0..50_000 {
        writeln!(object, "field{number}: x").unwrap();
    }
    let rendered = rendered(&object);
    let start = std::time::Instant::now();
    let found = check(&rendered, &upstream(), &[]);
    let seconds = start.elapsed().as_secs();
    assert!(seconds < 20, "{seconds} s");
    let mut unknown: Vec<_> = found.iter().filter(|one| one.code == "unknown-field").collect();
    assert_eq!(unknown.len(), 100);
    let last = unknown.pop().unwrap();
    assert!(last.message.ends_with("; and 49900 more of this code in the object"), "{last:?}");
    // What many warnings stand before is told all the same.
    let tokens = "AKIAIOSFODNN7EXAMPLE ".repeat(3);
    let mut object = map("m", "trow").replace("---\n", "data:\n");
    for number in 0..20_000 {
        writeln!(object, "  k{number}: {tokens}").unwrap();
    }
    let start = std::time::Instant::now();
    let found = check(&self::rendered(&object), &upstream(), &[]);
    assert!(start.elapsed().as_secs() < 30);
    let found: Vec<_> = found.iter().filter(|one| one.code == "secret-pattern").collect();
    assert_eq!(found.len(), 100);
    assert!(found[99].message.ends_with("; and 19900 more of this code in the object"));
}
