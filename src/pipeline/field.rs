//! Fields of an object for reading, and what to call them: the addresses (see
//! [`super::address`]) that `explain`, `diff` and the checks print. An element is
//! named by what it is wherever it can be, and by its number only where it has no
//! name.

use std::collections::HashMap;

use super::address::{Step, next, parse, scalar, write_key};
use super::yaml::{Node, Value};

/// Walks as far as the steps lead. Says how many were taken, and where it came.
#[must_use]
pub fn walk<'a>(node: &'a Node, steps: &[Step]) -> (usize, &'a Node) {
    let mut here = node;
    for (taken, step) in steps.iter().enumerate() {
        match next(here, step) {
            Some(child) => here = child,
            None => return (taken, here),
        }
    }
    (steps.len(), here)
}

/// The field at an address, where there is one.
#[must_use]
pub fn find<'a>(node: &'a Node, address: &str) -> Option<&'a Node> {
    let steps = parse(address).ok()?;
    let (taken, found) = walk(node, &steps);
    (taken == steps.len()).then_some(found)
}

/// The field at an address, or the nearest one above it that there is.
#[must_use]
pub fn nearest<'a>(node: &'a Node, address: &str) -> &'a Node {
    parse(address).map_or(node, |steps| walk(node, &steps).1)
}

/// The text at an address; empty where there is none.
#[must_use]
pub fn text<'a>(node: &'a Node, address: &str) -> &'a str {
    find(node, address).and_then(Node::as_str).unwrap_or_default()
}

/// The items of the list at an address; none where there is no list.
#[must_use]
pub fn items<'a>(node: &'a Node, address: &str) -> &'a [Node] {
    find(node, address).and_then(Node::as_sequence).unwrap_or_default()
}

/// What an element of a list can be told by, the most telling first.
const NAMES: [&str; 17] = [
    "name",
    "metadata.name",
    "sectionName",
    "host",
    "path",
    "secretName",
    "mountPath",
    "devicePath",
    "containerPort",
    "port",
    "topologyKey",
    "key",
    "type",
    "ip",
    "kind",
    "group",
    "id",
];

/// The field by which the elements of all these lists can be told apart: each
/// of them has it, and no two of one list the same.
#[must_use]
pub fn element_name(lists: &[&[Node]]) -> Option<&'static str> {
    let tells = |name: &str| {
        lists.iter().all(|items| {
            let mut seen: Vec<_> = items.iter().filter_map(|item| scalar(item, name)).collect();
            seen.sort_unstable();
            // A bracket would end the address.
            let complete = seen.len() == items.len() && seen.iter().all(|text| !text.contains(']'));
            seen.dedup();
            complete && seen.len() == items.len()
        })
    };
    let any = lists.iter().any(|items| !items.is_empty());
    NAMES.into_iter().find(|name| any && tells(name))
}

/// The text by which an element is told under this name.
#[must_use]
pub fn element_text<'a>(item: &'a Node, name: &str) -> &'a str {
    scalar(item, name).unwrap_or_default()
}

/// An address one step longer.
#[must_use]
pub fn under(address: &str, step: &Step) -> String {
    match step {
        Step::Key(key) => under_key(address, key),
        _ => format!("{address}{step}"),
    }
}

/// An address one key longer.
#[must_use]
pub fn under_key(address: &str, key: &str) -> String {
    let mut longer = address.to_owned();
    // Writing to a text can't fail.
    let _ = write_key(&mut longer, address.is_empty(), key);
    longer
}

/// The addresses of the elements of a list: by what they are, else by number.
#[must_use]
pub fn element_addresses(address: &str, items: &[Node]) -> Vec<String> {
    if let Some(name) = element_name(&[items]) {
        let by_name = |item| format!("{address}[{name}={}]", element_text(item, name));
        return items.iter().map(by_name).collect();
    }
    let texts: Vec<_> = items.iter().map(Node::as_str).collect();
    let mut flags: HashMap<&str, usize> = HashMap::new();
    for flag in texts.iter().copied().flatten().filter(|text| is_flag(text)) {
        *flags.entry(flag).or_default() += 1;
    }
    (0..items.len())
        .map(|index| {
            // A value that follows its flag: both are texts, and the flag is there once.
            let before = index.checked_sub(1).and_then(|before| texts.get(before).copied());
            match before.flatten() {
                Some(flag)
                    if is_flag(flag)
                        && !texts.get(index).copied().flatten().is_some_and(is_flag)
                        && flags.get(flag) == Some(&1) =>
                {
                    format!("{address}[after={flag}]")
                }
                _ => format!("{address}[{index}]"),
            }
        })
        .collect()
}

/// Whether a text is an argument's name, such as `--user`.
#[must_use]
pub fn is_flag(text: &str) -> bool {
    text.len() > 1 && text.starts_with('-') && !text.contains(['=', ']'])
}

/// An address of the same field in which elements are named by what they are.
/// Steps that lead nowhere are left out.
#[must_use]
pub fn canonical(node: &Node, steps: &[Step]) -> String {
    let (mut address, mut here) = (String::new(), node);
    for step in steps {
        let Some(child) = next(here, step) else { break };
        address = match &here.value {
            Value::Sequence(items) => {
                let at = items.iter().position(|item| std::ptr::eq(item, child));
                let addresses = element_addresses(&address, items);
                at.and_then(|at| addresses.into_iter().nth(at)).unwrap_or(address)
            }
            _ => match step {
                Step::Key(key) => under_key(&address, key),
                _ => address,
            },
        };
        here = child;
    }
    address
}

/// All scalars, and lists and mappings that are empty, with their addresses, in
/// order.
#[must_use]
pub fn leaves(node: &Node) -> Vec<(String, &Node)> {
    leaves_under("", node)
}

/// Like [`leaves`], of a node that stands at an address.
#[must_use]
pub fn leaves_under<'a>(address: &str, node: &'a Node) -> Vec<(String, &'a Node)> {
    let mut found = Vec::new();
    collect(address.to_owned(), node, &mut found);
    found
}

/// Recurses as deep as the node, which its reader bounds.
fn collect<'a>(address: String, node: &'a Node, found: &mut Vec<(String, &'a Node)>) {
    match &node.value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            for (key, value) in mapping.iter() {
                collect(under_key(&address, &key.name()), value, found);
            }
        }
        Value::Sequence(items) if !items.is_empty() => {
            for (address, item) in element_addresses(&address, items).into_iter().zip(items) {
                collect(address, item, found);
            }
        }
        _ => found.push((address, node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        crate::pipeline::yaml::read("test.yaml", text).unwrap().remove(0)
    }

    #[test]
    fn every_leaf_is_found_again_by_its_address() {
        let node = node(
            "metadata: {annotations: {a.b/c: x}}\nspec:\n  rules: [{host: h, paths: [{path: /}]}]\n  args: [--user, alice, --verbose, --user2, bob, plain]\n  twice: [{a: 1}, {a: 1}]\n  empty: {}\n",
        );
        let leaves = leaves(&node);
        let addresses: Vec<_> = leaves.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(
            addresses,
            [
                "metadata.annotations[\"a.b/c\"]",
                "spec.rules[host=h].host",
                "spec.rules[host=h].paths[path=/].path",
                "spec.args[0]",
                "spec.args[after=--user]",
                "spec.args[2]",
                "spec.args[3]",
                "spec.args[after=--user2]",
                "spec.args[5]",
                "spec.twice[0].a",
                "spec.twice[1].a",
                "spec.empty",
            ]
        );
        for (address, leaf) in leaves {
            assert!(std::ptr::eq(find(&node, &address).unwrap(), leaf), "{address}");
        }
        assert_eq!(text(&node, "spec.rules[0].host"), "h");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["a[", "a[x]", "a.", ".a", "a[\"b"] {
            assert!(parse(address).is_err(), "{address}");
        }
    }

    #[test]
    fn the_nearest_field_stands_for_one_that_is_not_there() {
        let node = node("spec:\n  a: {b: 1}\n");
        assert_eq!(
            nearest(&node, "spec.a.c.d"),
            &node.get("spec").unwrap().get("a").unwrap().clone()
        );
    }
}
