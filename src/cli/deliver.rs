//! Delivering files to a cluster: plan, ask, lock, write down, apply, prune,
//! wait, write down.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::cluster::{not_healthy, refused, say};
use super::context::Context;
use super::diff;
use super::error::{CliError, ErrorKind};
use crate::delivery::cluster::{
    Applied, Asked, Cluster, ClusterError, Health, Held, Identity, Kept, Lease, Plan, Record,
    Refusal, Rollout, RolloutError, State, health, manifests, now,
};
use crate::delivery::difference::{Difference, Palette, Risk};
use crate::delivery::references::{SecretReference, secret_references};
use crate::delivery::secret::SecretKind;
use crate::digest::Digest;
use crate::pipeline::environment::Environment;

/// How often a lease that somebody holds is asked for.
const LEASE_POLL: Duration = Duration::from_secs(1);

/// How to deliver.
#[derive(Clone, Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Options {
    /// Apply without asking, also what puts data at risk.
    #[arg(long)]
    pub yes: bool,
    /// Take over fields that another field manager owns, and take away those
    /// that others added.
    #[arg(long)]
    pub take_over: bool,
    /// Delete also volumes, claims, namespaces and definitions that no longer
    /// render, with what is in them.
    #[arg(long)]
    pub prune_data: bool,
    /// The namespace in which the environment was until now: what it left there
    /// is deleted, but for data.
    #[arg(long, value_name = "NAMESPACE")]
    pub moved_from: Option<String>,
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
    options: &Options,
) -> Result<Delivered, CliError> {
    let environment = delivery.environment;
    let (name, namespace) = (environment.name.as_str(), environment.namespace.as_str());
    let objects = manifests(delivery.files).map_err(CliError::input)?;
    let look = |error: ClusterError| refused("nothing was applied", &error);
    let history = cluster.history(name, namespace).map_err(look)?;
    if let Some(last) = history.last().filter(|last| last.state != State::Deployed) {
        context.printer.warning(&format!("{} is not complete; this goes on from it", last.title()));
    }
    let mut delivered = delivered_objects(&history);
    delivered.extend(left_elsewhere(cluster, (name, namespace), options, &history)?);
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
    if !options.take_over {
        warn_of_additions(context, &plan, name);
    }
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
            healthy(context, cluster, &plan, (environment, options), &history)?;
        }
        return Ok(Delivered { revision: None, difference, objects: Vec::new(), missing_secrets });
    }
    confirm(context, cluster, &difference, delivery.quiet, options.yes)?;
    let holder = holder();
    let made = make_namespace(context, cluster, &plan, namespace)?;
    let done = if made { "only the namespace was made" } else { "nothing was applied" };
    let lease = take_lease(context, cluster, environment, (&holder, done), options)?;
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
    let work = Work { context, cluster, namespace, lease: &lease, options, wait, done };
    let revision = Some(record.revision);
    let outcome = work.deliver(&plan, record, before);
    if let (Some(from), Ok(_)) = (&options.moved_from, &outcome)
        && let Err(error) = cluster.forget(name, from)
    {
        context.printer.warning(&format!("the records of {name} in {from} stay: {error}"));
    }
    cluster.release(lease);
    Ok(Delivered { revision, difference, objects: outcome?, missing_secrets })
}

/// A delivery that has its lease.
struct Work<'a> {
    context: &'a Context,
    cluster: &'a Cluster,
    namespace: &'a str,
    lease: &'a Lease,
    options: &'a Options,
    wait: bool,
    /// What was done until now, in words.
    done: &'static str,
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
                "{}: revision {} was delivered by somebody else in the meantime",
                self.done, record.revision
            ))
            .hint("run it again and look at the difference anew"),
            _ => refused(self.done, &error),
        })?;
        let outcome = self.roll_out(plan);
        record.state = if outcome.is_ok() { State::Deployed } else { State::Failed };
        let written = self.cluster.end(&record, self.namespace);
        let applied = outcome.map_err(|error| failed(&error, &record, before))?;
        written.map_err(|error| refused("everything was applied, but not written down", &error))?;
        if let Err(error) = self.cluster.forget_old(&record.environment, self.namespace) {
            self.context.printer.warning(&format!("records of old deliveries stay: {error}"));
        }
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
    (environment, options): (&Environment, &Options),
    history: &[Record],
) -> Result<(), CliError> {
    let name = environment.name.as_str();
    let objects: Vec<_> = plan.objects.iter().map(|planned| planned.manifest.clone()).collect();
    let mut say = |progress| say(context, progress);
    let revision = history.last().map_or(0, |last| last.revision);
    // Where all works nobody needs to know that somebody looked. Elsewhere a pod may
    // have to be freed, by one of us at a time.
    let unwell = plan
        .objects
        .iter()
        .any(|planned| planned.live.as_ref().is_some_and(|live| health(live) != Health::Ready));
    let lease = if unwell {
        Some(take_lease(context, cluster, environment, (&holder(), "nothing was done"), options)?)
    } else {
        None
    };
    let mut rollout =
        Rollout { cluster, lease: lease.as_ref(), take_over: options.take_over, say: &mut say };
    let outcome = rollout.healthy(&objects, Duration::from_secs(options.timeout));
    if let Some(lease) = lease {
        cluster.release(lease);
    }
    outcome.map_err(|error| match error {
        RolloutError::Cluster(error) | RolloutError::Unseen(error) => {
            refused("the health is not known", &error)
        }
        RolloutError::Unhealthy(unhealthy) => {
            not_healthy(&format!("revision {revision}"), &unhealthy)
                .hint(format!("the revisions that there are: warren rollback {name} --list"))
        }
    })
}

/// What went wrong, why, and the way back.
fn failed(error: &RolloutError, record: &Record, before: Option<u64>) -> CliError {
    let name = &record.environment;
    let (mut failed, again) = match error {
        RolloutError::Cluster(error) => {
            (refused(&format!("revision {} is half applied", record.revision), error), true)
        }
        RolloutError::Unseen(error) => {
            let what = format!(
                "revision {} is applied, but whether it works is not known",
                record.revision
            );
            (refused(&what, error), false)
        }
        RolloutError::Unhealthy(unhealthy) => {
            (not_healthy(&format!("revision {}", record.revision), unhealthy), false)
        }
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
    if !terminal || is_ci(std::env::var("CI").ok().as_deref()) {
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

/// What the environment left in the namespace that it moves from, if it moves.
fn left_elsewhere(
    cluster: &Cluster,
    (name, namespace): (&str, &str),
    options: &Options,
    history: &[Record],
) -> Result<Vec<Identity>, CliError> {
    let look = |error: ClusterError| refused("nothing was applied", &error);
    let Some(from) = &options.moved_from else {
        if history.is_empty() {
            let elsewhere = cluster.delivered_elsewhere(name, namespace).map_err(look)?;
            refuse_elsewhere(name, &elsewhere)?;
        }
        return Ok(Vec::new());
    };
    if from == namespace {
        // Its records would be forgotten as those of the place that it left.
        return Err(CliError::new(
            ErrorKind::Usage,
            format!("nothing was applied: {name} is in the namespace {from}, and stays there"),
        )
        .hint("--moved-from names the namespace in which it was before"));
    }
    let there = cluster.history(name, from).map_err(look)?;
    if there.is_empty() {
        return Err(CliError::failed(format!(
            "nothing was applied: {name} was never delivered to the namespace {from}"
        )));
    }
    Ok(delivered_objects(&there))
}

/// An environment whose namespace changed would leave all that it has in the old
/// one, where no later delivery looks.
fn refuse_elsewhere(name: &str, elsewhere: &[String]) -> Result<(), CliError> {
    let Some(first) = elsewhere.first() else { return Ok(()) };
    Err(CliError::failed(format!(
        "nothing was applied: {name} is delivered to the namespace {} of this cluster, and would \
         stay there",
        elsewhere.join(", ")
    ))
    .hint(format!(
        "if it moves, warren deploy {name} --moved-from {first} deletes what it left there, but \
         for its data, which does not move"
    ))
    .hint("if that is another one, give this environment another name"))
}

/// How many additions a warning names.
const NAMED: usize = 3;

/// Warns of what others added: applying leaves it.
fn warn_of_additions(context: &Context, plan: &Plan, name: &str) {
    let additions: Vec<_> = plan
        .objects
        .iter()
        .flat_map(|planned| planned.additions.iter().map(move |one| (planned, one)))
        .map(|(planned, one)| {
            format!("{} {} ({})", planned.manifest.id(), one.address(), one.owner.manager)
        })
        .collect();
    if additions.is_empty() {
        return;
    }
    let more = if additions.len() > NAMED { ", …" } else { "" };
    let named: Vec<_> = additions.iter().take(NAMED).map(String::as_str).collect();
    context.printer.warning(&format!(
        "{} field(s) that others added stay: {}{more}; warren drift {name} shows them, \
         --take-over takes them away",
        additions.len(),
        named.join(", ")
    ));
}

/// Whether the variable `CI` says that nobody is there to ask.
fn is_ci(value: Option<&str>) -> bool {
    value.is_some_and(|value| !["", "0", "false", "no"].contains(&value.to_lowercase().as_str()))
}

/// Makes the namespace where it is not there yet, since the lease lives in it;
/// whether it was made.
fn make_namespace(
    context: &Context,
    cluster: &Cluster,
    plan: &Plan,
    namespace: &str,
) -> Result<bool, CliError> {
    let made = plan.objects.iter().find(|planned| {
        planned.live.is_none()
            && planned.manifest.kind() == "Namespace"
            && planned.manifest.text("/metadata/name") == namespace
    });
    let Some(planned) = made else { return Ok(false) };
    let applied = cluster
        .apply_objects(std::slice::from_ref(&planned.manifest))
        .map_err(|error| refused("nothing was applied", &error))?;
    for one in applied {
        context.printer.note(&one.to_string());
    }
    Ok(true)
}

/// Takes the lease, or waits for it; `holder` is who takes it, `done` what was
/// done until now.
fn take_lease(
    context: &Context,
    cluster: &Cluster,
    environment: &Environment,
    (holder, done): (&str, &str),
    options: &Options,
) -> Result<Lease, CliError> {
    let (name, namespace) = (environment.name.as_str(), environment.namespace.as_str());
    let end = Instant::now() + Duration::from_secs(options.lock_timeout);
    let mut told = false;
    loop {
        let taken =
            cluster.take_lease(name, namespace, holder).map_err(|error| refused(done, &error))?;
        let Held { by, since } = match taken {
            Ok(lease) => return Ok(lease),
            Err(held) => held,
        };
        if Instant::now() >= end {
            return Err(CliError::failed(format!("{done}: {by} deploys {name} since {since}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_machine_says_so() {
        assert!(is_ci(Some("true")) && is_ci(Some("1")) && is_ci(Some("woodpecker")));
        assert!(!is_ci(Some("false")) && !is_ci(Some("")) && !is_ci(Some("0")) && !is_ci(None));
    }
}
