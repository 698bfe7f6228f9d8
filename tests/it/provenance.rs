//! The statement of provenance, and `warren verify`.

use warren::digest::Digest;
use warren::pipeline::provenance::{PREDICATE, STATEMENT, Statement};

use crate::compose::{change, repository};
use crate::deploy::{Repository, outcome};

const FILE: &str = "deploy/.provenance/sandbox.intoto.json";

fn rendered() -> Repository {
    let repository = Repository::new();
    repository.warren(&["render", "sandbox"]).assert().success();
    repository
}

/// Exit code, and the differences by `warren verify`.
fn verify(repository: &Repository) -> (i32, Vec<String>) {
    let (code, stdout, stderr) =
        outcome(&mut repository.warren(&["verify", "sandbox", "--output", "json"]));
    let reports: serde_json::Value =
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
    let list = reports[0]["differences"].as_array().unwrap().iter();
    (code, list.map(|line| line.as_str().unwrap().to_owned()).collect())
}

#[test]
fn a_rendering_says_what_it_was_made_from() {
    let repository = rendered();
    let text = repository.text(FILE);
    let statement = Statement::parse(&text).unwrap();
    assert_eq!(
        (statement.kind.as_str(), statement.predicate_type.as_str()),
        (STATEMENT, PREDICATE)
    );
    let predicate = &statement.predicate;
    assert_eq!(predicate.renderer.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(predicate.upstream.tag, "v0.10.0");
    let inputs: Vec<_> = predicate.inputs.iter().map(|input| input.name.as_str()).collect();
    for input in [
        "environments/sandbox.toml",
        "environments/base/statefulset.yaml",
        "environments/components/host-path-volume/persistentvolume.yaml",
        "vendor/trow.lock.toml",
    ] {
        assert!(inputs.contains(&input), "{input} in {inputs:?}");
    }
    assert!(inputs.is_sorted());
    for one in statement.subject.iter().chain(&predicate.inputs) {
        let digest = Digest::sha256(repository.text(&one.name).as_bytes());
        assert_eq!(one.sha256(), digest.hex(), "{}", one.name);
    }
    let files = warren::fs::list(&repository.path("deploy/sandbox")).unwrap();
    assert_eq!(statement.subject.len(), files.len());
    let here = repository.path("").display().to_string();
    assert!(!text.contains(here.trim_end_matches('/')), "no path of this machine");
}

#[test]
fn the_statement_is_the_same_from_another_folder_and_by_deploy() {
    let (one, other) = (rendered(), Repository::new());
    other.warren(&["deploy", "sandbox", "--no-apply"]).assert().success();
    assert_eq!(one.text(FILE), other.text(FILE));
}

#[test]
fn nothing_differs_after_a_rendering() {
    assert_eq!(verify(&rendered()), (0, Vec::new()));
}

#[test]
fn the_committed_statements_are_what_renders() {
    let mut command = assert_cmd::Command::cargo_bin("warren").unwrap();
    command.args(["verify", "--all", "--root"]).arg(repository());
    let (code, stdout, stderr) = outcome(&mut command);
    assert_eq!(code, 0, "warren render them, and commit deploy/\n{stdout}{stderr}");
}

#[test]
fn each_kind_of_difference_is_named() {
    let repository = Repository::new();
    let (code, found) = verify(&repository);
    assert_eq!((code, found[0].as_str()), (1, &*format!("there is no {FILE}")));

    let repository = rendered();
    change(&repository.path(""), "deploy/sandbox/service-trow-svc.yaml", "8000", "8001");
    let file = "deploy/sandbox/service-trow-svc.yaml";
    assert_eq!(
        verify(&repository),
        (1, vec![format!("{file} is not what its statement says"), format!("{file} differs")])
    );

    let repository = rendered();
    change(&repository.path(""), "environments/sandbox.toml", "# The sandbox", "# A sandbox");
    assert_eq!(
        verify(&repository),
        (1, vec![format!("{FILE}: input environments/sandbox.toml is another")]),
        "a comment changes the input, and nothing of the output"
    );

    let repository = rendered();
    change(&repository.path(""), FILE, env!("CARGO_PKG_VERSION"), "0.0.1");
    let expected =
        format!("{FILE}: the renderer's version was 0.0.1 and is {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(verify(&repository), (1, vec![expected]));

    let repository = rendered();
    repository.write("environments/base/more.yaml", "# nothing\n");
    assert_eq!(
        verify(&repository),
        (1, vec![format!("{FILE}: input environments/base/more.yaml is new")])
    );

    let repository = rendered();
    repository.write(FILE, "{}\n");
    let (code, found) = verify(&repository);
    assert_eq!(code, 1);
    assert!(found[0].contains("is no statement of ours"), "{found:?}");
}

#[test]
fn another_folder_has_no_statement_unless_asked() {
    let repository = Repository::new();
    let folder = repository.path("out").display().to_string();
    repository.warren(&["render", "sandbox", "--output", &folder]).assert().success();
    assert!(!repository.path(FILE).exists() && !repository.path("out/.provenance").exists());
    let file = repository.path("s.json").display().to_string();
    let arguments = ["render", "sandbox", "--output", &folder, "--provenance", &file];
    repository.warren(&arguments).assert().success();
    let statement = Statement::parse(&repository.text("s.json")).unwrap();
    assert!(statement.subject.iter().all(|one| !one.name.contains('/')));
}
