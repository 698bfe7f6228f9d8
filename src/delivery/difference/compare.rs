//! Two sets of objects, field by field.

use std::collections::{BTreeMap, BTreeSet};

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::json::json;
use super::risk::{self, Risk};
use super::{FieldChange, Kind, ObjectChange};
use crate::pipeline::field;
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::{Kind as ScalarKind, Mapping, Node, Scalar, Value};

/// The objects that differ, sorted.
pub(super) fn objects(before: &[Object], after: &[Object]) -> Vec<ObjectChange> {
    let pairs = pairs(before, after);
    let mut changes: Vec<_> =
        pairs.into_iter().filter_map(|(before, after)| object(before, after)).collect();
    changes.sort_by(|one, other| {
        (&one.object, &one.namespace).cmp(&(&other.object, &other.namespace))
    });
    changes
}

type Pair<'a> = (Option<&'a Object>, Option<&'a Object>);

/// Which object became which: the same group, kind, namespace and name, or, where
/// that leaves one on each side, the same kind and name in another namespace.
fn pairs<'a>(before: &'a [Object], after: &'a [Object]) -> Vec<Pair<'a>> {
    let mut left: BTreeMap<_, _> = before.iter().map(|old| (old.identity(), old)).collect();
    let mut found = Vec::new();
    let mut come: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for new in after {
        match left.remove(&new.identity()) {
            Some(old) => found.push((Some(old), Some(new))),
            None => come.entry((new.kind(), new.name())).or_default().push(new),
        }
    }
    let mut gone: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for old in left.into_values() {
        gone.entry((old.kind(), old.name())).or_default().push(old);
    }
    for (name, news) in come {
        match (gone.get(&name).map(Vec::as_slice), news.as_slice()) {
            (Some([old]), [new]) => {
                found.push((Some(*old), Some(*new)));
                gone.remove(&name);
            }
            _ => found.extend(news.into_iter().map(|new| (None, Some(new)))),
        }
    }
    found.extend(gone.into_values().flatten().map(|old| (Some(old), None)));
    found
}

fn object(before: Option<&Object>, after: Option<&Object>) -> Option<ObjectChange> {
    let (change, shown) = match (before, after) {
        (Some(old), Some(new)) if old.node == new.node => return None,
        (Some(_), Some(new)) => (Kind::Changed, new),
        (None, Some(new)) => (Kind::Added, new),
        (Some(old), None) => (Kind::Removed, old),
        (None, None) => return None,
    };
    let mut fields = Vec::new();
    if let (Some(old), Some(new)) = (before, after) {
        let mut walk = Walk { old, new, changes: &mut fields };
        walk.node("", Some(&old.node), Some(&new.node));
    }
    let risks = match change {
        Kind::Changed => risk::sorted(fields.iter().flat_map(|one| one.risks.iter().copied())),
        _ => risk::of_object(shown, change),
    };
    Some(ObjectChange {
        object: shown.id(),
        namespace: shown.namespace().to_owned(),
        change,
        risk: risks.first().copied().unwrap_or(Risk::None),
        risks,
        fields,
    })
}

struct Walk<'a> {
    old: &'a Object,
    new: &'a Object,
    changes: &'a mut Vec<FieldChange>,
}

impl Walk<'_> {
    /// Recurses as deep as the nodes, which their reader bounds.
    fn node(&mut self, address: &str, before: Option<&Node>, after: Option<&Node>) {
        match (before.map(|node| &node.value), after.map(|node| &node.value)) {
            (Some(Value::Mapping(old)), Some(Value::Mapping(new))) => {
                self.mapping(address, old, new);
            }
            (Some(Value::Sequence(old)), Some(Value::Sequence(new)))
                if !old.is_empty() && !new.is_empty() =>
            {
                self.sequence(address, old, new);
            }
            _ if before == after => {}
            _ => self.add(address, before, after),
        }
    }

    fn mapping(&mut self, address: &str, old: &Mapping, new: &Mapping) {
        for (key, value) in old.iter() {
            let name = key.name();
            self.node(&field::under_key(address, &name), Some(value), new.get(&name));
        }
        for (key, value) in new.iter() {
            let name = key.name();
            if old.get(&name).is_none() {
                self.node(&field::under_key(address, &name), None, Some(value));
            }
        }
    }

    fn sequence(&mut self, address: &str, old: &[Node], new: &[Node]) {
        if let Some(name) = field::element_name(&[old, new]) {
            return self.by_name(address, name, old, new);
        }
        let texts = |items: &[Node]| -> Option<Vec<String>> {
            items.iter().map(|item| item.as_scalar().map(text)).collect()
        };
        if let (Some(old_texts), Some(new_texts)) = (texts(old), texts(new)) {
            return self.scalars(address, (old, &old_texts), (new, &new_texts));
        }
        for index in 0..old.len().max(new.len()) {
            self.node(&format!("{address}[{index}]"), old.get(index), new.get(index));
        }
    }

    /// Elements that can be told by a field. One that is left on each side is
    /// the same under another name.
    fn by_name(&mut self, address: &str, name: &str, old: &[Node], new: &[Node]) {
        let called = |node: &Node| field::element_text(node, name).to_owned();
        let at = |node: &Node| format!("{address}[{name}={}]", called(node));
        let (olds, news): (Vec<_>, Vec<_>) =
            (old.iter().map(called).collect(), new.iter().map(called).collect());
        let gone: Vec<_> = old.iter().filter(|node| !news.contains(&called(node))).collect();
        let come: Vec<_> = new.iter().filter(|node| !olds.contains(&called(node))).collect();
        for node in old {
            if let Some(other) = new.iter().find(|other| called(other) == called(node)) {
                self.node(&at(node), Some(node), Some(other));
            }
        }
        if let ([gone], [come]) = (gone.as_slice(), come.as_slice()) {
            self.node(&at(gone), Some(gone), Some(come));
        } else {
            for node in &gone {
                self.node(&at(node), Some(node), None);
            }
            for node in &come {
                self.node(&at(node), None, Some(node));
            }
        }
        let kept = |names: &[String], others: &[String]| -> Vec<Node> {
            names.iter().filter(|name| others.contains(name)).map(Node::string).collect()
        };
        let (before, after) = (kept(&olds, &news), kept(&news, &olds));
        if before != after {
            let order = format!("{address}[order]");
            self.add(&order, Some(&Node::sequence(before)), Some(&Node::sequence(after)));
        }
    }

    /// Lists of texts: what was put in, taken out or replaced.
    fn scalars(
        &mut self,
        address: &str,
        (old, old_texts): (&[Node], &[String]),
        (new, new_texts): (&[Node], &[String]),
    ) {
        let old_at = field::element_addresses(address, old);
        let new_at = field::element_addresses(address, new);
        for op in capture_diff_slices(Algorithm::Myers, old_texts, new_texts) {
            let (old_range, new_range) = (op.old_range(), op.new_range());
            if matches!(op, DiffOp::Equal { .. }) {
                continue;
            }
            for step in 0..old_range.len().max(new_range.len()) {
                let (was, is) = (old_range.start + step, new_range.start + step);
                let before = old.get(was).filter(|_| old_range.contains(&was));
                let after = new.get(is).filter(|_| new_range.contains(&is));
                let at = if before.is_some() { old_at.get(was) } else { new_at.get(is) };
                self.add(at.map_or(address, String::as_str), before, after);
            }
        }
    }

    fn add(&mut self, address: &str, before: Option<&Node>, after: Option<&Node>) {
        let change = match (before, after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        };
        let mut risks = BTreeSet::new();
        risk::of_field(self.old, self.new, address, before, after, &mut risks);
        let risks = risk::sorted(risks);
        self.changes.push(FieldChange {
            field: address.to_owned(),
            change,
            before: before.map(json),
            after: after.map(json),
            risk: risks.first().copied().unwrap_or(Risk::None),
            risks,
        });
    }
}

/// What Kubernetes reads, so that `0777` and `511` are no change.
fn text(scalar: &Scalar) -> String {
    match scalar.kind() {
        ScalarKind::String => format!("\"{}", scalar.text()),
        other => format!("{other:?}"),
    }
}
