//! Which images may run: the webhook's configuration, the registry's rules, or
//! the same rules as a policy of the API server.

use super::super::address::{AddressError, find_mut};
use super::super::environment::{Admission, Environment, ImagePrefix, Verdict};
use super::super::upstream::Upstream;
use super::super::yaml::{self, Node, Value};
use super::fill::{put, text};
use super::tls::webhook_certificate;
use crate::digest::Digest;

/// The webhook.
pub(super) fn webhook(
    node: &mut Node,
    environment: &Environment,
    upstream: &Upstream,
) -> Result<(), AddressError> {
    let admission = &environment.admission;
    if let Some(certificate) = webhook_certificate(environment) {
        let address = "metadata.annotations[\"cert-manager.io/inject-ca-from\"]";
        put(node, address, (environment, "namespace"), text(&certificate))?;
    }
    let hook = "webhooks[name=validator.trow.io]";
    let policy = text(admission.failure_policy.as_str());
    let address = format!("{hook}.failurePolicy");
    put(node, &address, (environment, "admission.failure_policy"), policy)?;
    let seconds = Node::integer(admission.timeout.get().into());
    let address = format!("{hook}.timeoutSeconds");
    put(node, &address, (environment, "admission.timeout"), seconds)?;
    let service = format!("{hook}.clientConfig.service");
    let namespace = text(environment.namespace.as_str());
    put(node, &format!("{service}.namespace"), (environment, "namespace"), namespace)?;
    // The port of the base, unless the Service has taken its place.
    let direct = environment.exposure.kind.is_direct();
    let port = if direct { environment.service.port.get() } else { upstream.port };
    let key = (environment, "service.port");
    put(node, &format!("{service}.port"), key, Node::integer(port.into()))?;
    let excluded = format!(
        "{hook}.namespaceSelector.matchExpressions[key=kubernetes.io/metadata.name].values"
    );
    exclude(node, &excluded, environment)
}

/// The policy.
pub(super) fn policy(node: &mut Node, environment: &Environment) -> Result<(), AddressError> {
    let admission = &environment.admission;
    let failure = text(admission.failure_policy.as_str());
    put(node, "spec.failurePolicy", (environment, "admission.failure_policy"), failure)?;
    let excluded = "spec.matchConstraints.namespaceSelector.matchExpressions\
                    [key=kubernetes.io/metadata.name].values";
    exclude(node, excluded, environment)?;
    let named = |name: &str, expression: &str| {
        Node::mapping([("name", text(name)), ("expression", text(expression))])
    };
    let all = "(has(object.spec.containers) ? object.spec.containers.map(c, c.image) : []) + \
               (has(object.spec.initContainers) ? object.spec.initContainers.map(c, c.image) : []) \
               + (has(object.spec.ephemeralContainers) ? \
               object.spec.ephemeralContainers.map(c, c.image) : [])";
    // As Docker reads a name: without a host it is Docker's hub, and there
    // without a folder `library`.
    let hosted = "variables.images.map(i, !i.contains('/') ? 'docker.io/library/' + i : \
                  (i.split('/')[0].contains('.') || i.split('/')[0].contains(':') || \
                  i.split('/')[0] == 'localhost') ? i : 'docker.io/' + i)";
    let full = "variables.hosted.map(i, i.startsWith('index.docker.io/') ? \
                i.replace('index.docker.io/', 'docker.io/', 1) : i).map(i, \
                i.startsWith('docker.io/') && size(i.split('/')) == 2 ? \
                i.replace('docker.io/', 'docker.io/library/', 1) : i)";
    let variables = Node::sequence([
        named("images", all),
        named("hosted", hosted),
        named("names", full),
        named("allow", &list(&admission.allow)),
        named("deny", &list(&admission.deny)),
    ]);
    put(node, "spec.variables", (environment, "admission.allow"), variables)?;
    let rule = expression(admission);
    let validation = Node::mapping([
        ("expression", text(&rule)),
        (
            "message",
            text("an image of this pod may not run here: see [admission] of the environment"),
        ),
        (
            "messageExpression",
            text(&format!(
                "'not allowed to run here: ' + variables.names.filter(i, !({})).join(', ')",
                judged(admission)
            )),
        ),
        ("reason", text("Forbidden")),
    ]);
    let key = (environment, "admission.default");
    put(node, "spec.validations", key, Node::sequence([validation]))
}

fn expression(admission: &Admission) -> String {
    format!("variables.names.all(i, {})", judged(admission))
}

/// Whether the image `i` may run: by the longest prefix that fits, where one
/// that denies wins against one as long. A prefix without a slash allows a
/// whole host, so that `quay.io` doesn't allow `quay.io.example`.
fn judged(admission: &Admission) -> String {
    let fits = "(p.contains('/') ? i.startsWith(p) : (i.startsWith(p + '/') || \
                i.startsWith(p + ':')))";
    let allowed = format!(
        "variables.allow.exists(p, {fits} && !variables.deny.exists(q, i.startsWith(q) && \
         size(q) >= size(p)))"
    );
    match admission.default {
        Verdict::Deny => allowed,
        Verdict::Allow => {
            format!("{allowed} || !variables.deny.exists(q, i.startsWith(q))")
        }
    }
}

/// The prefixes as a list of the policy's language. Their grammar has no quote
/// and no backslash.
fn list(prefixes: &[ImagePrefix]) -> String {
    let mut items = Vec::new();
    for prefix in prefixes {
        let prefix = prefix.as_str();
        items.push(format!("'{prefix}'"));
        // Docker's own images have two names.
        if let Some(rest) = prefix.strip_prefix("docker.io/")
            && !rest.is_empty()
            && !rest.contains('/')
        {
            items.push(format!("'docker.io/library/{rest}'"));
        }
    }
    if items.is_empty() {
        "[''].filter(p, p != '')".to_owned()
    } else {
        format!("[{}]", items.join(", "))
    }
}

/// Leaves namespaces out: the environment's own, and those that it names.
fn exclude(node: &mut Node, address: &str, environment: &Environment) -> Result<(), AddressError> {
    let mut names = vec![environment.namespace.as_str()];
    for name in &environment.admission.excluded_namespaces {
        if !names.contains(&name.as_str()) {
            names.push(name.as_str());
        }
    }
    let names = Node::sequence(names.into_iter().map(text));
    // The last step is a list in a list's element, which `find_mut` walks to.
    find_mut(node, address)?.value = Value::Sequence(Vec::new());
    put(node, address, (environment, "admission.excluded_namespaces"), names)
}

/// The registry's configuration file.
pub(super) fn configuration(environment: &Environment) -> String {
    let admission = &environment.admission;
    let prefixes =
        |list: &[ImagePrefix]| Node::sequence(list.iter().map(|prefix| text(prefix.as_str())));
    let validation = Node::mapping([
        ("default", text(admission.default.as_str())),
        ("allow", prefixes(&admission.allow)),
        ("deny", prefixes(&admission.deny)),
    ]);
    // Both engines ask for the key of the proxies; nothing is pulled through.
    let proxies = Node::mapping([("registries", Node::sequence([]))]);
    let file = Node::mapping([("registry_proxies", proxies), ("image_validation", validation)]);
    yaml::write(&file)
}

/// The digest of the configuration file.
pub(super) fn checksum(environment: &Environment) -> String {
    Digest::sha256(configuration(environment).as_bytes()).to_string()
}
