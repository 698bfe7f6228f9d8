//! One deployment of an environment at a time: a Lease in its namespace
//! (coordination.k8s.io/v1), which a holder that died leaves behind for a
//! minute at most.

use std::cell::RefCell;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Cluster;
use super::api::DryRun;
use super::error::{ClusterError, Refusal};
use super::manifest::{Identity, text};

/// How long a lease holds that nobody renews, in seconds.
const HOLDS: i64 = 60;
/// A lease is renewed when this much of it is over, in seconds.
const RENEW: i64 = 15;
/// How often somebody else may be faster than we are.
const TRIES: usize = 5;

/// Who holds the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who, such as `anna@build-7 (4711)`.
    pub by: String,
    /// Since when, in RFC 3339.
    pub since: String,
}

/// A lease that we hold.
#[derive(Debug)]
pub struct Lease {
    object: RefCell<Value>,
}

impl Cluster {
    /// Takes the lease of an environment, unless somebody else holds it.
    ///
    /// # Errors
    /// When the cluster does not let us.
    pub fn take_lease(
        &self,
        environment: &str,
        namespace: &str,
        holder: &str,
    ) -> Result<Result<Lease, Held>, ClusterError> {
        let identity = identity(environment, namespace);
        for _ in 0..TRIES {
            let there = self.get(&identity)?;
            let now = OffsetDateTime::now_utc();
            if let Some(held) = there.as_ref().and_then(|lease| held(lease, holder, now)) {
                return Ok(Err(held));
            }
            let wanted = lease(&identity, holder, now, there.as_ref());
            let made = self.wait(async {
                match &there {
                    None => self.api.create(&wanted).await,
                    Some(_) => self.api.replace(&wanted, DryRun::No).await,
                }
            });
            match made {
                Ok(object) => return Ok(Ok(Lease { object: RefCell::new(object) })),
                // Somebody else was faster: look again.
                Err(error) if matches!(error.refusal, Refusal::Conflict | Refusal::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        let about = identity.id();
        Err(ClusterError::new(about, Refusal::Conflict, "others write it without pause"))
    }

    /// Renews the lease when it is time to.
    ///
    /// # Errors
    /// When somebody took it over, or the cluster does not let us.
    pub fn renew(&self, lease: &Lease) -> Result<(), ClusterError> {
        let now = OffsetDateTime::now_utc();
        let mut object = lease.object.borrow().clone();
        let renewed = time_of(text(&object, "/spec/renewTime"));
        if renewed.is_some_and(|then| now - then < Duration::seconds(RENEW)) {
            return Ok(());
        }
        object["spec"]["renewTime"] = json!(micro(now));
        *lease.object.borrow_mut() = self.wait(self.api.replace(&object, DryRun::No))?;
        Ok(())
    }

    /// Gives the lease back. Should that fail it runs out by itself.
    pub fn release(&self, lease: Lease) {
        let mut object = lease.object.into_inner();
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("holderIdentity".to_owned(), json!(""));
            let _ = self.wait(self.api.replace(&object, DryRun::No));
        }
    }
}

fn identity(environment: &str, namespace: &str) -> Identity {
    let name = format!("warren-{environment}");
    Identity::new("coordination.k8s.io/v1", "Lease", namespace, &name)
}

/// The lease that this holder writes in the place of what is there.
fn lease(identity: &Identity, holder: &str, now: OffsetDateTime, there: Option<&Value>) -> Value {
    let transitions = there.and_then(|lease| lease.pointer("/spec/leaseTransitions"));
    let mut object = json!({
        "apiVersion": identity.api_version,
        "kind": identity.kind,
        "metadata": {
            "name": identity.name,
            "namespace": identity.namespace,
            "labels": {"app.kubernetes.io/managed-by": "warren"},
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": HOLDS,
            "acquireTime": micro(now),
            "renewTime": micro(now),
            "leaseTransitions": transitions.and_then(Value::as_i64).map_or(0, |count| count + 1),
        },
    });
    if let Some(version) = there.and_then(|lease| lease.pointer("/metadata/resourceVersion")) {
        object["metadata"]["resourceVersion"] = version.clone();
    }
    object
}

/// Who else holds this lease now.
fn held(lease: &Value, holder: &str, now: OffsetDateTime) -> Option<Held> {
    let by = text(lease, "/spec/holderIdentity");
    if by.is_empty() || by == holder {
        return None;
    }
    let holds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64);
    let renewed = time_of(text(lease, "/spec/renewTime"))?;
    let over = renewed.saturating_add(Duration::seconds(holds.unwrap_or(HOLDS)));
    (now < over)
        .then(|| Held { by: by.to_owned(), since: text(lease, "/spec/acquireTime").to_owned() })
}

fn time_of(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// A `MicroTime`: RFC 3339 with six digits after the point.
fn micro(at: OffsetDateTime) -> String {
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_it_runs_out_or_is_given_back() {
        let identity = identity("sandbox", "trow");
        let then = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let object = lease(&identity, "anna", then, None);
        assert_eq!(held(&object, "anna", then), None, "it is our own");
        let by = held(&object, "bert", then + Duration::seconds(59)).unwrap().by;
        assert_eq!(by, "anna");
        assert_eq!(held(&object, "bert", then + Duration::seconds(61)), None);
        let mut given_back = object.clone();
        given_back["spec"]["holderIdentity"] = json!("");
        assert_eq!(held(&given_back, "bert", then), None);
        let next = lease(&identity, "bert", then, Some(&object));
        assert_eq!(next["spec"]["leaseTransitions"], 1);
    }

    #[test]
    fn the_time_has_six_digits_and_is_read_again() {
        let then = OffsetDateTime::UNIX_EPOCH + Duration::microseconds(1_234_567_890_000_042);
        assert_eq!(micro(then), "2009-02-13T23:31:30.000042Z");
        assert_eq!(time_of(&micro(then)), Some(then));
    }
}
