//! Objects against the schemas of the environment's Kubernetes version.

use super::super::environment::KubernetesVersion;
use super::super::manifest::Object;
use super::super::schema::Schema;
use super::super::strict::{self, Rule};
use super::finding::Cause;
use super::findings::Findings;
use super::rules;

pub(super) fn check(object: &Object, version: KubernetesVersion, findings: &mut Findings<'_>) {
    // Every version that an environment may name has a schema.
    let schema = Schema::of(&version.to_string()).unwrap_or_else(|_| Schema::newest());
    for fault in strict::check(schema, &object.node) {
        if findings.has(object, &fault.field) {
            continue;
        }
        let finding = findings.add(rule(fault.rule), object, &fault.field, fault.message);
        finding.hint = fault.hint;
        if let Some(cause) = Cause::of(fault.node) {
            finding.cause = Some(cause);
        }
    }
}

/// The rule in the list of all checks.
fn rule(of: Rule) -> &'static rules::Rule {
    match of {
        Rule::UnknownKind => rules::UNKNOWN_KIND,
        Rule::RemovedApi => rules::REMOVED_API,
        Rule::DeprecatedApi => rules::DEPRECATED_API,
        Rule::AlphaApi => rules::ALPHA_API,
        Rule::UnknownField => rules::UNKNOWN_FIELD,
        Rule::FieldType => rules::FIELD_TYPE,
        Rule::MissingField => rules::MISSING_FIELD,
        Rule::FieldValue => rules::FIELD_VALUE,
        Rule::RepeatedElement => rules::REPEATED_ELEMENT,
        Rule::DeprecatedField => rules::DEPRECATED_FIELD,
        Rule::Namespace => rules::NAMESPACE,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn both_lists_of_rules_say_the_same() {
        for of in Rule::ALL {
            assert_eq!(rule(of).code, of.code());
            assert_eq!(rule(of).severity == Severity::Warning, of.is_warning(), "{}", of.code());
        }
    }

    #[test]
    fn every_version_that_an_environment_may_name_has_a_schema() {
        for minor in 0..=99 {
            let version = KubernetesVersion::try_from(format!("1.{minor}"));
            assert_eq!(version.is_ok(), Schema::of(&format!("1.{minor}")).is_ok(), "1.{minor}");
        }
    }
}
