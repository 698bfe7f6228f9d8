//! What a patch puts where nothing was: without nulls and directives.

use super::super::super::yaml::{Mapping, Node, Value};
use super::{Directive, Idle, IdleReason, Merge, is_directive, patch_directive};

impl Merge {
    /// A value for a place that is empty; `None` where a directive leaves
    /// nothing. Recurses as deep as the patch, which its reader bounds.
    pub(super) fn fresh(&mut self, value: &Node, name: &str) -> Option<Node> {
        let fresh = match &value.value {
            Value::Scalar(_) => return Some(value.clone()),
            Value::Sequence(items) => {
                Value::Sequence(items.iter().filter_map(|item| self.fresh(item, name)).collect())
            }
            Value::Mapping(mapping) => {
                let reason = match patch_directive(mapping) {
                    Ok(None | Some(Directive::Merge)) => None,
                    Ok(Some(Directive::Replace)) => Some(IdleReason::Replace(name.to_owned())),
                    Ok(Some(Directive::Delete)) | Err(_) => {
                        Some(IdleReason::Delete(name.to_owned()))
                    }
                };
                if let Some(reason) = reason {
                    self.idle.push(Idle { at: value.at, reason });
                    return None;
                }
                Value::Mapping(self.fresh_mapping(mapping))
            }
        };
        Some(Node { value: fresh, at: value.at, origin: value.origin.clone() })
    }

    /// The same for a mapping whose own directive is dealt with.
    pub(super) fn fresh_mapping(&mut self, patch: &Mapping) -> Mapping {
        let mut fresh = Mapping::default();
        for (key, value) in patch.iter() {
            let name = key.name();
            if is_directive(&name) {
                continue;
            }
            if value.is_null() {
                let reason = IdleReason::Null(name.into_owned());
                self.idle.push(Idle { at: value.at, reason });
            } else if let Some(value) = self.fresh(value, &name) {
                fresh.append(key.clone(), value);
            }
        }
        fresh
    }
}
