//! The patch engines, each held against a table of cases of its own.

use warren::pipeline::patch::json::{applied, operations};
use warren::pipeline::patch::{Pointer, merge, strategic};
use warren::pipeline::schema::Schema;
use warren::pipeline::yaml::{self, Node};

/// The cases of a table: a list of mappings.
fn cases(file: &str) -> Vec<Node> {
    let path = super::compose::repository().join("tests/patch").join(file);
    let table = yaml::read(file, &warren::fs::read_to_string(&path).unwrap()).unwrap().remove(0);
    table.as_sequence().unwrap().to_vec()
}

fn text<'a>(case: &'a Node, key: &str) -> Option<&'a str> {
    case.get(key).and_then(Node::as_str)
}

/// The pairs of result or error that differ from what a case wants.
fn complain(failures: &mut Vec<String>, case: &Node, got: &Result<Node, String>) {
    let name = text(case, "case").unwrap();
    let error = text(case, "ours_error").or_else(|| text(case, "error"));
    let wanted = case.get("ours").or_else(|| case.get("result"));
    let wrong = match (got, error, wanted) {
        // What ours makes of it stands above what the API server makes of it.
        (Ok(node), _, Some(wanted)) if text(case, "ours_error").is_none() => (node != wanted)
            .then(|| format!("{}instead of\n{}", yaml::write(node), yaml::write(wanted))),
        (Err(found), Some(wanted), _) if case.get("ours").is_none() => {
            (!found.contains(wanted)).then(|| format!("{found}, which lacks {wanted:?}"))
        }
        (Ok(node), ..) => Some(format!("no error but\n{}", yaml::write(node))),
        (Err(found), ..) => Some(found.clone()),
    };
    failures.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
}

fn strategic(case: &Node) -> Result<(Node, usize), String> {
    let kind = text(case, "kind").unwrap();
    let of = Schema::newest().kind(api_version(kind), kind).unwrap().object().unwrap();
    let (base, patch) = (case.get("base").unwrap(), case.get("patch").unwrap());
    match strategic::merged(base, patch, of) {
        Ok((node, idle)) => Ok((node, idle.len())),
        Err((at, error)) => {
            assert!(at.line > 0, "{error} has no line");
            Err(error.to_string())
        }
    }
}

fn api_version(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" => "apps/v1",
        "Ingress" => "networking.k8s.io/v1",
        "ValidatingWebhookConfiguration" => "admissionregistration.k8s.io/v1",
        _ => "v1",
    }
}

#[test]
fn strategic_merge_does_what_the_api_server_does() {
    let mut failures = Vec::new();
    let cases = cases("strategic.yaml");
    assert!(cases.len() > 60);
    for case in &cases {
        let got = strategic(case);
        if let (Ok((_, idle)), true) = (&got, text(case, "error").is_none()) {
            let wanted = case.get("idle").and_then(Node::as_integer).unwrap_or(0);
            if *idle as i128 != wanted {
                failures.push(format!("{}: {idle} idle", text(case, "case").unwrap()));
            }
        }
        complain(&mut failures, case, &got.map(|(node, _)| node));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_json_patch_is_applied_as_rfc_6902_says() {
    let mut failures = Vec::new();
    for case in cases("json.yaml") {
        let document = case.get("doc").unwrap();
        let got = operations(case.get("patch").unwrap())
            .map_err(|(_, error)| error.to_string())
            .and_then(|operations| {
                applied(document, &operations).map_err(|(_, error)| error.to_string())
            });
        complain(&mut failures, &case, &got);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_merge_patch_is_applied_as_rfc_7386_says() {
    let mut failures = Vec::new();
    for case in cases("merge.yaml") {
        let mut node = case.get("doc").unwrap().clone();
        merge(&mut node, case.get("patch").unwrap());
        complain(&mut failures, &case, &Ok(node));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Section 5 of RFC 6901, and what its grammar refuses.
#[test]
fn pointers_lead_where_rfc_6901_says() {
    let document = r#"
"foo": [bar, baz]
"": 0
a/b: 1
c%d: 2
e^f: 3
g|h: 4
i\j: 5
"k\"l": 6
" ": 7
m~n: 8
"01": 9
"#;
    let node = yaml::read("rfc.yaml", document).unwrap().remove(0);
    let at = |text: &str| Pointer::parse(text).unwrap().find(&node).cloned();
    assert_eq!(at(""), Ok(node.clone()));
    assert_eq!(at("/foo/0"), Ok(Node::string("bar")));
    for (pointer, value) in [
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ("/k\"l", 6),
        ("/ ", 7),
        ("/m~0n", 8),
        // Digits are an index in a list only.
        ("/01", 9),
    ] {
        assert_eq!(at(pointer), Ok(Node::integer(value)), "{pointer}");
        assert_eq!(Pointer::parse(pointer).unwrap().to_string(), pointer);
    }
    for pointer in
        ["/foo/2", "/foo/-", "/foo/01", "/foo/+1", "/foo/-1", "/foo/1e0", "/foo/", "/bar"]
    {
        assert!(at(pointer).is_err(), "{pointer}");
    }
    assert!(at("/foo/99999999999999999999999").is_err());
    for bad in ["foo", "#/foo", "/a~", "/a~2", "/~", " /a"] {
        assert!(Pointer::parse(bad).is_err(), "{bad}");
    }
    // `~01` is `~1`: what was unescaped is not unescaped again.
    assert_eq!(Pointer::parse("/~01").unwrap().tokens(), ["~1"]);
}
