//! Which images come in: Trow's validator, and the flags that it went by.

use super::draft::{self, Draft};
use super::flags::Flags;
use super::report::{Deed, Place, Report};
use super::subject::Subject;

/// Reads the webhook, if the overlay has it, and the rules.
pub fn read(
    webhook: Option<&mut Subject>,
    flags: &Flags,
    domain: &str,
    draft: &mut Draft,
    report: &mut Report,
) {
    // Trow of that time let in its own images, those of Kubernetes, and what
    // its flags named.
    let mut allow = vec![format!("{domain}/")];
    allow.extend(["registry.k8s.io/".to_owned(), "k8s.gcr.io/".to_owned()]);
    allow.extend(flags.allow.iter().cloned());
    let deny: Vec<_> = flags.deny_local.iter().map(|name| format!("{domain}/{name}")).collect();
    let Some(webhook) = webhook else {
        if flags.rules.is_some() {
            let what = "the flags about images: nobody asked the registry, since the overlay has \
                        no validator";
            let mut toml =
                format!("[admission]\nkind = \"policy\"\nallow = {}", draft::list(&allow));
            if !deny.is_empty() {
                toml = format!("{toml}\ndeny = {}", draft::list(&deny));
            }
            report.left(flags.rules.clone(), what, Some(toml));
        }
        return;
    };
    let place = webhook.take("kind").as_ref().and_then(Place::of);
    draft.text("admission", "kind", "webhook", place.clone());
    draft.set("admission", "allow", draft::list(&allow), "", flags.rules.clone());
    if !deny.is_empty() {
        draft.set("admission", "deny", draft::list(&deny), "", flags.rules.clone());
    }
    let what = "the validator named a Service that is not there, without namespace, port, caBundle, \
                sideEffects and admissionReviewVersions; it has them, and the registry a certificate";
    report.add(Deed::Fixed, place, what);
}
