//! `[[patch]]` in an environment's file: what it changes, and what it refuses.

use warren::fs::{self, Access};
use warren::pipeline::compose::{Rendered, compose};
use warren::pipeline::environment::KubernetesVersion;
use warren::pipeline::schema::Schema;
use warren::pipeline::upstream::{Lock, Upstream};
use warren::pipeline::yaml::Origin;

use super::compose::{copy, repository};

fn upstream() -> Upstream {
    Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap().upstream().clone()
}

/// The sandbox with this text behind its own.
fn patched(text: &str) -> Result<Rendered, String> {
    let root = copy(false);
    let path = root.path().join("environments/sandbox.toml");
    let own = fs::read_to_string(&path).unwrap();
    fs::write_atomic(&path, format!("{own}{text}").as_bytes(), Access::Everyone).unwrap();
    compose(root.path(), "sandbox", &upstream()).map_err(|error| error.to_string())
}

/// How many lines the sandbox's file has: those of a patch come behind.
fn lines() -> usize {
    fs::read_to_string(&repository().join("environments/sandbox.toml")).unwrap().lines().count()
}

/// The lines that a patch takes out of a file, and those that it puts in.
fn changed(text: &str, file: &str) -> (Vec<String>, Vec<String>) {
    let before = compose(repository(), "sandbox", &upstream()).unwrap().files;
    let after = patched(text).unwrap_or_else(|error| panic!("{error}")).files;
    for (name, text) in &after {
        assert!(name == file || before.get(name) == Some(text), "{name} changed too");
    }
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let (before, after) = (lines(&before[file]), lines(&after[file]));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|l| l.trim().to_owned()).collect()
    };
    (only(&before, &after), only(&after, &before))
}

#[test]
fn a_merge_in_toml_changes_its_fields_and_no_other_byte() {
    let (gone, came) = changed(
        r#"
[[patch]]
target = { kind = "StatefulSet", name = "trow-set" }
[patch.merge.spec]
revisionHistoryLimit = 3
[[patch.merge.spec.template.spec.containers]]
name = "trow-pod"
resources.limits.memory = "1Gi"
"#,
        "statefulset-trow-set.yaml",
    );
    assert_eq!(came, ["memory: 1Gi", "revisionHistoryLimit: 3"]);
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert!(gone[0].starts_with("memory: "), "{gone:?}");
}

#[test]
fn a_merge_in_yaml_can_remove_and_direct() {
    let (gone, came) = changed(
        r#"
[[patch]]
target = { kind = "Service" }
merge = """
metadata:
  labels:
    app.kubernetes.io/part-of: null
    tier: "0777"
spec:
  ports:
    - port: 8000
      appProtocol: http
"""
"#,
        "service-trow-svc.yaml",
    );
    assert_eq!(gone, ["app.kubernetes.io/part-of: trow"]);
    assert_eq!(came, ["tier: \"0777\"", "appProtocol: http"]);
}

#[test]
fn operations_address_elements_by_key() {
    let (gone, came) = changed(
        r#"
[[patch]]
target = { kind = "StatefulSet" }
operations = [
  { op = "replace", path = "spec.template.spec.containers[name=trow-pod].args[after=--hostname]", value = "other.example.org" },
  { op = "add", path = "spec.template.spec.containers[name=trow-pod].args[-]", value = "--dry-run" },
  { op = "add", path = "metadata.labels[\"example.org/owner\"]", value = "me" },
]
"#,
        "statefulset-trow-set.yaml",
    );
    assert_eq!(gone, ["- paasregistry.lapin.io"]);
    assert_eq!(came, ["example.org/owner: me", "- other.example.org", "- --dry-run"]);
}

#[test]
fn an_index_needs_a_test_of_what_is_there() {
    let patch = |operations: &str| {
        format!(
            "\n[[patch]]\ntarget = {{ kind = \"Ingress\" }}\noperations = '''\n{operations}\n'''\n"
        )
    };
    let untested = patch("- {op: replace, path: /spec/rules/0/host, value: a.example.org}");
    let error = patched(&untested).unwrap_err();
    let line = lines() + 5;
    assert!(
        error.starts_with(&format!("environments/sandbox.toml:{line}:3: kind Ingress trow-ingress: `/spec/rules/0` goes by index")),
        "{error}"
    );
    // The value itself, an earlier test of the element, or of something in it.
    let value = "- {op: replace, path: /spec/rules/0/host, value: a.example.org, was: paasregistry.lapin.io}";
    let element = "- {op: test, path: /spec/rules/0/host, value: paasregistry.lapin.io}\n- {op: replace, path: 'spec.rules[0].host', value: a.example.org}";
    for operations in [value, element] {
        let (gone, came) = changed(&patch(operations), "ingress-trow-ingress.yaml");
        assert_eq!((gone.len(), came), (1, vec!["- host: a.example.org".to_owned()]));
    }
    let wrong = patch(
        "- {op: replace, path: /spec/rules/0/host, value: a.example.org, was: b.example.org}",
    );
    let error = patched(&wrong).unwrap_err();
    assert!(
        error.contains("the test of `/spec/rules/0/host` fails: there is paasregistry"),
        "{error}"
    );
    // What was tested before the list changed is not what stands there now.
    let moved = patch(
        "- {op: test, path: /spec/rules/0/host, value: paasregistry.lapin.io}\n- {op: add, path: /spec/rules/0, value: {host: b.example.org}}\n- {op: remove, path: /spec/rules/0}",
    );
    let error = patched(&moved).unwrap_err();
    assert!(error.contains("`/spec/rules/0` goes by index"), "{error}");
}

/// Upstream's example overlay of v0.3.5 patches the Ingress of `extensions/v1beta1`,
/// which its base had left: kustomize exits with 0 and the sample domain stays.
#[test]
fn a_target_of_another_api_version_is_refused_with_the_one_that_there_is() {
    let error = patched(
        r#"
[[patch]]
target = { group = "extensions", version = "v1beta1", kind = "Ingress", name = "trow-ingress" }
operations = [
  { op = "replace", path = "/spec/rules/0/host", value = "registry.example.org" },
  { op = "replace", path = "/spec/tls/0/hosts/0", value = "registry.example.org" },
]
"#,
    )
    .unwrap_err();
    let line = lines() + 2;
    let first = format!(
        "environments/sandbox.toml:{line}:1: no object matches group `extensions`, version `v1beta1`, \
         kind `Ingress`, name `trow-ingress`\n"
    );
    assert!(error.starts_with(&first), "{error}");
    assert!(
        error.ends_with("hint: kind Ingress trow-ingress exists in networking.k8s.io/v1"),
        "{error}"
    );
}

#[test]
fn what_nearly_matches_is_named() {
    for (target, hint) in [
        ("kind = \"Ingress\", name = \"trow-ingres\"", "there is Ingress trow-ingress"),
        (
            "kind = \"Deployment\", name = \"trow-set\"",
            "trow-set exists as kind StatefulSet in apps/v1",
        ),
        (
            "kind = \"Service\", namespace = \"other\"",
            "kind Service trow-svc exists in the namespace trow",
        ),
        (
            "kind = \"ClusterIssuer\", namespace = \"trow\"",
            "kind ClusterIssuer ca-issuer exists, in no namespace",
        ),
        (
            "kind = \"Service\", labels = { app = \"x\" }",
            "kind Service trow-svc exists, labelled `app: trow`",
        ),
        ("kind = \"Ingres\", name = \"ingress\"", "kind Ingress trow-ingress exists"),
    ] {
        let text =
            format!("\n[[patch]]\ntarget = {{ {target} }}\nmerge.metadata.labels.a = \"b\"\n");
        let error = patched(&text).unwrap_err();
        assert!(error.contains("no object matches"), "{error}");
        assert!(error.contains(&format!("hint: {hint}")), "{target}: {error}");
    }
}

#[test]
fn another_number_of_objects_than_expected_is_refused() {
    let text =
        "\n[[patch]]\ntarget = { kind = \"*Pool\" }\nexpect = 2\nmerge.metadata.labels.a = \"b\"\n";
    let error = patched(text).unwrap_err();
    assert!(
        error.contains("kind `*Pool` matches 1 object, and 2 are expected: ipaddresspool/trow"),
        "{error}"
    );
    let text =
        "\n[[patch]]\ntarget = { labels = { app = \"trow\" } }\nmerge.metadata.labels.a = \"b\"\n";
    let error = patched(text).unwrap_err();
    assert!(error.contains("and 1 is expected: "), "{error}");
    assert!(error.contains("hint: write `expect = "), "{error}");
    let text = "\n[[patch]]\ntarget = { kind = \"Service*\" }\nexpect = 2\nmerge.metadata.labels.a = \"b\"\n";
    let files = patched(text).unwrap().files;
    assert_eq!(files.values().filter(|text| text.contains("\n    a: b\n")).count(), 2);
}

#[test]
fn a_patch_that_changes_nothing_is_refused() {
    let text = "\n[[patch]]\ntarget = { kind = \"Service\" }\nmerge.spec.type = \"ClusterIP\"\n";
    let _ = patched(text);
    let same =
        "\n[[patch]]\ntarget = { kind = \"Service\" }\nmerge.metadata.labels.app = \"trow\"\n";
    let error = patched(same).unwrap_err();
    assert!(error.contains("this changes nothing in kind Service trow-svc"), "{error}");
    let idle = "\n[[patch]]\ntarget = { kind = \"Service\" }\nmerge = \"\"\"\nspec:\n  externalName: null\n  type: NodePort\n\"\"\"\n";
    let error = patched(idle).unwrap_err();
    let line = lines() + 6;
    assert!(
        error.starts_with(&format!("environments/sandbox.toml:{line}:17: kind Service trow-svc: `externalName: null` removes a field")),
        "{error}"
    );
    let probe = "\n[[patch]]\ntarget = { kind = \"Service\" }\noperations = [{ op = \"test\", path = \"metadata.name\", value = \"trow-svc\" }]\n";
    let error = patched(probe).unwrap_err();
    assert!(error.contains("this changes nothing"), "{error}");
}

#[test]
fn what_an_object_is_known_by_stays() {
    for (merge, field) in [
        ("apiVersion = \"v2\"", "apiVersion"),
        ("kind = \"Secret\"", "kind"),
        ("metadata.name = \"other\"", "metadata.name"),
        ("metadata.namespace = \"other\"", "metadata.namespace"),
        ("\"$patch\" = \"delete\"", "apiVersion"),
    ] {
        let text = format!("\n[[patch]]\ntarget = {{ kind = \"Service\" }}\nmerge.{merge}\n");
        let error = patched(&text).unwrap_err();
        assert!(error.contains(&format!("a patch can't change `{field}`")), "{error}");
    }
}

#[test]
fn a_custom_resource_is_merged_as_rfc_7386_says() {
    let (gone, came) = changed(
        "\n[[patch]]\ntarget = { group = \"metallb.io\", kind = \"IPAddressPool\" }\nmerge.spec.addresses = [\"10.0.0.1/32\"]\n",
        "ipaddresspool-trow.yaml",
    );
    assert_eq!(
        (gone, came),
        (vec!["- 192.168.1.250/32".to_owned()], vec!["- 10.0.0.1/32".to_owned()])
    );
    let error = patched(
        "\n[[patch]]\ntarget = { kind = \"IPAddressPool\" }\nmerge.spec.\"$retainKeys\" = [\"addresses\"]\n",
    )
    .unwrap_err();
    assert!(error.contains("`$retainKeys` is for kinds whose schema is known"), "{error}");
}

#[test]
fn patches_see_what_those_before_them_made() {
    let files = patched(
        r#"
[[patch]]
target = { kind = "Service" }
merge.metadata.labels.step = "one"
[[patch]]
target = { labels = { step = "one" } }
merge.metadata.labels.step = "two"
"#,
    )
    .unwrap()
    .files;
    assert!(files["service-trow-svc.yaml"].contains("step: two"));
}

#[test]
fn an_inherited_patch_comes_first_and_is_found_in_its_own_file() {
    let root = copy(false);
    let folder = root.path().join("environments");
    let sandbox = fs::read_to_string(&folder.join("sandbox.toml")).unwrap();
    let inherited =
        "\n[[patch]]\ntarget = { kind = \"Service\" }\nmerge.metadata.labels.step = \"one\"\n";
    let own = "extends = \"sandbox\"\n[[patch]]\ntarget = { labels = { step = \"one\" } }\nmerge.metadata.labels.step = \"two\"\n";
    let write = |name: &str, text: &str| {
        fs::write_atomic(&folder.join(name), text.as_bytes(), Access::Everyone).unwrap();
    };
    write("sandbox.toml", &format!("{sandbox}{inherited}"));
    write("staging.toml", own);
    let rendered = compose(root.path(), "staging", &upstream()).unwrap();
    assert!(rendered.files["service-trow-svc.yaml"].contains("step: two"));
    let service = rendered.objects.iter().find(|object| object.kind() == "Service").unwrap();
    let step = service.node.get("metadata").unwrap().get("labels").unwrap().get("step").unwrap();
    assert_eq!(step.at.line, 4);
    assert_eq!(
        step.origin.as_deref(),
        Some(&Origin::Key {
            file: "environments/staging.toml".into(),
            key: "patch[0].merge".into()
        })
    );
    write("sandbox.toml", &format!("{sandbox}{}", inherited.replace("Service", "Servise")));
    let error = compose(root.path(), "staging", &upstream()).unwrap_err().to_string();
    let line = sandbox.lines().count() + 2;
    assert!(
        error.starts_with(&format!("environments/sandbox.toml:{line}:1: no object")),
        "{error}"
    );
}

#[test]
fn a_malformed_patch_is_refused_where_it_stands() {
    let line = lines();
    let cases = [
        ("target = { kind = \"Service\" }\n", 2, "a patch says what changes"),
        ("target = {}\nmerge.a = 1\n", 3, "this target means every object"),
        ("merge.a = 1\n", 2, "missing field `target`"),
        ("target = { kinds = \"Service\" }\nmerge.a = 1\n", 3, "unknown field `kinds`"),
        ("target = { kind = \"Service\" }\nmerge.a = 1\noperations = []\n", 2, "either `merge` or"),
        ("target = { kind = \"Service\" }\nmerg.a = 1\n", 4, "unknown field `merg`"),
        ("target = { kind = \"Service\" }\nexpect = 0\nmerge.a = 1\n", 4, "nonzero"),
        ("target = { kind = \"Service\" }\nmerge = 1\n", 4, "`merge` is a table"),
        ("target = { kind = \"Service\" }\nmerge = {}\n", 4, "`merge` is a table"),
        ("target = { kind = \"Service\" }\nmerge.a = 2026-11-23\n", 4, "put it in quotes"),
        ("target = { kind = \"Service\" }\nmerge.a = inf\n", 4, "JSON has no such number"),
        ("target = { kind = \"Service\" }\nmerge = \"\"\"\na: 1\nb: [\n\"\"\"\n", 7, "not YAML"),
        ("target = { kind = \"Service\" }\nmerge = '''\na: 1\na: 2\n'''\n", 6, "stands twice"),
        (
            "target = { kind = \"Service\" }\nmerge = '''\na: 1\n---\nb: 1\n'''\n",
            4,
            "several documents",
        ),
        ("target = { kind = \"Service\" }\noperations = []\n", 4, "there are no operations"),
        (
            "target = { kind = \"Service\" }\noperations = [\n  { op = \"add\", path = \"a\" },\n]\n",
            5,
            "needs `value`",
        ),
        (
            "target = { kind = \"Service\" }\noperations = [{ op = \"put\", path = \"a\" }]\n",
            4,
            "no operation `put`",
        ),
        (
            "target = { kind = \"Service\" }\noperations = [{ op = \"remove\", path = \"a[\" }]\n",
            4,
            "no `]`",
        ),
        (
            "target = { kind = \"Service\" }\noperations = [{ op = \"remove\", path = \"a\", form = 1 }]\n",
            4,
            "has no `form`",
        ),
        (
            "target = { kind = \"Service\" }\noperations = [{ op = \"remove\", path = \"spec.x\" }]\n",
            4,
            "no key `x`",
        ),
        (
            "target = { kind = \"Service\" }\noperations = [{ op = \"remove\", path = \"spec.ports[name=x].port\" }]\n",
            4,
            "a list of name=http",
        ),
    ];
    for (patch, below, reason) in cases {
        let error = patched(&format!("\n[[patch]]\n{patch}")).unwrap_err();
        assert!(error.contains(reason), "{patch}: {error}");
        let place = format!("environments/sandbox.toml:{}:", line + below);
        assert!(error.starts_with(&place), "{patch}: {error} is not at {place}");
    }
    let error = patched("\n[patch]\ntarget = { kind = \"Service\" }\n").unwrap_err();
    assert!(error.contains("write `[[patch]]`, with two brackets"), "{error}");
}

#[test]
fn a_key_that_lies_too_deep_is_refused_in_its_line() {
    for (deep, column) in [
        (format!("merge{} = 1", ".a".repeat(300)), 1),
        (format!("merge.a = {}1{}", "{ a = ".repeat(100), " }".repeat(100)), 0),
    ] {
        let text = format!("[[patch]]\ntarget = {{ kind = \"Service\" }}\n{deep}\n");
        let error = patched(&text).unwrap_err();
        let place = format!("environments/sandbox.toml:{}:", lines() + 3);
        assert!(error.starts_with(&place), "{error}");
        if column > 0 {
            assert!(error.starts_with(&format!("{place}{column}: ")), "{error}");
        }
        assert!(error.contains("nested deeper than 80 levels"), "{error}");
        assert!(error.contains("hint: write less deeply"), "{error}");
    }
}

#[test]
fn a_patch_beyond_all_measure_is_refused() {
    let depth = "[".repeat(10_000) + &"]".repeat(10_000);
    let target = "\n[[patch]]\ntarget = { kind = \"Service\" }\n";
    let error = patched(&format!("{target}merge = '''\na: {depth}\n'''\n")).unwrap_err();
    assert!(error.contains("recursion limit exceeded"), "{}", error.len());
    let error = patched(&format!("{target}merge.a = {depth}\n")).unwrap_err();
    assert!(error.starts_with("environments/sandbox.toml:"), "{error}");
    let wide = format!("{target}merge = '''\na: [{}]\n'''\n", "1, ".repeat(60_000));
    let error = patched(&wide).unwrap_err();
    assert!(error.contains("more than 50000 values"), "{error}");
    let large = format!("{target}merge.metadata.labels.a = \"{}\"\n", "x".repeat(2 << 20));
    let error = patched(&large).unwrap_err();
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
    let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let below = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{below}]\n")
    });
    let error = patched(&format!("{target}merge = '''\n{bomb}'''\n")).unwrap_err();
    assert!(error.contains("aliases multiply"), "{error}");
    let copies = (0..40).fold(String::new(), |text, n| {
        text + &format!("- {{op: copy, from: /metadata, path: /metadata/c{n}}}\n")
    });
    let error = patched(&format!("{target}operations = '''\n{copies}'''\n")).unwrap_err();
    assert!(
        error.contains("copies amount to more than") || error.contains("nested deeper"),
        "{error}"
    );
}

/// Composition takes the newest schema for a version without one; there is none.
#[test]
fn every_version_that_an_environment_can_name_has_a_schema() {
    for minor in 0..=99 {
        let version = format!("1.{minor}");
        let known = KubernetesVersion::try_from(version.clone()).is_ok();
        assert_eq!(known, Schema::of(&version).is_ok(), "{version}");
    }
}
