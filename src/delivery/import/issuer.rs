//! A ClusterIssuer that the overlay brings.

use super::draft::{self, Draft};
use super::report::{Deed, Report};
use super::subject::Subject;
use crate::pipeline::yaml::Node;

/// Reads it, if it is the one that the Ingress names.
pub fn read(subject: &mut Subject, draft: &mut Draft, report: &mut Report) {
    let name = subject.text("metadata/name").map(|(name, _)| name).unwrap_or_default();
    let version = subject.text("apiVersion");
    if draft.get("tls", "issuer") != Some(draft::quoted(&name).as_str()) {
        let place = version.and_then(|(_, place)| place);
        report.left(
            place,
            format!("the ClusterIssuer {name}, which the Ingress does not name"),
            None,
        );
        return;
    }
    if let Some((version, place)) = version
        && version != "cert-manager.io/v1"
    {
        let what = format!(
            "the ClusterIssuer is of cert-manager.io/v1; cert-manager has no {version} any more"
        );
        report.add(Deed::Upgraded, place, what);
    }
    // It is rendered, so nothing has to be assumed.
    draft.unset("tls", "create_issuer");
    report.retract(Deed::Assumed, "ClusterIssuer");
    if let Some((secret, place)) = subject.text("spec/ca/secretName") {
        draft.text("tls", "ca_secret", &secret, place);
    } else if let Some((email, place)) = subject.text("spec/acme/email") {
        draft.text("tls", "kind", "acme", place.clone());
        draft.text("tls", "email", &email, place);
        if let Some((server, place)) = subject.text("spec/acme/server") {
            draft.text("tls", "server", &server, place);
        }
        subject.take("spec/acme");
    } else if subject.take("spec/selfSigned").as_ref().and_then(Node::as_mapping).is_some() {
        draft.text("tls", "kind", "self-signed", None);
    } else {
        draft.set("tls", "create_issuer", "false".to_owned(), "another kind of authority", None);
        report.left(None, format!("the ClusterIssuer {name}: make it in the cluster"), None);
    }
}
