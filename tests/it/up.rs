//! `warren up`: the main job, as a user runs it.

use std::net::TcpListener;
use std::path::Path;

use assert_cmd::Command;

/// `warren up sandbox --once` over a data folder, on free loopback ports.
fn up(data_dir: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("warren").unwrap();
    command.arg("--root").arg(env!("CARGO_MANIFEST_DIR")).args(["up", "sandbox", "--once"]);
    command.arg("--data-dir").arg(data_dir).args(more);
    if !more.contains(&"--bind") {
        command.args(["--bind", "127.0.0.1:0"]);
    }
    command.timeout(std::time::Duration::from_mins(2)).output().unwrap()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> String {
    warren::fs::read_to_string(path).unwrap()
}

#[test]
fn it_proves_itself_and_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("not/there/yet");
    let first = up(&home, &[]);
    let log = said(&first);
    assert!(first.status.success(), "{log}");
    for step in ["login, trow-pass", "wrong password, refused", "digests equal", "CA          made"]
    {
        assert!(log.contains(step), "{step}: {log}");
    }
    let guide = String::from_utf8(first.stdout).unwrap();
    for line in ["podman login", "docker login", "curl --cacert", "paasregistry.lapin.io"] {
        assert!(guide.contains(line), "{line}: {guide}");
    }
    let (ca, password) = (text(&home.join("ca/ca.crt")), text(&home.join("password")));
    assert!(!log.contains(&password) && !guide.contains(&password));

    let second = up(&home, &[]);
    assert!(second.status.success(), "{}", said(&second));
    assert!(said(&second).contains("CA          found"));
    assert_eq!((ca, password), (text(&home.join("ca/ca.crt")), text(&home.join("password"))));
    assert!(home.join("registry/repositories/warren/proof").is_dir(), "the data is kept");
}

#[test]
fn a_port_in_use_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = up(folder.path(), &["--bind", &address]);
    let log = said(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(&address) && log.contains("hint:") && log.contains("--bind"), "{log}");
}

#[test]
fn a_data_folder_that_cannot_be_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    warren::fs::write_atomic(&file, b"", warren::fs::Access::Everyone).unwrap();
    let output = up(&file.join("below"), &[]);
    let log = said(&output);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("file") && log.contains("--data-dir"), "{log}");
}

#[test]
fn a_missing_half_of_the_ca_is_not_made_up() {
    let folder = tempfile::tempdir().unwrap();
    assert!(up(folder.path(), &[]).status.success());
    warren::fs::remove_if_there(&folder.path().join("ca/ca.key")).unwrap();
    let output = up(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("ca.key is not"), "{}", said(&output));
}

#[test]
fn an_unknown_environment_lists_those_there_are() {
    let mut command = Command::cargo_bin("warren").unwrap();
    command.arg("--root").arg(env!("CARGO_MANIFEST_DIR")).args(["up", "sandbux", "--once"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("`lapin` and `sandbox`"), "{}", said(&output));
}

#[test]
fn a_stop_signal_ends_it_cleanly() {
    use std::io::{BufRead as _, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("warren"))
        .args(["--root", env!("CARGO_MANIFEST_DIR"), "up", "sandbox", "--bind", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(folder.path())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().starts_with("Ctrl-C stops it")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success());
    assert_eq!(rest, ["stopped"]);
}
