//! Who owns a field of a live object, from its `managedFields`
//! (structured-merge-diff's `FieldsV1`).

use serde::Serialize;
use serde_json::Value;

use super::manifest::text;
use crate::pipeline::address::{Step, parse};

/// Controllers of Kubernetes itself, and those whose one task is to write into
/// the objects of others.
const CONTROLLERS: [&str; 6] = [
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "cainjector",
    "cert-manager-cainjector",
    "vpa-updater",
];

/// Who owns a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The field manager, such as `kubectl-edit`.
    pub manager: String,
    /// When it wrote last, in RFC 3339; empty where that is not known.
    pub at: String,
    /// The subresource that it wrote through, such as `scale`; else empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

impl Owner {
    /// Whose entry of `managedFields` this is.
    pub(super) fn of(entry: &Value) -> Self {
        let text = |pointer| text(entry, pointer).to_owned();
        Self { manager: text("/manager"), at: text("/time"), subresource: text("/subresource") }
    }

    /// Whether it is a controller, which is to write there. So is whatever
    /// scales, unless it is `kubectl scale`.
    #[must_use]
    pub fn is_controller(&self) -> bool {
        CONTROLLERS.contains(&self.manager.as_str())
            || self.subresource == "status"
            || (self.subresource == "scale" && !self.manager.starts_with("kubectl"))
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " through {}", self.subresource)?;
        }
        if self.at.is_empty() { Ok(()) } else { write!(f, " at {}", self.at) }
    }
}

/// Who owns the field at this address; of several the one that wrote last.
pub(super) fn of(object: &Value, address: &str) -> Option<Owner> {
    let steps = parse(address).ok()?;
    let entries = object.pointer("/metadata/managedFields")?.as_array()?;
    let owning = entries
        .iter()
        .filter(|entry| entry.get("fieldsV1").is_some_and(|fields| owns(fields, &steps)));
    owning.max_by_key(|entry| text(entry, "/time")).map(Owner::of)
}

/// Whether this set has the field, something below it, or, as one leaf, the
/// whole that it is part of.
fn owns(fields: &Value, steps: &[Step]) -> bool {
    let Some(set) = fields.as_object() else { return false };
    let Some((step, rest)) = steps.split_first() else { return true };
    let below = match step {
        Step::Key(key) => set.get(&format!("f:{key}")),
        Step::Where(name, value) => set.iter().find_map(|(key, below)| {
            let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
            let part = key.get(name)?;
            let is = part.as_str().map_or_else(|| part.to_string(), str::to_owned);
            (is == *value).then_some(below)
        }),
        // Elements that are known by their place belong to the whole list.
        Step::At(_) | Step::After(_) | Step::End => None,
    };
    match below {
        Some(below) => owns(below, rest),
        // `{}` is a leaf: an atomic list or map is owned as one.
        None => set.keys().all(|key| key == "."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> Value {
        let owner = |manager: &str, time: &str, subresource: &str, fields: Value| {
            json!({"manager": manager, "time": time, "subresource": subresource,
                "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields})
        };
        json!({"metadata": {"managedFields": [
            owner("warren", "2026-01-01T00:00:00Z", "", json!({"f:spec": {
                "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"trow-pod\"}": {".": {}, "f:name": {}, "f:args": {}},
                }}},
                "f:ports": {"k:{\"port\":8000,\"protocol\":\"TCP\"}": {"f:port": {}}},
            }})),
            owner("kubectl-edit", "2026-02-01T00:00:00Z", "", json!({"f:spec": {
                "f:template": {"f:spec": {"f:containers": {
                    "k:{\"name\":\"trow-pod\"}": {"f:image": {}, "f:args": {}},
                }}},
            }})),
            owner("kube-controller-manager", "2026-03-01T00:00:00Z", "scale",
                json!({"f:spec": {"f:replicas": {}}})),
        ]}})
    }

    fn manager(address: &str) -> Option<String> {
        of(&live(), address).map(|owner| owner.manager)
    }

    #[test]
    fn the_last_to_write_a_field_owns_it() {
        let pod = "spec.template.spec.containers[name=trow-pod]";
        assert_eq!(manager(&format!("{pod}.image")).as_deref(), Some("kubectl-edit"));
        assert_eq!(manager(&format!("{pod}.name")).as_deref(), Some("warren"));
        assert_eq!(manager(&format!("{pod}.args[2]")).as_deref(), Some("kubectl-edit"));
        assert_eq!(manager("spec.ports[port=8000].port").as_deref(), Some("warren"));
        assert_eq!(manager("spec.unknown"), None);
        assert_eq!(manager(&format!("{pod}.unknown")), None);
    }

    #[test]
    fn a_controller_is_told_from_a_human() {
        let owner = of(&live(), "spec.replicas").unwrap();
        assert!(owner.is_controller());
        assert_eq!(
            owner.to_string(),
            "kube-controller-manager through scale at 2026-03-01T00:00:00Z"
        );
        assert!(!of(&live(), "spec.ports[port=8000].port").unwrap().is_controller());
        let scaler = |manager: &str| Owner {
            manager: manager.to_owned(),
            at: String::new(),
            subresource: "scale".to_owned(),
        };
        assert!(scaler("autoscaler").is_controller() && !scaler("kubectl").is_controller());
    }
}
