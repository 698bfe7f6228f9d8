//! The pin, over real git repositories from a path and over smart HTTP: what
//! passes, and what each kind of difference is called.

use std::time::Duration;

use warren::fs::{read, remove_if_there};
use warren::pipeline::upstream::{Build, Outcome, Pin, VerifyError, error_directives, write_copy};

use crate::git_server::{Behaviour, GitServer};
use crate::upstream_fixture::{
    EXECUTABLE, FILES, LINK, PLAIN, Project, SUBMODULE, TAG, Upstream, with,
};

/// Long enough to be reached on loopback by a machine under load, short
/// enough to wait for when nothing will come.
const SHORT: Duration = Duration::from_millis(700);

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[test]
fn right_content_passes_from_a_path_and_over_http() {
    let upstream = Upstream::new();
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    for source in [upstream.source(), format!("file://{}", upstream.source()), server.url()] {
        let project = Project::pinning(&upstream);
        let baked = project.build("require", &source).unwrap();
        assert_eq!(baked.verified.outcome, Outcome::Fetched, "{source}");
        let commit = &baked.verified.lock.commit.short();
        assert_eq!(
            baked.version_line(),
            format!("0.0.1 (upstream trow {TAG} {commit}, fetched and verified)")
        );
        let facts = baked.verified.lock.upstream();
        assert_eq!((facts.port, facts.image_user), (8000, 2000));
        assert_eq!(facts.image.to_string(), "registry.example/trow:1.2.3");
    }
}

#[test]
fn an_annotated_tag_is_followed_to_its_commit() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let commit = upstream.commit(&FILES);
    upstream.annotated_tag(TAG, commit);
    project.pin(&upstream);
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    for source in [upstream.source(), server.url()] {
        let baked = project.build("require", &source).unwrap();
        assert_eq!(baked.verified.lock.commit.0, commit);
    }
}

#[test]
fn what_was_fetched_once_spares_the_network_in_auto_only() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    project.build("auto", &server.url()).unwrap();
    let requests = server.requests();
    let again = project.build("auto", &server.url()).unwrap();
    assert_eq!(again.verified.outcome, Outcome::Fetched);
    assert_eq!(server.requests(), requests);
    project.build("require", &server.url()).unwrap();
    assert!(server.requests() > requests);
}

#[test]
fn a_broken_copy_of_what_was_fetched_is_fetched_again() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    project.build("auto", &server.url()).unwrap();
    let requests = server.requests();
    let packs = project.path("out/upstream.git/objects/pack");
    for pack in warren::fs::list(&packs).unwrap() {
        remove_if_there(&pack).unwrap();
    }
    let again = project.build("auto", &server.url()).unwrap();
    assert_eq!(again.verified.outcome, Outcome::Fetched);
    assert!(server.requests() > requests);
}

#[test]
fn offline_touches_no_network() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    let baked = project.build("offline", &server.url()).unwrap();
    assert_eq!(server.requests(), 0);
    has(&baked.version_line(), &["taken from the lock: offline was asked for"]);
    assert!(baked.verified.warnings.is_empty());
}

#[test]
fn an_unknown_mode_lists_those_there_are() {
    let project = Project::pinning(&Upstream::new());
    let error = project.build_error("never", "");
    assert_eq!(error, "WARREN_UPSTREAM is `never`; it can be auto, require or offline");
}

#[test]
fn a_tag_that_moved_is_a_mismatch_in_every_mode() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let other = upstream.commit(&with(&[("src.txt", PLAIN, "changed\n")]));
    upstream.tag(TAG, other);
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    for source in [upstream.source(), server.url()] {
        for mode in ["auto", "require"] {
            let error = project.build_error(mode, &source);
            has(&error, &["row `commit`", TAG, &source, &format!("found {other}")]);
            assert!(!project.has_fetched(), "nothing is fetched from a tag that moved");
        }
    }
}

#[test]
fn another_commit_in_the_lock_is_a_mismatch() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let other = upstream.commit(&FILES).to_string();
    let pinned = project.build("require", &upstream.source()).unwrap().verified.lock.commit;
    project.edit_lock(&pinned.to_string(), &other);
    let error = project.build_error("auto", &upstream.source());
    has(&error, &["row `commit`", &format!("expected {other}"), &format!("found {pinned}")]);
}

#[test]
fn a_tag_that_was_deleted_is_a_mismatch() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    upstream.delete_tag(TAG);
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    for source in [upstream.source(), server.url()] {
        let error = project.build_error("auto", &source);
        has(&error, &["row `tag`", TAG, "found no such tag"]);
    }
}

/// The differences that a build names when the tag and the lock's commit are
/// right, but the commit holds other files than those that were pinned.
fn differences(changes: &[crate::upstream_fixture::File]) -> String {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let pinned = project.build("require", &upstream.source()).unwrap().verified.lock.commit;
    let other = upstream.commit(&with(changes));
    upstream.tag(TAG, other);
    project.edit_lock(&pinned.to_string(), &other.to_string());
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    project.build_error("auto", &server.url())
}

#[test]
fn each_difference_of_the_tree_is_named_by_its_path() {
    for (change, said) in [
        (("src.txt", PLAIN, "changed\n"), "row `file src.txt`: expected a plain file of 18 bytes"),
        (("src.txt", PLAIN, "-"), "found no such file"),
        (("extra", PLAIN, "new\n"), "row `file extra`: expected no such file"),
        (
            ("run.sh", PLAIN, "#!/bin/sh\n"),
            "row `file run.sh`: expected an executable file, found a plain file",
        ),
        (("src.txt", LINK, "run.sh"), "row `file src.txt`: expected a plain file of 18 bytes"),
        (("src.txt", EXECUTABLE, "sorts before src/\n"), "found an executable file"),
        (("src.txt", PLAIN, "sorts before src/\r\n"), "the same text with CRLF line ends"),
    ] {
        has(&differences(&[change]), &[said, "row `export`", "row `tree`"]);
    }
    has(&differences(&[("src.txt", LINK, "run.sh")]), &["found a symbolic link of 6 bytes"]);
}

#[test]
fn a_submodule_is_refused_by_name() {
    let submodule = ("lib/more", SUBMODULE, "0123456789012345678901234567890123456789");
    has(&differences(&[submodule]), &["`lib/more` is a submodule", "pin a tag without submodules"]);
}

#[test]
fn a_fact_that_changed_is_named_with_both_values() {
    let values = "image:\n  repository: registry.example/trow\nservice:\n  port: 9000\n";
    let error = differences(&[("chart/values.yaml", PLAIN, values)]);
    has(&error, &["row `contract port`: expected \"8000\" in chart/values.yaml, found \"9000\""]);
    let error = differences(&[("src/main.rs", PLAIN, "USER = 2000\n/healthz /readiness\n")]);
    has(&error, &["row `contract data-path`: expected \"/data\"", "not the text"]);
    let error = differences(&[("Cargo.toml", PLAIN, "-")]);
    has(&error, &["row `contract version`: expected \"1.2.3\" in Cargo.toml, found no such file"]);
}

#[test]
fn no_edit_of_the_lock_passes_a_build() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    for file in ["vendor/trow.lock.toml", "vendor/trow.files"] {
        let text = project.read(file);
        for (number, line) in text.lines().enumerate() {
            let Some(last) = line.rfind(|c: char| c.is_ascii_alphanumeric()) else { continue };
            if line.starts_with(['#', '[']) {
                continue;
            }
            let other = if line.get(last..=last) == Some("0") { "1" } else { "0" };
            let mut edited: Vec<_> = text.lines().map(str::to_owned).collect();
            edited[number].replace_range(last..=last, other);
            project.write(file, &format!("{}\n", edited.join("\n")));
            let result = project.build("auto", &upstream.source());
            assert!(result.is_err(), "{file}:{}: {} passed", number + 1, edited[number]);
        }
        project.write(file, &text);
    }
    project.build("auto", &upstream.source()).unwrap();
}

#[test]
fn a_lock_that_was_edited_is_found_out_offline() {
    let upstream = Upstream::new();
    for (from, to, said) in [
        ("tag = \"1.2.3\"", "tag = \"1.2.4\"", "row `image.tag`: expected 1.2.3, found 1.2.4"),
        (
            "repository = \"registry.example/trow\"",
            "repository = \"evil.example/trow\"",
            "row `image.repository`: expected registry.example/trow, found evil.example/trow",
        ),
        ("export = \"sha256:", "export = \"sha512:", "trow.lock.toml:10:10: `sha512:"),
        ("tree = \"", "tree = \"x", "is no git id: 40 lower-case hex digits"),
        (
            "value = \"/data\"",
            "value = \"/date\"",
            "row `contract data-path`: expected /date, found /data",
        ),
        ("value = \"8000\"", "value = \"80000\"", "the value `80000` of the row `port`"),
        ("url = \"", "urls = \"", "trow.lock.toml:4:1: unknown field `urls`"),
        ("format = 1", "format = 2", "trow.lock.toml:3:10: this lock has format 2"),
        (
            "upstream.invalid",
            "evil.invalid",
            "row `url`: expected https://upstream.invalid/trow.git",
        ),
    ] {
        let project = Project::pinning(&upstream);
        project.edit_lock(from, to);
        let result = project.build("offline", "");
        has(&result.unwrap_err().to_string(), &[said]);
    }
}

#[test]
fn a_commit_that_was_exchanged_is_found_out_offline() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let pinned = upstream.tagged().to_string();
    let other = upstream.commit(&FILES).to_string();
    project.edit_lock(&pinned, &other);
    let error = project.build("offline", "").unwrap_err().to_string();
    has(&error, &["row `commit`", &format!("expected {other}"), &format!("found {pinned}")]);
}

#[test]
fn rows_that_state_the_same_port_contradict_an_edit_of_one() {
    use std::path::Path;
    use warren::pipeline::upstream::{Listing, Lock, check_lock};
    let vendor = Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor");
    let text = |name: &str| warren::fs::read_to_string(&vendor.join(name)).unwrap();
    let (lock, files) = (text("trow.lock.toml"), text("trow.files"));
    let listing = Listing::parse(Path::new("trow.files"), &files).unwrap();
    let said = |lock: &str| check_lock(&Lock::parse(Path::new("lock"), lock).unwrap(), &listing);
    assert!(said(&lock).is_empty());
    let from = "pointer = \"/service/port\"\nvalue = \"8000\"";
    assert!(lock.contains(from));
    let edited = lock.replace(from, "pointer = \"/service/port\"\nvalue = \"9999\"");
    has(&said(&edited)[0].to_string(), &["row `contract container-port`", "9999", "8000"]);
}

#[test]
fn a_contract_that_moved_on_says_how_to_pin_again() {
    let project = Project::pinning(&Upstream::new());
    let contract = project.read("vendor/trow.contract.toml");
    project.write("vendor/trow.contract.toml", &contract.replace("/healthz", "/health"));
    let error = project.build_error("offline", "");
    has(&error, &["row `contract liveness-path`", "WARREN_UPSTREAM_REPIN=1", "pin v1.2.3"]);
    let build = Build {
        root: project.dir.path().to_owned(),
        out: project.path("out"),
        version: String::new(),
        mode: Some("offline".to_owned()),
        mirror: None,
        repin: true,
    };
    build.run().unwrap();
}

#[test]
fn an_upstream_out_of_reach_is_a_warning_in_auto_and_an_error_in_require() {
    let upstream = Upstream::new();
    let server = |behaviour| GitServer::start(upstream.path(), behaviour);
    let elsewhere = "http://elsewhere.invalid/trow.git".to_owned();
    for (behaviour, said, short) in [
        (Behaviour::Hang, "gave no answer within", "no answer in time"),
        (Behaviour::HangInPack, "hangs: nothing came for", "the upstream hangs"),
        (Behaviour::Truncate, "was cut off", "transfer cut off"),
        (Behaviour::TruncateQuietly, "was cut off", "transfer cut off"),
        (
            Behaviour::Redirect(elsewhere),
            "127.0.0.1 redirects to another host, elsewhere.invalid",
            "redirected to another host",
        ),
        (Behaviour::NotFound, "it answered 404", "no git server there"),
        (Behaviour::Page, "it sent text/html", "no git server there"),
    ] {
        let project = Project::pinning(&upstream);
        let server = server(behaviour.clone());
        let baked = project.build_within("auto", &server.url(), SHORT).unwrap();
        assert_eq!(baked.verified.outcome, Outcome::FromLock { reason: short });
        has(&baked.directives().join("\n"), &["cargo::warning=", said]);
        has(&baked.version_line(), &["taken from the lock: ", short]);
        let error = project.build_within("require", &server.url(), SHORT).unwrap_err();
        assert!(matches!(error, VerifyError::Unreachable(_)), "{behaviour:?}");
        has(&error.to_string(), &["the upstream could not be reached", said]);
    }
    let project = Project::pinning(&upstream);
    for nowhere in
        ["/nowhere/trow.git", "http://127.0.0.1:1/trow.git", "ssh://h/trow.git", "git://h/trow.git"]
    {
        let error = project.build_within("require", nowhere, SHORT).unwrap_err().to_string();
        has(&error, &[nowhere, "cannot be reached"]);
    }
}

#[test]
fn a_redirect_on_the_same_host_is_followed() {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let server = GitServer::start(upstream.path(), Behaviour::Redirect("/moved.git".to_owned()));
    let baked = project.build("require", &server.url()).unwrap();
    assert_eq!(baked.verified.outcome, Outcome::Fetched);
}

#[test]
fn the_mirrors_of_the_lock_are_tried_after_its_url() {
    let upstream = Upstream::new();
    let server = GitServer::start(upstream.path(), Behaviour::Serve);
    let dead = GitServer::start(upstream.path(), Behaviour::NotFound);
    let project = Project::unpinned();
    let contract = project.read("vendor/trow.contract.toml").replace(
        "url = \"https://upstream.invalid/trow.git\"",
        &format!("url = \"{}\"\nmirrors = [\"{}\"]", dead.url(), server.url_by_name()),
    );
    project.write("vendor/trow.contract.toml", &contract);
    project.pin(&upstream);
    let baked = project.build("require", "").unwrap();
    assert_eq!(baked.verified.outcome, Outcome::Fetched);
    assert_eq!(dead.requests(), 1);
}

/// A project with a vendored copy.
fn vendored() -> Project {
    let upstream = Upstream::new();
    let project = Project::pinning(&upstream);
    let pin = Pin::read(project.dir.path(), false).unwrap();
    write_copy(&pin, &upstream.repository, &project.path("vendor/trow")).unwrap();
    project
}

#[test]
fn a_vendored_copy_is_used_without_network_and_has_the_raw_bytes() {
    let project = vendored();
    for mode in ["auto", "require", "offline"] {
        let baked = project.build(mode, "/nowhere").unwrap();
        assert_eq!(baked.verified.outcome, Outcome::Vendored);
        has(&baked.version_line(), &["vendored copy verified"]);
    }
    assert_eq!(read(&project.path("vendor/trow/crlf.txt")).unwrap(), b"one\r\ntwo\r\n");
    assert_eq!(read(&project.path("vendor/trow/src.txt")).unwrap(), b"sorts before src/\n");
    let target = project.path("vendor/trow/latest").read_link().unwrap();
    assert_eq!(target.to_str(), Some("src/main.rs"));
    let pin = Pin::read(project.dir.path(), false).unwrap();
    let upstream = Upstream::new();
    write_copy(&pin, &upstream.repository, &project.path("vendor/trow")).unwrap();
    let names = warren::fs::list(&project.path("vendor")).unwrap();
    assert_eq!(names.len(), 4, "no temporary folder is left: {names:?}");
}

#[test]
fn each_change_of_a_vendored_copy_is_named_by_its_path() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let offline = |project: &Project, said: &[&str]| {
        let error = project.build_error("offline", "");
        has(&error, &["the copy in ", "vendor/trow"]);
        has(&error, said);
    };
    let project = vendored();
    project.write("vendor/trow/src.txt", "changed\n");
    offline(
        &project,
        &["row `file src.txt`: expected a plain file of 18 bytes", "found a plain file of 8 bytes"],
    );

    let project = vendored();
    remove_if_there(&project.path("vendor/trow/src.txt")).unwrap();
    offline(&project, &["row `file src.txt`", "found no such file"]);

    let project = vendored();
    project.write("vendor/trow/src/extra.rs", "");
    offline(&project, &["row `file src/extra.rs`: expected no such file"]);

    let project = vendored();
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(project.path("vendor/trow/run.sh"), mode).unwrap();
    offline(&project, &["row `file run.sh`: expected an executable file, found a plain file"]);

    let project = vendored();
    remove_if_there(&project.path("vendor/trow/src.txt")).unwrap();
    symlink("run.sh", project.path("vendor/trow/src.txt")).unwrap();
    offline(&project, &["row `file src.txt`", "found a symbolic link"]);

    let project = vendored();
    project.write("vendor/trow/src.txt", "sorts before src/\r\n");
    offline(&project, &["row `file src.txt`", "the same text with CRLF line ends"]);
}

#[test]
fn an_error_reaches_cargo_line_by_line() {
    let project = vendored();
    project.write("vendor/trow/src.txt", "changed\n");
    let error = project.build("auto", "").unwrap_err();
    let lines = error_directives(&error);
    assert!(lines.len() > 3);
    assert!(lines.iter().all(|line| line.starts_with("cargo::error=")), "{lines:?}");
}
