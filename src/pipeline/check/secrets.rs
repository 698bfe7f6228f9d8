//! Passwords and keys in plain.

use super::super::manifest::Object;
use super::findings::Findings;
use super::rules;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    if object.kind() == "Secret" {
        let message = "a Secret would be committed in plain";
        findings.add(rules::PLAIN_SECRET, object, "data", message);
    }
}
