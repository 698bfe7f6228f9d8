//! Why a workload does not work: what its pods, their containers and the
//! events about them say.

use serde_json::Value;

use super::Cluster;
use super::manifest::{Identity, text};

/// How many events are told, the newest ones.
const EVENTS: usize = 6;

impl Cluster {
    /// What can be found out about an object that does not work, a line each.
    /// What we may not look at is left out.
    #[must_use]
    pub fn why(&self, identity: &Identity) -> Vec<String> {
        let mut lines = Vec::new();
        let mut about = vec![(identity.name.clone(), String::new())];
        if matches!(identity.kind.as_str(), "StatefulSet" | "Deployment" | "DaemonSet" | "Job") {
            for pod in self.pods(identity) {
                lines.extend(pod_lines(&pod));
                // A pod that is gone may have had the same name.
                let uid = text(&pod, "/metadata/uid").to_owned();
                about.push((text(&pod, "/metadata/name").to_owned(), uid));
                about.extend(claims(&pod).into_iter().map(|claim| (claim, String::new())));
            }
        }
        let events = self.list("v1", "Event", &identity.namespace).unwrap_or_default();
        lines.extend(event_lines(&events, &about));
        lines
    }

    /// The pods that a workload selects.
    pub(super) fn pods(&self, identity: &Identity) -> Vec<Value> {
        let Ok(Some(workload)) = self.get(identity) else { return Vec::new() };
        let labels = workload.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        let selector: Vec<_> = labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
            .collect();
        if selector.is_empty() {
            return Vec::new();
        }
        let selector = selector.join(",");
        self.wait(self.api.list("v1", "Pod", &identity.namespace, &selector)).unwrap_or_default()
    }
}

/// What a pod and its containers say.
fn pod_lines(pod: &Value) -> Vec<String> {
    let name = text(pod, "/metadata/name");
    let mut lines = Vec::new();
    for condition in list(pod, "/status/conditions") {
        if text(condition, "/type") == "PodScheduled" && text(condition, "/status") == "False" {
            lines.push(format!("pod {name} finds no node: {}", text(condition, "/message")));
        }
    }
    for field in ["/status/initContainerStatuses", "/status/containerStatuses"] {
        for status in list(pod, field) {
            let container = text(status, "/name");
            let restarts = status.get("restartCount").and_then(Value::as_i64).unwrap_or(0);
            if let Some(waiting) = status.pointer("/state/waiting")
                && text(waiting, "/reason") != "PodInitializing"
            {
                let message = text(waiting, "/message");
                lines.push(
                    format!("pod {name}, {container}: {} {message}", text(waiting, "/reason"))
                        .trim_end()
                        .to_owned(),
                );
            }
            for state in ["/state/terminated", "/lastState/terminated"] {
                let Some(ended) = status.pointer(state) else { continue };
                let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
                if code != 0 {
                    lines.push(format!(
                        "pod {name}, {container}: ended with exit code {code} ({}), {restarts} \
                         restarts",
                        text(ended, "/reason")
                    ));
                }
            }
        }
    }
    lines
}

fn claims(pod: &Value) -> Vec<String> {
    let volumes = list(pod, "/spec/volumes");
    let names = volumes.map(|volume| text(volume, "/persistentVolumeClaim/claimName").to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

/// The newest warnings about any of these objects, each with its uid where only that
/// one is meant.
fn event_lines(events: &[Value], about: &[(String, String)]) -> Vec<String> {
    let at = |event: &Value| {
        let times = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
        let time = times.iter().map(|field| text(event, field)).find(|time| !time.is_empty());
        time.unwrap_or_default().to_owned()
    };
    let mut warnings: Vec<_> = events
        .iter()
        .filter(|event| text(event, "/type") == "Warning")
        .filter(|event| {
            let of = |field: &str| text(event, &format!("/involvedObject/{field}"));
            let is = |uid: &str| uid.is_empty() || of("uid").is_empty() || uid == of("uid");
            about.iter().any(|(name, uid)| name == of("name") && is(uid))
        })
        .collect();
    warnings.sort_by_key(|event| at(event));
    let newest = warnings.iter().rev().take(EVENTS).rev();
    newest
        .map(|event| {
            format!(
                "event on {}/{}: {} {}",
                text(event, "/involvedObject/kind").to_lowercase(),
                text(event, "/involvedObject/name"),
                text(event, "/reason"),
                text(event, "/message").replace('\n', " ")
            )
        })
        .collect()
}

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_say_why_they_do_not_run() {
        let pod = json!({
            "metadata": {"name": "trow-set-0"},
            "status": {
                "conditions": [{"type": "PodScheduled", "status": "False",
                    "message": "0/1 nodes are available"}],
                "initContainerStatuses": [{"name": "owner", "restartCount": 0,
                    "state": {"terminated": {"exitCode": 0}}}],
                "containerStatuses": [{"name": "trow-pod", "restartCount": 3,
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}],
            },
        });
        assert_eq!(
            pod_lines(&pod),
            [
                "pod trow-set-0 finds no node: 0/1 nodes are available",
                "pod trow-set-0, trow-pod: CrashLoopBackOff back-off",
                "pod trow-set-0, trow-pod: ended with exit code 1 (Error), 3 restarts",
            ]
        );
    }

    #[test]
    fn the_newest_warnings_about_the_object_are_told() {
        let event = |name: &str, kind: &str, reason: &str, at: &str| {
            json!({"type": kind, "reason": reason, "message": "m", "lastTimestamp": at,
                "involvedObject": {"kind": "Pod", "name": name, "uid": "u1"}})
        };
        let mut before = event("trow-set-0", "Warning", "Before", "2026-01-03T00:00:00Z");
        before["involvedObject"]["uid"] = json!("u0");
        let events = [
            before,
            event("trow-set-0", "Warning", "Second", "2026-01-02T00:00:00Z"),
            event("trow-set-0", "Warning", "First", "2026-01-01T00:00:00Z"),
            event("trow-set-0", "Normal", "Pulled", "2026-01-03T00:00:00Z"),
            event("other", "Warning", "Other", "2026-01-03T00:00:00Z"),
        ];
        assert_eq!(
            event_lines(&events, &[("trow-set-0".to_owned(), "u1".to_owned())]),
            ["event on pod/trow-set-0: First m", "event on pod/trow-set-0: Second m"]
        );
    }
}
