//! Passwords and keys in plain.

use super::super::compose::is_encrypted;
use super::super::manifest::Object;
use super::findings::Findings;
use super::rules;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    // What SOPS encrypted is readable for the cluster alone.
    if object.kind() == "Secret" && !is_encrypted(object) {
        let message = "a Secret would be committed in plain";
        findings.add(rules::PLAIN_SECRET, object, "data", message);
    }
}
