//! `warren diff`: by object and field, each change with its risk.

use std::path::Path;

use crate::deploy::{Repository, outcome};

/// A repository whose sandbox is rendered.
fn rendered() -> Repository {
    let repository = Repository::new();
    repository.warren(&["render", "sandbox"]).assert().success();
    repository
}

fn diff(repository: &Repository, more: &[&str]) -> serde_json::Value {
    let arguments = [&["diff", "sandbox", "--output", "json"], more].concat();
    let (code, stdout, stderr) = outcome(&mut repository.warren(&arguments));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// `object field before -> after: risks` of every change.
fn lines(report: &serde_json::Value) -> Vec<String> {
    let mut lines = Vec::new();
    for object in report["objects"].as_array().unwrap() {
        let name = object["object"].as_str().unwrap();
        let risks = |one: &serde_json::Value| {
            let list = one["risks"].as_array().unwrap().clone();
            list.iter().map(|risk| risk.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let fields = object["fields"].as_array().unwrap();
        if fields.is_empty() {
            lines.push(format!("{} {name}: {}", object["change"].as_str().unwrap(), risks(object)));
        }
        for field in fields {
            let side = |key: &str| match &field[key] {
                serde_json::Value::Null => "-".to_owned(),
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let (address, risks) = (field["field"].as_str().unwrap(), risks(field));
            lines.push(format!(
                "{name} {address} {} -> {}: {risks}",
                side("before"),
                side("after")
            ));
        }
    }
    lines
}

/// The changes that an edit of the sandbox's file makes.
fn changed(from: &str, to: &str) -> Vec<String> {
    let repository = rendered();
    edit(&repository, from, to);
    lines(&diff(&repository, &[]))
}

fn edit(repository: &Repository, from: &str, to: &str) {
    let toml = repository.text("environments/sandbox.toml");
    assert!(toml.contains(from), "{from}");
    repository.write("environments/sandbox.toml", &toml.replace(from, to));
}

#[test]
fn nothing_differs_from_what_was_rendered() {
    let report = diff(&rendered(), &[]);
    assert_eq!(report["objects"].as_array().unwrap().len(), 0);
    assert_eq!(report["files"].as_array().unwrap().len(), 0);
}

#[test]
fn another_domain_is_a_host_change_and_restarts_the_registry() {
    let found = changed("paasregistry.lapin.io\"", "registry.lapin.io\"");
    let container = "spec.template.spec.containers[name=trow-pod]";
    let (old, new) = ("paasregistry.lapin.io", "registry.lapin.io");
    for line in [
        format!("ingress/trow-ingress spec.rules[host={old}].host {old} -> {new}: host"),
        format!(
            "ingress/trow-ingress spec.tls[secretName=trow-registry-tls].hosts[0] {old} -> {new}: host"
        ),
        format!(
            "statefulset/trow-set {container}.args[after=--hostname] {old} -> {new}: host restart"
        ),
    ] {
        assert!(found.contains(&line), "{line}\n{found:#?}");
    }
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn another_log_level_restarts_and_nothing_else() {
    let found = changed("user = ", "log_level = \"debug\"\nuser = ");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("env[name=RUST_LOG].value info -> debug: restart"), "{found:?}");
}

#[test]
fn a_larger_volume_is_immutable_and_a_smaller_one_may_lose_data() {
    let claim = "spec.volumeClaimTemplates[metadata.name=data-vol].spec.resources.requests.storage";
    let found = changed("10Gi", "20Gi");
    let pv = "persistentvolume/trow-data-hostpath-pv spec.capacity.storage";
    assert!(found.contains(&format!("{pv} 10Gi -> 20Gi: none")), "{found:#?}");
    let set = format!("statefulset/trow-set {claim} 10Gi -> 20Gi: immutable");
    assert!(found.contains(&set), "{found:#?}");
    let found = changed("10Gi", "5Gi");
    assert!(found.contains(&format!("{pv} 10Gi -> 5Gi: data-loss")), "{found:#?}");
    let set = format!("statefulset/trow-set {claim} 10Gi -> 5Gi: data-loss immutable");
    assert!(found.contains(&set), "{found:#?}");
}

#[test]
fn another_folder_is_refused_and_leaves_the_data_behind() {
    let found = changed("path = \"/data\"", "path = \"/srv\"");
    let line = "persistentvolume/trow-data-hostpath-pv spec.hostPath.path /data -> /srv: data-loss immutable";
    assert_eq!(found, [line]);
}

#[test]
fn another_namespace_moves_every_object_and_another_owner_restarts() {
    let found = changed("namespace = \"trow\"", "namespace = \"images\"");
    assert!(found.contains(&"removed namespace/trow: data-loss".to_owned()), "{found:#?}");
    assert!(found.contains(&"added namespace/images: none".to_owned()), "{found:#?}");
    let moved = "service/trow-svc metadata.namespace trow -> images: immutable";
    assert!(found.contains(&moved.to_owned()), "{found:#?}");
}

/// The changes that an edit of a rendered file undoes: `deploy/` as it was
/// before, against what renders now.
fn against(file: &str, from: &str, to: &str) -> Vec<String> {
    let repository = rendered();
    let file = format!("deploy/sandbox/{file}");
    let text = repository.text(&file);
    assert!(text.contains(from), "{from} in {text}");
    repository.write(&file, &text.replace(from, to));
    lines(&diff(&repository, &[]))
}

#[test]
fn every_risk_is_told() {
    for (file, from, to, risks) in [
        (
            "service-trow-svc.yaml",
            "selector:\n    app: trow",
            "selector:\n    app: old",
            "selector",
        ),
        ("service-trow-svc.yaml", "port: 8000", "port: 80", "host"),
        ("namespace-trow.yaml", "enforce: baseline", "enforce: restricted", "wider-rights"),
        ("statefulset-trow-set.yaml", "replicas: 1", "replicas: 2", "none"),
        (
            "persistentvolume-trow-data-hostpath-pv.yaml",
            "path: /data",
            "path: /old",
            "data-loss immutable",
        ),
        ("statefulset-trow-set.yaml", "serviceName: trow-svc", "serviceName: x", "immutable"),
        (
            "statefulset-trow-set.yaml",
            "readOnlyRootFilesystem: true",
            "readOnlyRootFilesystem: false",
            "restart",
        ),
        ("statefulset-trow-set.yaml", "runAsUser: 0\n", "runAsUser: 7\n", "wider-rights restart"),
        (
            "persistentvolume-trow-data-hostpath-pv.yaml",
            "ReclaimPolicy: Retain",
            "ReclaimPolicy: Delete",
            "none",
        ),
    ] {
        let found = against(file, from, to);
        assert!(!found.is_empty());
        for line in &found {
            assert!(line.ends_with(&format!(": {risks}")), "{from}: {found:#?}");
        }
    }
}

#[test]
fn a_form_that_means_the_same_is_no_change_of_a_field() {
    let repository = rendered();
    let file = "deploy/sandbox/service-trow-svc.yaml";
    let text = repository.text(file).replace("type: ClusterIP", "type: \"ClusterIP\"");
    repository.write(file, &text);
    repository.write("deploy/sandbox/old.yaml", "left: over\n");
    let report = diff(&repository, &[]);
    assert_eq!(lines(&report).len(), 0);
    assert_eq!(
        report["files"],
        serde_json::json!([
            "old.yaml is removed",
            "service-trow-svc.yaml differs in its form only"
        ])
    );
    let arguments = ["diff", "sandbox", "--exit-code"];
    assert_eq!(outcome(&mut repository.warren(&arguments)).0, 1, "bytes count for the exit code");
}

#[test]
fn an_environment_is_compared_with_another_and_with_a_folder() {
    let repository = rendered();
    let found = lines(&diff(&repository, &["--against", "lapin"]));
    let expected = "namespace/trow metadata.labels[\"pod-security.kubernetes.io/enforce\"] \
                    restricted -> baseline: wider-rights";
    assert!(found.contains(&expected.to_owned()), "{found:#?}");
    let expected = "removed persistentvolume/trow-data-local-pv: data-loss";
    assert!(found.contains(&expected.to_owned()), "{found:#?}");

    let folder = repository.path("elsewhere");
    let folder = folder.to_str().unwrap();
    repository.warren(&["render", "sandbox", "--output", folder]).assert().success();
    edit(&repository, "192.168.1.250", "192.168.1.251");
    assert_eq!(
        lines(&diff(&repository, &["--against", folder])),
        ["ipaddresspool/trow spec.addresses[0] 192.168.1.250/32 -> 192.168.1.251/32: host"]
    );
}

#[test]
fn an_environment_is_compared_with_a_revision_of_git() {
    let repository = rendered();
    commit(&repository.path(""), "first");
    edit(&repository, "192.168.1.250", "192.168.1.251");
    repository.warren(&["render", "sandbox"]).assert().success();
    assert_eq!(lines(&diff(&repository, &[])).len(), 0);
    let found = lines(&diff(&repository, &["--against", "HEAD"]));
    assert_eq!(
        found,
        ["ipaddresspool/trow spec.addresses[0] 192.168.1.250/32 -> 192.168.1.251/32: host"]
    );
    commit(&repository.path(""), "second");
    assert_eq!(lines(&diff(&repository, &["--against", "HEAD"])).len(), 0);
    assert_eq!(lines(&diff(&repository, &["--against", "HEAD~1"])), found);
    let (code, _, stderr) =
        outcome(&mut repository.warren(&["diff", "sandbox", "--against", "nothing-such"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("`nothing-such` is neither an environment, nor a folder"), "{stderr}");
}

/// Commits everything below a folder, which becomes a repository.
fn commit(folder: &Path, message: &str) {
    let repository =
        git2::Repository::open(folder).or_else(|_| git2::Repository::init(folder)).unwrap();
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let name = git2::Signature::new("a", "a@example.org", &git2::Time::new(0, 0)).unwrap();
    let parent = repository.head().ok().map(|head| head.peel_to_commit().unwrap());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &name, &name, message, &tree, &parents).unwrap();
}

#[test]
fn a_pull_request_gets_a_table() {
    let repository = rendered();
    edit(&repository, "user = \"trow-pass\"", "user = \"a|b`c\"");
    let (code, stdout, stderr) =
        outcome(&mut repository.warren(&["diff", "sandbox", "--output", "markdown"]));
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!(stdout, @r"
    ### `sandbox`, compared with deploy/sandbox

    0 added, 1 changed, 0 removed; restart.

    | | object | field | before | after | risk |
    |---|---|---|---|---|---|
    | changed | `statefulset/trow-set` | `spec.template.spec.containers[name=trow-pod].args[after=--user]` | `trow-pass` | ``a\|b`c`` | **restart** |
    ");
}

#[test]
fn text_is_plain_where_no_terminal_reads_it() {
    let repository = rendered();
    edit(&repository, "192.168.1.250", "192.168.1.251");
    let (_, stdout, stderr) = outcome(&mut repository.warren(&["diff", "sandbox"]));
    insta::assert_snapshot!(stdout, @r"
    ~ ipaddresspool/trow
        spec.addresses[0]: 192.168.1.250/32 -> 192.168.1.251/32  ! host change
    ");
    assert!(
        stderr.contains("deploy/sandbox: 0 added, 1 changed, 0 removed; host change"),
        "{stderr}"
    );
}

/// The risks of what a patch of an object changes.
fn patched(target: &str, merge: &str) -> Vec<String> {
    let repository = rendered();
    let toml = repository.text("environments/sandbox.toml");
    let patch = format!("\n[[patch]]\ntarget = {{ {target} }}\nmerge = \"\"\"\n{merge}\n\"\"\"\n");
    repository.write("environments/sandbox.toml", &format!("{toml}{patch}"));
    lines(&diff(&repository, &[]))
}

#[test]
fn what_serves_no_more_and_what_opens_is_told() {
    assert_eq!(
        patched("kind = \"StatefulSet\"", "spec: {replicas: 0}"),
        ["statefulset/trow-set spec.replicas 1 -> 0: outage"]
    );
    let proc = "spec: {template: {spec: {containers: [{name: trow-pod, securityContext: {procMount: Unmasked}}]}}}";
    let found = patched("kind = \"StatefulSet\"", proc);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with(".procMount - -> Unmasked: wider-rights restart"), "{found:?}");

    // As deploy/ has it against what renders: the list goes, or becomes larger.
    let file = "ingress-trow-ingress.yaml";
    let key = "nginx.ingress.kubernetes.io/whitelist-source-range";
    let from = "  annotations:\n";
    let found = against(file, from, &format!("{from}    {key}: 10.0.0.0/8\n"));
    let at = format!("ingress/trow-ingress metadata.annotations[\"{key}\"]");
    assert_eq!(found, [format!("{at} 10.0.0.0/8 -> -: wider-rights")]);
    let annotated = |value: &str| format!("metadata: {{annotations: {{\"{key}\": \"{value}\"}}}}");
    assert_eq!(
        patched("kind = \"Ingress\"", &annotated("10.0.0.0/8")),
        [format!("{at} - -> 10.0.0.0/8: none")]
    );
}

#[test]
fn a_container_that_goes_takes_its_rights_along() {
    let found = changed(
        "kind = \"host-path\" # a folder of the node, as it is\npath = \"/data\"\n",
        "kind = \"dynamic\"\n",
    );
    let gone = |line: &&String| line.contains("initContainers");
    let gone: Vec<_> = found.iter().filter(gone).collect();
    assert_eq!(gone.len(), 1, "{found:#?}");
    assert!(gone[0].ends_with(": restart"), "{gone:?}");
}
