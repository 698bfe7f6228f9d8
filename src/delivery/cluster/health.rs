//! Whether an object works, from what its controller says in its status.

use serde_json::Value;

use super::manifest::{deletion, text};

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works, or nobody says anything of it.
    Ready,
    /// It is on its way.
    Waiting(String),
    /// It will not get there by itself.
    Failed(String),
}

/// How this object is.
#[must_use]
pub fn health(object: &Value) -> Health {
    if let Some(reason) = deletion(object) {
        return failed(&reason);
    }
    let observed = number(object, "/status/observedGeneration");
    if let (Some(wanted), Some(seen)) = (number(object, "/metadata/generation"), observed)
        && seen < wanted
    {
        return waiting("its controller has not seen the change yet");
    }
    match (group(object), text(object, "/kind")) {
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "Deployment") => deployment(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("", "PersistentVolumeClaim") => match text(object, "/status/phase") {
            "Bound" => Health::Ready,
            "Lost" => failed("its volume is gone"),
            _ => waiting("it is not bound to a volume"),
        },
        ("", "PersistentVolume") if text(object, "/status/phase") == "Failed" => {
            failed(text(object, "/status/message"))
        }
        ("", "Service") => service(object),
        ("", "Pod") => pod(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            condition(object, "/status/conditions", "Established", true)
        }
        ("gateway.networking.k8s.io", "Gateway") => {
            condition(object, "/status/conditions", "Programmed", true)
        }
        ("gateway.networking.k8s.io", "HTTPRoute") => {
            condition(object, "/status/parents/0/conditions", "Accepted", true)
        }
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => webhooks(object),
        // These have a controller which always reports.
        ("cert-manager.io" | "kustomize.toolkit.fluxcd.io" | "source.toolkit.fluxcd.io", _) => {
            condition(object, "/status/conditions", "Ready", true)
        }
        _ => condition(object, "/status/conditions", "Ready", false),
    }
}

fn stateful_set(object: &Value) -> Health {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    if text(object, "/spec/updateStrategy/type") != "OnDelete" {
        let (current, update) =
            (text(object, "/status/currentRevision"), text(object, "/status/updateRevision"));
        let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
        if current != update && updated < wanted {
            return waiting(format!("{updated} of {wanted} pods are updated"));
        }
    }
    replicas(object, wanted, "/status/readyReplicas")
}

fn deployment(object: &Value) -> Health {
    let wanted = number(object, "/spec/replicas").unwrap_or(1);
    if let Some(progress) = find(object, "/status/conditions", "Progressing")
        && text(progress, "/reason") == "ProgressDeadlineExceeded"
    {
        return failed(text(progress, "/message"));
    }
    let updated = number(object, "/status/updatedReplicas").unwrap_or(0);
    if updated < wanted {
        return waiting(format!("{updated} of {wanted} pods are updated"));
    }
    replicas(object, wanted, "/status/availableReplicas")
}

fn daemon_set(object: &Value) -> Health {
    let wanted = number(object, "/status/desiredNumberScheduled").unwrap_or(0);
    let updated = number(object, "/status/updatedNumberScheduled").unwrap_or(0);
    if updated < wanted {
        return waiting(format!("{updated} of {wanted} pods are updated"));
    }
    replicas(object, wanted, "/status/numberAvailable")
}

fn replicas(object: &Value, wanted: i64, field: &str) -> Health {
    if number(object, "/status/observedGeneration").is_none() {
        return waiting("its controller has not seen it yet");
    }
    let ready = number(object, field).unwrap_or(0);
    if ready < wanted {
        return waiting(format!("{ready} of {wanted} pods are ready"));
    }
    Health::Ready
}

fn job(object: &Value) -> Health {
    if is_true(object, "Complete") || is_true(object, "SuccessCriteriaMet") {
        return Health::Ready;
    }
    match find(object, "/status/conditions", "Failed") {
        Some(condition) if text(condition, "/status") == "True" => {
            failed(text(condition, "/message"))
        }
        _ => waiting("it runs"),
    }
}

fn pod(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Succeeded" => Health::Ready,
        "Failed" => failed(text(object, "/status/message")),
        _ if is_true(object, "Ready") => Health::Ready,
        phase => waiting(format!("it is {}", phase.to_lowercase())),
    }
}

fn service(object: &Value) -> Health {
    if text(object, "/spec/type") != "LoadBalancer" {
        return Health::Ready;
    }
    match object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array) {
        Some(addresses) if !addresses.is_empty() => Health::Ready,
        _ => waiting("no load balancer has given it an address"),
    }
}

/// Webhooks of a Service: its certificate is of no public authority, so that
/// without one to check it by the API server refuses each call.
fn webhooks(object: &Value) -> Health {
    let list = object.get("webhooks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let alone = list.iter().find(|webhook| {
        webhook.pointer("/clientConfig/service").is_some()
            && text(webhook, "/clientConfig/caBundle").is_empty()
    });
    match alone {
        Some(webhook) => {
            waiting(format!("its webhook {} has no caBundle yet", text(webhook, "/name")))
        }
        None => Health::Ready,
    }
}

/// A condition of this name: `True` is ready, and so is its absence where it
/// need not be there.
fn condition(object: &Value, conditions: &str, name: &str, must_be: bool) -> Health {
    let Some(condition) = find(object, conditions, name) else {
        return if must_be {
            waiting(format!("its controller has not said that it is {}", name.to_lowercase()))
        } else {
            Health::Ready
        };
    };
    if text(condition, "/status") == "True" {
        return Health::Ready;
    }
    let (reason, message) = (text(condition, "/reason"), text(condition, "/message"));
    waiting(match (reason, message) {
        ("", "") => format!("it is not {}", name.to_lowercase()),
        (one, "") | ("", one) => one.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    })
}

fn is_true(object: &Value, name: &str) -> bool {
    find(object, "/status/conditions", name).is_some_and(|one| text(one, "/status") == "True")
}

fn find<'a>(object: &'a Value, conditions: &str, name: &str) -> Option<&'a Value> {
    let list = object.pointer(conditions)?.as_array()?;
    list.iter().find(|condition| text(condition, "/type") == name)
}

fn group(object: &Value) -> &str {
    text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group)
}

fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

fn waiting(reason: impl Into<String>) -> Health {
    Health::Waiting(reason.into())
}

fn failed(reason: impl Into<String>) -> Health {
    let reason = reason.into();
    Health::Failed(if reason.is_empty() { "it failed".to_owned() } else { reason })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(api_version: &str, kind: &str, spec: &Value, status: &Value) -> Health {
        health(&json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"generation": 2},
            "spec": spec,
            "status": status,
        }))
    }

    #[test]
    fn a_stateful_set_is_ready_when_all_of_its_pods_are_new_and_ready() {
        let of = |status: Value| of("apps/v1", "StatefulSet", &json!({"replicas": 2}), &status);
        assert_eq!(of(json!({})), waiting("its controller has not seen it yet"));
        let seen = |mut status: Value| {
            status["observedGeneration"] = json!(2);
            of(status)
        };
        assert_eq!(
            of(json!({"observedGeneration": 1, "readyReplicas": 2})),
            waiting("its controller has not seen the change yet")
        );
        assert_eq!(seen(json!({"readyReplicas": 1})), waiting("1 of 2 pods are ready"));
        assert_eq!(
            seen(json!({
                "readyReplicas": 2, "updatedReplicas": 1,
                "currentRevision": "a", "updateRevision": "b",
            })),
            waiting("1 of 2 pods are updated")
        );
        assert_eq!(seen(json!({"readyReplicas": 2})), Health::Ready);
    }

    #[test]
    fn what_cannot_get_there_is_told_from_what_is_on_its_way() {
        let status = json!({"observedGeneration": 2, "conditions": [
            {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "too late"},
        ]});
        assert_eq!(of("apps/v1", "Deployment", &json!({}), &status), failed("too late"));
        let status = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        assert_eq!(of("batch/v1", "Job", &json!({}), &status), failed("it failed"));
        assert_eq!(of("batch/v1", "Job", &json!({}), &json!({})), waiting("it runs"));
        let pvc =
            |phase: &str| of("v1", "PersistentVolumeClaim", &json!({}), &json!({"phase": phase}));
        assert_eq!(pvc("Bound"), Health::Ready);
        assert!(matches!(pvc("Pending"), Health::Waiting(_)));
        assert!(matches!(pvc("Lost"), Health::Failed(_)));
        let going = json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"finalizers": ["kubernetes"]}});
        let told = "it is being deleted since 2026-01-01T00:00:00Z, and waits for kubernetes";
        assert_eq!(health(&going), Health::Failed(told.to_owned()));
    }

    #[test]
    fn a_webhook_without_the_authority_of_its_server_cannot_be_called() {
        let of = |client: Value| {
            health(&json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "webhooks": [
                {"name": "a", "clientConfig": {"url": "https://a.example"}},
                {"name": "b", "clientConfig": client},
            ]}))
        };
        let service = json!({"name": "b", "namespace": "b"});
        assert_eq!(of(json!({"service": service})), waiting("its webhook b has no caBundle yet"));
        assert_eq!(of(json!({"service": service, "caBundle": "Y2E="})), Health::Ready);
    }

    #[test]
    fn a_controller_that_always_reports_is_waited_for() {
        let issuer = |status: &Value| of("cert-manager.io/v1", "ClusterIssuer", &json!({}), status);
        assert!(matches!(issuer(&json!({})), Health::Waiting(_)));
        let ready = |status: &str| {
            json!({"conditions": [
                {"type": "Ready", "status": status, "reason": "ErrGetKeyPair", "message": "no key"},
            ]})
        };
        assert_eq!(issuer(&ready("False")), waiting("ErrGetKeyPair: no key"));
        assert_eq!(issuer(&ready("True")), Health::Ready);
        assert_eq!(
            of("metallb.io/v1beta1", "IPAddressPool", &json!({}), &json!({})),
            Health::Ready
        );
        let balancer = json!({"type": "LoadBalancer"});
        assert!(matches!(of("v1", "Service", &balancer, &json!({})), Health::Waiting(_)));
        let given = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
        assert_eq!(of("v1", "Service", &balancer, &given), Health::Ready);
    }
}
