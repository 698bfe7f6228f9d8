//! Lists of networks that are let in or kept out, in each controller's own terms,
//! and whether a change of one lets in more.

use std::net::IpAddr;

use crate::pipeline::field;
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::{Node, Value};

/// Last parts of annotations that list who may come.
const ALLOW: [&str; 5] = [
    "whitelist-source-range",
    "allowlist-source-range",
    "load-balancer-source-ranges",
    "allow-list",
    "whitelist",
];

/// Last parts of annotations that list who may not.
const DENY: [&str; 3] = ["denylist-source-range", "deny-list", "blacklist"];

/// Beginnings of the last part of annotations that ask who comes.
const ASK: [&str; 5] = ["auth-url", "auth-type", "auth-secret", "auth-tls-secret", "auth-realm"];

/// Whether the change at an address lets in somebody who was not let in before.
pub(super) fn opens(old: &Object, new: &Object, address: &str) -> bool {
    let ranges = "spec.loadBalancerSourceRanges";
    if new.kind() == "Service" && (address == ranges || address.starts_with(&format!("{ranges}[")))
    {
        return more(&list(old, ranges), &list(new, ranges));
    }
    let Some(key) = annotation(address) else { return false };
    let last = key.rsplit('/').next().unwrap_or_default();
    let (before, after) = (list(old, address), list(new, address));
    if ALLOW.contains(&last) {
        return more(&before, &after);
    }
    if DENY.contains(&last) {
        return before.iter().any(|network| !is_within(network, &after));
    }
    // Another way to ask may be as good, and none is not.
    ASK.contains(&last) && !before.is_empty() && after.is_empty()
}

/// The key of an annotation of the object itself.
fn annotation(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("metadata.annotations")?;
    rest.strip_prefix('.').or_else(|| rest.strip_prefix("[\"")?.strip_suffix("\"]"))
}

/// The texts of a list, or of a text with commas between them.
fn list(object: &Object, address: &str) -> Vec<String> {
    let text = |node: &Node| node.as_str().unwrap_or_default().to_owned();
    let texts = match field::find(&object.node, address).map(|node| &node.value) {
        Some(Value::Sequence(items)) => items.iter().map(text).collect(),
        Some(Value::Scalar(scalar)) => scalar.text().split(',').map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let trimmed = texts.iter().map(|text: &String| text.trim().to_owned());
    trimmed.filter(|text| !text.is_empty()).collect()
}

/// Whether a list lets in more than another. An empty one lets in everybody.
fn more(before: &[String], after: &[String]) -> bool {
    !before.is_empty()
        && (after.is_empty() || after.iter().any(|network| !is_within(network, before)))
}

/// Whether a network is one of the others, or a part of one.
fn is_within(network: &str, others: &[String]) -> bool {
    let covers = |outer: Network, inner: Network| {
        // A shift by all bits leaves none of either.
        let start = |bits: u128| bits.checked_shr(128 - outer.length);
        outer.is_v6 == inner.is_v6
            && outer.length <= inner.length
            && start(outer.bits) == start(inner.bits)
    };
    others.iter().any(|other| {
        let both = parse(other).zip(parse(network));
        network == other || both.is_some_and(|(outer, inner)| covers(outer, inner))
    })
}

/// A network as bits from the left, of which `length` count.
#[derive(Clone, Copy, Debug)]
struct Network {
    bits: u128,
    length: u32,
    is_v6: bool,
}

fn parse(text: &str) -> Option<Network> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (bits, most, is_v6) = match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32, false),
        IpAddr::V6(address) => (address.to_bits(), 128, true),
    };
    let length = length.unwrap_or(most);
    (length <= most).then_some(Network { bits, length, is_v6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_compared_by_its_bits() {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (before, after, opens) in [
            (&["10.0.0.0/8"][..], &["0.0.0.0/0"][..], true),
            (&["10.0.0.0/8"], &["10.1.0.0/16", "10.2.3.4"], false),
            (&["10.0.0.0/8"], &["10.0.0.0/8", "192.0.2.1"], true),
            (&["10.0.0.0/8"], &[], true),
            (&[], &["10.0.0.0/8"], false),
            (&["0.0.0.0/0"], &["192.0.2.0/24"], false),
            (&["0.0.0.0/0"], &["::/0"], true),
            (&["fd00::/8"], &["fd12::1"], false),
            (&["x"], &["y"], true),
            (&["10.0.0.0/99"], &["10.0.0.1"], true),
        ] {
            assert_eq!(more(&of(before), &of(after)), opens, "{before:?} {after:?}");
        }
    }
}
