//! `warren upstream`, as it is typed.

use std::process::Output;

use assert_cmd::Command;

use crate::upstream_fixture::{PLAIN, Project, TAG, Upstream, with};

fn warren(project: &Project, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
    for variable in ["WARREN_UPSTREAM", "WARREN_UPSTREAM_MIRROR", "WARREN_UPSTREAM_REPIN"] {
        command.env_remove(variable);
    }
    command.arg("--root").arg(project.dir.path()).arg("upstream").args(args).output().unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(output: &Output, code: i32, said: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(said), "no {said:?} in:\n{stderr}");
}

#[test]
fn a_pin_is_made_shown_verified_and_copied() {
    let upstream = Upstream::new();
    let source = upstream.source();
    let project = Project::unpinned();
    let first = done(&warren(&project, &["pin", TAG, "--from", &source]));
    assert!(first.starts_with("pinned v1.2.3 at "), "{first}");
    let lock = project.read("vendor/trow.lock.toml");
    assert!(!lock.contains(&source), "no path of this machine is in the lock");

    let second = done(&warren(&project, &["pin", TAG, "--from", &source]));
    assert!(second.ends_with("is pinned already: nothing to do\n"), "{second}");

    let status = done(&warren(&project, &["status", "--output", "json"]));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["tag"], TAG);
    assert_eq!(status["image"], "registry.example/trow:1.2.3");
    assert!(done(&warren(&project, &["status"])).contains("port              8000"));

    let verified = done(&warren(&project, &["verify", "--from", &source]));
    assert!(verified.ends_with(": fetched and verified\n"), "{verified}");

    let copied = done(&warren(&project, &["vendor", "--from", &source]));
    assert_eq!(copied, "vendor/trow/ holds v1.2.3 in 8 files\n");
    let verified = done(&warren(&project, &["verify", "--output", "json"]));
    assert!(verified.contains("vendored copy verified"), "{verified}");

    project.write("vendor/trow/src.txt", "changed\n");
    let output = warren(&project, &["verify", "--output", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["mismatches"][0]["row"], "file src.txt");
    failed(&output, 1, "row `file src.txt`");
}

#[test]
fn a_new_pin_says_what_changed_in_what_we_rely_on() {
    let upstream = Upstream::new();
    let project = Project::unpinned();
    let digest = format!("sha256:{}", "ab".repeat(32));
    let source = upstream.source();
    done(&warren(&project, &["pin", TAG, "--from", &source, "--image-digest", &digest]));
    assert!(project.read("vendor/trow.lock.toml").contains(&digest));
    done(&warren(&project, &["pin", TAG, "--from", &source]));
    assert!(project.read("vendor/trow.lock.toml").contains(&digest), "a digest stays");

    let values = "image:\n  repository: registry.example/trow\nservice:\n  port: 9000\n";
    let cargo = "[package]\nversion = \"1.3.0\"\n";
    let next = upstream
        .commit(&with(&[("chart/values.yaml", PLAIN, values), ("Cargo.toml", PLAIN, cargo)]));
    upstream.tag("v1.3.0", next);
    let lock = project.read("vendor/trow.lock.toml");
    let foretold = done(&warren(&project, &["diff", "v1.3.0", "--from", &source]));
    assert_eq!(project.read("vendor/trow.lock.toml"), lock, "a diff writes nothing");
    let report = done(&warren(&project, &["diff", TAG, "--from", &source, "--output", "json"]));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["changes"], serde_json::json!([]));
    let changes = done(&warren(&project, &["pin", "v1.3.0", "--from", &source]));
    for line in [
        "tag: v1.2.3 -> v1.3.0",
        "port: \"8000\" -> \"9000\"",
        "image: registry.example/trow:1.2.3@sha256:",
    ] {
        assert!(changes.contains(line), "no {line:?} in:\n{changes}");
    }
    assert_eq!(foretold, changes, "a diff foretells what a pin says");
    assert!(!project.read("vendor/trow.lock.toml").contains(&digest), "of the old image only");
}

#[test]
fn what_cannot_be_pinned_leaves_the_lock_alone() {
    let upstream = Upstream::new();
    let source = upstream.source();
    let project = Project::pinning(&upstream);
    let lock = project.read("vendor/trow.lock.toml");

    failed(&warren(&project, &["pin", "v9", "--from", &source]), 1, "found no such tag");
    failed(&warren(&project, &["pin", TAG, "--from", "/nowhere"]), 4, "hint: name a mirror");
    failed(&warren(&project, &["pin", TAG, "--image-digest", "x"]), 2, "--image-digest x");
    failed(&warren(&project, &["verify", "--offline", "--from", "x"]), 2, "cannot be used with");

    let other = upstream.commit(&with(&[("Cargo.toml", PLAIN, "[package]\nname = \"t\"\n")]));
    upstream.tag("v2.0.0", other);
    let output = warren(&project, &["pin", "v2.0.0", "--from", &source]);
    failed(&output, 1, "row `contract version`");
    assert_eq!(project.read("vendor/trow.lock.toml"), lock);

    let moved = upstream.commit(&with(&[("src.txt", PLAIN, "moved\n")]));
    upstream.tag(TAG, moved);
    failed(&warren(&project, &["pin", TAG, "--from", &source]), 1, "--accept-moved-tag");
    assert_eq!(project.read("vendor/trow.lock.toml"), lock);
    done(&warren(&project, &["pin", TAG, "--from", &source, "--accept-moved-tag"]));
    assert!(project.read("vendor/trow.lock.toml").contains(&moved.to_string()));
}

#[test]
fn a_tag_that_renovate_wrote_is_pinned_again() {
    let upstream = Upstream::new();
    let source = upstream.source();
    let project = Project::pinning(&upstream);
    let cargo = "[package]\nversion = \"1.3.0\"\n";
    let next = upstream.commit(&with(&[("Cargo.toml", PLAIN, cargo)]));
    upstream.tag("v1.3.0", next);
    // What its custom manager does: the tag, and nothing else.
    let lock = project.read("vendor/trow.lock.toml");
    let touched = lock.replacen("tag = \"v1.2.3\"", "tag = \"v1.3.0\"", 1);
    assert_ne!(touched, lock);
    project.write("vendor/trow.lock.toml", &touched);
    done(&warren(&project, &["pin", "--from-renovate", "--from", &source]));
    let lock = project.read("vendor/trow.lock.toml");
    assert!(lock.contains(&next.to_string()) && lock.contains("tag = \"v1.3.0\""), "{lock}");
    done(&warren(&project, &["verify", "--from", &source]));
    let again = done(&warren(&project, &["pin", "--from-renovate", "--from", &source]));
    assert!(again.ends_with("nothing to do\n"), "{again}");
    failed(&warren(&project, &["pin"]), 2, "<TAG>");
    // A tag that leads elsewhere now is nothing that Renovate wrote.
    let moved = upstream.commit(&with(&[("Cargo.toml", PLAIN, cargo), ("x", PLAIN, "moved")]));
    upstream.tag("v1.3.0", moved);
    let output = warren(&project, &["pin", "--from-renovate", "--from", &source]);
    failed(&output, 1, "--accept-moved-tag");
    assert_eq!(project.read("vendor/trow.lock.toml"), lock);
}
