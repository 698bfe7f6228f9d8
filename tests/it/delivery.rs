//! `warren deploy`, `drift` and `rollback` against an API server in memory:
//! the order, the difference, the lease, the history, and each fault.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use super::api_server::{ApiServer, Fault};
use super::deploy::{Repository, outcome};

const CONTEXT: &str = "kubernetes-admin@sandbox";
const SET: &str = "/apis/apps/v1/namespaces/trow/statefulsets/trow-set";
const SERVICE: &str = "/api/v1/namespaces/trow/services/trow-svc";
const VOLUME: &str = "/api/v1/persistentvolumes/trow-data-hostpath-pv";
const ISSUER: &str = "/apis/cert-manager.io/v1/clusterissuers/ca-issuer";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/trow/leases/warren-sandbox";

/// A repository, an API server and a kubeconfig between them.
struct Place {
    repository: Repository,
    server: ApiServer,
}

impl Place {
    /// With the Secrets that the registry needs, unless nothing is to work.
    fn new() -> Self {
        let place = Self { repository: Repository::new(), server: ApiServer::start() };
        place.server.kubeconfig(&place.repository.path("kubeconfig"), CONTEXT);
        for (namespace, name) in
            [("trow", "trow-pass"), ("trow", "trow-cred"), ("cert-manager", "ca-priv")]
        {
            let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
            place.server.put(&format!("/api/v1/namespaces/{namespace}/secrets/{name}"), object);
        }
        place
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.repository.warren(arguments);
        outcome(command.env("KUBECONFIG", self.repository.path("kubeconfig")))
    }

    /// Runs a command on a terminal on which somebody types this; the exit code and
    /// what there is to read.
    fn on_a_terminal(&self, arguments: &[&str], typed: &str) -> (i32, String) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ptsname(&ours, Vec::new()).unwrap();
        let theirs = || {
            let path = OsStr::from_bytes(theirs.as_bytes());
            File::options().read(true).write(true).open(path).unwrap()
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
        command
            .args(arguments)
            .arg("--root")
            .arg(self.repository.path(""))
            .env_remove("CI")
            .env("NO_COLOR", "1");
        command.env("KUBECONFIG", self.repository.path("kubeconfig"));
        command.stdin(theirs()).stdout(theirs()).stderr(theirs());
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut ours = File::from(ours);
        ours.write_all(typed.as_bytes()).unwrap();
        let mut said = Vec::new();
        // The terminal's end is an error where the last who has it open goes.
        let _ = ours.read_to_end(&mut said);
        (child.wait().unwrap().code().unwrap(), String::from_utf8(said).unwrap())
    }

    /// Deploys without waiting: nobody makes pods here.
    fn deploy(&self, more: &[&str]) -> (i32, String, String) {
        self.run(&[&["deploy", "sandbox", "--no-wait"], more].concat())
    }

    fn deployed() -> Self {
        let place = Self::new();
        let (code, _, stderr) = place.deploy(&[]);
        assert_eq!(code, 0, "{stderr}");
        place
    }

    fn change(&self, from: &str, to: &str) {
        let text = self.repository.text("environments/sandbox.toml");
        assert!(text.contains(from), "{from}");
        self.repository.write("environments/sandbox.toml", &text.replace(from, to));
    }

    fn history(&self) -> Vec<Value> {
        let (code, stdout, stderr) =
            self.run(&["rollback", "sandbox", "--list", "--output", "json"]);
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// The states of the revisions, in order.
    fn states(&self) -> Vec<String> {
        let state = |record: &Value| record["state"].as_str().unwrap().to_owned();
        self.history().iter().map(state).collect()
    }

    fn fail(&self, method: &'static str, within: &'static str, code: u16, message: &'static str) {
        let reason = match code {
            403 => "Forbidden",
            409 => "Conflict",
            422 => "Invalid",
            _ => "",
        };
        let fault =
            Fault { method, within, without: "", after: "", code, reason, message, times: 100 };
        self.server.fail(fault);
    }
}

#[test]
fn the_first_deployment_applies_in_order_and_the_second_changes_nothing() {
    let place = Place::new();
    let (code, stdout, stderr) = place.deploy(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("+ statefulset/trow-set"), "{stdout}");
    assert!(stderr.contains("applied to kubernetes-admin@sandbox as revision 1"), "{stderr}");
    let writes = place.server.writes();
    let at = |what: &str| {
        let found = writes.iter().position(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("{what} was not written: {writes:#?}"))
    };
    assert!(at("/namespaces/trow?") < at("/leases"), "the lease lives in the namespace");
    assert!(at("/leases") < at("configmaps"), "written down under the lease");
    assert!(at("configmaps") < at("trow-data-hostpath-pv"), "written down before it is applied");
    assert!(at("persistentvolumes/") < at("statefulsets/"));
    assert!(at("serviceaccounts/") < at("statefulsets/"));
    assert!(
        writes
            .iter()
            .all(|line| !line.starts_with("PATCH") || line.contains("fieldManager=warren"))
    );
    assert_eq!(place.server.get(LEASE).unwrap()["spec"]["holderIdentity"], "");
    assert_eq!(place.states(), ["deployed"]);

    let before = place.server.writes().len();
    let (code, stdout, stderr) = place.deploy(&[]);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(stderr.contains("kubernetes-admin@sandbox is as it should be"), "{stderr}");
    assert_eq!(place.server.writes().len(), before, "nothing is written, not even a lease");
}

#[test]
fn json_tells_each_object() {
    let place = Place::new();
    let (code, stdout, stderr) = place.deploy(&["--output", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let cluster = &report["cluster"];
    assert_eq!((&cluster["outcome"], &cluster["revision"]), (&json!("applied"), &json!(1)));
    let objects = cluster["objects"].as_array().unwrap();
    assert!(objects.contains(&json!({"object": "statefulset/trow-set", "result": "created"})));
}

#[test]
fn what_differs_is_told_with_who_changed_it_and_put_back() {
    let place = Place::deployed();
    assert_eq!(place.run(&["drift", "sandbox"]).0, 0);
    place.server.edit(SERVICE, "/spec/type", json!("NodePort"), "kubectl-edit");
    place.server.edit(SET, "/spec/serviceName", Value::Null, "");
    place.server.edit(SET, "/spec/replicas", json!(3), "kube-controller-manager");
    place.server.remove("/api/v1/namespaces/trow/serviceaccounts/trow");
    let (code, stdout, stderr) = place.run(&["drift", "sandbox"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("- serviceaccount/trow is gone"), "{stdout}");
    let edited = "spec.type: ClusterIP -> NodePort  (kubectl-edit at 2026-02-01T00:00:00Z)";
    assert!(stdout.contains(edited), "{stdout}");
    assert!(stdout.contains("spec.serviceName: trow-svc -> nothing"), "{stdout}");
    assert!(!stdout.contains("replicas"), "that is the controller's: {stdout}");
    assert!(stderr.contains("1 field(s) of controllers left out"), "{stderr}");

    let (_, stdout, _) = place.run(&["drift", "sandbox", "--output", "json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["against"], "revision 1");
    assert_eq!(report["objects"].as_array().unwrap().len(), 3);

    let (code, _, stderr) = place.deploy(&[]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains(".spec.type (conflict with \"kubectl-edit\")"), "{stderr}");
    assert!(stderr.contains("--take-over"), "{stderr}");
    assert_eq!(place.states(), ["deployed"], "nothing was begun");
    let (code, _, stderr) = place.deploy(&["--take-over"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.run(&["drift", "sandbox"]).0, 0);
}

#[test]
fn what_others_added_is_told_and_taken_away_when_asked() {
    let place = Place::deployed();
    let privileged = "/spec/template/spec/hostPID";
    place.server.edit(SET, privileged, json!(true), "kubectl-edit");
    place.server.edit(SET, "/spec/template/spec/hostIPC", json!(true), "kube-controller-manager");
    place.server.edit(SERVICE, "/metadata/labels/of", json!("others"), "kubectl-edit");
    let (code, stdout, stderr) = place.run(&["drift", "sandbox"]);
    assert_eq!(code, 1, "{stderr}");
    let told = "spec.template.spec.hostPID: nothing -> true  (kubectl-edit at 2026";
    assert!(stdout.contains(told), "{stdout}");
    assert!(!stdout.contains("hostIPC"), "that is the controller's: {stdout}");
    assert!(!stdout.contains("labels.of"), "labels are everybody's: {stdout}");

    let (code, _, stderr) = place.deploy(&[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("1 field(s) that others added stay"), "{stderr}");
    assert!(stderr.contains("hostPID (kubectl-edit)"), "{stderr}");
    assert_eq!(place.server.get(SET).unwrap().pointer(privileged), Some(&json!(true)));

    let (code, stdout, stderr) = place.deploy(&["--take-over", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("spec.template.spec.hostPID: - true  ! restart"), "{stdout}");
    assert!(stderr.contains("statefulset/trow-set configured"), "{stderr}");
    let set = place.server.get(SET).unwrap();
    assert_eq!(set.pointer(privileged), None);
    assert_eq!(set.pointer("/spec/template/spec/hostIPC"), Some(&json!(true)));
    assert_eq!(place.run(&["drift", "sandbox"]).0, 0);
}

#[test]
fn an_environment_that_moves_leaves_nothing_behind_unseen() {
    let place = Place::deployed();
    let (code, _, stderr) = place.deploy(&["--yes", "--moved-from", "trow"]);
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(place.states(), ["deployed"], "its records stay");
    place.change("namespace = \"trow\"", "namespace = \"other\"");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 1, "{stderr}");
    let told = "nothing was applied: sandbox is delivered to the namespace trow of this cluster";
    assert!(stderr.contains(told), "{stderr}");
    assert!(place.server.paths("/namespaces/other").is_empty());
    let (code, _, stderr) = place.deploy(&["--yes", "--moved-from", "nowhere"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("never delivered to the namespace nowhere"), "{stderr}");

    let (code, _, stderr) = place.deploy(&["--yes", "--moved-from", "trow"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(place.server.get(SET).is_none(), "{stderr}");
    assert!(place.server.get(&SET.replace("/trow/", "/other/")).is_some());
    assert!(place.server.get("/api/v1/namespaces/trow").is_some(), "it holds data");
    assert!(stderr.contains("namespace/trow no longer renders and is left"), "{stderr}");
    assert!(place.server.paths("/namespaces/trow/configmaps/warren-").is_empty());
    assert_eq!(place.deploy(&[]).0, 0, "it is where it is said to be");
}

#[test]
fn a_server_that_is_gone_for_a_moment_is_asked_again() {
    let place = Place::deployed();
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    place.server.edit(ISSUER, "/status", ready, "cert-manager");
    let status = json!({"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1});
    place.server.edit(SET, "/status", status, "kube-controller-manager");
    let gone = |times| Fault {
        method: "GET",
        within: "/statefulsets/trow-set",
        without: "",
        // What only happens when everything was applied: the last of the objects.
        after: "statefulsets/trow-set?fieldManager",
        code: 0,
        reason: "",
        message: "",
        times,
    };
    place.change("uid = 999", "uid = 998");
    place.server.fail(gone(2));
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--yes", "--timeout", "30"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("statefulset/trow-set: the cluster does not answer"), "{stderr}");
    place.change("uid = 998", "uid = 997");
    place.server.fail(gone(100));
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--yes", "--timeout", "1"]);
    assert_eq!(code, 4, "{stderr}");
    let told = "revision 3 is applied, but whether it works is not known";
    assert!(stderr.contains(told), "{stderr}");
}

#[test]
fn what_is_being_deleted_is_not_what_is_there() {
    let place = Place::deployed();
    place.server.edit(VOLUME, "/metadata/finalizers", json!(["kubernetes.io/pv-protection"]), "x");
    let since = json!("2026-02-01T00:00:00Z");
    place.server.edit(VOLUME, "/metadata/deletionTimestamp", since, "x");
    let (code, stdout, stderr) = place.run(&["drift", "sandbox"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("~ persistentvolume/trow-data-hostpath-pv is being deleted"));
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 1, "{stderr}");
    let told = "it is being deleted since 2026-02-01T00:00:00Z, and waits for \
                kubernetes.io/pv-protection";
    assert!(stderr.contains(told), "{stderr}");
    assert!(stderr.contains("nothing was applied"), "{stderr}");
    assert_eq!(place.states(), ["deployed"]);
}

#[test]
fn a_missing_right_to_delete_is_known_before_anything_is_applied() {
    let place = Place::deployed();
    place.change("provider = \"metallb\"", "provider = \"none\"");
    place.fail("DELETE", "/ipaddresspools/", 403, "may not delete pools");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("nothing was applied"), "{stderr}");
    assert!(stderr.contains("ipaddresspool/trow"), "{stderr}");
    assert_eq!(place.states(), ["deployed"]);
    place.server.heal();
    assert_eq!(place.deploy(&["--yes"]).0, 0);
    // Old records that stay are nobody's failure.
    for number in 0..10 {
        let uid = [("uid = 999", "uid = 998"), ("uid = 998", "uid = 999")][number % 2];
        place.change(uid.0, uid.1);
        if number == 9 {
            place.fail("DELETE", "/configmaps/", 403, "may not delete configmaps");
        }
        let (code, _, stderr) = place.deploy(&["--yes"]);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(number == 9, stderr.contains("records of old deliveries stay"), "{stderr}");
    }
}

#[test]
fn a_kubeconfig_that_is_not_there_is_passed_over() {
    let place = Place::deployed();
    let list = format!("/nowhere:{}", place.repository.path("kubeconfig").display());
    let mut command = place.repository.warren(&["drift", "sandbox"]);
    let (code, _, stderr) = outcome(command.env("KUBECONFIG", list));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn an_account_that_may_not_compare_is_told_apart_from_a_difference() {
    let place = Place::deployed();
    place.fail("PATCH", "dryRun=All", 403, "may not patch");
    let (code, _, stderr) = place.run(&["drift", "sandbox"]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("the cluster can't be compared"), "{stderr}");
}

#[test]
fn only_the_namespace_is_made_where_no_lease_may_be_taken() {
    let place = Place::new();
    place.fail("POST", "/leases", 403, "may not create leases");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("only the namespace was made: lease/warren-sandbox"), "{stderr}");
}

#[test]
fn what_an_agent_delivers_is_compared_with_the_folder() {
    let place = Place::deployed();
    let (code, _, stderr) = place.run(&["drift", "sandbox", "--committed"]);
    assert_eq!(code, 0, "{stderr}");
    place.server.edit(SERVICE, "/spec/type", json!("NodePort"), "kubectl-edit");
    let (code, _, stderr) = place.run(&["drift", "sandbox", "--committed"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("compared with deploy/sandbox"), "{stderr}");
}

#[test]
fn an_earlier_delivery_comes_back_as_a_new_revision() {
    let place = Place::deployed();
    place.change("user = \"trow-pass\"", "user = \"trow-pass\"\nreplicas = 1");
    place.change("uid = 999", "uid = 998");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    let uid = |place: &Place| {
        let set = place.server.get(SET).unwrap();
        set.pointer("/spec/template/spec/securityContext/runAsUser").cloned()
    };
    assert_eq!(uid(&place), Some(json!(998)));
    let (code, stdout, stderr) = place.run(&["rollback", "sandbox", "--no-wait", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("runAsUser: 998 -> 999"), "{stdout}");
    assert!(stderr.contains("back at revision 1, as revision 3"), "{stderr}");
    assert_eq!(uid(&place), Some(json!(999)));
    assert_eq!(place.history()[2]["rollback_of"], 1);
    let (code, _, stderr) = place.run(&["rollback", "sandbox", "7"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("it keeps 1, 2, 3"), "{stderr}");
}

#[test]
fn what_no_longer_renders_is_pruned_and_data_is_kept() {
    let place = Place::deployed();
    place.change("kind = \"host-path\"", "kind = \"local\"\nnode = \"n1\"");
    place.change("provider = \"metallb\"", "provider = \"none\"");
    let (code, stdout, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("- ipaddresspool/trow"), "{stdout}");
    assert!(stderr.contains("ipaddresspool/trow pruned"), "{stderr}");
    assert!(place.server.paths("ipaddresspools/").is_empty());
    assert!(
        stderr.contains("persistentvolume/trow-data-hostpath-pv no longer renders and is left")
    );
    assert!(place.server.get(VOLUME).is_some());
}

#[test]
fn what_another_environment_holds_is_not_pruned() {
    let place = Place::deployed();
    let record = place.server.get("/api/v1/namespaces/trow/configmaps/warren-sandbox-r1").unwrap();
    let mut other = record.clone();
    other["metadata"]["labels"]["warren.environment"] = json!("lapin");
    other["metadata"]["name"] = json!("warren-lapin-r1");
    place.server.put("/api/v1/namespaces/lapin/configmaps/warren-lapin-r1", other);
    place.change("provider = \"metallb\"", "provider = \"none\"");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.server.paths("ipaddresspools/").len(), 1, "lapin holds it too");
}

#[test]
fn a_refusal_is_known_before_anything_is_applied() {
    for (code, message, told) in [
        (
            403,
            "statefulsets.apps \"trow-set\" is forbidden: User \"dev\" cannot patch resource \
             \"statefulsets\" in API group \"apps\" in the namespace \"trow\"",
            "may not patch statefulsets.apps in namespace trow",
        ),
        (422, "spec.volumeName: Invalid value: field is immutable", "can't be changed"),
        (400, "admission webhook \"v.example\" denied the request: no tags", "its message says"),
    ] {
        let place = Place::new();
        place.fail("PATCH", "statefulsets", code, message);
        let (exit, _, stderr) = place.deploy(&[]);
        assert_eq!(exit, 1, "{stderr}");
        assert!(
            stderr.contains("nothing was applied: the cluster refuses 1 object(s)"),
            "{stderr}"
        );
        assert!(stderr.contains(told), "{stderr}");
        assert!(place.server.writes().is_empty(), "{:?}", place.server.writes());
        place.server.heal();
        assert_eq!(place.deploy(&[]).0, 0, "the next run goes through");
    }
}

#[test]
fn a_kind_that_the_cluster_lacks_is_told_with_what_brings_it() {
    let place = Place::new();
    place.server.forget("ClusterIssuer");
    let (code, _, stderr) = place.deploy(&[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("no kind ClusterIssuer in cert-manager.io/v1"), "{stderr}");
    assert!(stderr.contains("install what brings it"), "{stderr}");
}

#[test]
fn a_deployment_that_was_cut_off_is_repaired_by_the_next() {
    let place = Place::new();
    place.server.fail(Fault {
        method: "PATCH",
        within: "statefulsets",
        without: "dryRun",
        after: "",
        code: 0,
        reason: "",
        message: "",
        times: 1,
    });
    let (code, _, stderr) = place.deploy(&[]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("revision 1 is half applied"), "{stderr}");
    assert!(stderr.contains("go on with warren deploy sandbox"), "{stderr}");
    assert!(place.server.get(SERVICE).is_some() && place.server.get(SET).is_none());
    assert_eq!(place.states(), ["failed"]);
    // What the broken one applied and the next no longer renders is pruned too.
    place.change("provider = \"metallb\"", "provider = \"none\"");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("revision 1 (failed"), "{stderr}");
    assert!(place.server.get(SET).is_some());
    assert_eq!(place.states(), ["failed", "deployed"]);
}

#[test]
fn of_two_deployments_at_once_one_leaves() {
    let place = Place::deployed();
    let mut lease = place.server.get(LEASE).unwrap();
    lease["spec"]["holderIdentity"] = json!("anna@build (1)");
    lease["spec"]["renewTime"] = json!("2099-01-01T00:00:00.000000Z");
    place.server.put(LEASE, lease.clone());
    place.change("uid = 999", "uid = 998");
    let (code, _, stderr) = place.deploy(&["--yes", "--lock-timeout", "1"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("anna@build (1) deploys sandbox since"), "{stderr}");
    assert!(stderr.contains("--lock-timeout"), "{stderr}");
    assert_eq!(place.states(), ["deployed"], "nothing was begun");
    // A holder that died leaves it behind for a minute at most.
    lease["spec"]["renewTime"] = json!("2026-01-01T00:00:00.000000Z");
    place.server.put(LEASE, lease);
    let (code, _, stderr) = place.deploy(&["--yes", "--lock-timeout", "1"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_delivery_in_between_is_noticed() {
    let place = Place::deployed();
    place.change("uid = 999", "uid = 998");
    let taken = "/api/v1/namespaces/trow/configmaps/warren-sandbox-r2";
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
    place.server.put(taken, object);
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("revision 2 was delivered by somebody else"), "{stderr}");
    let set = place.server.get(SET).unwrap();
    assert_eq!(set.pointer("/spec/template/spec/securityContext/runAsUser"), Some(&json!(999)));
    assert_eq!(place.server.get(LEASE).unwrap()["spec"]["holderIdentity"], "", "given back");
}

#[test]
fn credentials_that_are_not_accepted_are_told_as_such() {
    let place = Place::new();
    place.server.expect_token("another");
    let (code, _, stderr) = place.deploy(&["--require-cluster"]);
    assert_eq!(code, 4);
    assert!(stderr.contains("does not accept the kubeconfig's credentials"), "{stderr}");
    assert!(stderr.contains("has expired or is wrong"), "{stderr}");
    let (code, _, stderr) = place.run(&["drift", "sandbox"]);
    assert_eq!(code, 4, "{stderr}");
}

#[test]
fn data_at_risk_needs_a_yes_where_nobody_can_be_asked() {
    let place = Place::deployed();
    place.change("kind = \"host-path\"", "kind = \"local\"\nnode = \"n1\"");
    let (code, stdout, stderr) = place.deploy(&["--prune-data"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stdout.contains("- persistentvolume/trow-data-hostpath-pv  ! data loss"), "{stdout}");
    assert!(stderr.contains("this puts data at risk") && stderr.contains("--yes"), "{stderr}");
    assert!(place.server.get(VOLUME).is_some());
    let (code, _, stderr) = place.deploy(&["--prune-data", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(place.server.get(VOLUME).is_none());
}

#[test]
fn on_a_terminal_it_asks_and_takes_a_no() {
    let place = Place::deployed();
    place.change("gid = 999", "gid = 998");
    let before = place.server.writes().len();
    let (code, said) = place.on_a_terminal(&["deploy", "sandbox", "--no-wait"], "\n");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("runAsGroup: 999 -> 998"), "{said}");
    assert!(said.contains("apply this to kubernetes-admin@sandbox? [y/N]"), "{said}");
    assert!(said.contains("nothing was applied, as you said"), "{said}");
    let applied = place.server.writes().split_off(before);
    assert!(applied.iter().all(|line| line.contains("dryRun=All")), "{applied:#?}");
    let (code, said) = place.on_a_terminal(&["deploy", "sandbox", "--no-wait"], "y\n");
    assert_eq!(code, 0, "{said}");
    assert_eq!(place.states(), ["deployed", "deployed"]);
    // Where nothing is to be applied nobody is asked.
    let (code, said) = place.on_a_terminal(&["deploy", "sandbox", "--no-wait"], "");
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("[y/N]"), "{said}");
}

#[test]
fn it_waits_until_everything_is_healthy_and_says_why_it_is_not() {
    let place = Place::new();
    let ready = json!([{"type": "Ready", "status": "True"}]);
    let make_ready = |place: &Place| {
        place.server.edit(ISSUER, "/status", json!({"conditions": ready}), "cert-manager");
    };
    assert_eq!(place.deploy(&[]).0, 0);
    make_ready(&place);
    place.server.put(
        "/api/v1/namespaces/trow/pods/trow-set-0",
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "trow-set-0", "labels": {"app": "trow"}},
            "status": {"containerStatuses": [{"name": "trow-pod", "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]},
        }),
    );
    place.server.put(
        "/api/v1/namespaces/trow/events/e",
        json!({"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "FailedMount",
            "metadata": {"name": "e"}, "message": "no such file",
            "involvedObject": {"kind": "Pod", "name": "trow-set-0"}}),
    );
    place.change("uid = 999", "uid = 998");
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--yes", "--timeout", "0"]);
    assert_eq!(code, 1, "{stderr}");
    for told in [
        "revision 2 is applied, but statefulset/trow-set is not healthy",
        "pod trow-set-0, trow-pod: CrashLoopBackOff back-off",
        "ended with exit code 1 (Error), 4 restarts",
        "event on pod/trow-set-0: FailedMount no such file",
        "warren rollback sandbox 1",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    assert_eq!(place.states(), ["deployed", "failed"]);
    place.server.edit(
        SET,
        "/status",
        json!({"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 1}),
        "kube-controller-manager",
    );
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--yes", "--timeout", "30"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.states(), ["deployed", "failed", "deployed"]);

    // Nothing is to be applied, and it does not work any more.
    place.server.edit(SET, "/status/readyReplicas", json!(0), "kube-controller-manager");
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--timeout", "0"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("statefulset/trow-set is not healthy"), "{stderr}");
    assert_eq!(place.deploy(&[]).0, 0, "who does not wait does not ask");
}

#[test]
fn a_pod_that_keeps_a_stateful_set_from_its_revision_is_deleted() {
    let place = Place::deployed();
    let pod = "/api/v1/namespaces/trow/pods/trow-set-0";
    place.server.put(
        pod,
        json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Pending"},
            "metadata": {"name": "trow-set-0", "namespace": "trow",
                "labels": {"app": "trow", "controller-revision-hash": "bad"}}}),
    );
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    place.server.edit(ISSUER, "/status", ready, "cert-manager");
    let status =
        json!({"observedGeneration": null, "updateRevision": "good", "currentRevision": "bad"});
    place.server.edit(SET, "/status", status, "kube-controller-manager");
    // Who may not delete it is told that it has to go.
    place.fail("DELETE", "/pods/", 403, "may not delete pods");
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--timeout", "30"]);
    assert_eq!(code, 1, "{stderr}");
    let told = "pod/trow-set-0 is of an earlier revision, keeps the present one away and has to be";
    assert!(stderr.contains(told), "{stderr}");
    place.server.heal();
    // Nor who waits for nothing.
    assert_eq!(place.deploy(&[]).0, 0);
    assert!(place.server.get(pod).is_some());
    // Nothing differs, and it does not work: that is mended under the lease.
    let leases = |place: &Place| {
        let writes = place.server.writes();
        writes.iter().filter(|line| line.contains("/leases/warren-sandbox")).count()
    };
    let before = leases(&place);
    let (code, _, stderr) = place.run(&["deploy", "sandbox", "--timeout", "2"]);
    assert_eq!(code, 1, "nobody makes a new pod here: {stderr}");
    assert!(stderr.contains("pod/trow-set-0 is of an earlier revision"), "{stderr}");
    assert!(place.server.get(pod).is_none());
    assert!(leases(&place) > before);
}

#[test]
fn without_a_look_at_others_nothing_outside_is_pruned() {
    let place = Place::deployed();
    place.server.fail(Fault {
        method: "GET",
        within: "/api/v1/configmaps",
        without: "",
        after: "",
        code: 403,
        reason: "Forbidden",
        message: "no",
        times: 100,
    });
    place.change("provider = \"metallb\"", "provider = \"none\"");
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("another environment may hold it"), "{stderr}");
    assert_eq!(place.server.paths("ipaddresspools/").len(), 1);
    // Once somebody may look it goes.
    place.server.heal();
    let (code, _, stderr) = place.deploy(&["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(place.server.paths("ipaddresspools/").is_empty(), "{stderr}");
}

#[test]
fn what_was_kept_goes_when_it_is_asked_for() {
    let place = Place::deployed();
    place.change("kind = \"host-path\"", "kind = \"local\"\nnode = \"n1\"");
    assert_eq!(place.deploy(&["--yes"]).0, 0);
    assert!(place.server.get(VOLUME).is_some());
    let (code, _, stderr) = place.deploy(&["--yes", "--prune-data"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(place.server.get(VOLUME).is_none(), "{stderr}");
}

#[test]
fn missing_secrets_are_told_and_not_waited_for() {
    let place = Place::new();
    place.server.remove("/api/v1/namespaces/trow/secrets/trow-pass");
    let (code, _, stderr) = place.run(&["deploy", "sandbox"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("make it with warren secret sandbox trow-pass --apply"), "{stderr}");
    assert!(stderr.contains("not waited for"), "{stderr}");
}
