//! The findings of an environment, as the checks come by them.

use super::super::environment::Environment;
use super::super::field;
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::finding::{Cause, Finding};
use super::rules::Rule;

/// What was found so far.
#[derive(Debug)]
pub struct Findings<'a> {
    environment: &'a Environment,
    list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// Nothing found yet.
    #[must_use]
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, list: Vec::new() }
    }

    /// Adds what a rule found at a field of an object. `field` is an address as
    /// [`field::parse`] reads it; what is there, or else nearest above it, says
    /// which line caused the finding. The rule's severity and way out hold
    /// unless the caller changes them.
    pub fn add(
        &mut self,
        rule: &'static Rule,
        object: &Object,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        let cause = cause(object, field);
        self.push(Finding {
            code: rule.code.to_owned(),
            severity: rule.severity,
            environment: self.environment.name.clone(),
            object: object.id(),
            field: field.to_owned(),
            message: message.into(),
            hint: rule.way_out.to_owned(),
            cause,
            waived: None,
        })
    }

    /// Adds what a rule found about the environment as a whole; `key` of its
    /// TOML caused it.
    pub fn add_at_key(
        &mut self,
        rule: &'static Rule,
        key: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        let cause = self.cause_of_key(key);
        self.push(Finding {
            code: rule.code.to_owned(),
            severity: rule.severity,
            environment: self.environment.name.clone(),
            object: String::new(),
            field: String::new(),
            message: message.into(),
            hint: rule.way_out.to_owned(),
            cause,
            waived: None,
        })
    }

    /// Where a key of the environment stands, if a file sets it.
    #[must_use]
    pub fn cause_of_key(&self, key: &str) -> Option<Cause> {
        Cause::of(&self.environment.origins.mark(key, Node::string("")))
    }

    /// Whether something was found at exactly this field of an object.
    #[must_use]
    pub fn has(&self, object: &Object, field: &str) -> bool {
        let mut here = self.list.iter().filter(|finding| finding.field == field);
        here.any(|finding| finding.object == object.id())
    }

    /// What was found, to be changed.
    pub fn list_mut(&mut self) -> &mut [Finding] {
        &mut self.list
    }

    /// What was found, in the order in which it was.
    #[must_use]
    pub fn into_list(self) -> Vec<Finding> {
        self.list
    }

    fn push(&mut self, finding: Finding) -> &mut Finding {
        self.list.push_mut(finding)
    }
}

/// The line of a field; the object's file where none of it has one.
fn cause(object: &Object, field: &str) -> Option<Cause> {
    let found = field::nearest(&object.node, field);
    Cause::of(found).or_else(|| Cause::of(&object.node)).or_else(|| {
        let file = object.source.clone();
        (!file.is_empty()).then_some(Cause { file, line: 0, column: 0, key: None })
    })
}
