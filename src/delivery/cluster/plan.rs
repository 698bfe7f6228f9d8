//! What applying would change, asked of the API server itself by a dry run of
//! every object: what it fills in is no difference, and what it refuses is
//! known before anything was applied.

use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;

use super::Cluster;
use super::additions::{Addition, additions, without};
use super::api::DryRun;
use super::error::{ClusterError, Refusal};
use super::manifest::{Identity, Manifest, deletion, object};
use crate::delivery::difference::Difference;

/// How many requests are under way at once.
const AT_ONCE: usize = 8;
/// What the API server or a controller writes into every object.
const SERVERS_OWN: [&str; 7] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionGracePeriodSeconds",
];

/// What applying some objects would change.
#[derive(Debug)]
pub struct Plan {
    /// The objects to apply, in order.
    pub objects: Vec<Planned>,
    /// Objects of earlier deliveries that no longer render and are deleted.
    pub pruned: Vec<(Identity, Value)>,
    /// What the cluster would not let us delete of them.
    pub undeletable: Vec<ClusterError>,
    /// Objects of earlier deliveries that no longer render and are left, and why.
    pub kept: Vec<(Identity, Kept)>,
}

/// Why an object is left that no longer renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It holds data.
    Data,
    /// Others may hold it, and we may not look.
    Unsure,
}

/// One object of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What is applied.
    pub manifest: Manifest,
    /// What is there; `None` where it is not.
    pub live: Option<Value>,
    /// What comes of it, or why the cluster refuses.
    pub after: Result<Value, ClusterError>,
    /// What others added to it; taken away where their fields are taken over.
    pub additions: Vec<Addition>,
}

/// What to ask of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Objects of earlier deliveries.
    pub delivered: &'a [Identity],
    /// The environment's namespace.
    pub namespace: &'a str,
    /// Objects that others hold: never pruned. `None` where we may not look:
    /// then nothing outside of the namespace is.
    pub held: Option<&'a [Identity]>,
    /// Take fields over that other managers own, and away what they added.
    pub take_over: bool,
    /// Delete also what holds data.
    pub prune_data: bool,
}

impl Plan {
    /// The differences, as those between two renderings.
    #[must_use]
    pub fn difference(&self) -> Difference {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for planned in &self.objects {
            let file = planned.manifest.id();
            if let Some(live) = &planned.live {
                before.push(object(&essence(live), &file));
            }
            match (&planned.after, &planned.live) {
                // What is not there yet is shown as it was written.
                (_, None) => after.push(object(&planned.manifest.value, &file)),
                (Ok(made), Some(_)) => after.push(object(&essence(made), &file)),
                // A refusal is told as such, not as a difference.
                (Err(_), Some(live)) => after.push(object(&essence(live), &file)),
            }
        }
        before.extend(self.pruned.iter().map(|(id, live)| object(&essence(live), &id.id())));
        Difference::between(&before, &after)
    }

    /// What the cluster refuses.
    #[must_use]
    pub fn refusals(&self) -> Vec<&ClusterError> {
        let objects = self.objects.iter().filter_map(|planned| planned.after.as_ref().err());
        objects.chain(&self.undeletable).collect()
    }
}

impl Cluster {
    /// Asks what applying these objects would change.
    ///
    /// # Errors
    /// When the cluster does not answer or does not let us look. What it
    /// refuses is in the plan.
    pub fn plan(&self, manifests: &[Manifest], asked: Asked<'_>) -> Result<Plan, ClusterError> {
        self.wait(async {
            let mut objects = self.all_planned(manifests, asked.take_over).await?;
            if asked.take_over {
                for planned in &mut objects {
                    self.clean(planned).await;
                }
            }
            let (mut pruned, mut kept, mut undeletable) = (Vec::new(), Vec::new(), Vec::new());
            for gone in gone(manifests, asked) {
                let Some(live) = self.api.get(&gone).await? else { continue };
                if gone.holds_data() && !asked.prune_data {
                    kept.push((gone, Kept::Data));
                } else if asked.held.is_none() && gone.namespace != asked.namespace {
                    kept.push((gone, Kept::Unsure));
                } else {
                    undeletable.extend(self.api.delete(&gone, DryRun::Yes).await.err());
                    pruned.push((gone, live));
                }
            }
            Ok(Plan { objects, pruned, undeletable, kept })
        })
    }

    /// What becomes of each object; additions of others stay.
    pub(super) async fn all_planned(
        &self,
        manifests: &[Manifest],
        force: bool,
    ) -> Result<Vec<Planned>, ClusterError> {
        let objects: Vec<_> = stream::iter(manifests)
            .map(|manifest| self.planned(manifest, manifests, force))
            .buffered(AT_ONCE)
            .collect()
            .await;
        objects.into_iter().collect()
    }

    /// What becomes of an object once the additions of others are taken away.
    async fn clean(&self, planned: &mut Planned) {
        if let (Some(live), Ok(after)) = (&planned.live, &planned.after)
            && !planned.additions.is_empty()
        {
            let cleaned = without(after, live, &planned.additions);
            planned.after = self.api.replace(&cleaned, DryRun::Yes).await;
        }
    }

    async fn planned(
        &self,
        manifest: &Manifest,
        all: &[Manifest],
        force: bool,
    ) -> Result<Planned, ClusterError> {
        let identity = manifest.identity();
        let live = self.api.get(&identity).await?;
        let going = live.as_ref().and_then(deletion);
        let after = match self.api.dry_run(manifest, force).await {
            // What is applied to it would go with it.
            Ok(_) if going.is_some() => {
                Err(ClusterError::new(identity.id(), Refusal::Deleting, going.unwrap_or_default()))
            }
            Err(error) if is_made_by_then(&error, &identity, all) => Ok(manifest.value.clone()),
            Err(error) if is_general(&error) => return Err(error),
            after => after,
        };
        let mut planned =
            Planned { manifest: manifest.clone(), live, after, additions: Vec::new() };
        if let Some(live) = &planned.live {
            planned.additions = self.additions(manifest, live).await;
            // What goes by itself, since it depends on what is put back, is told as that.
            if let Ok(after) = &planned.after {
                planned.additions.retain(|addition| addition.value_in(after).is_some());
            }
        }
        Ok(planned)
    }

    /// What others added to an object, but for what the API server fills in.
    async fn additions(&self, manifest: &Manifest, live: &Value) -> Vec<Addition> {
        let mut found = additions(manifest, live);
        // Who made an object owns its defaults too: those that a new one would
        // have as well were added by nobody. Where we may not ask, all is told.
        if !found.is_empty()
            && let Ok(fresh) = self.api.fresh(manifest).await
        {
            found.retain(|addition| addition.value_in(&fresh) != Some(&addition.value));
        }
        found
    }
}

/// Whether the object is only refused since another of the objects, its
/// namespace or its definition, is not there yet.
fn is_made_by_then(error: &ClusterError, identity: &Identity, all: &[Manifest]) -> bool {
    match error.refusal {
        Refusal::UnknownKind => all.iter().any(|other| other.defines(identity)),
        Refusal::NotFound => all.iter().any(|other| {
            other.kind() == "Namespace" && other.text("/metadata/name") == identity.namespace
        }),
        _ => false,
    }
}

/// Whether every other object will meet the same.
fn is_general(error: &ClusterError) -> bool {
    matches!(error.refusal, Refusal::Unreachable | Refusal::NotAuthenticated)
}

/// What was delivered and no longer renders, in the order to delete it.
fn gone(manifests: &[Manifest], asked: Asked<'_>) -> Vec<Identity> {
    let kept: Vec<_> = manifests.iter().map(Manifest::identity).collect();
    let is_in = |list: &[Identity], one: &Identity| list.iter().any(|other| other.is_same(one));
    let mut gone: Vec<Identity> = Vec::new();
    for one in asked.delivered.iter().rev() {
        if !is_in(&kept, one) && !is_in(asked.held.unwrap_or_default(), one) && !is_in(&gone, one) {
            gone.push(one.clone());
        }
    }
    gone
}

/// An object without what the API server writes into every one.
#[must_use]
pub fn essence(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.retain(|key, _| !SERVERS_OWN.contains(&key.as_str()));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(kind: &str, name: &str) -> Manifest {
        let version = if kind == "StatefulSet" { "apps/v1" } else { "v1" };
        Manifest {
            value: json!({"apiVersion": version, "kind": kind,
                "metadata": {"name": name, "namespace": "trow"}}),
        }
    }

    #[test]
    fn what_no_longer_renders_and_nobody_else_holds_is_gone() {
        let now = [manifest("Service", "a")];
        let delivered: Vec<_> =
            ["a", "b", "c", "b"].iter().map(|name| manifest("Service", name).identity()).collect();
        let held = [manifest("Service", "c").identity()];
        let asked = Asked { delivered: &delivered, held: Some(&held), ..Asked::default() };
        let names: Vec<_> = gone(&now, asked).into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn what_is_missing_for_now_is_no_refusal() {
        let error = |refusal| ClusterError::new("x", refusal, "not found");
        let set = manifest("StatefulSet", "trow-set").identity();
        let space = manifest("Namespace", "trow");
        assert!(is_made_by_then(&error(Refusal::NotFound), &set, std::slice::from_ref(&space)));
        assert!(!is_made_by_then(&error(Refusal::NotFound), &set, &[]));
        assert!(!is_made_by_then(&error(Refusal::UnknownKind), &set, &[space]));
        let definition = Manifest {
            value: json!({"kind": "CustomResourceDefinition",
                "spec": {"group": "apps", "names": {"kind": "StatefulSet"}}}),
        };
        assert!(is_made_by_then(&error(Refusal::UnknownKind), &set, &[definition]));
    }

    #[test]
    fn what_the_server_writes_is_no_difference() {
        let live = json!({"kind": "X", "metadata": {"name": "x", "uid": "1", "labels": {"a": "b"}},
            "status": {"ready": true}});
        assert_eq!(
            essence(&live),
            json!({"kind": "X", "metadata": {"name": "x", "labels": {"a": "b"}}})
        );
    }
}
