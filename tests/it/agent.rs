//! `warren agent`: what Argo CD and Flux are given, against what is rendered.

use std::collections::BTreeSet;

use serde_json::Value;
use warren::delivery::difference::json;
use warren::pipeline::yaml;

use super::deploy::{Repository, outcome};

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
fn several_environments_are_one_set() {
    let repository = Repository::new();
    let objects =
        agent(&repository, &["argo", "sandbox", "lapin", "--branch", "environment/{environment}"]);
    let [set] = of_kind(&objects, "ApplicationSet")[..] else { panic!("{objects:#?}") };
    assert_eq!(of_kind(&objects, "AppProject").len(), 2);
    let elements = &set["spec"]["generators"][0]["list"]["elements"];
    assert_eq!(elements[1]["environment"], "lapin");
    assert_eq!(elements[1]["branch"], "environment/lapin");
    assert_eq!(set["spec"]["syncPolicy"]["preserveResourcesOnDeletion"], true);
}

#[test]
fn flux_gets_the_branch_and_a_kustomization_for_each_environment() {
    let repository = Repository::new();
    let objects = agent(
        &repository,
        &["flux", "sandbox", "lapin", "--secret", "git-token", "--depends-on", "cert-manager"],
    );
    let [source] = of_kind(&objects, "GitRepository")[..] else { panic!("{objects:#?}") };
    assert_eq!(source["spec"]["secretRef"]["name"], "git-token");
    let kustomizations = of_kind(&objects, "Kustomization");
    let [first, second] = kustomizations[..] else { panic!("{objects:#?}") };
    assert_eq!(first["spec"]["path"], "./deploy/sandbox");
    assert_eq!(second["spec"]["path"], "./deploy/lapin");
    for one in kustomizations {
        let spec = &one["spec"];
        assert_eq!(spec["sourceRef"]["name"], source["metadata"]["name"]);
        assert_eq!((&spec["prune"], &spec["wait"]), (&true.into(), &true.into()));
        assert_eq!(spec["dependsOn"][0]["name"], "cert-manager");
        assert_eq!(spec["decryption"], Value::Null);
    }
    let objects =
        agent(&repository, &["flux", "sandbox", "lapin", "--branch", "environment/{environment}"]);
    let branches: Vec<_> = of_kind(&objects, "GitRepository")
        .iter()
        .map(|one| one["spec"]["ref"]["branch"].clone())
        .collect();
    assert_eq!(branches, ["environment/sandbox", "environment/lapin"]);
}

#[test]
fn a_url_must_be_known() {
    let repository = Repository::new();
    let (code, _, stderr) = outcome(&mut repository.warren(&["agent", "flux", "sandbox"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--url URL"), "{stderr}");
}
