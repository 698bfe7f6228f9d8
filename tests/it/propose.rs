//! `warren propose`: the branch, the pull request, and what is never
//! overwritten; against a folder, a git server over HTTP, and the APIs of the
//! forges in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use git2::{IndexAddOption, Oid, Repository as Git, RepositoryInitOptions, Signature};
use serde_json::Value;
use tempfile::TempDir;

use super::deploy::{Repository, outcome};
use super::forge_server::ForgeServer;
use super::git_server::{Behaviour, GitServer};

const BRANCH: &str = "refs/heads/warren/sandbox";

/// A repository with its rendering committed, and the bare one it came from.
struct Place {
    work: Repository,
    bare: TempDir,
}

impl Place {
    fn new() -> Self {
        let work = Repository::new();
        for name in ["sandbox", "lapin"] {
            work.warren(&["deploy", name, "--no-apply"]).assert().success();
        }
        let bare = tempfile::tempdir().unwrap();
        let mut options = RepositoryInitOptions::new();
        Git::init_opts(bare.path(), options.bare(true).initial_head("main")).unwrap();
        let place = Self { work, bare };
        let git = Git::init_opts(place.work.path(""), options.bare(false)).unwrap();
        git.config().unwrap().set_str("user.name", "Anna").unwrap();
        git.config().unwrap().set_str("user.email", "anna@example").unwrap();
        git.remote("origin", bare_url(&place.bare)).unwrap();
        let main = Self::commit_all(&git);
        place.put(&git, "refs/heads/main", main);
        place
    }

    /// Commits the work tree to the current branch.
    fn commit_all(git: &Git) -> Oid {
        let mut index = git.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = git.find_tree(index.write_tree().unwrap()).unwrap();
        let who = Signature::now("Anna", "anna@example").unwrap();
        let parent = git.head().ok().and_then(|head| head.peel_to_commit().ok());
        let parents: Vec<_> = parent.iter().collect();
        git.commit(Some("HEAD"), &who, &who, "state", &tree, &parents).unwrap()
    }

    /// Makes a ref of the bare repository point to a commit of the work tree's.
    fn put(&self, git: &Git, name: &str, commit: Oid) {
        let local = format!("refs/tests/{commit}");
        git.reference(&local, commit, true, "").unwrap();
        let mut remote = git.remote_anonymous(bare_url(&self.bare)).unwrap();
        remote.push(&[format!("+{local}:{name}")], None).unwrap();
    }

    fn git(&self) -> Git {
        Git::open(self.bare.path()).unwrap()
    }

    fn tip(&self, name: &str) -> Option<Oid> {
        self.git().find_reference(name).ok()?.target()
    }

    fn change(&self) {
        let toml = self.work.text("environments/sandbox.toml").replace("10Gi", "20Gi");
        self.work.write("environments/sandbox.toml", &toml);
    }

    fn propose(&self, more: &[&str]) -> (i32, String, String) {
        self.propose_with(more, &[])
    }

    fn propose_with(&self, more: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
        let mut command = self.work.warren(&[&["propose", "sandbox"], more].concat());
        for name in ["GITHUB_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN"] {
            command.env_remove(name);
        }
        // No helper of the machine may answer here.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        outcome(command.envs(variables.iter().copied()))
    }

    /// The files that a commit changes, against its parent.
    fn changed(&self, commit: Oid) -> Vec<String> {
        let git = self.git();
        let commit = git.find_commit(commit).unwrap();
        let (old, new) = (commit.parent(0).unwrap().tree().unwrap(), commit.tree().unwrap());
        let diff = git.diff_tree_to_tree(Some(&old), Some(&new), None).unwrap();
        let path =
            |delta: git2::DiffDelta<'_>| -> PathBuf { delta.new_file().path().unwrap().into() };
        diff.deltas().map(|delta| path(delta).to_string_lossy().into_owned()).collect()
    }
}

fn bare_url(bare: &TempDir) -> &str {
    // Called again and again; the path lives as long as the folder.
    bare.path().to_str().map(str::trim_end).unwrap()
}

#[test]
fn one_commit_holds_the_environments_own_files_and_nothing_else() {
    let place = Place::new();
    place.change();
    // What is not of this environment stays out of it.
    place.work.write("notes.txt", "mine\n");
    let head = Git::open(place.work.path("")).unwrap().head().unwrap().target();
    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 0, "{stderr}");
    let tip = place.tip(BRANCH).unwrap();
    assert_eq!(
        place.changed(tip),
        [
            "deploy/.provenance/sandbox.intoto.json",
            "deploy/sandbox/persistentvolume-trow-data-hostpath-pv.yaml",
            "deploy/sandbox/statefulset-trow-set.yaml",
            "environments/sandbox.toml",
        ]
    );
    let git = place.git();
    let commit = git.find_commit(tip).unwrap();
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    assert!(
        message.starts_with("sandbox: 0 added, 2 changed, 0 removed; immutable field"),
        "{message}"
    );
    assert!(message.contains("10Gi -> 20Gi"), "{message}");
    assert_eq!(commit.parent_id(0).ok(), place.tip("refs/heads/main"));
    let work = Git::open(place.work.path("")).unwrap();
    assert_eq!(work.head().unwrap().target(), head, "the current branch stays");
    assert!(place.work.text("deploy/sandbox/statefulset-trow-set.yaml").contains("10Gi"));

    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("is there already"), "{stderr}");
    assert_eq!(place.tip(BRANCH), Some(tip), "the same state twice changes nothing");
}

#[test]
fn what_no_longer_renders_is_removed_in_the_proposal() {
    let place = Place::new();
    let toml = place.work.text("environments/sandbox.toml");
    place.work.write("environments/sandbox.toml", &toml.replace("\"metallb\"", "\"none\""));
    assert_eq!(place.propose(&[]).0, 0);
    let changed = place.changed(place.tip(BRANCH).unwrap());
    assert!(changed.contains(&"deploy/sandbox/ipaddresspool-trow.yaml".to_owned()), "{changed:?}");
    let git = place.git();
    let tree = git.find_commit(place.tip(BRANCH).unwrap()).unwrap().tree().unwrap();
    assert!(tree.get_path("deploy/sandbox/ipaddresspool-trow.yaml".as_ref()).is_err());
    assert!(tree.get_path("deploy/lapin/ipaddresspool-trow.yaml".as_ref()).is_ok());
}

#[test]
fn where_nothing_differs_nothing_is_proposed() {
    let place = Place::new();
    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("main has what sandbox renders to: nothing to propose"), "{stderr}");
    assert_eq!(place.tip(BRANCH), None);
}

#[test]
fn a_branch_that_a_human_edited_is_left_alone() {
    let place = Place::new();
    place.change();
    assert_eq!(place.propose(&[]).0, 0);
    let ours = place.tip(BRANCH).unwrap();
    let bare = place.git();
    let who = Signature::now("Bert", "bert@example").unwrap();
    for amended in [false, true] {
        // A commit on top, and then ours amended: the message is kept, the tree is not.
        let commit = bare.find_commit(ours).unwrap();
        let main = bare.find_commit(place.tip("refs/heads/main").unwrap()).unwrap();
        let edited = if amended {
            let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
            let tree = main.tree().unwrap();
            bare.commit(None, &who, &who, &message, &tree, &[&main]).unwrap()
        } else {
            bare.commit(None, &who, &who, "by hand", &commit.tree().unwrap(), &[&commit]).unwrap()
        };
        bare.reference(BRANCH, edited, true, "").unwrap();
        let (code, _, stderr) = place.propose(&[]);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("of Bert, which is not ours"), "{stderr}");
        assert!(stderr.contains("--branch NAME"), "{stderr}");
        assert_eq!(place.tip(BRANCH), Some(edited));
    }
}

#[test]
fn a_branch_that_is_not_ours_is_neither_pushed_over_nor_removed() {
    let place = Place::new();
    let main = place.tip("refs/heads/main").unwrap();
    let work = Git::open(place.work.path("")).unwrap();
    place.put(&work, "refs/heads/release-1", main);
    for change in [false, true] {
        if change {
            place.change();
        }
        let (code, _, stderr) = place.propose(&["--branch", "main"]);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("`main` is what the proposal is for"), "{stderr}");
        // It holds no commit that main has not, and is somebody's all the same.
        let (code, _, stderr) = place.propose(&["--branch", "release-1"]);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("holds the commit"), "{stderr}");
    }
    assert_eq!(place.tip("refs/heads/main"), Some(main));
    assert_eq!(place.tip("refs/heads/release-1"), Some(main));
}

#[test]
fn a_pin_that_moved_is_told_in_what_we_rely_on() {
    let place = Place::new();
    let work = Git::open(place.work.path("")).unwrap();
    let (lock, statement) = ("vendor/trow.lock.toml", "deploy/.provenance/sandbox.intoto.json");
    let (now, said) = (place.work.text(lock), place.work.text(statement));
    // What main was rendered with, some commits ago.
    let commit = now.lines().find_map(|line| line.strip_prefix("commit = ")).unwrap();
    let commit = commit.trim_matches('"');
    let earlier = "1".repeat(40);
    let older = |text: &str| text.replace(commit, &earlier).replace("v0.10.0", "v0.9.0");
    place.work.write(lock, &older(&now).replace("value = \"8000\"", "value = \"8001\""));
    Place::commit_all(&work);
    place.work.write(lock, &now);
    place.work.write(statement, &older(&said));
    let main = Place::commit_all(&work);
    place.put(&work, "refs/heads/main", main);
    place.change();
    let (code, stdout, stderr) = place.propose(&["--dry-run"]);
    assert_eq!(code, 0, "{stderr}");
    let told = format!("### Upstream\n\nThe pin moves from v0.9.0 (`{earlier}`) to v0.10.0");
    assert!(stdout.contains(&told), "{stdout}");
    assert!(stdout.contains("- tag: v0.9.0 -> v0.10.0\n"), "{stdout}");
    assert!(stdout.contains("- port: \"8001\" -> \"8000\"\n"), "{stdout}");
    // Until that is merged it is no fault that deploy/ is behind: a pin moves for one
    // environment after the other.
    let run = |arguments: &[&str]| outcome(&mut place.work.warren(arguments));
    let (code, stdout, stderr) = run(&["check", "sandbox"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("[earlier-pin] deploy/sandbox was rendered with v0.9.0"), "{stdout}");
    let (code, stdout, stderr) = run(&["verify", "sandbox"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("sandbox: rendered with the pin v0.9.0, and untouched"), "{stdout}");
    // What somebody changed by hand is one.
    let file = "deploy/sandbox/service-trow-svc.yaml";
    let text = place.work.text(file);
    place.work.write(file, &text.replace("8000", "8001"));
    for command in ["check", "verify"] {
        let (code, _, stderr) = run(&[command, "sandbox"]);
        assert_eq!(code, 1, "{stderr}");
    }
    place.work.write(file, &text);
    // Nothing goes to the next environment that was not in this one.
    let (code, _, stderr) =
        outcome(&mut place.work.warren(&["promote", "sandbox", "--to", "lapin", "--dry-run"]));
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("deploy/sandbox still at v0.9.0"), "{stderr}");
}

#[test]
fn what_an_environment_inherits_is_promoted_as_its_own_is() {
    let place = Place::new();
    let toml = place.work.text("environments/sandbox.toml");
    let with = |image: &str| {
        let image = format!("engine = \"trow\"\nimage = \"{image}\"");
        toml.replace("engine = \"trow\"", &image)
    };
    place.work.write("environments/sandbox.toml", &with("registry.example/trow:9"));
    place.work.write("environments/stage.toml", "extends = \"sandbox\"\nnamespace = \"stage\"\n");
    let promote = |from: &str, to: &str| {
        let arguments = ["promote", from, "--to", to, "--dry-run"];
        outcome(&mut place.work.warren(&arguments))
    };
    let (_, _, stderr) = promote("stage", "lapin");
    let carried = "lapin: registry.image: nothing -> \"registry.example/trow:9\"";
    assert!(stderr.contains(carried), "{stderr}");
    assert!(!stderr.contains("registry.engine"), "both are trow: {stderr}");
    // What is inherited can't be taken away in the file that inherits.
    let (code, _, stderr) = promote("lapin", "stage");
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("stage inherits one from what it extends"), "{stderr}");
}

#[test]
fn a_base_that_moved_is_followed() {
    let place = Place::new();
    place.change();
    assert_eq!(place.propose(&[]).0, 0);
    let first = place.tip(BRANCH).unwrap();
    // Somebody merges something else; our clone has not fetched it.
    let bare = place.git();
    let who = Signature::now("Bert", "bert@example").unwrap();
    let main = bare.find_commit(place.tip("refs/heads/main").unwrap()).unwrap();
    let tree = main.tree().unwrap();
    bare.commit(Some("refs/heads/main"), &who, &who, "merged", &tree, &[&main]).unwrap();
    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 0, "{stderr}");
    let second = place.tip(BRANCH).unwrap();
    assert_ne!(first, second);
    assert_eq!(bare.find_commit(second).unwrap().parent_id(0).ok(), place.tip("refs/heads/main"));
}

#[test]
fn a_shared_file_that_differs_is_not_smuggled_in() {
    let place = Place::new();
    place.change();
    let file = "environments/base/serviceaccount.yaml";
    let file = if place.work.path(file).exists() { file.to_owned() } else { first_base(&place) };
    let text = place.work.text(&file);
    place.work.write(&file, &format!("# another\n{text}"));
    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(&format!("{file} is not what main has")), "{stderr}");
    assert_eq!(place.tip(BRANCH), None);
}

fn first_base(place: &Place) -> String {
    let path = warren::fs::list(&place.work.path("environments/base")).unwrap().remove(0);
    format!("environments/base/{}", path.file_name().unwrap().to_string_lossy())
}

#[test]
fn a_dry_run_pushes_nothing_and_prints_the_text() {
    let place = Place::new();
    place.change();
    let (code, stdout, stderr) = place.propose(&["--dry-run"]);
    assert_eq!(code, 0, "{stderr}");
    for part in ["### `sandbox`, compared with `main`", "10Gi", "### Checks", "### Provenance"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(stderr.contains("would go to warren/sandbox for main"), "{stderr}");
    assert_eq!(place.tip(BRANCH), None);
}

#[test]
fn a_branch_for_each_environment_holds_its_rendering_alone() {
    let place = Place::new();
    let (sandbox, work) =
        (place.work.text("environments/sandbox.toml"), Git::open(place.work.path("")).unwrap());
    let (code, _, stderr) = place.propose(&["--layout", "branch"]);
    assert_eq!(code, 0, "{stderr}");
    let git = place.git();
    let files = |name: &str| {
        let tree = git.find_commit(place.tip(name).unwrap()).unwrap().tree().unwrap();
        let mut files = Vec::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            if entry.kind() == Some(git2::ObjectType::Blob) {
                files.push(format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes())));
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        files
    };
    assert_eq!(files("refs/heads/environment/sandbox"), ["README.md"]);
    let proposed = files(BRANCH);
    assert!(proposed.contains(&"deploy/sandbox/statefulset-trow-set.yaml".to_owned()));
    assert!(proposed.iter().all(|file| file == "README.md" || file.starts_with("deploy/")));
    assert!(!proposed.iter().any(|file| file.contains("lapin")), "{proposed:?}");

    // What the forge merges is there the next time, whichever way it merges.
    let target = "refs/heads/environment/sandbox";
    let begun = place.tip(target).unwrap();
    let who = Signature::now("Bert", "bert@example").unwrap();
    let propose = || place.propose(&["--layout", "branch"]);
    for (size, squash) in [("20Gi", false), ("30Gi", true), ("40Gi", false)] {
        place.work.write("environments/sandbox.toml", &sandbox.replace("10Gi", size));
        // What it is rendered from is on main first.
        let (code, _, stderr) = propose();
        assert_eq!(code, 1, "{size}: {stderr}");
        assert!(stderr.contains("environments/sandbox.toml is not what main has"), "{stderr}");
        let main = Place::commit_all(&work);
        place.put(&work, "refs/heads/main", main);
        let (code, _, stderr) = propose();
        assert_eq!(code, 0, "{size}: {stderr}");
        assert_eq!(place.tip("refs/heads/main"), Some(main), "{size}");
        let (proposed, onto) = (place.tip(BRANCH).unwrap(), place.tip(target).unwrap());
        let statefulset = "deploy/sandbox/statefulset-trow-set.yaml";
        let changed = place.changed(proposed);
        assert!(changed.contains(&statefulset.to_owned()), "{size}: {changed:?}");
        assert!(!changed.iter().any(|file| file.starts_with("environments/")), "{changed:?}");
        assert_eq!(git.find_commit(proposed).unwrap().parent_id(0).ok(), Some(onto), "{size}");
        let commit = git.find_commit(proposed).unwrap();
        let before = git.find_commit(onto).unwrap();
        let parents = if squash { vec![&before] } else { vec![&before, &commit] };
        let tree = commit.tree().unwrap();
        git.commit(Some(target), &who, &who, "merge", &tree, &parents).unwrap();
        let blob = tree.get_path(statefulset.as_ref()).unwrap().to_object(&git).unwrap();
        let text = String::from_utf8(blob.peel_to_blob().unwrap().content().to_vec()).unwrap();
        assert!(text.contains(size), "{text}");
        let (code, _, stderr) = propose();
        assert_eq!(code, 0, "{size}: {stderr}");
        assert!(stderr.contains("nothing to propose"), "{size}: {stderr}");
        assert_eq!(place.tip(BRANCH), None, "{size}: the merged proposal's branch is removed");
    }
    // The branch has only ever grown.
    let grown = git.graph_descendant_of(place.tip(target).unwrap(), begun).unwrap();
    assert!(grown);
}

/// A place whose remote is a git server over HTTP.
fn over_http(behaviour: Behaviour) -> (Place, GitServer) {
    let place = Place::new();
    place.change();
    let server = GitServer::start(place.bare.path(), behaviour);
    let git = Git::open(place.work.path("")).unwrap();
    let url = server.url().replace("/repo.git", "/owner/name.git");
    git.remote_set_url("origin", &url).unwrap();
    (place, server)
}

fn basic(user: &str, secret: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{secret}"));
    format!("Basic {pair}")
}

#[test]
fn each_forge_gets_one_pull_request_that_follows_the_state() {
    for (forge, authorization) in [
        ("github", "Bearer s3cret"),
        ("gitlab", "Bearer s3cret"),
        ("gitea", "token s3cret"),
        ("forgejo", "token s3cret"),
    ] {
        let api = ForgeServer::start(authorization);
        let user = if forge == "gitlab" { "oauth2" } else { "x-access-token" };
        let guard = Behaviour::Guard(basic(user, "s3cret"));
        let (place, _server) = over_http(guard);
        let propose = || {
            let url = api.api();
            let arguments = ["--forge", forge, "--api", &url];
            place.propose_with(&arguments, &[("WARREN_FORGE_TOKEN", "s3cret")])
        };
        let (code, stdout, stderr) = propose();
        assert_eq!(code, 0, "{forge}: {stderr}");
        assert_eq!(stdout, "https://f/1\n", "{forge}");
        let pull = api.pulls().remove(0);
        assert_eq!((pull.head.as_str(), pull.base.as_str()), ("warren/sandbox", "main"));
        assert!(pull.title.starts_with("sandbox: 0 added, 2 changed"), "{}", pull.title);
        for part in
            ["immutable field", "### Checks", "- **warning** [", "### Provenance", "sha256:"]
        {
            assert!(pull.body.contains(part), "{forge}, {part}: {}", pull.body);
        }
        let writes = api.writes().len();
        let (code, _, stderr) = propose();
        assert_eq!(code, 0, "{forge}: {stderr}");
        assert!(stderr.contains("pull request 1 says it already"), "{stderr}");
        assert_eq!(api.writes().len(), writes, "{forge}: the same state twice changes nothing");

        let toml = place.work.text("environments/sandbox.toml").replace("20Gi", "30Gi");
        place.work.write("environments/sandbox.toml", &toml);
        let (code, _, stderr) = propose();
        assert_eq!(code, 0, "{forge}: {stderr}");
        assert!(stderr.contains("pull request 1 updated"), "{stderr}");
        assert_eq!(api.pulls().len(), 1, "{forge}");
        assert!(api.pulls()[0].body.contains("30Gi"), "{forge}");
        assert!(!format!("{stderr}{}", api.pulls()[0].body).contains("s3cret"));

        // Back to what main has: what is open would bring back what was.
        let toml = place.work.text("environments/sandbox.toml").replace("30Gi", "10Gi");
        place.work.write("environments/sandbox.toml", &toml);
        let (code, _, stderr) = propose();
        assert_eq!(code, 0, "{forge}: {stderr}");
        assert!(stderr.contains("warren/sandbox is removed, and https://f/1 closed"), "{stderr}");
        assert!(api.pulls()[0].closed, "{forge}");
        assert_eq!(place.tip(BRANCH), None, "{forge}");
    }
}

#[test]
fn a_forks_pull_request_of_the_same_name_is_not_ours() {
    for (forge, authorization) in
        [("github", "Bearer s"), ("gitlab", "Bearer s"), ("gitea", "token s")]
    {
        let api = ForgeServer::start(authorization);
        api.open_from_fork("warren/sandbox", "main");
        let (place, _server) = over_http(Behaviour::Serve);
        let url = api.api();
        let arguments = ["--forge", forge, "--api", url.as_str()];
        let (code, stdout, stderr) = place.propose_with(&arguments, &[("WARREN_FORGE_TOKEN", "s")]);
        assert_eq!((code, stdout.as_str()), (0, "https://f/2\n"), "{forge}: {stderr}");
        assert_eq!(api.pulls()[0].title, "theirs", "{forge}");
    }
}

#[test]
fn a_renamed_repository_is_followed_but_no_token_goes_to_another_host() {
    let (api, other) = (ForgeServer::start("Bearer s3cret"), ForgeServer::start("Bearer s3cret"));
    let (place, server) = over_http(Behaviour::Serve);
    let git = Git::open(place.work.path("")).unwrap();
    let old = server.url().replace("/repo.git", "/owner/old.git");
    git.remote_set_url("origin", &old).unwrap();
    let url = api.api();
    let propose = || {
        let arguments = ["--forge", "github", "--api", url.as_str()];
        place.propose_with(&arguments, &[("WARREN_FORGE_TOKEN", "s3cret")])
    };
    let (code, stdout, stderr) = propose();
    assert_eq!((code, stdout.as_str()), (0, "https://f/1\n"), "{stderr}");
    // A change of what is there goes the same way.
    let toml = place.work.text("environments/sandbox.toml").replace("20Gi", "30Gi");
    place.work.write("environments/sandbox.toml", &toml);
    let (code, _, stderr) = propose();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("pull request 1 updated"), "{stderr}");
    assert!(api.pulls()[0].body.contains("30Gi"));
    api.move_to(&other.api());
    let (code, _, stderr) = propose();
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("was answered 301: Moved Permanently"), "{stderr}");
    assert!(stderr.contains("git remote set-url"), "{stderr}");
    assert_eq!(other.asked(), 0);
}

#[test]
fn a_clone_that_is_behind_takes_nothing_back() {
    let place = Place::new();
    // Somebody changes the environment at the remote; our clone does not know it.
    let git = Git::open(place.work.path("")).unwrap();
    let ours = place.work.text("environments/sandbox.toml");
    place.work.write("environments/sandbox.toml", &ours.replace("10Gi", "40Gi"));
    place.work.warren(&["deploy", "sandbox", "--no-apply"]).assert().success();
    let head = git.head().unwrap().peel_to_commit().unwrap();
    let theirs = Place::commit_all(&git);
    place.put(&git, "refs/heads/main", theirs);
    git.reset(head.as_object(), git2::ResetType::Hard, None).unwrap();
    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("environments/sandbox.toml was changed on main"), "{stderr}");
    assert!(stderr.contains("pull first"), "{stderr}");
    assert_eq!(place.tip(BRANCH), None);
}

#[test]
fn a_branch_that_moved_between_look_and_push_is_not_overwritten() {
    use warren::delivery::git::{GitError, Remote};
    let (place, _server) = over_http(Behaviour::Serve);
    let git = Git::open(place.work.path("")).unwrap();
    let main = git.head().unwrap().peel_to_commit().unwrap();
    let who = Signature::now("Bert", "bert@example").unwrap();
    let tree = main.tree().unwrap();
    let commit = |text: &str| git.commit(None, &who, &who, text, &tree, &[&main]).unwrap();
    let (ours, theirs) = (commit("ours"), commit("theirs"));
    let folder = bare_url(&place.bare).to_owned();
    git.remote("folder", &folder).unwrap();
    for name in ["origin", "folder"] {
        let remote = Remote::open(&git, name, None).unwrap();
        let push = |commit, expected| remote.push(&git, commit, "warren/sandbox", expected);
        push(theirs, place.tip(BRANCH)).unwrap();
        // We looked when it was not there, or somewhere else.
        for seen in [None, Some(main.id())] {
            let error = push(ours, seen).unwrap_err();
            assert!(matches!(error, GitError::Moved { .. }), "{name}: {error}");
            assert_eq!(place.tip(BRANCH), Some(theirs), "{name}");
        }
        let error = remote.delete(&git, "warren/sandbox", main.id()).unwrap_err();
        assert!(matches!(error, GitError::Moved { .. }), "{name}: {error}");
        push(ours, Some(theirs)).unwrap();
        assert_eq!(place.tip(BRANCH), Some(ours), "{name}");
        remote.delete(&git, "warren/sandbox", ours).unwrap();
        assert_eq!(place.tip(BRANCH), None, "{name}");
    }
}

#[test]
fn a_token_that_expired_is_told_and_nothing_is_half_done() {
    let api = ForgeServer::start("token s3cret");
    let url = api.api();
    let arguments = ["--forge", "gitea", "--api", url.as_str()];
    let (place, _server) = over_http(Behaviour::Guard(basic("x-access-token", "s3cret")));
    let (code, _, stderr) = place.propose_with(&arguments, &[("WARREN_FORGE_TOKEN", "old")]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("answered 401") && stderr.contains("has expired"), "{stderr}");
    assert_eq!(place.tip(BRANCH), None);

    // git lets us in, the API does not: the branch stays, the next run goes on.
    let (place, _server) = over_http(Behaviour::Serve);
    let (code, _, stderr) = place.propose_with(&arguments, &[("WARREN_FORGE_TOKEN", "old")]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("warren/sandbox is pushed, but its pull request"), "{stderr}");
    assert!(place.tip(BRANCH).is_some());
    let (code, _, stderr) = place.propose_with(&arguments, &[("WARREN_FORGE_TOKEN", "s3cret")]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(api.pulls().len(), 1);
}

#[test]
fn without_a_token_or_a_known_forge_the_way_out_is_told() {
    let (place, _server) = over_http(Behaviour::Serve);
    let (code, _, stderr) = place.propose(&[]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("which forge 127.0.0.1 is") && stderr.contains("--forge"), "{stderr}");
    let (code, _, stderr) = place.propose(&["--forge", "gitea"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("there is no token for http://127.0.0.1"), "{stderr}");
    let (code, _, stderr) = place.propose(&["--no-pull-request"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(place.tip(BRANCH).is_some());
}

#[test]
fn a_remote_that_refuses_or_is_away_is_told_apart() {
    let (place, _server) = over_http(Behaviour::Refuse);
    let (code, _, stderr) = place.propose(&["--no-pull-request"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("pre-receive hook declined"), "{stderr}");
    assert_eq!(place.tip(BRANCH), None);
    let git = Git::open(place.work.path("")).unwrap();
    git.remote_set_url("origin", "http://127.0.0.1:1/owner/name.git").unwrap();
    let (code, _, stderr) = place.propose(&["--no-pull-request"]);
    assert_eq!(code, 4, "{stderr}");
    let (code, _, stderr) = place.propose(&["--remote", "upstream"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("there is no remote `upstream`; there is origin"), "{stderr}");
}

#[test]
fn json_tells_all_of_it() {
    let place = Place::new();
    place.change();
    let (code, stdout, stderr) = place.propose(&["--output", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: BTreeMap<String, Value> = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["pushed"], "created");
    assert_eq!(report["commit"], place.tip(BRANCH).unwrap().to_string().as_str());
    assert_eq!(report["difference"]["objects"].as_array().unwrap().len(), 2);
}

#[test]
fn an_image_is_promoted_to_the_next_environment() {
    let place = Place::new();
    let toml = place.work.text("environments/sandbox.toml");
    let image = "engine = \"trow\"\nimage = \"registry.example/trow:0.10.1\"";
    place.work.write("environments/sandbox.toml", &toml.replace("engine = \"trow\"", image));
    let promote = |more: &[&str]| {
        let arguments = [&["promote", "sandbox", "--to", "lapin"], more].concat();
        outcome(&mut place.work.warren(&arguments))
    };
    let before = place.work.text("environments/lapin.toml");
    let (code, _, stderr) = promote(&[]);
    assert_eq!(code, 0, "{stderr}");
    let carried = "lapin: registry.image: nothing -> \"registry.example/trow:0.10.1\"";
    assert!(stderr.contains(carried), "{stderr}");
    let tip = place.tip("refs/heads/warren/lapin").unwrap();
    assert_eq!(
        place.changed(tip),
        [
            "deploy/.provenance/lapin.intoto.json",
            "deploy/lapin/statefulset-trow-set.yaml",
            "environments/lapin.toml",
        ]
    );
    assert_eq!(place.work.text("environments/lapin.toml"), before, "the work tree stays");
    let git = place.git();
    let tree = git.find_commit(tip).unwrap().tree().unwrap();
    let entry = tree.get_path("environments/lapin.toml".as_ref()).unwrap();
    let blob = git.find_blob(entry.id()).unwrap();
    let proposed = String::from_utf8(blob.content().to_vec()).unwrap();
    assert!(proposed.contains("# the node's label kubernetes.io/hostname"), "comments stay");
    // What a rendering reads besides is there too.
    let ours = |text: &str| text.replace("engine = \"trow\"", "engine = \"warren\"");
    place.work.write("environments/sandbox.toml", &ours(&toml));
    let dashboard = format!("{}\n[monitoring]\ndashboard = true\n", ours(&before));
    place.work.write("environments/lapin.toml", &dashboard);
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    for path in warren::fs::list(&from).unwrap() {
        let name = format!("dashboards/{}", path.file_name().unwrap().to_string_lossy());
        place.work.write(&name, &warren::fs::read_to_string(&path).unwrap());
    }
    let (code, _, stderr) = promote(&["--dry-run"]);
    // main does not have the dashboard's file: that is as far as it may come.
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("dashboards/warren-registry.json is not what main has"), "{stderr}");
    let (code, _, stderr) = promote(&["--key", "registry.nonsense"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("neither sandbox nor lapin has the key"), "{stderr}");
    let (code, _, stderr) = outcome(&mut place.work.warren(&["promote", "lapin", "--to", "lapin"]));
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn a_remote_over_ssh_is_spoken_to_by_the_machines_ssh() {
    // What it says there, tests/forge shows with a real server.
    let place = Place::new();
    place.change();
    let git = Git::open(place.work.path("")).unwrap();
    git.remote_set_url("origin", "ssh://git@git.example:2222/owner/it's.git").unwrap();
    place.work.write("ssh", "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.log\"\nexit 255\n");
    let program = format!("sh {}", place.work.path("ssh").display());
    let (code, _, stderr) =
        place.propose_with(&["--no-pull-request"], &[("GIT_SSH_COMMAND", &program)]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("ssh://git@git.example:2222/owner/it's.git can't be used"), "{stderr}");
    let log = place.work.text("ssh.log");
    let words: Vec<_> = log.lines().collect();
    let end = ["-p", "2222", "--", "git@git.example", r"git-upload-pack '/owner/it'\''s.git'"];
    assert!(words.ends_with(&end), "{words:?}");
}
