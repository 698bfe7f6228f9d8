//! What was delivered to an environment, revision by revision, kept in the
//! cluster as `ConfigMap`s of its namespace: for pruning, drift and the way back.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Cluster;
use super::api::DryRun;
use super::error::{ClusterError, Refusal};
use super::manifest::{Identity, text};

/// How many revisions are kept.
const KEEP: usize = 10;
/// More bytes of files than this are not kept: a ConfigMap holds 1 MiB.
const FILES_LIMIT: usize = 900 << 10;
const MANAGED: &str = "app.kubernetes.io/managed-by=warren";

/// How far a delivery got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was begun, and nobody has seen its end.
    Pending,
    /// Everything was applied and is healthy, or was not waited for.
    Deployed,
    /// Something was refused or did not become healthy.
    Failed,
}

impl State {
    /// The word of reports and of the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
        }
    }
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The environment.
    pub environment: String,
    /// Its number, from 1.
    pub revision: u64,
    /// How far it got.
    pub state: State,
    /// Who delivered it.
    pub by: String,
    /// When, in RFC 3339.
    pub at: String,
    /// The digest of what was delivered.
    pub digest: String,
    /// The revision that this one went back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<u64>,
    /// The objects that were delivered.
    pub objects: Vec<Identity>,
    /// The files; `None` where they were too large to keep.
    #[serde(skip)]
    pub files: Option<BTreeMap<String, String>>,
}

impl Record {
    /// `revision 3 (deployed 2026-11-29T10:00:00Z by anna@laptop)`.
    #[must_use]
    pub fn title(&self) -> String {
        let Self { revision, state, at, by, .. } = self;
        format!("revision {revision} ({} {at} by {by})", state.as_str())
    }
}

impl Cluster {
    /// The deliveries of an environment that are kept, the oldest first.
    ///
    /// # Errors
    /// When the cluster does not let us look.
    pub fn history(&self, environment: &str, namespace: &str) -> Result<Vec<Record>, ClusterError> {
        let labels = format!("{MANAGED},warren.environment={environment}");
        self.records(namespace, &labels)
    }

    /// The namespaces in which an environment was delivered as well; none where
    /// we may not look.
    ///
    /// # Errors
    /// When the cluster does not let us look for another reason.
    pub fn delivered_elsewhere(
        &self,
        environment: &str,
        namespace: &str,
    ) -> Result<Vec<String>, ClusterError> {
        let labels = format!("{MANAGED},warren.environment={environment}");
        let list = match self.wait(self.api.list("v1", "ConfigMap", "", &labels)) {
            Err(error) if error.refusal == Refusal::Forbidden => return Ok(Vec::new()),
            list => list?,
        };
        let mut found: Vec<_> = list
            .iter()
            .filter(|object| record(object).is_some())
            .map(|object| text(object, "/metadata/namespace").to_owned())
            .filter(|there| there != namespace)
            .collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Forgets the deliveries of an environment to a namespace.
    ///
    /// # Errors
    /// When the cluster does not let us.
    pub fn forget(&self, environment: &str, namespace: &str) -> Result<(), ClusterError> {
        for record in self.history(environment, namespace)? {
            self.wait(self.api.delete(&identity(&record, namespace), DryRun::No))?;
        }
        Ok(())
    }

    /// The objects that the newest deliveries of other environments hold in
    /// this cluster; `None` where we may not look into other namespaces.
    ///
    /// # Errors
    /// When the cluster does not let us look for another reason.
    pub fn held_by_others(&self, environment: &str) -> Result<Option<Vec<Identity>>, ClusterError> {
        let labels = format!("{MANAGED},warren.environment,warren.environment!={environment}");
        let records = match self.records("", &labels) {
            Err(error) if error.refusal == Refusal::Forbidden => return Ok(None),
            records => records?,
        };
        let mut newest: BTreeMap<String, Record> = BTreeMap::new();
        for record in records {
            newest.insert(record.environment.clone(), record);
        }
        Ok(Some(newest.into_values().flat_map(|record| record.objects).collect()))
    }

    fn records(&self, namespace: &str, labels: &str) -> Result<Vec<Record>, ClusterError> {
        let list = self.wait(self.api.list("v1", "ConfigMap", namespace, labels))?;
        let mut records: Vec<_> = list.iter().filter_map(record).collect();
        records.sort_by_key(|record| record.revision);
        Ok(records)
    }

    /// Writes down a delivery that begins.
    ///
    /// # Errors
    /// When the cluster does not let us, and when there is such a revision.
    pub fn begin(&self, record: &Record, namespace: &str) -> Result<(), ClusterError> {
        self.wait(self.api.create(&config_map(record, namespace))).map(|_| ())
    }

    /// Writes down how a delivery ended.
    ///
    /// # Errors
    /// When the cluster does not let us.
    pub fn end(&self, record: &Record, namespace: &str) -> Result<(), ClusterError> {
        self.wait(self.api.replace(&config_map(record, namespace), DryRun::No)).map(|_| ())
    }

    /// Forgets the deliveries that are too old to keep.
    ///
    /// # Errors
    /// When the cluster does not let us.
    pub fn forget_old(&self, environment: &str, namespace: &str) -> Result<(), ClusterError> {
        for old in forgotten(&self.history(environment, namespace)?) {
            self.wait(self.api.delete(&identity(old, namespace), DryRun::No))?;
        }
        Ok(())
    }
}

/// The records that need not be kept any more: more than the newest ones, but
/// never the last two that were complete, nor what came after them. Those are the
/// way back, and say what is to be pruned.
fn forgotten(history: &[Record]) -> &[Record] {
    let mut complete =
        (0..history.len()).rev().filter(|index| history[*index].state == State::Deployed);
    let needed = complete.nth(1).unwrap_or(0);
    &history[..history.len().saturating_sub(KEEP).min(needed)]
}

/// The time now, as records have it.
#[must_use]
pub fn now() -> String {
    let now = OffsetDateTime::now_utc().replace_nanosecond(0);
    now.ok().and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default()
}

fn identity(record: &Record, namespace: &str) -> Identity {
    let name = format!("warren-{}-r{}", record.environment, record.revision);
    Identity::new("v1", "ConfigMap", namespace, &name)
}

fn config_map(record: &Record, namespace: &str) -> Value {
    let mut data = json!({
        "state": record.state.as_str(),
        "by": record.by,
        "at": record.at,
        "digest": record.digest,
        "objects": json!(record.objects).to_string(),
    });
    if let Some(of) = record.rollback_of {
        data["rollbackOf"] = json!(of.to_string());
    }
    let size: usize = record.files.iter().flatten().map(|(_, text)| text.len()).sum();
    if let Some(files) = record.files.as_ref().filter(|_| size <= FILES_LIMIT) {
        data["files"] = json!(json!(files).to_string());
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": identity(record, namespace).name,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/managed-by": "warren",
                "warren.environment": record.environment,
                "warren.revision": record.revision.to_string(),
            },
        },
        "data": data,
    })
}

/// A record, unless somebody else made a ConfigMap with our labels.
fn record(object: &Value) -> Option<Record> {
    let data = |key: &str| text(object, &format!("/data/{key}"));
    let label = |key: &str| text(object, &format!("/metadata/labels/{key}"));
    Some(Record {
        environment: label("warren.environment").to_owned(),
        revision: label("warren.revision").parse().ok()?,
        state: match data("state") {
            "pending" => State::Pending,
            "deployed" => State::Deployed,
            "failed" => State::Failed,
            _ => return None,
        },
        by: data("by").to_owned(),
        at: data("at").to_owned(),
        digest: data("digest").to_owned(),
        rollback_of: data("rollbackOf").parse().ok(),
        objects: serde_json::from_str(data("objects")).ok()?,
        files: serde_json::from_str(data("files")).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_deliveries_push_no_complete_one_out() {
        let of = |states: &[State]| -> usize {
            let records: Vec<_> = states
                .iter()
                .enumerate()
                .map(|(number, state)| Record {
                    environment: "sandbox".to_owned(),
                    revision: number as u64 + 1,
                    state: *state,
                    by: String::new(),
                    at: String::new(),
                    digest: String::new(),
                    rollback_of: None,
                    objects: Vec::new(),
                    files: None,
                })
                .collect();
            forgotten(&records).len()
        };
        assert_eq!(of(&[State::Deployed; 10]), 0);
        assert_eq!(of(&[State::Deployed; 13]), 3);
        let mut states = vec![State::Deployed; 5];
        states.extend([State::Failed; 20]);
        assert_eq!(of(&states), 3, "the last two complete ones stay, and all after them");
        assert_eq!(of(&[State::Failed; 30]), 0);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut written = Record {
            environment: "sandbox".to_owned(),
            revision: 3,
            state: State::Pending,
            by: "anna".to_owned(),
            at: now(),
            digest: "sha256:00".to_owned(),
            rollback_of: Some(1),
            objects: vec![Identity::new("v1", "Namespace", "", "trow")],
            files: Some(BTreeMap::from([("a.yaml".to_owned(), "a: 1\n".to_owned())])),
        };
        let object = config_map(&written, "trow");
        assert_eq!(object["metadata"]["name"], "warren-sandbox-r3");
        assert_eq!(record(&object), Some(written.clone()));
        written.files = Some(BTreeMap::from([("a".to_owned(), "x".repeat(FILES_LIMIT + 1))]));
        assert_eq!(record(&config_map(&written, "trow")).unwrap().files, None);
        assert_eq!(record(&json!({"metadata": {"labels": {"warren.revision": "x"}}})), None);
    }
}
