//! The findings of an environment, as the checks come by them.

use std::collections::{HashMap, HashSet};

use super::super::environment::Environment;
use super::super::field;
use super::super::manifest::Object;
use super::super::yaml::Node;
use super::finding::{Cause, Finding, Severity};
use super::rules::Rule;

/// How many findings of one code and severity an object may have: who has more
/// to correct sees the others after that.
const OF_ONE_OBJECT: usize = 100;

/// What was found so far.
#[derive(Debug)]
pub struct Findings<'a> {
    environment: &'a Environment,
    list: Vec<Finding>,
    /// The last one, which whoever found it may still change.
    last: Option<(Finding, Subject)>,
    /// Object and field of each.
    seen: HashSet<(Subject, String)>,
    counts: HashMap<(Subject, String, bool), Count>,
}

/// Namespace and id of an object; empty for the environment as a whole.
type Subject = (String, String);

/// How many were found of one object, code and severity.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    found: usize,
    /// Where the last that is kept stands in the list.
    last: usize,
}

impl<'a> Findings<'a> {
    /// Nothing found yet.
    #[must_use]
    pub fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            list: Vec::new(),
            last: None,
            seen: HashSet::new(),
            counts: HashMap::new(),
        }
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
        let subject = subject(object);
        // To look for the line of each of very many would take for ever.
        let full = [false, true].iter().any(|error| {
            let count = self.counts.get(&(subject.clone(), rule.code.to_owned(), *error));
            count.is_some_and(|count| count.found >= OF_ONE_OBJECT)
        });
        let cause = if full { Cause::of(&object.node) } else { cause(object, field) };
        let finding = Finding {
            code: rule.code.to_owned(),
            severity: rule.severity,
            environment: self.environment.name.clone(),
            object: object.id(),
            field: field.to_owned(),
            message: message.into(),
            hint: rule.way_out.to_owned(),
            cause,
            waived: None,
        };
        self.push(finding, subject)
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
        let finding = Finding {
            code: rule.code.to_owned(),
            severity: rule.severity,
            environment: self.environment.name.clone(),
            object: String::new(),
            field: String::new(),
            message: message.into(),
            hint: rule.way_out.to_owned(),
            cause,
            waived: None,
        };
        self.push(finding, Subject::default())
    }

    /// Where a key of the environment stands, if a file sets it.
    #[must_use]
    pub fn cause_of_key(&self, key: &str) -> Option<Cause> {
        Cause::of(&self.environment.origins.mark(key, Node::string("")))
    }

    /// Whether something was found at exactly this field of an object.
    #[must_use]
    pub fn has(&self, object: &Object, field: &str) -> bool {
        self.seen.contains(&(subject(object), field.to_owned()))
    }

    /// What was found, to be changed.
    pub fn list_mut(&mut self) -> &mut [Finding] {
        self.settle();
        &mut self.list
    }

    /// What was found, in the order in which it was.
    #[must_use]
    pub fn into_list(mut self) -> Vec<Finding> {
        self.settle();
        for count in self.counts.values().filter(|count| count.found > OF_ONE_OBJECT) {
            if let Some(last) = self.list.get_mut(count.last) {
                let more = count.found - OF_ONE_OBJECT;
                let told = format!("{}; and {more} more of this code in the object", last.message);
                last.message = told;
            }
        }
        self.list
    }

    fn push(&mut self, finding: Finding, subject: Subject) -> &mut Finding {
        self.settle();
        self.seen.insert((subject.clone(), finding.field.clone()));
        &mut self.last.insert((finding, subject)).0
    }

    /// Keeps the last one, which nobody changes any more, unless its object has
    /// too many of its kind.
    fn settle(&mut self) {
        let Some((finding, subject)) = self.last.take() else { return };
        let whole = subject == Subject::default();
        let error = finding.severity == Severity::Error;
        let count = self.counts.entry((subject, finding.code.clone(), error)).or_default();
        count.found += usize::from(!whole);
        if whole || count.found <= OF_ONE_OBJECT {
            count.last = self.list.len();
            self.list.push(finding);
        }
    }
}

fn subject(object: &Object) -> Subject {
    (object.namespace().to_owned(), object.id())
}

/// The line of a field; the object's file where none of it has one.
fn cause(object: &Object, field: &str) -> Option<Cause> {
    let found = field::nearest(&object.node, field);
    Cause::of(found).or_else(|| Cause::of(&object.node)).or_else(|| {
        let file = object.source.clone();
        (!file.is_empty()).then_some(Cause { file, line: 0, column: 0, key: None })
    })
}
