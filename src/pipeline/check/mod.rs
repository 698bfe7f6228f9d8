//! Checks of a composed environment, before anything is written. A finding
//! says what is wrong, where, which line caused it, and the way out. One file
//! per noun; [`rules`] has every code.

mod advice;
mod claims;
mod engine;
mod finding;
mod findings;
mod graph;
mod images;
mod namespaces;
mod pods;
mod routes;
pub mod rules;
mod secrets;
mod selectors;
mod services;
mod waive;

pub use finding::{Cause, Finding, Severity};
pub use findings::Findings;

use super::compose::Rendered;
use super::faults::Fault;
use super::upstream::Upstream;

/// Checks one environment. `faults` are those known of the upstream's version.
/// What the environment waives is in the list, marked so.
#[must_use]
pub fn check(rendered: &Rendered, upstream: &Upstream, faults: &[Fault]) -> Vec<Finding> {
    let mut findings = Findings::new(&rendered.environment);
    let objects = rendered.objects.as_slice();
    for object in objects {
        secrets::check(object, &mut findings);
        namespaces::check(object, &mut findings);
        services::check(object, objects, &mut findings);
        selectors::check(object, objects, &mut findings);
        images::check(object, &mut findings);
        routes::check(object, objects, &mut findings);
        claims::check(object, objects, &mut findings);
    }
    advice::check(&rendered.environment, &mut findings);
    engine::check(&rendered.environment, upstream, faults, &mut findings);
    waive::apply(&rendered.environment.waive, findings)
}
