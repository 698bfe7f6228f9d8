//! What the commands that talk to a cluster share: connecting, and saying what
//! it refused.

use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::cluster::{
    Change, Cluster, ClusterError, Identity, LOG_IN, Obstacle, Progress, Refusal, Unhealthy,
};
use crate::delivery::references::CERT_MANAGER_NAMESPACE;
use crate::pipeline::environment::Environment;

/// What stands in the way of a cluster, as an error that ends a command.
#[must_use]
pub fn unreachable(what: &str, obstacle: &Obstacle) -> CliError {
    let error = CliError::new(ErrorKind::Unreachable, format!("{what}: {obstacle}"));
    match obstacle {
        Obstacle::NotAuthenticated { .. } => error.hint(LOG_IN),
        Obstacle::NoKubeconfig { .. } | Obstacle::NoContext { .. } => error
            .hint("KUBECONFIG names the kubeconfig; an environment names its context in [cluster]"),
        Obstacle::Unreachable { .. } => error,
    }
}

/// The cluster of an environment; `what` is said where it can't be had.
///
/// # Errors
/// When it can't be reached.
pub fn connected(environment: &Environment, what: &str) -> Result<Cluster, CliError> {
    Cluster::connect(environment.cluster.context.as_str())
        .map_err(|obstacle| unreachable(what, &obstacle))
}

/// What a cluster refused, as an error that ends a command, with the way out.
#[must_use]
pub fn refused(what: &str, error: &ClusterError) -> CliError {
    let kind = match error.refusal {
        Refusal::Unreachable | Refusal::NotAuthenticated => ErrorKind::Unreachable,
        _ => ErrorKind::Failed,
    };
    let refused = CliError::new(kind, format!("{what}: {error}"));
    match error.hint() {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}

/// Says what goes on while something is applied and waited for.
pub fn say(context: &Context, progress: Progress) {
    let printer = &context.printer;
    match progress {
        // What is left is warned of before.
        Progress::Applied(applied)
            if matches!(applied.result, Change::Unchanged | Change::Kept) => {}
        Progress::Applied(applied) => printer.note(&applied.to_string()),
        Progress::Waiting(object, reason) => {
            printer.note(&format!("waiting for {object}: {reason}"));
        }
        Progress::Healthy(object) => printer.note(&format!("{object} is healthy")),
        Progress::Freed(object) => printer.note(&format!(
            "{object} is of an earlier revision and never became ready: deleted, so that the \
             present one takes its place"
        )),
    }
}

/// What was applied and does not work, as an error that ends a command, with what
/// pods and events say of it.
#[must_use]
pub fn not_healthy(what: &str, unhealthy: &Unhealthy) -> CliError {
    let error = CliError::failed(format!("{what} is applied, but {unhealthy}"));
    unhealthy.details.iter().fold(error, |error, line| error.hint(line.clone()))
}

/// Refuses to put an authority in the place of another that the cluster signs
/// with: no client trusts the new one yet, and the old key would be lost.
/// `replaces` is one that may be replaced.
///
/// # Errors
/// When the cluster has another, or does not let us look.
pub fn guard_authority(
    cluster: &Cluster,
    environment: &Environment,
    ours: Option<&str>,
    replaces: Option<&str>,
) -> Result<(), CliError> {
    let name = environment.tls.ca_secret.as_str();
    let identity = Identity::new("v1", "Secret", CERT_MANAGER_NAMESPACE, name);
    let live = cluster.get(&identity).map_err(|error| refused("nothing is made", &error))?;
    let Some(live) = live.as_ref().and_then(|secret| secret_text(secret, "tls.crt")) else {
        return Ok(());
    };
    let same = |pem: Option<&str>| pem.is_some_and(|pem| pem.trim() == live.trim());
    if same(ours) || same(replaces) {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "nothing is made: {} signs with another authority, in the Secret {}/{}",
        cluster.context(),
        identity.namespace,
        identity.name
    ))
    .hint(format!(
        "put its ca.crt and ca.key into .warren/{}/ca, or name their folder with --ca-dir",
        environment.name
    ))
    .hint(
        "--replace-authority puts yours in its place: clients that trust the other one alone \
           then fail, and its key is gone",
    ))
}

/// A text in a Secret's data.
#[must_use]
pub fn secret_text(secret: &serde_json::Value, key: &str) -> Option<String> {
    use base64::Engine as _;
    let encoded = secret.get("data")?.get(key)?.as_str()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty())
}
