//! `warren agent`: what Argo CD and Flux are given, against what is rendered.

use std::collections::BTreeSet;

use serde_json::Value;
use warren::delivery::difference::json;
use warren::pipeline::yaml;

use super::deploy::{Repository, outcome};

/// Two environments whose objects have the same names, in two clusters.
const BOTH: &[&str] = &["sandbox", "lapin", "--cluster", "lapin=https://lapin"];

const URL: &str = "https://git.lapin.io/paas.git";

fn agent(repository: &Repository, arguments: &[&str]) -> Vec<Value> {
    let all = [&["agent"], arguments, &["--url", URL]].concat();
    let (code, stdout, stderr) = outcome(&mut repository.warren(&all));
    assert_eq!(code, 0, "{stderr}");
    yaml::read("agent", &stdout).unwrap().iter().map(json).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn argo_may_sync_what_is_rendered_and_nothing_else() {
    let repository = Repository::new();
    repository.warren(&["deploy", "sandbox", "--no-apply"]).assert().success();
    let objects = agent(&repository, &["argo", "sandbox"]);
    let [application] = of_kind(&objects, "Application")[..] else { panic!("{objects:#?}") };
    let source = &application["spec"]["source"];
    assert_eq!(
        (source["path"].as_str(), source["repoURL"].as_str()),
        (Some("deploy/sandbox"), Some(URL))
    );
    let [project] = of_kind(&objects, "AppProject")[..] else { panic!("{objects:#?}") };
    assert_eq!(application["spec"]["project"], project["metadata"]["name"]);
    let pair = |group: &str, kind: &str| format!("{group}/{kind}");
    let listed = |key: &str| -> BTreeSet<String> {
        let list = project["spec"][key].as_array().unwrap();
        let one = |one: &Value| pair(one["group"].as_str().unwrap(), one["kind"].as_str().unwrap());
        list.iter().map(one).collect()
    };
    let (mut cluster, mut namespaced, mut spaces) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for path in warren::fs::list(&repository.path("deploy/sandbox")).unwrap() {
        if path.ends_with("kustomization.yaml") {
            continue;
        }
        let text = warren::fs::read_to_string(&path).unwrap();
        let object = json(&yaml::read("x", &text).unwrap().remove(0));
        let version = object["apiVersion"].as_str().unwrap();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let pair = pair(group, object["kind"].as_str().unwrap());
        match object["metadata"]["namespace"].as_str() {
            None => cluster.insert(pair),
            Some(namespace) => {
                spaces.insert(namespace.to_owned());
                namespaced.insert(pair)
            }
        };
    }
    assert_eq!(listed("clusterResourceWhitelist"), cluster);
    assert_eq!(listed("namespaceResourceWhitelist"), namespaced);
    let destinations = project["spec"]["destinations"].as_array().unwrap();
    let allowed: BTreeSet<_> =
        destinations.iter().map(|one| one["namespace"].as_str().unwrap().to_owned()).collect();
    assert_eq!(allowed, spaces);
}

#[test]
fn nothing_but_a_webhook_waits_for_the_registry_to_be_healthy() {
    // Argo CD applies a later wave only then: a revision that never gets there would
    // keep the one that mends it from being synced.
    let environments = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("environments");
    let mut folders = warren::fs::list(&environments.join("components")).unwrap();
    folders.push(environments.join("base"));
    let files = folders.iter().flat_map(|folder| warren::fs::list(folder).unwrap());
    let mut later = BTreeSet::new();
    for file in files.filter(|file| file.extension().is_some_and(|one| one == "yaml")) {
        let text = warren::fs::read_to_string(&file).unwrap();
        for object in yaml::read("x", &text).unwrap().iter().map(json) {
            let wave = &object["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"];
            if wave.as_str().is_some_and(|wave| wave.parse::<i32>().unwrap() > 0) {
                later.insert(object["kind"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(later, BTreeSet::from(["ValidatingWebhookConfiguration".to_owned()]));
}

#[test]
fn several_environments_are_one_set() {
    let repository = Repository::new();
    let objects =
        agent(&repository, &[&["argo", "--branch", "environment/{environment}"], BOTH].concat());
    let [set] = of_kind(&objects, "ApplicationSet")[..] else { panic!("{objects:#?}") };
    assert_eq!(of_kind(&objects, "AppProject").len(), 2);
    let elements = &set["spec"]["generators"][0]["list"]["elements"];
    assert_eq!(elements[1]["environment"], "lapin");
    assert_eq!(elements[1]["branch"], "environment/lapin");
    assert_eq!(elements[0]["server"], "https://kubernetes.default.svc");
    assert_eq!(elements[1]["server"], "https://lapin");
    let destination = &set["spec"]["template"]["spec"]["destination"];
    assert_eq!(destination["server"], "{{ .server }}");
    let servers = |project: &Value| project["spec"]["destinations"][0]["server"].clone();
    let projects = of_kind(&objects, "AppProject");
    assert_eq!(projects.into_iter().map(servers).collect::<Vec<_>>()[1], "https://lapin");
    assert_eq!(set["spec"]["syncPolicy"]["preserveResourcesOnDeletion"], true);
}

#[test]
fn flux_gets_the_branch_and_a_kustomization_for_each_environment() {
    let repository = Repository::new();
    let objects = agent(
        &repository,
        &[&["flux", "--secret", "git-token", "--depends-on", "cert-manager"], BOTH].concat(),
    );
    let [source] = of_kind(&objects, "GitRepository")[..] else { panic!("{objects:#?}") };
    assert_eq!(source["spec"]["secretRef"]["name"], "git-token");
    let kustomizations = of_kind(&objects, "Kustomization");
    let [first, second] = kustomizations[..] else { panic!("{objects:#?}") };
    assert_eq!(first["spec"]["path"], "./deploy/sandbox");
    assert_eq!(second["spec"]["path"], "./deploy/lapin");
    assert_eq!(first["spec"]["kubeConfig"], Value::Null);
    assert_eq!(second["spec"]["kubeConfig"]["secretRef"]["name"], "https://lapin");
    for one in kustomizations {
        let spec = &one["spec"];
        assert_eq!(spec["sourceRef"]["name"], source["metadata"]["name"]);
        assert_eq!((&spec["prune"], &spec["wait"]), (&true.into(), &true.into()));
        assert_eq!(spec["dependsOn"][0]["name"], "cert-manager");
        assert_eq!(spec["decryption"], Value::Null);
    }
    let objects =
        agent(&repository, &[&["flux", "--branch", "environment/{environment}"], BOTH].concat());
    let branches: Vec<_> = of_kind(&objects, "GitRepository")
        .iter()
        .map(|one| one["spec"]["ref"]["branch"].clone())
        .collect();
    assert_eq!(branches, ["environment/sandbox", "environment/lapin"]);
}

#[test]
fn environments_that_would_fight_over_an_object_are_told() {
    let repository = Repository::new();
    let refused = |more: &[&str]| {
        let arguments = [&["agent"], more, &["--url", URL]].concat();
        let (code, stdout, stderr) = outcome(&mut repository.warren(&arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        stderr
    };
    for agent in ["argo", "flux"] {
        let told = refused(&[agent, "sandbox", "lapin"]);
        assert!(told.contains("sandbox and lapin both hold "), "{told}");
        assert!(told.contains("--cluster ENVIRONMENT=WHERE"), "{told}");
    }
    for (more, told) in [
        (["argo", "sandbox", "sandbox"].as_slice(), "sandbox is named twice"),
        (&["argo", "sandbox", "--cluster", "lapin=x"], "lapin is not asked for"),
        (&["argo", "sandbox", "--cluster", "sandbox=x", "--cluster", "sandbox=y"], "says twice"),
        (&["argo", "sandbox", "--cluster", "sandbox"], "this is ENVIRONMENT=WHERE"),
        (&["argo", "sandbox", "--branch", ""], "--branch"),
    ] {
        let said = refused(more);
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn argo_knows_the_repository_by_a_secret_without_credentials() {
    let repository = Repository::new();
    let objects = agent(&repository, &["argo", "sandbox", "--secret", "trow-repository"]);
    let [secret] = of_kind(&objects, "Secret")[..] else { panic!("{objects:#?}") };
    let labels = &secret["metadata"]["labels"];
    assert_eq!(labels["argocd.argoproj.io/secret-type"], "repository");
    assert_eq!(secret["stringData"], serde_json::json!({"type": "git", "url": URL}));
}

#[test]
fn a_remote_over_ssh_is_named_as_each_agent_reads_it() {
    let repository = Repository::new();
    let git = git2::Repository::init(repository.path("")).unwrap();
    git.remote("origin", "git@git.example:team/paas.git").unwrap();
    let url = |agent: &str| {
        let (code, stdout, stderr) = outcome(&mut repository.warren(&["agent", agent, "sandbox"]));
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    assert!(url("argo").contains("repoURL: git@git.example:team/paas.git\n"));
    assert!(url("flux").contains("url: ssh://git@git.example/team/paas.git\n"));
}

#[test]
fn a_url_must_be_known() {
    let repository = Repository::new();
    let (code, _, stderr) = outcome(&mut repository.warren(&["agent", "flux", "sandbox"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--url URL"), "{stderr}");
}
