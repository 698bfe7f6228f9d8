//! The program that serves: what is known of it.

use super::super::environment::{Engine, Environment};
use super::super::faults::Fault;
use super::super::upstream::Upstream;
use super::findings::Findings;
use super::rules;

const SET: &str = "statefulset/trow-set";

pub(super) fn check(
    environment: &Environment,
    upstream: &Upstream,
    faults: &[Fault],
    findings: &mut Findings<'_>,
) {
    let key = "registry.engine";
    let registry = &environment.registry;
    if registry.engine == Engine::Warren && registry.image.is_none() {
        let message = "the image is one that only this machine's nodes can have";
        let found = findings.add_at_key(rules::ENGINE_IMAGE, key, message);
        SET.clone_into(&mut found.object);
        "spec.template.spec.containers[name=trow-pod].image".clone_into(&mut found.field);
    }
    if registry.engine == Engine::Trow {
        for fault in faults {
            let message =
                format!("trow {}: {}; {}", upstream.version, fault.what, fault.consequence);
            let found = findings.add_at_key(rules::UPSTREAM_FAULT, key, message);
            found.code = format!("{}/{}", rules::UPSTREAM_FAULT.code, fault.code);
            SET.clone_into(&mut found.object);
        }
    }
}
