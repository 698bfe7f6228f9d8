//! What the commands that talk to a cluster share: connecting, saying what it
//! refused, and delivering files to it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::context::Context;
use super::diff;
use super::error::{CliError, ErrorKind};
use crate::delivery::cluster::{
    Applied, Asked, Change, Cluster, ClusterError, Held, Identity, Kept, Lease, Obstacle, Plan,
    Progress, Record, Refusal, Rollout, RolloutError, State, Unhealthy, manifests, now,
};
use crate::delivery::difference::{Difference, Palette, Risk};
use crate::delivery::references::{CERT_MANAGER_NAMESPACE, SecretReference, secret_references};
use crate::delivery::secret::SecretKind;
use crate::digest::Digest;
use crate::pipeline::environment::Environment;

/// How often a lease that somebody holds is asked for.
const LEASE_POLL: Duration = Duration::from_secs(1);

/// How to deliver.
#[derive(Clone, Copy, Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    /// Apply without asking, also what puts data at risk.
    #[arg(long)]
    pub yes: bool,
    /// Take over fields that another field manager owns.
    #[arg(long)]
    pub take_over: bool,
    /// Delete also volumes, claims, namespaces and definitions that no longer
    /// render, with what is in them.
    #[arg(long)]
    pub prune_data: bool,
    /// Don't wait until everything is healthy.
    #[arg(long)]
    pub no_wait: bool,
    /// How many seconds everything has to become healthy.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    pub timeout: u64,
    /// How many seconds to wait while somebody else deploys.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    pub lock_timeout: u64,
}

/// What is delivered.
pub struct Delivery<'a> {
    /// To where.
    pub environment: &'a Environment,
    /// The files, by their path in the synced folder.
    pub files: &'a BTreeMap<String, String>,
    /// The revision that is gone back to.
    pub rollback_of: Option<u64>,
    /// Print no difference on stdout.
    pub quiet: bool,
}

/// What was done to a cluster.
#[derive(Debug, Serialize)]
pub struct Delivered {
    /// The revision; `None` where nothing was to be done.
    pub revision: Option<u64>,
    /// What it changed.
    pub difference: Difference,
    /// What became of each object.
    pub objects: Vec<Applied>,
    /// Secrets that have to be made for it to work.
    pub missing_secrets: Vec<SecretReference>,
}

/// What stands in the way of a cluster, as an error that ends a command.
#[must_use]
pub fn unreachable(what: &str, obstacle: &Obstacle) -> CliError {
    let error = CliError::new(ErrorKind::Unreachable, format!("{what}: {obstacle}"));
    match obstacle {
        Obstacle::NotAuthenticated { .. } => error.hint(
            "the token or certificate of this context has expired or is wrong: log in to the \
             cluster again",
        ),
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
    let identity = Identity {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: CERT_MANAGER_NAMESPACE.to_owned(),
        name: environment.tls.ca_secret.to_string(),
    };
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

/// Delivers files to a cluster: plan, ask, lock, write down, apply, prune,
/// wait, write down.
///
/// # Errors
/// When the cluster refuses, the operator says no, somebody else deploys, or
/// something does not become healthy.
pub fn deliver(
    context: &Context,
    cluster: &Cluster,
    delivery: &Delivery<'_>,
    options: Options,
) -> Result<Delivered, CliError> {
    let environment = delivery.environment;
    let (name, namespace) = (environment.name.as_str(), environment.namespace.as_str());
    let objects = manifests(delivery.files).map_err(CliError::input)?;
    let look = |error: ClusterError| refused("nothing was applied", &error);
    let history = cluster.history(name, namespace).map_err(look)?;
    if let Some(last) = history.last().filter(|last| last.state != State::Deployed) {
        context.printer.warning(&format!("{} is not complete; this goes on from it", last.title()));
    }
    let delivered = delivered_objects(&history);
    let held = if delivered.is_empty() {
        Some(Vec::new())
    } else {
        cluster.held_by_others(name).map_err(look)?
    };
    let asked = Asked {
        delivered: &delivered,
        namespace,
        held: held.as_deref(),
        take_over: options.take_over,
        prune_data: options.prune_data,
    };
    let plan = cluster.plan(&objects, asked).map_err(look)?;
    refusals(&plan)?;
    let difference = plan.difference();
    if !delivery.quiet {
        diff::print(&context.printer, &difference, cluster.context());
    }
    let missing_secrets = missing(context, cluster, delivery)?;
    let digest = digest(delivery.files);
    let settled =
        history.last().is_some_and(|last| last.state == State::Deployed && last.digest == digest);
    let wait = !options.no_wait && missing_secrets.is_empty();
    if !options.no_wait && !wait {
        context
            .printer
            .note("not waited for: the pods can't start without the Secrets named above");
    }
    if settled && difference.is_empty() {
        // That nothing is to be applied does not say that it works.
        if wait {
            healthy(context, cluster, &plan, options, name, &history)?;
        }
        return Ok(Delivered { revision: None, difference, objects: Vec::new(), missing_secrets });
    }
    confirm(context, cluster, &difference, delivery.quiet, options.yes)?;
    let holder = holder();
    make_namespace(context, cluster, &plan, namespace)?;
    let lease = take_lease(context, cluster, environment, &holder, options)?;
    let record = Record {
        environment: name.to_owned(),
        revision: history.last().map_or(1, |last| last.revision + 1),
        state: State::Pending,
        by: holder,
        at: now(),
        digest,
        rollback_of: delivery.rollback_of,
        // What is left is still ours to prune, once somebody asks for it.
        objects: plan
            .objects
            .iter()
            .map(|planned| planned.manifest.identity())
            .chain(plan.kept.iter().map(|(identity, _)| identity.clone()))
            .collect(),
        files: Some(delivery.files.clone()),
    };
    let before = history.iter().rev().find(|record| record.state == State::Deployed);
    let before = before.map(|record| record.revision);
    let work = Work { context, cluster, namespace, lease: &lease, options, wait };
    let revision = Some(record.revision);
    let outcome = work.deliver(&plan, record, before);
    cluster.release(lease);
    Ok(Delivered { revision, difference, objects: outcome?, missing_secrets })
}

/// A delivery that has its lease.
struct Work<'a> {
    context: &'a Context,
    cluster: &'a Cluster,
    namespace: &'a str,
    lease: &'a Lease,
    options: Options,
    wait: bool,
}

impl Work<'_> {
    /// Writes down, applies, waits and writes down; `before` is the revision
    /// that was there until now.
    fn deliver(
        &self,
        plan: &Plan,
        mut record: Record,
        before: Option<u64>,
    ) -> Result<Vec<Applied>, CliError> {
        self.cluster.begin(&record, self.namespace).map_err(|error| match error.refusal {
            Refusal::Exists => CliError::failed(format!(
                "nothing was applied: revision {} was delivered by somebody else in the meantime",
                record.revision
            ))
            .hint("run it again and look at the difference anew"),
            _ => refused("nothing was applied", &error),
        })?;
        let outcome = self.roll_out(plan);
        record.state = if outcome.is_ok() { State::Deployed } else { State::Failed };
        let written = self.cluster.end(&record, self.namespace);
        let applied = outcome.map_err(|error| failed(&error, &record, before))?;
        written.map_err(|error| refused("everything was applied, but not written down", &error))?;
        Ok(applied)
    }

    fn roll_out(&self, plan: &Plan) -> Result<Vec<Applied>, RolloutError> {
        for (identity, why) in &plan.kept {
            self.context.printer.warning(&format!(
                "{} no longer renders and is left: {}",
                identity.id(),
                match why {
                    Kept::Data => "it holds data; delete it with --prune-data",
                    Kept::Unsure => {
                        "another environment may hold it, and this account may not list the \
                         ConfigMaps of all namespaces, which would say so"
                    }
                }
            ));
        }
        let mut say = |progress| say(self.context, progress);
        let mut rollout = Rollout {
            cluster: self.cluster,
            lease: Some(self.lease),
            take_over: self.options.take_over,
            say: &mut say,
        };
        let applied = rollout.apply(plan)?;
        if self.wait {
            let objects: Vec<_> =
                plan.objects.iter().map(|planned| planned.manifest.clone()).collect();
            rollout.healthy(&objects, Duration::from_secs(self.options.timeout))?;
        }
        Ok(applied)
    }
}

/// Waits until what is delivered already works.
fn healthy(
    context: &Context,
    cluster: &Cluster,
    plan: &Plan,
    options: Options,
    name: &str,
    history: &[Record],
) -> Result<(), CliError> {
    let mut say = |progress| say(context, progress);
    let mut rollout = Rollout { cluster, lease: None, take_over: options.take_over, say: &mut say };
    let objects: Vec<_> = plan.objects.iter().map(|planned| planned.manifest.clone()).collect();
    let limit = Duration::from_secs(options.timeout);
    let outcome = rollout.healthy(&objects, limit);
    let revision = history.last().map_or(0, |last| last.revision);
    outcome.map_err(|error| match error {
        RolloutError::Cluster(error) => refused("the health is not known", &error),
        RolloutError::Unhealthy(unhealthy) => not_healthy(&unhealthy, revision)
            .hint(format!("the revisions that there are: warren rollback {name} --list")),
    })
}

/// Says what goes on.
fn say(context: &Context, progress: Progress) {
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

/// What went wrong, why, and the way back.
fn failed(error: &RolloutError, record: &Record, before: Option<u64>) -> CliError {
    let name = &record.environment;
    let (mut failed, again) = match error {
        RolloutError::Cluster(error) => {
            (refused(&format!("revision {} is half applied", record.revision), error), true)
        }
        RolloutError::Unhealthy(unhealthy) => (not_healthy(unhealthy, record.revision), false),
    };
    if again {
        failed = failed.hint(format!("what was applied stays; go on with warren deploy {name}"));
    }
    match before {
        Some(before) => {
            failed.hint(format!("go back to revision {before}: warren rollback {name} {before}"))
        }
        None => failed,
    }
}

fn not_healthy(unhealthy: &Unhealthy, revision: u64) -> CliError {
    let error = CliError::failed(format!("revision {revision} is applied, but {unhealthy}"));
    unhealthy.details.iter().fold(error, |error, line| error.hint(line.clone()))
}

/// The objects that earlier deliveries left: those of the last complete one
/// and of all that were begun after it.
fn delivered_objects(history: &[Record]) -> Vec<Identity> {
    let since = history.iter().rposition(|record| record.state == State::Deployed).unwrap_or(0);
    history[since..].iter().flat_map(|record| record.objects.iter().cloned()).collect()
}

/// An error where the cluster refuses any object: nothing is applied then.
fn refusals(plan: &Plan) -> Result<(), CliError> {
    let refusals = plan.refusals();
    if refusals.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    let error = CliError::failed(format!(
        "nothing was applied: the cluster refuses {} object(s): {}",
        lines.len(),
        lines.join("; ")
    ));
    let mut hints: Vec<_> = refusals.iter().filter_map(|refusal| refusal.hint()).collect();
    hints.dedup();
    Err(hints.into_iter().fold(error, CliError::hint))
}

/// Asks on a terminal; elsewhere goes on, unless data is at risk.
fn confirm(
    context: &Context,
    cluster: &Cluster,
    difference: &Difference,
    quiet: bool,
    yes: bool,
) -> Result<(), CliError> {
    if yes {
        return Ok(());
    }
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !terminal || std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        return if difference.risks().contains(&Risk::DataLoss) {
            Err(CliError::failed("nothing was applied: this puts data at risk")
                .hint("look at the lines that end in `data loss`, then give --yes"))
        } else {
            Ok(())
        };
    }
    if quiet {
        // Nobody says yes to what was not shown.
        context.printer.note(&difference.text(Palette::default()));
    }
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "apply this to {}? [y/N] ", cluster.context());
    let _ = stderr.flush();
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(CliError::failed("nothing was applied, as you said"))
    }
}

/// The lease lives in the environment's namespace, which the first delivery
/// makes.
fn make_namespace(
    context: &Context,
    cluster: &Cluster,
    plan: &Plan,
    namespace: &str,
) -> Result<(), CliError> {
    let made = plan.objects.iter().find(|planned| {
        planned.live.is_none()
            && planned.manifest.kind() == "Namespace"
            && planned.manifest.text("/metadata/name") == namespace
    });
    let Some(planned) = made else { return Ok(()) };
    let applied = cluster
        .apply_objects(std::slice::from_ref(&planned.manifest))
        .map_err(|error| refused("nothing was applied", &error))?;
    for one in applied {
        context.printer.note(&one.to_string());
    }
    Ok(())
}

fn take_lease(
    context: &Context,
    cluster: &Cluster,
    environment: &Environment,
    holder: &str,
    options: Options,
) -> Result<Lease, CliError> {
    let (name, namespace) = (environment.name.as_str(), environment.namespace.as_str());
    let end = Instant::now() + Duration::from_secs(options.lock_timeout);
    let mut told = false;
    loop {
        let taken = cluster
            .take_lease(name, namespace, holder)
            .map_err(|error| refused("nothing was applied", &error))?;
        let Held { by, since } = match taken {
            Ok(lease) => return Ok(lease),
            Err(held) => held,
        };
        if Instant::now() >= end {
            return Err(CliError::failed(format!(
                "nothing was applied: {by} deploys {name} since {since}"
            ))
            .hint(
                "wait for it with --lock-timeout SECONDS; a lease that nobody renews ends by \
                   itself within a minute",
            ));
        }
        if !told {
            context.printer.note(&format!("{by} deploys {name} since {since}; waiting"));
            told = true;
        }
        std::thread::sleep(LEASE_POLL);
    }
}

/// Who deploys: the user, the machine and the process.
fn holder() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{}@{node} ({})", user.as_deref().unwrap_or("somebody"), std::process::id())
}

/// A digest over the names and contents of the files.
#[must_use]
pub fn digest(files: &BTreeMap<String, String>) -> String {
    let mut hasher = crate::digest::Hasher::new(crate::digest::Algorithm::Sha256);
    for (file, text) in files {
        hasher.update(format!("{} {}\0", Digest::sha256(text.as_bytes()), file).as_bytes());
    }
    hasher.finish().to_string()
}

/// Warns of each Secret that the objects refer to and the cluster lacks. They
/// are applied all the same: the pods wait for it, and `warren secret` needs
/// the namespace that applying makes.
fn missing(
    context: &Context,
    cluster: &Cluster,
    delivery: &Delivery<'_>,
) -> Result<Vec<SecretReference>, CliError> {
    let wanted = secret_references(delivery.files).map_err(CliError::input)?;
    let missing = match cluster.missing_secrets(&wanted) {
        Ok(missing) => missing,
        Err(error) => {
            context.printer.warning(&format!("cannot tell which Secrets there are: {error}"));
            Vec::new()
        }
    };
    for reference in &missing {
        context.printer.warning(&about_missing(reference, delivery.environment));
    }
    Ok(missing)
}

fn about_missing(reference: &SecretReference, environment: &Environment) -> String {
    let SecretReference { namespace, name, by, .. } = reference;
    let way_out = match SecretKind::by_name(name, environment) {
        Some(_) => format!("make it with warren secret {} {name} --apply", environment.name),
        None => "make it before what refers to it can work".to_owned(),
    };
    format!("{by} refers to the Secret {namespace}/{name}, which is not there: {way_out}")
}
