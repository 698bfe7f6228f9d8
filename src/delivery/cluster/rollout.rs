//! Applies a plan, and waits until what it applied works.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::additions::without;
use super::api::{Applied, Change, Deleted, DryRun};
use super::error::{ClusterError, Refusal};
use super::health::{Health, health};
use super::manifest::{Identity, Manifest, identity, text};
use super::plan::{Plan, Planned};
use super::{Cluster, Lease};

/// How often an object is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(700);
/// How long a definition may take until its kind can be used.
const ESTABLISHED: Duration = Duration::from_secs(30);
/// How often an object is replaced that somebody writes in between.
const TRIES: usize = 5;

/// What goes on, for who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An object was applied, or deleted.
    Applied(Applied),
    /// An object is waited for, and why.
    Waiting(String, String),
    /// An object that was waited for works.
    Healthy(String),
    /// A pod of an earlier revision that never became ready was deleted.
    Freed(String),
}

/// The pods of a StatefulSet that keep it from its present revision: they are of
/// another, and not ready.
fn stuck(set: &Value, pods: &[Value]) -> Vec<Identity> {
    let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_i64);
    let update = text(set, "/status/updateRevision");
    let is_seen = number("/status/observedGeneration") == number("/metadata/generation");
    // Where somebody else says when a pod is replaced, or which, one that is
    // deleted comes back as it was.
    let is_ours = text(set, "/spec/updateStrategy/type") != "OnDelete"
        && number("/spec/updateStrategy/rollingUpdate/partition").unwrap_or(0) == 0;
    if update.is_empty() || !is_seen || !is_ours {
        return Vec::new();
    }
    let is_stuck = |pod: &&Value| {
        let of = text(pod, "/metadata/labels/controller-revision-hash");
        let leaves = pod.pointer("/metadata/deletionTimestamp").is_some();
        !of.is_empty() && of != update && !leaves && health(pod) != Health::Ready
    };
    let ids = pods.iter().filter(is_stuck).map(|pod| Identity {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        ..identity(pod)
    });
    ids.collect()
}

/// What did not become healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{object} is not healthy: {reason}")]
pub struct Unhealthy {
    /// The object.
    pub object: String,
    /// Why, in a sentence.
    pub reason: String,
    /// What its pods and their events say, a line each.
    pub details: Vec<String>,
}

/// Why a rollout ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RolloutError {
    /// The cluster refused what was to be applied.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Everything was applied, and the cluster does not say whether it works.
    #[error(transparent)]
    Unseen(ClusterError),
    /// Something does not work.
    #[error(transparent)]
    Unhealthy(#[from] Unhealthy),
}

/// Applying and waiting, under a lease.
pub struct Rollout<'a> {
    /// Where to.
    pub cluster: &'a Cluster,
    /// What keeps others away; none for who only waits.
    pub lease: Option<&'a Lease>,
    /// Take fields over that other managers own, and away what they added.
    pub take_over: bool,
    /// Who watches.
    pub say: &'a mut dyn FnMut(Progress),
}

impl Rollout<'_> {
    /// Applies the objects of a plan in order, then deletes what it prunes.
    ///
    /// # Errors
    /// At the first refusal; what was applied until then stays.
    pub fn apply(&mut self, plan: &Plan) -> Result<Vec<Applied>, ClusterError> {
        let mut done = Vec::new();
        let mut defined = Vec::new();
        for planned in &plan.objects {
            self.renew()?;
            let mut applied =
                self.cluster.apply_next(&planned.manifest, self.take_over, &mut defined)?;
            if self.take_over && !planned.additions.is_empty() {
                self.cluster.take_away(planned)?;
                applied.result = Change::Configured;
            }
            self.told(&mut done, applied);
        }
        for (identity, _) in &plan.pruned {
            self.renew()?;
            let result = match self.cluster.wait(self.cluster.api.delete(identity, DryRun::No))? {
                Deleted::Before => continue,
                Deleted::Begun => Change::Deleting,
                Deleted::Now => Change::Pruned,
            };
            self.told(&mut done, Applied { object: identity.id(), result });
        }
        for (identity, _) in &plan.kept {
            self.told(&mut done, Applied { object: identity.id(), result: Change::Kept });
        }
        Ok(done)
    }

    fn told(&mut self, done: &mut Vec<Applied>, applied: Applied) {
        (self.say)(Progress::Applied(applied.clone()));
        done.push(applied);
    }

    /// Waits until each of these works.
    ///
    /// # Errors
    /// When one fails, or is not there yet after `limit`, and when the cluster
    /// does not let us look. A server that does not answer is asked again.
    pub fn healthy(&mut self, manifests: &[Manifest], limit: Duration) -> Result<(), RolloutError> {
        let end = Instant::now() + limit;
        for manifest in manifests {
            let identity = manifest.identity();
            let mut told = None;
            loop {
                let late = Instant::now() >= end;
                let (reason, over) = match self.step(&identity) {
                    Ok(Health::Ready) => break,
                    Ok(Health::Failed(reason)) => (reason, true),
                    Ok(Health::Waiting(reason)) => (reason, late),
                    Err(error) if error.refusal == Refusal::Unreachable && !late => {
                        (format!("the cluster does not answer: {}", error.reason), false)
                    }
                    Err(error) => return Err(RolloutError::Unseen(error)),
                };
                if over {
                    return Err(self.unhealthy(&identity, reason).into());
                }
                if told.as_ref() != Some(&reason) {
                    (self.say)(Progress::Waiting(identity.id(), reason.clone()));
                    told = Some(reason);
                }
                self.cluster.pause(POLL);
            }
            if told.is_some() {
                (self.say)(Progress::Healthy(identity.id()));
            }
        }
        Ok(())
    }

    /// Looks at an object, and frees it where it is stuck.
    fn step(&mut self, identity: &Identity) -> Result<Health, ClusterError> {
        self.renew()?;
        let health = self.cluster.look(identity)?;
        // Who only waits, without a lease, changes nothing.
        let waits = matches!(health, Health::Waiting(_)) && self.lease.is_some();
        if waits && identity.kind == "StatefulSet" {
            return Ok(self.free_stuck(identity)?.map_or(health, Health::Failed));
        }
        Ok(health)
    }

    fn renew(&self) -> Result<(), ClusterError> {
        self.lease.map_or(Ok(()), |lease| self.cluster.renew(lease))
    }

    /// A StatefulSet waits for a pod that never became ready before it replaces
    /// it, also where the pod is of an earlier revision and the present one would
    /// mend it (Kubernetes calls that a forced rollback). Deletes such pods; what
    /// keeps us from it is why the set will not get there.
    fn free_stuck(&mut self, identity: &Identity) -> Result<Option<String>, ClusterError> {
        let Some(set) = self.cluster.get(identity)? else { return Ok(None) };
        for pod in stuck(&set, &self.cluster.pods(identity)) {
            match self.cluster.wait(self.cluster.api.delete(&pod, DryRun::No)) {
                Ok(Deleted::Before) => {}
                Ok(Deleted::Begun | Deleted::Now) => (self.say)(Progress::Freed(pod.id())),
                Err(error) if error.refusal == Refusal::Forbidden => {
                    return Ok(Some(format!(
                        "{} is of an earlier revision, keeps the present one away and has to be \
                         deleted: {}",
                        pod.id(),
                        error.reason
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn unhealthy(&self, identity: &Identity, reason: String) -> Unhealthy {
        let details = self.cluster.why(identity);
        Unhealthy { object: identity.id(), reason, details }
    }
}

impl Cluster {
    /// Applies objects that were written down nowhere, server-side: so their
    /// content does not end up in the last-applied annotation either. Fields
    /// that another manager set are taken over, as the operator asked for.
    ///
    /// # Errors
    /// When the cluster refuses any of it.
    pub fn apply_objects(&self, objects: &[Manifest]) -> Result<Vec<Applied>, ClusterError> {
        let (mut done, mut defined) = (Vec::new(), Vec::new());
        for object in objects {
            done.push(self.apply_next(object, true, &mut defined)?);
        }
        Ok(done)
    }

    /// Applies the next of several objects. `defined` are the definitions that
    /// were applied until now and are not waited for yet.
    fn apply_next<'m>(
        &self,
        manifest: &'m Manifest,
        force: bool,
        defined: &mut Vec<&'m Manifest>,
    ) -> Result<Applied, ClusterError> {
        if manifest.kind() == "CustomResourceDefinition" {
            defined.push(manifest);
        } else if !defined.is_empty() {
            self.established(&std::mem::take(defined))?;
        }
        self.wait(self.api.apply(manifest, force))
    }

    /// Takes away what others added to an object.
    fn take_away(&self, planned: &Planned) -> Result<(), ClusterError> {
        let identity = planned.manifest.identity();
        let mut tries = 0..TRIES;
        loop {
            let Some(live) = self.get(&identity)? else { return Ok(()) };
            let cleaned = without(&live, &live, &planned.additions);
            match self.wait(self.api.replace(&cleaned, DryRun::No)) {
                // Somebody, a controller as a rule, wrote in between: look again.
                Err(error) if error.refusal == Refusal::Conflict && tries.next().is_some() => {}
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// Waits until the kinds of these definitions can be used.
    fn established(&self, defined: &[&Manifest]) -> Result<(), ClusterError> {
        let end = Instant::now() + ESTABLISHED;
        for manifest in defined {
            let identity = manifest.identity();
            while !matches!(self.look(&identity)?, Health::Ready) {
                if Instant::now() >= end {
                    let reason = format!("not established within {} s", ESTABLISHED.as_secs());
                    return Err(ClusterError::new(identity.id(), Refusal::Other, reason));
                }
                self.pause(POLL / 4);
            }
        }
        self.api.forget();
        Ok(())
    }

    fn look(&self, identity: &Identity) -> Result<Health, ClusterError> {
        Ok(match self.get(identity)? {
            Some(object) => health(&object),
            None => Health::Failed("it was deleted by somebody else".to_owned()),
        })
    }

    fn pause(&self, time: Duration) {
        // Made within the runtime: a timer needs one.
        self.wait(async { tokio::time::sleep(time).await });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_pod_of_another_revision_that_is_not_ready_is_stuck() {
        let pod = |name: &str, hash: &str, ready: &str| {
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "trow",
                    "labels": {"controller-revision-hash": hash}},
                "status": {"phase": "Pending",
                    "conditions": [{"type": "Ready", "status": ready}]}})
        };
        let pods = [pod("a", "old", "False"), pod("b", "old", "True"), pod("c", "new", "False")];
        let set = |seen: i64| {
            json!({"metadata": {"generation": 2},
                "status": {"observedGeneration": seen, "updateRevision": "new"}})
        };
        let names = |set: &Value| -> Vec<String> {
            stuck(set, &pods).into_iter().map(|one| one.name).collect()
        };
        assert_eq!(names(&set(2)), ["a"]);
        assert!(names(&set(1)).is_empty(), "its controller has not seen the change");
        let held = |strategy: Value| {
            let mut set = set(2);
            set["spec"] = json!({"updateStrategy": strategy});
            names(&set)
        };
        assert!(held(json!({"type": "OnDelete"})).is_empty());
        assert!(held(json!({"rollingUpdate": {"partition": 1}})).is_empty());
        assert_eq!(held(json!({"rollingUpdate": {"partition": 0}})), ["a"]);
    }
}
