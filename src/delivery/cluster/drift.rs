//! How the cluster differs from what was delivered: fields that others changed,
//! and fields that others added.

use serde::Serialize;
use serde_json::Value;

use super::Cluster;
use super::additions::Addition;
use super::error::ClusterError;
use super::manifest::{Identity, Manifest, deletion, object};
use super::owner::{self, Owner};
use super::plan::essence;
use crate::delivery::difference::{Difference, Kind};

/// How the cluster differs from what was delivered.
#[derive(Debug, Serialize)]
pub struct Drift {
    /// The objects that differ.
    pub objects: Vec<Drifted>,
    /// Differences that belong to a controller and were left out.
    pub controllers: usize,
}

/// An object that differs from what was delivered.
#[derive(Debug, Serialize)]
pub struct Drifted {
    /// The object.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether it is gone altogether.
    pub missing: bool,
    /// Whether it is about to be gone.
    pub deleting: bool,
    /// Its fields that differ.
    pub fields: Vec<DriftedField>,
}

/// A field that differs from what was delivered.
#[derive(Debug, Serialize)]
pub struct DriftedField {
    /// Its address.
    pub field: String,
    /// What was delivered; `None` where it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Value>,
    /// What is there; `None` where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// Who owns it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

impl Drift {
    /// Whether the cluster is as it was delivered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl Cluster {
    /// What in the cluster differs from these delivered objects, with what others
    /// added to them. What a controller owns is not counted as such.
    ///
    /// # Errors
    /// When the cluster does not answer, or refuses to say what it would make
    /// of an object.
    pub fn drift(&self, delivered: &[Manifest]) -> Result<Drift, ClusterError> {
        let objects = self.wait(self.all_planned(delivered, true))?;
        let mut drift = Drift { objects: Vec::new(), controllers: 0 };
        for planned in objects {
            let identity = planned.manifest.identity();
            let Some(live) = planned.live else {
                let (missing, deleting, fields) = (true, false, Vec::new());
                drift.objects.push(Drifted { identity, missing, deleting, fields });
                continue;
            };
            if deletion(&live).is_some() {
                let (missing, deleting, fields) = (false, true, Vec::new());
                drift.objects.push(Drifted { identity, missing, deleting, fields });
                continue;
            }
            let after = planned.after?;
            let mut fields = fields(&identity, &live, &after, &mut drift.controllers);
            fields.extend(planned.additions.into_iter().map(DriftedField::from));
            if !fields.is_empty() {
                let (missing, deleting) = (false, false);
                drift.objects.push(Drifted { identity, missing, deleting, fields });
            }
        }
        Ok(drift)
    }
}

fn fields(
    identity: &Identity,
    live: &Value,
    after: &Value,
    controllers: &mut usize,
) -> Vec<DriftedField> {
    let (before, wanted) =
        (object(&essence(live), &identity.id()), object(&essence(after), &identity.id()));
    let difference = Difference::between(&[before], &[wanted]);
    let mut found = Vec::new();
    for change in difference.objects.into_iter().flat_map(|object| object.fields) {
        let owner = owner::of(live, &change.field);
        if owner.as_ref().is_some_and(Owner::is_controller) {
            *controllers += 1;
            continue;
        }
        found.push(DriftedField {
            field: change.field,
            delivered: change.after.filter(|_| change.change != Kind::Removed),
            live: change.before,
            owner,
        });
    }
    found
}

impl From<Addition> for DriftedField {
    fn from(addition: Addition) -> Self {
        Self {
            field: addition.address(),
            delivered: None,
            live: Some(addition.value),
            owner: Some(addition.owner),
        }
    }
}
