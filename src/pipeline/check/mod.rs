//! Checks of a composed environment, before anything is written. A finding
//! says what is wrong, where, which line caused it, and the way out. One file
//! per noun; [`rules`] has every code.

mod advice;
mod certificates;
mod claims;
mod engine;
mod finding;
mod findings;
mod flux;
mod graph;
mod images;
mod metadata;
mod names;
mod pod_security;
mod pods;
mod ports;
mod providers;
mod routes;
pub mod rules;
mod schema;
mod secrets;
mod selectors;
mod services;
mod unreadable;
mod volumes;
mod waive;
mod webhooks;

pub use finding::{Cause, Finding, Severity};
pub use findings::Findings;
pub use names::{is_secret as is_secret_name, is_secret_annotation};
pub use unreadable::unreadable;

use super::compose::Rendered;
use super::faults::Fault;
use super::upstream::Upstream;
use graph::Graph;

/// Checks one environment. `faults` are those known of the upstream's version.
/// What the environment waives is in the list, marked so.
#[must_use]
pub fn check(rendered: &Rendered, upstream: &Upstream, faults: &[Fault]) -> Vec<Finding> {
    let mut findings = Findings::new(&rendered.environment);
    let graph = Graph::new(&rendered.objects, &rendered.environment);
    for object in &rendered.objects {
        metadata::check(object, &mut findings);
        secrets::check(object, &mut findings);
        services::check(object, &graph, &mut findings);
        selectors::check(object, &graph, &mut findings);
        images::check(object, &mut findings);
        routes::check(object, &graph, &mut findings);
        certificates::check(object, &graph, &mut findings);
        webhooks::check(object, &graph, &mut findings);
        volumes::check(object, &graph, &mut findings);
        claims::check(object, &graph, &mut findings);
        ports::check(object, &mut findings);
        pod_security::check(object, &graph, &rendered.environment, &mut findings);
        flux::check(object, &mut findings);
        // Last, since the others may say the same of a field, and better.
        schema::check(object, rendered.environment.kubernetes, &mut findings);
    }
    advice::check(&rendered.environment, &mut findings);
    engine::check(&rendered.environment, upstream, faults, &mut findings);
    waive::apply(&rendered.environment.waive, findings)
}
