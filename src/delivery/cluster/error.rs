//! Why a cluster can't be had, and what it refuses.

use serde::Serialize;

/// Why no cluster can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Obstacle {
    /// There is no kubeconfig, or it can't be read.
    #[error("there is no kubeconfig to use ({reason})")]
    NoKubeconfig {
        /// Why.
        reason: String,
    },
    /// The kubeconfig has no such context.
    #[error("{}", no_context(name, known))]
    NoContext {
        /// The one that was looked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// There is a context, and its cluster does not answer or is not ready.
    #[error("the cluster can't be reached ({reason})")]
    Unreachable {
        /// What went wrong.
        reason: String,
    },
    /// The cluster answers and does not know who asks.
    #[error("the cluster does not accept the kubeconfig's credentials ({reason})")]
    NotAuthenticated {
        /// What it said.
        reason: String,
    },
}

fn no_context(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        format!("the kubeconfig has no context `{name}`, nor any other")
    } else {
        format!("the kubeconfig has no context `{name}`; there is {}", known.join(", "))
    }
}

/// What kind of refusal or failure a request ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The connection failed, or no answer came in time.
    Unreachable,
    /// The credentials are not accepted (any more).
    NotAuthenticated,
    /// RBAC does not allow it.
    Forbidden,
    /// Another manager owns a field, or somebody wrote in between.
    Conflict,
    /// A field can't be changed after the object was made.
    Immutable,
    /// The object is not valid.
    Invalid,
    /// An admission webhook or policy refuses.
    Admission,
    /// The cluster does not know the kind.
    UnknownKind,
    /// There is no such object, or its namespace is not there.
    NotFound,
    /// There is such an object already.
    Exists,
    /// The object is being deleted.
    Deleting,
    /// Anything else.
    Other,
}

/// The way out where a cluster does not know who asks.
pub const LOG_IN: &str =
    "the token or certificate of this context has expired or is wrong: log in to the cluster again";

/// Why something on a reachable cluster did not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{object}: {reason}")]
pub struct ClusterError {
    /// The object, such as `statefulset/trow-set`.
    pub object: String,
    /// What kind of refusal it is.
    pub refusal: Refusal,
    /// What the cluster said.
    pub reason: String,
}

impl ClusterError {
    /// A refusal of our own making.
    #[must_use]
    pub fn new(object: impl Into<String>, refusal: Refusal, reason: impl Into<String>) -> Self {
        Self { object: object.into(), refusal, reason: reason.into() }
    }

    /// What kube-rs reports of a request about this object.
    pub(super) fn of(object: &str, error: kube::Error) -> Self {
        let (refusal, reason) = match error {
            kube::Error::Api(status) => (refusal(&status), sentence(&status)),
            error => (Refusal::Unreachable, chain(&error)),
        };
        Self { object: object.to_owned(), refusal, reason }
    }

    /// Whether the object, or its namespace, is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.refusal == Refusal::NotFound
    }

    /// The way out, where there is a known one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let reason = &self.reason;
        Some(match self.refusal {
            Refusal::UnknownKind => {
                "the cluster does not know that kind yet: install what brings it \
                 (cert-manager for ClusterIssuer, MetalLB for IPAddressPool) and deploy again"
                    .to_owned()
            }
            Refusal::NotFound if reason.contains("namespaces \"cert-manager\"") => {
                "install cert-manager first: the private CA's Secret lives in its namespace"
                    .to_owned()
            }
            Refusal::NotFound if reason.contains("namespaces \"") => {
                "the namespace is made by deploying the environment, or by installing what lives \
                 in it (MetalLB for metallb-system)"
                    .to_owned()
            }
            Refusal::Immutable if reason.contains("updates to statefulset spec") => {
                "a StatefulSet's serviceName, selector and volume claims can't be changed. Remove \
                 it and leave its pod and data: kubectl delete statefulset trow-set \
                 --cascade=orphan, then deploy again. A claim that exists keeps its size"
                    .to_owned()
            }
            Refusal::Immutable => {
                "the field can't be changed on an object that exists: set it back, or delete the \
                 object (a PersistentVolume keeps its data while its reclaim policy is Retain) and \
                 deploy again"
                    .to_owned()
            }
            Refusal::Conflict => {
                "another manager owns a field that this sets; the message names both. Let one of \
                 them go, or take the fields over once with --take-over"
                    .to_owned()
            }
            Refusal::Forbidden => match missing_right(reason) {
                Some((verb, resource, place)) => format!(
                    "the account of this context may not {verb} {resource} {place}: give it that \
                     verb on that resource by a Role or ClusterRole"
                ),
                None => "ask for the right, or use another account for this context".to_owned(),
            },
            Refusal::Deleting => {
                "deploy again once it is gone: a volume waits for its claim to be deleted, a \
                 namespace for all that is in it"
                    .to_owned()
            }
            Refusal::NotAuthenticated => LOG_IN.to_owned(),
            Refusal::Admission => {
                "a webhook or policy of the cluster refused; its message says what it wants"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

fn refusal(status: &kube::core::Status) -> Refusal {
    let message = &status.message;
    match (status.code, status.reason.as_str()) {
        (401, _) => Refusal::NotAuthenticated,
        // A webhook's refusal has the code that the webhook chose.
        _ if message.starts_with("admission webhook ")
            || message.contains("failed calling webhook")
            || message.contains("ValidatingAdmissionPolicy") =>
        {
            Refusal::Admission
        }
        (403, _) if message.contains("unable to create new content") => Refusal::Other,
        (403, _) => Refusal::Forbidden,
        (404, _) => Refusal::NotFound,
        (409, "AlreadyExists") => Refusal::Exists,
        (409, _) => Refusal::Conflict,
        (422, _) if is_immutable(message) => Refusal::Immutable,
        (400 | 422, _) => Refusal::Invalid,
        _ => Refusal::Other,
    }
}

fn is_immutable(message: &str) -> bool {
    ["immutable", "updates to statefulset spec", "is forbidden after creation", "may not change"]
        .iter()
        .any(|words| message.contains(words))
}

/// What the API server said, with the causes that its message leaves out.
fn sentence(status: &kube::core::Status) -> String {
    let mut text = status.message.trim().to_owned();
    if text.is_empty() {
        text = format!("the API server answered {} {}", status.code, status.reason);
    }
    let causes: Vec<_> = status.details.iter().flat_map(|details| &details.causes).collect();
    if status.code == 409 && !causes.is_empty() {
        // The message says the same, by manager and over many lines.
        let fields = causes.iter().map(|cause| format!("{} ({})", cause.field, cause.message));
        return format!("others own fields: {}", fields.collect::<Vec<_>>().join(", "));
    }
    for cause in causes {
        if !cause.message.is_empty() && !text.contains(&cause.message) {
            text = format!("{text}; {} {}", cause.field, cause.message);
        }
    }
    text.replace('\n', " ")
}

/// The verb, the resource and the place in RBAC's `… cannot patch resource
/// "statefulsets" in API group "apps" in the namespace "trow"`.
fn missing_right(message: &str) -> Option<(&str, String, String)> {
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once('"')?;
    let quoted = |after: &str| {
        let (_, rest) = rest.split_once(after)?;
        rest.split_once('"').map(|(text, _)| text.to_owned())
    };
    let group = quoted("in API group \"").filter(|group| !group.is_empty());
    let resource = group.map_or_else(|| resource.to_owned(), |group| format!("{resource}.{group}"));
    let place = quoted("in the namespace \"")
        .map_or_else(|| "in the whole cluster".to_owned(), |name| format!("in namespace {name}"));
    Some((verb, resource, place))
}

/// An error and its causes on one line, each said once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    // rustls points at its own manual, which is for programmers.
    match text.find(": https://docs.rs/") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> ClusterError {
        let status = kube::core::Status::failure(message, reason).with_code(code);
        ClusterError::of("statefulset/trow-set", kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_missing_right_is_named_by_verb_resource_and_place() {
        let error = status(
            403,
            "Forbidden",
            "statefulsets.apps \"trow-set\" is forbidden: User \"dev\" cannot patch resource \
             \"statefulsets\" in API group \"apps\" in the namespace \"trow\"",
        );
        assert_eq!(error.refusal, Refusal::Forbidden);
        let hint = error.hint().unwrap();
        assert!(hint.contains("may not patch statefulsets.apps in namespace trow"), "{hint}");
        let error = status(
            403,
            "Forbidden",
            "namespaces \"trow\" is forbidden: User \"dev\" cannot get resource \"namespaces\" in \
             API group \"\" at the cluster scope",
        );
        let hint = error.hint().unwrap();
        assert!(hint.contains("may not get namespaces in the whole cluster"), "{hint}");
    }

    #[test]
    fn refusals_are_told_apart() {
        for (code, reason, message, refusal) in [
            (401, "Unauthorized", "Unauthorized", Refusal::NotAuthenticated),
            (403, "", "admission webhook \"v.example\" denied the request: no", Refusal::Admission),
            (500, "InternalError", "failed calling webhook \"v.example\"", Refusal::Admission),
            (
                422,
                "Invalid",
                "updates to statefulset spec for fields other than 'replicas' are forbidden",
                Refusal::Immutable,
            ),
            (422, "Invalid", "spec.x: Required value", Refusal::Invalid),
            (409, "Conflict", "Apply failed with 1 conflict", Refusal::Conflict),
            (409, "AlreadyExists", "leases \"x\" already exists", Refusal::Exists),
            (404, "NotFound", "namespaces \"trow\" not found", Refusal::NotFound),
            (503, "ServiceUnavailable", "etcd is away", Refusal::Other),
        ] {
            assert_eq!(status(code, reason, message).refusal, refusal, "{message}");
        }
    }

    #[test]
    fn the_known_ways_out_are_told() {
        let hint = status(404, "NotFound", "namespaces \"cert-manager\" not found").hint().unwrap();
        assert!(hint.contains("install cert-manager first"), "{hint}");
        let error = status(422, "Invalid", "updates to statefulset spec for fields other than …");
        assert!(error.hint().unwrap().contains("--cascade=orphan"));
        assert_eq!(status(422, "Invalid", "spec.x: Required value").hint(), None);
    }
}
