//! `warren render` and `warren check`, as they are typed.

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use warren::fs::{self, Access};
use warren::pipeline::yaml;

use crate::compose::{change, copy, repository};

fn warren(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
    command.arg("--root").arg(root).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn left_with(output: &Output, code: i32) {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(code), "stdout: {out}\nstderr: {err}");
}

#[test]
fn warnings_alone_leave_with_0() {
    let output = warren(repository(), &["check"]);
    left_with(&output, 0);
    let text = stdout(&output);
    for name in ["lapin", "sandbox"] {
        assert!(text.contains(&format!("{name}: 0 error(s), ")), "{text}");
        assert!(text.contains(&format!("deploy/{name} is what renders")), "{text}");
    }
    assert!(text.contains("[upstream-fault/"), "{text}");
    assert!(text.contains("hint: engine = \"warren\""), "{text}");
}

#[test]
fn findings_are_json_for_machines() {
    let output = warren(repository(), &["check", "sandbox", "--output", "json"]);
    left_with(&output, 0);
    let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(reports.as_array().unwrap().len(), 1);
    assert_eq!(reports[0]["environment"], "sandbox");
    assert_eq!(reports[0]["drift"].as_array().unwrap().len(), 0);
    for finding in reports[0]["findings"].as_array().unwrap() {
        assert_eq!(finding["severity"], "warning");
        for key in ["code", "environment", "object", "message", "hint"] {
            assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
        }
    }
}

#[test]
fn a_folder_that_is_not_what_renders_is_an_error_until_it_is() {
    let root = copy(false);
    let root = root.path();
    change(root, "deploy/sandbox/service-trow-svc.yaml", "8000", "8001");
    fs::write_atomic(&root.join("deploy/sandbox/more.yaml"), b"a: 1\n", Access::Everyone).unwrap();
    fs::remove_if_there(&root.join("deploy/sandbox/namespace-trow.yaml")).unwrap();
    let output = warren(root, &["check"]);
    left_with(&output, 1);
    let text = stdout(&output);
    for line in [
        "sandbox: drift: namespace-trow.yaml is not in deploy/\n",
        "sandbox: drift: service-trow-svc.yaml differs\n",
        "sandbox: drift: more.yaml no longer renders\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("lapin: drift"), "{text}");
    assert!(stderr(&output).contains("hint: warren render sandbox"), "{}", stderr(&output));
    left_with(&warren(root, &["check", "lapin"]), 0);

    left_with(&warren(root, &["render", "sandbox"]), 0);
    left_with(&warren(root, &["check"]), 0);
    let again = warren(root, &["render", "sandbox"]);
    assert!(stderr(&again).contains("nothing changed in"), "{}", stderr(&again));
}

#[test]
fn an_error_of_a_check_stops_check_and_render() {
    let root = copy(false);
    let root = root.path();
    change(
        root,
        "environments/base/statefulset.yaml",
        "serviceName: trow-svc",
        "serviceName: trow",
    );
    let output = warren(root, &["check", "sandbox"]);
    left_with(&output, 1);
    assert!(stdout(&output).contains("error[service-name]"), "{}", stdout(&output));
    let output = warren(root, &["render", "sandbox"]);
    left_with(&output, 1);
    assert!(stderr(&output).contains("names the Service `trow`"), "{}", stderr(&output));
    let text = fs::read_to_string(&root.join("deploy/sandbox/statefulset-trow-set.yaml")).unwrap();
    assert!(text.contains("serviceName: trow-svc"), "deploy/ is as it was");
}

#[test]
fn an_unknown_environment_lists_those_there_are() {
    for command in ["render", "check"] {
        let output = warren(repository(), &[command, "sandbx"]);
        left_with(&output, 2);
        let text = stderr(&output);
        assert!(text.contains("there is no environment `sandbx`"), "{text}");
        assert!(text.contains("`lapin` and `sandbox`"), "{text}");
    }
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest() {
    let root = copy(false);
    change(root.path(), "environments/sandbox.toml", "domain =", "domian =");
    for command in ["render", "check"] {
        let output = warren(root.path(), &[command, "sandbox"]);
        left_with(&output, 3);
        let text = stderr(&output);
        assert!(text.contains("environments/sandbox.toml:4:1: "), "{text}");
        assert!(text.contains("hint: did you mean `domain`?"), "{text}");
    }
}

#[test]
fn a_domain_that_is_none_and_a_wrong_type_are_shown_in_their_place() {
    for (from, to, says) in [
        ("\"paasregistry.lapin.io\"", "\"https://lapin.io\"", ":4:10: "),
        ("\"paasregistry.lapin.io\"", "5", ":4:10: "),
    ] {
        let root = copy(false);
        change(root.path(), "environments/sandbox.toml", from, to);
        let output = warren(root.path(), &["check", "sandbox"]);
        left_with(&output, 3);
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}

#[test]
fn stdout_takes_the_objects_as_one_stream() {
    let output = warren(repository(), &["render", "sandbox", "--output", "-"]);
    left_with(&output, 0);
    let stream = yaml::read("stdout", &stdout(&output)).unwrap();
    let files = fs::list(&repository().join("deploy/sandbox")).unwrap();
    assert_eq!(stream.len(), files.len() - 1, "each file but the kustomization");
    assert!(stream.iter().all(|node| node.get("kind").is_some()));
}

#[test]
fn another_folder_is_written_and_somebody_elses_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("out/here");
    let path = target.to_str().unwrap();
    left_with(&warren(repository(), &["render", "lapin", "--output", path]), 0);
    let names = |folder: &Path| -> Vec<_> {
        let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_owned();
        fs::list(folder).unwrap().iter().map(name).collect()
    };
    assert_eq!(names(&target), names(&repository().join("deploy/lapin")));

    let precious = root.path().join("precious");
    fs::create_dir_all(&precious).unwrap();
    fs::write_atomic(&precious.join("a"), b"a", Access::Everyone).unwrap();
    let output = warren(repository(), &["render", "lapin", "--output", precious.to_str().unwrap()]);
    left_with(&output, 1);
    assert_eq!(names(&precious), ["a"]);
}

#[test]
fn a_finding_names_the_line_that_caused_it() {
    let root = copy(false);
    let root = root.path();
    let file = "environments/base/statefulset.yaml";
    change(root, file, "serviceName: trow-svc", "serviceName: trow");
    change(root, "environments/sandbox.toml", "engine = \"trow\" ", "engine = \"warren\" ");
    let output = warren(root, &["check", "sandbox"]);
    left_with(&output, 1);
    let text = stdout(&output);
    assert!(text.contains("(environments/base/statefulset.yaml:15:16)"), "{text}");
    assert!(text.contains("(environments/sandbox.toml:11:10)"), "{text}");
}

#[test]
fn a_waiver_takes_a_finding_out_of_the_count_and_an_unused_one_is_a_warning() {
    let root = copy(false);
    let root = root.path();
    let toml = fs::read_to_string(&root.join("environments/lapin.toml")).unwrap();
    let waive = |code: &str, more: &str| {
        let text = format!("{toml}\n[[waive]]\ncode = \"{code}\"\nreason = \"known\"\n{more}");
        let path = root.join("environments/lapin.toml");
        fs::write_atomic(&path, text.as_bytes(), Access::Everyone).unwrap();
        let output = warren(root, &["check", "lapin"]);
        (output.status.code().unwrap(), stdout(&output) + &stderr(&output))
    };
    let (code, text) = waive("upstream-fault", "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("lapin: waived warning[upstream-fault/"), "{text}");
    assert!(text.contains("): known\n"), "{text}");
    assert!(text.contains("0 error(s), 1 warning(s)"), "only the pin of the image: {text}");
    let (code, text) = waive("service-name", "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("warning[waive-unused] waives `service-name`"), "{text}");
    assert!(text.contains("(environments/lapin.toml:32:1)"), "{text}");
    let (_, text) = waive("service-nam", "");
    assert!(text.contains("the nearest is `service-name`"), "{text}");
    let (code, text) = waive("plain-secret", "");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("error[waive-refused]"), "{text}");
    let (code, text) = waive("image-pin", "object = \"statefulset/other\"\n");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("waives `image-pin` of statefulset/other, which"), "{text}");
    let (code, text) = waive("image-pin", "[[waive]]\ncode = \"x\"\nreason = \" \"\n");
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("environments/lapin.toml:37:10: say why"), "{text}");
}

#[test]
fn findings_are_sarif_for_forges() {
    let root = copy(false);
    let root = root.path();
    change(root, "deploy/lapin/service-trow-svc.yaml", "8000", "8001");
    let output = warren(root, &["check", "lapin", "--output", "sarif"]);
    left_with(&output, 1);
    let log: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() > 10);
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        let (id, rule) = (result["ruleId"].as_str().unwrap(), rule["id"].as_str().unwrap());
        assert!(id == rule || id.starts_with(&format!("{rule}/")), "{id} {rule}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(!place["artifactLocation"]["uri"].as_str().unwrap().starts_with('/'));
    }
    let drift = results.last().unwrap();
    assert_eq!(drift["ruleId"], "drift");
    assert_eq!(
        drift["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "deploy/lapin/service-trow-svc.yaml"
    );
}

#[test]
fn the_table_of_the_page_is_that_of_the_program() {
    use warren::pipeline::check::rules::RULES;
    let page = fs::read_to_string(&repository().join("docs/checks.md")).unwrap();
    let table = page.split("## The codes").nth(1).unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<_> = RULES
        .iter()
        .map(|rule| {
            let waivable = if rule.waivable { "yes" } else { "no" };
            let (code, severity) = (rule.code, rule.severity.as_str());
            format!("| `{code}` | {severity} | {} | {} | {waivable} |", rule.finds, rule.way_out)
        })
        .collect();
    assert_eq!(rows, expected, "docs/checks.md");
}

#[test]
fn objects_are_held_against_the_schema_of_the_environments_version() {
    let folder = copy(false);
    let root = folder.path();
    let file = "environments/base/service.yaml";
    change(root, file, "ports:", "port: 80\n  externalIPs: [192.0.2.1]\n  ports:");
    for (version, deprecated) in [("1.35", false), ("1.36", true)] {
        let path = root.join("environments/sandbox.toml");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().map(|line| match line.split_once('=') {
            Some(("kubernetes ", _)) => format!("kubernetes = \"{version}\"\n"),
            _ => format!("{line}\n"),
        });
        fs::write_atomic(&path, lines.collect::<String>().as_bytes(), Access::Everyone).unwrap();
        let output = warren(root, &["check", "sandbox", "--output", "json"]);
        left_with(&output, 1);
        let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        let findings = reports[0]["findings"].as_array().unwrap();
        let of = |code: &str| findings.iter().find(|finding| finding["code"] == code);
        let unknown = of("unknown-field").unwrap();
        assert_eq!(unknown["field"], "spec.port");
        assert_eq!(unknown["object"], "service/trow-svc");
        assert_eq!(unknown["hint"], "did you mean `ports`?");
        assert_eq!(unknown["cause"]["file"], file);
        assert!(unknown["cause"]["line"].as_u64().unwrap() > 1, "{unknown}");
        assert_eq!(of("deprecated-field").is_some(), deprecated, "{version}");
    }
}

#[test]
fn one_environment_that_can_t_be_composed_hides_no_other() {
    let folder = copy(false);
    let root = folder.path();
    fs::write_atomic(&root.join("environments/aa.toml"), b"x = 1\n", Access::Everyone).unwrap();
    let output = warren(root, &["check", "--output", "json"]);
    left_with(&output, 3);
    let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let names: Vec<_> = reports.as_array().unwrap().iter().map(|one| &one["environment"]).collect();
    assert_eq!(names, ["aa", "lapin", "sandbox"]);
    let found = &reports[0]["findings"][0];
    assert_eq!((&found["code"], &found["severity"]), (&"unreadable".into(), &"error".into()));
    assert_eq!(found["cause"]["file"], "environments/aa.toml");
    assert_eq!((&found["cause"]["line"], &found["cause"]["column"]), (&1.into(), &1.into()));
    assert!(reports[2]["findings"].as_array().unwrap().len() > 3);
    assert!(stderr(&output).contains("environments/aa.toml:1:1: unknown field `x`"));
    let output = warren(root, &["check", "--output", "sarif"]);
    left_with(&output, 3);
    let log: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let first = &log["runs"][0]["results"][0];
    assert_eq!(first["ruleId"], "unreadable");
    let place = &first["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "environments/aa.toml");
    let output = warren(root, &["check"]);
    left_with(&output, 3);
    let text = stdout(&output);
    assert!(text.contains("aa: error[unreadable] unknown field `x`"), "{text}");
    assert!(text.contains("sandbox: 0 error(s)"), "{text}");
    // A broken manifest is told at its line.
    fs::write_atomic(&root.join("environments/base/b.yaml"), b"a: [\n", Access::Everyone).unwrap();
    let output = warren(root, &["check", "lapin", "--output", "json"]);
    left_with(&output, 3);
    let reports: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(reports[0]["findings"][0]["cause"]["file"], "environments/base/b.yaml");
}

#[test]
fn nothing_is_written_unless_all_can_be() {
    let folder = copy(false);
    let root = folder.path();
    let own = fs::read_to_string(&root.join("environments/lapin.toml")).unwrap();
    let bad = format!("{own}[[patch]]\ntarget = {{ kind = \"Nothing\" }}\nmerge.a = 1\n");
    fs::write_atomic(&root.join("environments/zz.toml"), bad.as_bytes(), Access::Everyone).unwrap();
    change(root, "deploy/lapin/service-trow-svc.yaml", "8000", "8001");
    let output = warren(root, &["render"]);
    left_with(&output, 3);
    let text = fs::read_to_string(&root.join("deploy/lapin/service-trow-svc.yaml")).unwrap();
    assert!(text.contains("8001"), "deploy/ is as it was");
}

#[test]
fn what_leads_out_of_the_repository_is_neither_read_nor_written() {
    use std::os::unix::fs::symlink;
    let (folder, outside) = (copy(false), tempfile::tempdir().unwrap());
    let root = folder.path();
    fs::remove_dir_all_if_there(&root.join("deploy")).unwrap();
    symlink(outside.path(), root.join("deploy")).unwrap();
    let output = warren(root, &["render", "sandbox"]);
    left_with(&output, 1);
    assert!(
        stderr(&output).contains("deploy is a link out of the repository"),
        "{}",
        stderr(&output)
    );
    assert!(fs::list(outside.path()).unwrap().is_empty());
    let secret = outside.path().join("secret.yaml");
    fs::write_atomic(&secret, b"apiVersion: v1\n", Access::Everyone).unwrap();
    symlink(&secret, root.join("environments/base/link.yaml")).unwrap();
    let output = warren(root, &["check", "sandbox"]);
    left_with(&output, 3);
    assert!(stderr(&output).contains("it is a link out of"), "{}", stderr(&output));
}
