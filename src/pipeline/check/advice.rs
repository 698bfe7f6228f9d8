//! What the keys of an environment make worth knowing.

use super::super::environment::Environment;
use super::super::environment::advice::advice;
use super::findings::Findings;
use super::rules;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    for advice in advice(environment) {
        let found = findings.add_at_key(rules::ADVICE, advice.key, advice.message);
        found.code = format!("{}/{}", rules::ADVICE.code, advice.code);
        found.object = format!("environment/{}", environment.name);
        advice.key.clone_into(&mut found.field);
        found.hint = advice.hint;
    }
}
