//! JSON merge patch, RFC 7386: what the API server applies to custom
//! resources, whose lists it takes as a whole.

use super::super::yaml::{Mapping, Node, Position, Value};

/// Merges a patch into a node (section 2): mappings by key, null removes, and
/// everything else takes the place of what is there. Nothing of it can fail.
/// Recurses as deep as the patch, which its reader bounds.
pub fn merge(target: &mut Node, patch: &Node) {
    let Value::Mapping(given) = &patch.value else {
        // The same value leaves as it came, in its own quotes.
        if *target != *patch {
            *target = patch.clone();
        }
        return;
    };
    if target.as_mapping().is_none() {
        *target = empty(patch);
    }
    let Value::Mapping(there) = &mut target.value else { return };
    for (key, value) in given.iter() {
        let name = key.name();
        if value.is_null() {
            there.remove(&name);
        } else if let Some(there) = there.get_mut(&name) {
            merge(there, value);
        } else {
            let mut fresh = empty(value);
            merge(&mut fresh, value);
            there.append(key.clone(), fresh);
        }
    }
}

/// A null of the patch that has nothing to remove, and where it stands.
#[must_use]
pub fn unmatched(target: &Node, patch: &Node) -> Option<(String, Position)> {
    patch.as_mapping()?.iter().find_map(|(key, value)| {
        let name = key.name();
        match target.get(&name) {
            Some(there) => unmatched(there, value),
            None if value.is_null() => Some((name.into_owned(), value.at)),
            // What is added is compared with nothing.
            None => unmatched(&Value::Mapping(Mapping::new()).into(), value),
        }
    })
}

/// A mapping without keys that came from where `node` did.
fn empty(node: &Node) -> Node {
    Node { value: Value::Mapping(Mapping::new()), at: node.at, origin: node.origin.clone() }
}
