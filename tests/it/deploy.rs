//! `warren deploy` and `warren diff`, on a copy of the repository, on a
//! machine without a cluster.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// A copy of what a rendering depends on.
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in ["environments", "vendor"] {
            copy(&here.join(part), &folder.path().join(part));
        }
        Self { folder }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn text(&self, below: &str) -> String {
        warren::fs::read_to_string(&self.path(below)).unwrap()
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        warren::fs::create_dir_all(path.parent().unwrap()).unwrap();
        warren::fs::write_atomic(&path, text.as_bytes(), warren::fs::Access::Everyone).unwrap();
    }

    /// The built `warren` with these arguments, on this copy, without a
    /// kubeconfig.
    pub fn warren(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("warren").unwrap();
        command.args(arguments).arg("--root").arg(self.folder.path());
        command.env("KUBECONFIG", self.path("none/kubeconfig")).env_remove("CI");
        command
    }
}

fn copy(from: &Path, to: &Path) {
    warren::fs::create_dir_all(to).unwrap();
    for path in warren::fs::list(from).unwrap() {
        let name = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &name);
        } else {
            let bytes = warren::fs::read(&path).unwrap();
            warren::fs::write_atomic(&name, &bytes, warren::fs::Access::Everyone).unwrap();
        }
    }
}

/// Exit code, stdout and stderr.
pub fn outcome(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_cluster_the_files_are_written_and_the_command_for_later_is_told() {
    let repository = Repository::new();
    let (code, stdout, stderr) = outcome(&mut repository.warren(&["deploy", "sandbox"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("+ statefulset/trow-set"), "{stdout}");
    assert!(stderr.contains("not applied: there is no kubeconfig to use"), "{stderr}");
    let folder = repository.path("deploy/sandbox").display().to_string();
    let later = format!("kubectl apply -k {folder} --context=kubernetes-admin@sandbox");
    assert!(stderr.contains(&later), "{stderr}");
    assert!(repository.text("deploy/sandbox/kustomization.yaml").contains("resources:"));

    let (code, stdout, stderr) = outcome(&mut repository.warren(&["deploy", "sandbox"]));
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(stderr.contains("deploy/sandbox: nothing changed"), "{stderr}");
}

#[test]
fn a_context_that_is_not_there_is_named_with_those_that_are() {
    let repository = Repository::new();
    let kubeconfig = "apiVersion: v1\nkind: Config\ncontexts:\n- name: kind\n  context: \
                      {cluster: kind, user: kind}\ncurrent-context: kind\n";
    repository.write("kubeconfig", kubeconfig);
    let deploy = |more: &[&str]| {
        let mut command = repository.warren(&[&["deploy", "sandbox"], more].concat());
        outcome(command.env("KUBECONFIG", repository.path("kubeconfig")))
    };
    let (code, _, stderr) = deploy(&[]);
    assert_eq!(code, 0, "{stderr}");
    let known = "no context `kubernetes-admin@sandbox`; there is kind";
    assert!(stderr.contains(known), "the current context is never used: {stderr}");
    let (code, _, stderr) = deploy(&["--require-cluster"]);
    assert_eq!(code, 4, "{stderr}");

    repository.write("kubeconfig", "contexts: [\n");
    let (code, _, stderr) = deploy(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("not applied: there is no kubeconfig to use (failed to parse"));
}

#[test]
fn a_change_is_shown_and_only_the_change() {
    let repository = Repository::new();
    repository.warren(&["deploy", "sandbox", "--no-apply"]).assert().success();
    let toml = repository.text("environments/sandbox.toml").replace("10Gi", "11Gi");
    repository.write("environments/sandbox.toml", &toml);
    repository.write("deploy/sandbox/old.yaml", "left: over\n");

    let (code, difference, stderr) = outcome(&mut repository.warren(&["diff", "sandbox"]));
    assert_eq!(code, 0, "{stderr}");
    assert!(difference.contains("10Gi -> 11Gi") && difference.contains("* old.yaml is removed"));
    assert!(
        stderr.contains("0 added, 2 changed, 0 removed, 1 other files; immutable field"),
        "{stderr}"
    );
    assert_eq!(outcome(&mut repository.warren(&["diff", "sandbox", "--exit-code"])).0, 1);

    let (code, stdout, stderr) =
        outcome(&mut repository.warren(&["deploy", "sandbox", "--no-apply"]));
    assert_eq!((code, &stdout), (0, &difference), "deploy does what diff foretold");
    assert!(stderr.contains("not applied, as --no-apply says"), "{stderr}");
    assert!(!repository.path("deploy/sandbox/old.yaml").exists());
    let (code, stdout, _) = outcome(&mut repository.warren(&["diff", "sandbox", "--exit-code"]));
    assert_eq!((code, stdout.as_str()), (0, ""));
}

#[test]
fn json_says_the_same() {
    let repository = Repository::new();
    let (code, stdout, _) =
        outcome(&mut repository.warren(&["deploy", "lapin", "--output", "json"]));
    assert_eq!(code, 0);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["folder"], "deploy/lapin");
    assert!(report["changes"].as_array().unwrap().iter().all(|one| one["change"] == "added"));
    assert_eq!(report["cluster"]["outcome"], "not-reached");
    assert_eq!(report["cluster"]["reach"]["state"], "no-kubeconfig");
    let later = report["cluster"]["command"].as_str().unwrap();
    assert!(later.contains("--context=kubernetes-admin@lapin"), "{later}");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_written() {
    let repository = Repository::new();
    let (code, _, stderr) = outcome(&mut repository.warren(&["deploy", "nowhere"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("lapin") && stderr.contains("sandbox"), "{stderr}");

    let toml = repository.text("environments/sandbox.toml").replace("size =", "sise =");
    repository.write("environments/sandbox.toml", &toml);
    let (code, _, stderr) = outcome(&mut repository.warren(&["deploy", "sandbox"]));
    assert_eq!(code, 3, "{stderr}");
    assert!(!repository.path("deploy").exists());
}

#[test]
fn a_lock_that_contradicts_itself_delivers_nothing() {
    let repository = Repository::new();
    let lock = repository.text("vendor/trow.lock.toml");
    let tampered = lock.replacen("export = \"sha256:", "export = \"sha256:f", 1);
    let tampered = tampered.replacen("f3a0e7ee3", "f3a0e7ee", 1);
    assert_ne!(tampered, lock);
    repository.write("vendor/trow.lock.toml", &tampered);
    for command in ["deploy", "propose"] {
        let (code, _, stderr) = outcome(&mut repository.warren(&[command, "sandbox"]));
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("row `export`"), "{stderr}");
    }
    assert!(!repository.path("deploy").exists());
}

#[test]
fn a_finding_of_a_check_stops_it() {
    let repository = Repository::new();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: leak\n";
    repository.write("environments/base/leak.yaml", secret);
    let (code, _, stderr) = outcome(&mut repository.warren(&["deploy", "sandbox"]));
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("plain-secret") && stderr.contains("hint: "), "{stderr}");
    assert!(!repository.path("deploy").exists());
}
