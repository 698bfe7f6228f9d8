//! Merging an overlay onto an object, as a strategic merge patch does:
//! mappings by key, the lists of [`KEYS`] element by element, every other
//! list as a whole; null removes.

use super::yaml::{Node, Value};

/// Lists whose elements have an identity, by the field they stand under, and
/// the key of their elements ("patchMergeKey" of the published OpenAPI).
const KEYS: [(&str, &str); 9] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
];

/// Merges `overlay` onto `base`.
pub fn merge(base: &mut Node, overlay: Node) {
    merge_under("", base, overlay);
}

fn merge_under(field: &str, base: &mut Node, overlay: Node) {
    match (&mut base.value, overlay.value) {
        (Value::Mapping(base), Value::Mapping(overlay)) => {
            for (key, value) in overlay.iter() {
                let name = key.name();
                if value.is_null() {
                    base.remove(&name);
                } else if let Some(there) = base.get_mut(&name) {
                    merge_under(&name, there, value.clone());
                } else {
                    base.set(&name, value.clone());
                }
            }
        }
        (Value::Sequence(base), Value::Sequence(overlay)) => match merge_key(field) {
            Some(key) => merge_elements(base, overlay, key),
            None => *base = overlay,
        },
        (_, value) => base.value = value,
    }
}

fn merge_elements(base: &mut Vec<Node>, overlay: Vec<Node>, key: &str) {
    for element in overlay {
        let same =
            |other: &&mut Node| other.get(key).is_some() && other.get(key) == element.get(key);
        match base.iter_mut().find(same) {
            Some(there) => merge_under("", there, element),
            None => base.push(element),
        }
    }
}

fn merge_key(field: &str) -> Option<&'static str> {
    KEYS.iter().find(|(list, _)| *list == field).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(base: &str, overlay: &str) -> Node {
        let node = |text| super::super::yaml::read("test.yaml", text).unwrap().remove(0);
        let mut base = node(base);
        merge(&mut base, node(overlay));
        base
    }

    #[test]
    fn containers_merge_by_name_and_args_are_replaced() {
        let node = merged(
            "containers:\n- {name: a, image: x, args: [1, 2]}\n- {name: b}\n",
            "containers:\n- {name: a, args: [3]}\n- {name: c}\n",
        );
        let expected = merged(
            "containers:\n- {name: a, image: x, args: [3]}\n- {name: b}\n- {name: c}\n",
            "{}",
        );
        assert_eq!(node, expected);
    }

    #[test]
    fn null_removes() {
        assert_eq!(merged("{a: 1, b: 2}", "{a: null}"), merged("{b: 2}", "{}"));
    }
}
