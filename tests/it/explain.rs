//! `warren explain`: where the values of the shipped environments came from.

use crate::compose::change;
use crate::deploy::{Repository, outcome};

fn explained(repository: &Repository, arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["explain"], arguments, &["--output", "json"]].concat();
    let (code, stdout, stderr) = outcome(&mut repository.warren(&arguments));
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// The one value at a field, and `kind file:line:column key` of its origin.
fn origin(repository: &Repository, object: &str, field: &str) -> (String, String) {
    let report = explained(repository, &["sandbox", object, field]);
    let fields = report[0]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 1, "{fields:?}");
    let origin = &fields[0]["origin"];
    let text = |key: &str| match &origin[key] {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let place = format!("{}:{}:{}", text("file"), text("line"), text("column"));
    let value = fields[0]["value"].as_str().unwrap().to_owned();
    (value, format!("{} {place} {}", text("kind"), text("key")))
}

/// Where a text stands in a file: `line:column` of its first occurrence.
fn place(repository: &Repository, file: &str, before: &str, text: &str) -> String {
    let content = repository.text(file);
    let whole = format!("{before}{text}");
    let (line, found) =
        content.lines().enumerate().find(|(_, line)| line.contains(&whole)).unwrap();
    let column = found.find(&whole).unwrap() + before.chars().count() + 1;
    format!("{file}:{}:{column}", line + 1)
}

#[test]
fn a_value_says_which_line_it_came_from() {
    let repository = Repository::new();
    let at = |file: &str, before: &str, text: &str| place(&repository, file, before, text);
    let toml = "environments/sandbox.toml";
    let lock = "vendor/trow.lock.toml";
    let container = "spec.template.spec.containers[name=trow-pod]";
    for (object, field, value, expected) in [
        (
            "ingress/trow-ingress",
            "spec.rules[0].host".to_owned(),
            "paasregistry.lapin.io",
            format!("environment {} domain", at(toml, "domain = ", "\"paas")),
        ),
        (
            "statefulset/trow-set",
            format!("{container}.args[after=--user]"),
            "trow-pass",
            format!("environment {} registry.user", at(toml, "user = ", "\"trow-pass")),
        ),
        (
            "statefulset/trow-set",
            format!("{container}.image"),
            "ghcr.io/trow-registry/trow:0.10.0",
            format!("lock {} image.tag", at(lock, "tag = ", "\"0.10.0")),
        ),
        (
            "StatefulSet/trow-set",
            format!("{container}.env[name=RUST_LOG].value"),
            "info",
            "default -:-:- registry.log_level".to_owned(),
        ),
        (
            "statefulset/trow-set",
            "spec.serviceName".to_owned(),
            "trow-svc",
            format!(
                "base {} -",
                at("environments/base/statefulset.yaml", "serviceName: ", "trow-svc")
            ),
        ),
        (
            "persistentvolume/trow-data-hostpath-pv",
            "spec.persistentVolumeReclaimPolicy".to_owned(),
            "Retain",
            format!(
                "component {} -",
                at(
                    "environments/components/host-path-volume/persistentvolume.yaml",
                    "persistentVolumeReclaimPolicy: ",
                    "Retain"
                )
            ),
        ),
    ] {
        assert_eq!(origin(&repository, object, &field), (value.to_owned(), expected), "{field}");
    }
}

#[test]
fn the_overlay_of_a_component_is_named_for_what_it_adds() {
    let repository = Repository::new();
    let (_, from) = origin(
        &repository,
        "statefulset/trow-set",
        "spec.template.spec.initContainers[name=own-data].securityContext.runAsUser",
    );
    let file = "component environments/components/host-path-volume/statefulset.patch.yaml:";
    assert!(from.starts_with(file), "{from}");
}

#[test]
fn a_whole_object_is_explained_field_by_field_and_says_the_same() {
    let repository = Repository::new();
    let report = explained(&repository, &["sandbox", "trow-ingress"]);
    let all = report[0]["fields"].as_array().unwrap();
    assert!(all.len() > 10);
    for one in all {
        let field = one["field"].as_str().unwrap();
        let alone = explained(&repository, &["sandbox", "ingress/trow-ingress", field]);
        assert_eq!(alone[0]["fields"][0], *one, "{field}");
    }
    let (code, stdout, _) = outcome(&mut repository.warren(&["explain", "sandbox"]));
    assert_eq!(code, 0);
    assert!(stdout.contains("\nnamespace/trow (environments/base/namespace.yaml)\n"), "{stdout}");
}

#[test]
fn a_patch_and_a_file_that_is_extended_are_named() {
    let repository = Repository::new();
    let toml = repository.text("environments/sandbox.toml");
    let lines = toml.lines().count();
    let patch = "\n[[patch]]\ntarget = { kind = \"StatefulSet\" }\n\
                 merge = { spec = { minReadySeconds = 7 } }\n";
    repository.write("environments/sandbox.toml", &format!("{toml}{patch}"));
    let (value, from) = origin(&repository, "statefulset/trow-set", "spec.minReadySeconds");
    assert_eq!(value, "7");
    let place = format!("patch environments/sandbox.toml:{}:", lines + 4);
    assert!(from.starts_with(&place) && from.contains(" patch[0]"), "{from}");

    let staging = "extends = \"sandbox\"\ndomain = \"staging.example.org\"\n";
    repository.write("environments/staging.toml", staging);
    let report = explained(&repository, &["staging", "ingress/trow-ingress"]);
    let from = |field: &str| {
        let fields = report[0]["fields"].as_array().unwrap().iter();
        let mut found = fields.filter(|one| one["field"].as_str().unwrap().ends_with(field));
        let origin = &found.next().unwrap()["origin"];
        format!("{}:{}", origin["file"].as_str().unwrap(), origin["line"])
    };
    assert_eq!(from("].host"), "environments/staging.toml:2");
    assert!(from("ingressClassName").starts_with("environments/sandbox.toml:"));
    repository.warren(&["render", "staging"]).assert().success();
    let statement = repository.text("deploy/.provenance/staging.intoto.json");
    for input in ["environments/sandbox.toml", "environments/staging.toml"] {
        assert!(statement.contains(&format!("\"name\": \"{input}\"")), "{input}");
    }
}

#[test]
fn the_program_makes_few_values_by_itself() {
    let repository = Repository::new();
    let report = explained(&repository, &["sandbox"]);
    let fields =
        report.as_array().unwrap().iter().flat_map(|one| one["fields"].as_array().unwrap());
    let mut made: Vec<_> = fields
        .filter(|field| field["origin"]["kind"] == "program")
        .map(|field| field["field"].as_str().unwrap())
        .collect();
    made.sort_unstable();
    let path = "spec.rules[host=paasregistry.lapin.io].http.paths[path=/]";
    assert_eq!(
        made,
        [
            "metadata.labels[\"pod-security.kubernetes.io/audit\"]".to_owned(),
            "metadata.labels[\"pod-security.kubernetes.io/warn\"]".to_owned(),
            format!("{path}.backend.service.name"),
            format!("{path}.path"),
            format!("{path}.pathType"),
            "spec.template.spec.containers[name=trow-pod].args[after=--password]".to_owned(),
        ]
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let repository = Repository::new();
    for (arguments, hint) in [
        (vec!["sandbox", "ingress/trow-ingres"], "did you mean `ingress/trow-ingress`?"),
        (vec!["sandbox", "trow-ingress", "spec.rules[0].hots"], "did you mean `spec.rules["),
        (
            vec!["sandbox", "trow-ingress", "spec.ingresClassName"],
            "did you mean `spec.ingressClassName`?",
        ),
    ] {
        let arguments = [vec!["explain"], arguments].concat();
        let (code, stdout, stderr) = outcome(&mut repository.warren(&arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(hint), "{stderr}");
    }
    let (code, _, stderr) =
        outcome(&mut repository.warren(&["explain", "sandbox", "trow-ingress", "spec.rules[9]"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("at `spec.rules` there is [host=paasregistry.lapin.io]"), "{stderr}");
}

#[test]
fn a_value_that_moves_to_another_line_is_found_there() {
    let repository = Repository::new();
    change(&repository.path(""), "environments/sandbox.toml", "kubernetes =", "\n\nkubernetes =");
    let (_, from) = origin(&repository, "ingress/trow-ingress", "spec.rules[0].host");
    assert_eq!(from, "environment environments/sandbox.toml:6:10 domain");
}
