//! Namespaces, on namespaced kinds only.

use super::super::manifest::Object;
use super::findings::Findings;
use super::rules;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    let message = match (object.is_namespaced(), object.namespace().is_empty()) {
        (true, true) => "lives in a namespace and names none",
        (false, false) => "lives in no namespace and names one",
        _ => return,
    };
    findings.add(rules::NAMESPACE, object, "metadata.namespace", message);
}
