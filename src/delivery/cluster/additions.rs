//! What others added to an object beside what was delivered: server-side apply
//! leaves fields alone that it does not name, so that no dry run shows them.

use serde_json::{Map, Value};

use super::api::FIELD_MANAGER;
use super::manifest::Manifest;
use super::owner::Owner;
use crate::pipeline::address::write_key;

/// A field that somebody else added.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    path: Vec<Step>,
    /// What is there.
    pub value: Value,
    /// Who added it.
    pub owner: Owner,
}

/// A step of `managedFields`, as structured-merge-diff has it.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `f:name`
    Field(String),
    /// `k:{"name":"x"}`: the element with these values.
    Element(Map<String, Value>),
    /// `v:"x"`: the element that is this.
    Member(Value),
}

impl Step {
    fn read(key: &str) -> Option<Self> {
        let (kind, rest) = key.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => serde_json::from_str(rest).ok().map(Self::Element),
            "v" => serde_json::from_str(rest).ok().map(Self::Member),
            _ => None,
        }
    }

    /// Whether it leads to this element of a list. What an element does not say
    /// has its default.
    fn is(&self, element: &Value) -> bool {
        match self {
            Self::Field(_) => false,
            Self::Member(value) => value == element,
            Self::Element(keys) => {
                let has = |(key, value): (&String, &Value)| {
                    element.get(key).map_or(key == "protocol", |there| there == value)
                };
                element.is_object() && keys.iter().all(has)
            }
        }
    }

    fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Field(name) => value.get(name),
            _ => value.as_array()?.iter().find(|element| self.is(element)),
        }
    }

    fn find_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        match self {
            Self::Field(name) => value.get_mut(name),
            _ => value.as_array_mut()?.iter_mut().find(|element| self.is(element)),
        }
    }

    fn remove(&self, value: &mut Value) {
        match (self, value) {
            (Self::Field(name), Value::Object(object)) => {
                object.remove(name);
            }
            (_, Value::Array(items)) => items.retain(|element| !self.is(element)),
            _ => {}
        }
    }
}

impl Addition {
    /// The field's address.
    #[must_use]
    pub fn address(&self) -> String {
        let mut address = String::new();
        for (number, step) in self.path.iter().enumerate() {
            // Writing to a text can't fail.
            let _ = match step {
                Step::Field(name) => write_key(&mut address, number == 0, name),
                Step::Element(keys) => {
                    let name = keys.get_key_value("name").or_else(|| keys.iter().next());
                    let Some((key, value)) = name else { continue };
                    let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    std::fmt::Write::write_fmt(&mut address, format_args!("[{key}={shown}]"))
                }
                Step::Member(value) => {
                    std::fmt::Write::write_fmt(&mut address, format_args!("[{value}]"))
                }
            };
        }
        address
    }

    /// What another object has there.
    pub(super) fn value_in<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.path.iter().try_fold(object, |value, step| step.find(value))
    }

    fn remove_from(&self, object: &mut Value) {
        let Some((last, above)) = self.path.split_last() else { return };
        let holder = above.iter().try_fold(object, |value, step| step.find_mut(value));
        if let Some(holder) = holder {
            last.remove(holder);
        }
    }
}

/// The outermost fields of a live object that somebody who is neither we nor a
/// controller owns, and that the manifest does not have. Labels, annotations and
/// the rest of the metadata are everybody's.
pub(super) fn additions(manifest: &Manifest, live: &Value) -> Vec<Addition> {
    let mut found: Vec<Addition> = Vec::new();
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let owner = Owner::of(entry);
        if owner.manager == FIELD_MANAGER || owner.is_controller() {
            continue;
        }
        let Some(Value::Object(set)) = entry.get("fieldsV1") else { continue };
        let mut walk = Walk { owner: &owner, path: Vec::new(), found: &mut found };
        for (key, below) in set {
            if !["f:metadata", "f:status"].contains(&key.as_str()) {
                walk.enter(key, below, &manifest.value, live);
            }
        }
    }
    found.sort_by_key(Addition::address);
    found
}

struct Walk<'w> {
    owner: &'w Owner,
    path: Vec<Step>,
    found: &'w mut Vec<Addition>,
}

impl Walk<'_> {
    /// Recurses as deep as the object, which its reader bounds.
    fn enter(&mut self, key: &str, below: &Value, wanted: &Value, live: &Value) {
        let Some(step) = Step::read(key) else { return };
        let Some(there) = step.find(live) else { return };
        let wanted = step.find(wanted);
        self.path.push(step);
        match (wanted, below) {
            (None, _) if self.found.iter().any(|one| one.path == self.path) => {}
            (None, _) => self.found.push(Addition {
                path: self.path.clone(),
                value: there.clone(),
                owner: self.owner.clone(),
            }),
            (Some(wanted), Value::Object(set)) => {
                for (key, below) in set {
                    self.enter(key, below, wanted, there);
                }
            }
            _ => {}
        }
        self.path.pop();
    }
}

/// The object without what others added, as a replacement of the live one.
pub(super) fn without(object: &Value, live: &Value, additions: &[Addition]) -> Value {
    let mut object = object.clone();
    for addition in additions {
        addition.remove_from(&mut object);
    }
    // Which state of it is replaced.
    if let Some(version) = live.pointer("/metadata/resourceVersion") {
        object["metadata"]["resourceVersion"] = version.clone();
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            value: json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "trow", "labels": {"a": "b"}},
            "spec": {
                "ports": [{"port": 8000, "name": "http"}],
                "selector": {"app": "trow"},
            }}),
        }
    }

    fn live(manager: &str, fields: &Value) -> Value {
        let mut live = manifest().value;
        live["metadata"]["resourceVersion"] = json!("7");
        live["metadata"]["labels"]["x"] = json!("y");
        live["spec"]["type"] = json!("ClusterIP");
        live["spec"]["ports"] = json!([
            {"port": 8000, "protocol": "TCP", "name": "http", "appProtocol": "h2c"},
            {"port": 22, "protocol": "TCP", "name": "ssh"},
        ]);
        live["spec"]["selector"]["also"] = json!("this");
        live["metadata"]["managedFields"] =
            json!([{"manager": manager, "operation": "Update", "fieldsV1": fields}]);
        live
    }

    fn fields() -> Value {
        json!({
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:status": {"f:loadBalancer": {}},
            "f:spec": {
                "f:gone": {},
                "f:ports": {
                    "k:{\"port\":8000,\"protocol\":\"TCP\"}": {".": {}, "f:appProtocol": {}},
                    "k:{\"port\":22,\"protocol\":\"TCP\"}":
                        {".": {}, "f:port": {}, "f:name": {}},
                },
                "f:selector": {"f:also": {}, "f:app": {}},
            },
        })
    }

    #[test]
    fn the_outermost_fields_that_others_added_are_told() {
        let live = live("kubectl-edit", &fields());
        let found = additions(&manifest(), &live);
        let addresses: Vec<_> = found.iter().map(Addition::address).collect();
        assert_eq!(
            addresses,
            ["spec.ports[port=22]", "spec.ports[port=8000].appProtocol", "spec.selector.also"]
        );
        assert_eq!(found[0].value["name"], "ssh");
        assert_eq!(found[0].owner.manager, "kubectl-edit");
        assert_eq!(found[1].value_in(&live), Some(&json!("h2c")));
        assert_eq!(found[1].value_in(&manifest().value), None);
        let clean = without(&live, &live, &found);
        assert_eq!(clean["spec"]["selector"], json!({"app": "trow"}));
        assert_eq!(
            clean["spec"]["ports"],
            json!([{"port": 8000, "protocol": "TCP", "name": "http"}])
        );
        assert_eq!(clean["spec"]["type"], "ClusterIP", "what nobody owns stays");
        assert_eq!(clean["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn what_we_and_controllers_own_is_no_addition() {
        for manager in [FIELD_MANAGER, "kube-controller-manager"] {
            assert_eq!(additions(&manifest(), &live(manager, &fields())), []);
        }
        let mut scaled = live("autoscaler", &json!({"f:spec": {"f:selector": {"f:also": {}}}}));
        assert_eq!(additions(&manifest(), &scaled).len(), 1);
        scaled["metadata"]["managedFields"][0]["subresource"] = json!("status");
        assert_eq!(additions(&manifest(), &scaled), []);
    }

    #[test]
    fn nonsense_in_managed_fields_adds_nothing() {
        for fields in [json!(null), json!([]), json!({"f:spec": {"k:{": {}, "i:3": {}, "x": {}}})] {
            assert_eq!(additions(&manifest(), &live("kubectl-edit", &fields)), []);
        }
    }
}
