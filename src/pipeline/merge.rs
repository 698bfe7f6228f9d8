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

/// Why an overlay does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MergeError {
    /// It removes what is not there.
    #[error("line {line}: `{field}: null` removes a field that is not there")]
    NothingToRemove {
        /// The field.
        field: String,
        /// Its line in the overlay.
        line: usize,
    },
    /// It puts one kind of node where another is.
    #[error("line {line}: `{field}` is {overlay} here and {base} in what it changes")]
    OtherKind {
        /// The field.
        field: String,
        /// Its line in the overlay.
        line: usize,
        /// What the overlay has.
        overlay: &'static str,
        /// What the base has.
        base: &'static str,
    },
}

/// Merges `overlay` onto `base`.
///
/// # Errors
/// [`MergeError`]; what of `base` was merged by then stays merged.
pub fn merge(base: &mut Node, overlay: Node) -> Result<(), MergeError> {
    merge_under("", base, overlay)
}

fn merge_under(field: &str, base: &mut Node, overlay: Node) -> Result<(), MergeError> {
    let (line, kinds) = (overlay.at.line, (overlay.describe(), base.describe()));
    let Node { value: base, at, origin } = base;
    match (base, overlay.value) {
        (Value::Mapping(base), Value::Mapping(mapping)) => {
            for (key, value) in mapping.iter() {
                let name = key.name();
                if value.is_null() {
                    if base.remove(&name).is_none() {
                        let (field, line) = (name.into_owned(), value.at.line);
                        return Err(MergeError::NothingToRemove { field, line });
                    }
                } else if let Some(there) = base.get_mut(&name) {
                    merge_under(&name, there, value.clone())?;
                } else {
                    base.set(&name, value.clone());
                }
            }
        }
        (Value::Sequence(base), Value::Sequence(items)) => {
            if let Some(key) = merge_key(field) {
                merge_elements(base, items, key)?;
            } else {
                *base = items;
                (*at, *origin) = (overlay.at, overlay.origin);
            }
        }
        (Value::Scalar(scalar), Value::Scalar(value)) => {
            *scalar = value;
            (*at, *origin) = (overlay.at, overlay.origin);
        }
        _ => {
            let (field, (overlay, base)) = (field.to_owned(), kinds);
            return Err(MergeError::OtherKind { field, line, overlay, base });
        }
    }
    Ok(())
}

fn merge_elements(base: &mut Vec<Node>, overlay: Vec<Node>, key: &str) -> Result<(), MergeError> {
    for element in overlay {
        let same =
            |other: &&mut Node| other.get(key).is_some() && other.get(key) == element.get(key);
        match base.iter_mut().find(same) {
            Some(there) => merge_under("", there, element)?,
            None => base.push(element),
        }
    }
    Ok(())
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
        merge(&mut base, node(overlay)).unwrap();
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

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |base: &str, overlay: &str| {
            let node = |text| super::super::yaml::read("test.yaml", text).unwrap().remove(0);
            merge(&mut node(base), node(overlay)).unwrap_err().to_string()
        };
        assert_eq!(
            refused("{a: 1}", "\nb: null"),
            "line 2: `b: null` removes a field that is not there"
        );
        let clash = refused("a: {b: 1}", "a: [1]");
        assert!(clash.contains("`a` is a list here and a mapping in"), "{clash}");
    }
}
