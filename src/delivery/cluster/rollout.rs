//! Applies a plan, and waits until what it applied works.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::api::{Applied, Change};
use super::error::{ClusterError, Refusal};
use super::health::{Health, health};
use super::manifest::{Identity, Manifest};
use super::plan::Plan;
use super::{Cluster, Lease};

/// How often an object is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(700);
/// How long a definition may take until its kind can be used.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// What goes on, for who watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An object was applied, or deleted.
    Applied(Applied),
    /// An object is waited for, and why.
    Waiting(String, String),
    /// An object that was waited for works.
    Healthy(String),
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
    /// The cluster refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something does not work.
    #[error(transparent)]
    Unhealthy(#[from] Unhealthy),
}

/// Applying and waiting, under a lease.
pub struct Rollout<'a> {
    /// Where to.
    pub cluster: &'a Cluster,
    /// What keeps others away.
    pub lease: &'a Lease,
    /// Take fields over that other managers own.
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
        let mut defined: Vec<&Manifest> = Vec::new();
        for planned in &plan.objects {
            self.cluster.renew(self.lease)?;
            let manifest = &planned.manifest;
            if manifest.kind() == "CustomResourceDefinition" {
                defined.push(manifest);
            } else if !defined.is_empty() {
                self.cluster.established(&defined)?;
                defined.clear();
            }
            let applied = self.cluster.wait(self.cluster.api.apply(manifest, self.take_over))?;
            self.told(&mut done, applied);
        }
        for (identity, _) in &plan.pruned {
            self.cluster.renew(self.lease)?;
            if self.cluster.wait(self.cluster.api.delete(identity))? {
                self.told(&mut done, Applied { object: identity.id(), result: Change::Pruned });
            }
        }
        for identity in &plan.kept {
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
    /// When one fails, or is not there yet after `limit`.
    pub fn healthy(&mut self, manifests: &[Manifest], limit: Duration) -> Result<(), RolloutError> {
        let end = Instant::now() + limit;
        for manifest in manifests {
            let identity = manifest.identity();
            let mut told = None;
            loop {
                self.cluster.renew(self.lease)?;
                let (reason, over) = match self.cluster.look(&identity)? {
                    Health::Ready => break,
                    Health::Failed(reason) => (reason, true),
                    Health::Waiting(reason) => (reason, Instant::now() >= end),
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
            if object.kind() == "CustomResourceDefinition" {
                defined.push(object);
            } else if !defined.is_empty() {
                self.established(&defined)?;
                defined.clear();
            }
            done.push(self.wait(self.api.apply(object, true))?);
        }
        Ok(done)
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
