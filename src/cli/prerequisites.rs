//! `warren prerequisites`: what an environment needs in its cluster before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::args::Output;
use super::cluster::{not_healthy, refused, say, unreachable};
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::load;
use crate::delivery::cluster::{
    Change, Cluster, ClusterError, Identity, Manifest, Rollout, RolloutError, manifests,
};
use crate::delivery::prerequisites::{Component, PATH, PrerequisiteError, needed, pinned};
use crate::digest::Digest;
use crate::fs::{self, Access};

/// Name, or install, what an environment needs in its cluster before
#[derive(Debug, clap::Args)]
#[command(after_help = "cert-manager, MetalLB, ingress-nginx, the Gateway API: each one file of \
                        manifests at the version of vendor/prerequisites.toml, checked against \
                        its sha256 before anything is applied. One that nobody pinned is not \
                        applied: look at it, then --pin writes its sha256. Each is waited for \
                        until its pods are ready and its webhooks can be called.\n\
                        Examples:\n  warren prerequisites sandbox\n  \
                        warren prerequisites sandbox --pin\n  \
                        warren prerequisites sandbox --apply --from downloads")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Only these components.
    components: Vec<String>,
    /// Apply those that the cluster does not have.
    #[arg(long)]
    apply: bool,
    /// Apply also those that are there: another version, or after a half
    /// installation.
    #[arg(long, requires = "apply")]
    again: bool,
    /// Don't wait until what was applied works.
    #[arg(long, requires = "apply")]
    no_wait: bool,
    /// How many seconds each component has until it works.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    timeout: u64,
    /// Write the sha256 of those that have none.
    #[arg(long, conflicts_with = "apply")]
    pin: bool,
    /// Take the manifests from this folder, as NAME.yaml or by the last part
    /// of the url.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// How to say it.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    component: &'a Component,
    /// Whether the cluster has it; nothing where that can't be told.
    installed: Option<bool>,
}

/// Runs the command.
///
/// # Errors
/// When the list is wrong, a component is not what was pinned, or the cluster
/// refuses it.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let environment = load::environment(&root, &args.environment)?;
    let mut components = needed(&root, &environment).map_err(|error| failed(&error))?;
    for name in &args.components {
        if !components.iter().any(|one| one.name == *name) {
            let known: Vec<_> = components.iter().map(|one| one.name.as_str()).collect();
            return Err(CliError::new(
                ErrorKind::Usage,
                format!("{} needs no {name}; it needs {}", environment.name, known.join(", ")),
            ));
        }
    }
    if !args.components.is_empty() {
        components.retain(|one| args.components.contains(&one.name));
    }
    if args.pin {
        return pin(args, context, &root, &components);
    }
    let connected = Cluster::connect(environment.cluster.context.as_str());
    if args.apply {
        let cluster =
            connected.map_err(|obstacle| unreachable("nothing is installed", &obstacle))?;
        return apply(args, context, &cluster, &components);
    }
    let cluster = match connected {
        Ok(cluster) => Some(cluster),
        Err(obstacle) => {
            context.printer.note(&format!("what is there can't be told: {obstacle}"));
            None
        }
    };
    let rows: Vec<_> = components
        .iter()
        .map(|component| Row {
            component,
            installed: cluster.as_ref().and_then(|cluster| is_there(cluster, component).ok()),
        })
        .collect();
    match args.output {
        Output::Json => context.printer.json(&rows),
        Output::Text => print(context, &rows),
    }
    Ok(())
}

fn print(context: &Context, rows: &[Row<'_>]) {
    let width = rows.iter().map(|row| row.component.name.len()).max().unwrap_or(0);
    for Row { component, installed } in rows {
        let state = match installed {
            Some(true) => "installed",
            Some(false) => "missing",
            None => "?",
        };
        let pinned = match &component.sha256 {
            Some(sha256) => format!("sha256:{sha256}"),
            None => "not pinned: look at it, then --pin".to_owned(),
        };
        context.printer.out(&format!(
            "{:width$}  {:<8}  {state:<9}  {}\n{:width$}  {pinned}\n",
            component.name, component.version, component.url, ""
        ));
    }
}

fn is_there(cluster: &Cluster, component: &Component) -> Result<bool, ClusterError> {
    if let Some(class) = &component.class {
        let identity = Identity::new("networking.k8s.io/v1", "IngressClass", "", class);
        return Ok(cluster.get(&identity)?.is_some());
    }
    let Some(group) = &component.group else { return Ok(false) };
    if !cluster.has_group(group)? {
        return Ok(false);
    }
    // Kinds without the program that acts on them are not enough.
    match &component.namespace {
        Some(namespace) => Ok(!cluster.list("apps/v1", "Deployment", namespace)?.is_empty()),
        None => Ok(true),
    }
}

fn apply(
    args: &Args,
    context: &Context,
    cluster: &Cluster,
    components: &[Component],
) -> Result<(), CliError> {
    // All are looked at before the first is applied.
    let mut wanted = Vec::new();
    for component in components {
        let there = is_there(cluster, component)
            .map_err(|error| refused("nothing is installed", &error))?;
        if there && !args.again {
            context
                .printer
                .note(&format!("{} is there; --again applies it all the same", component.name));
            continue;
        }
        if component.sha256.is_none() {
            return Err(CliError::failed(format!(
                "nothing is installed: nobody pinned {} {}",
                component.name, component.version
            ))
            .hint(format!(
                "look at {}, then: warren prerequisites {} {} --pin",
                component.url, args.environment, component.name
            )));
        }
        let bytes = component.manifests(args.from.as_deref()).map_err(|error| failed(&error))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| CliError::failed(format!("{} is no text", component.url)))?;
        let files = BTreeMap::from([(format!("{}.yaml", component.name), text)]);
        wanted.push((component, manifests(&files).map_err(CliError::input)?));
    }
    for (component, objects) in wanted {
        let what = format!("{} {} is half installed", component.name, component.version);
        let applied = cluster.apply_objects(&objects).map_err(|error| {
            refused(&what, &error).hint("mend that, then run it with --apply --again")
        })?;
        let created = applied.iter().filter(|one| one.result == Change::Created).count();
        context.printer.note(&format!(
            "{} {}: {} objects applied, {created} of them new",
            component.name,
            component.version,
            applied.len()
        ));
        if !args.no_wait {
            wait(args, context, cluster, (component, &objects))?;
        }
    }
    Ok(())
}

/// Waits until a component works: a delivery that comes before its webhooks can be
/// called is refused. Not for its Services: the address of one may be what the
/// environment brings.
fn wait(
    args: &Args,
    context: &Context,
    cluster: &Cluster,
    (component, objects): (&Component, &[Manifest]),
) -> Result<(), CliError> {
    let of = |kinds: &[&str]| {
        objects.iter().filter(|object| kinds.contains(&object.kind())).cloned().collect::<Vec<_>>()
    };
    // Their programs give webhooks their authority.
    let mut awaited = of(&["Deployment", "StatefulSet", "DaemonSet", "Job"]);
    awaited.extend(of(&["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"]));
    let mut say = |progress| say(context, progress);
    let mut rollout = Rollout { cluster, lease: None, take_over: false, say: &mut say };
    let what = format!("{} {}", component.name, component.version);
    rollout.healthy(&awaited, Duration::from_secs(args.timeout)).map_err(|error| match error {
        RolloutError::Cluster(error) | RolloutError::Unseen(error) => {
            refused(&format!("{what} is applied, but whether it works is not known"), &error)
        }
        RolloutError::Unhealthy(unhealthy) => not_healthy(&what, &unhealthy),
    })
}

fn pin(
    args: &Args,
    context: &Context,
    root: &Path,
    components: &[Component],
) -> Result<(), CliError> {
    for component in components.iter().filter(|one| one.sha256.is_none()) {
        let bytes = component.manifests(args.from.as_deref()).map_err(|error| failed(&error))?;
        let digest = Digest::sha256(&bytes);
        let text = pinned(root, &component.name, &digest).map_err(|error| failed(&error))?;
        fs::write_atomic(&root.join(PATH), text.as_bytes(), Access::Everyone)?;
        context.printer.out(&format!("{} {} is {digest}\n", component.name, component.version));
    }
    Ok(())
}

fn failed(error: &PrerequisiteError) -> CliError {
    let kind = match error {
        PrerequisiteError::List(_) => ErrorKind::Input,
        PrerequisiteError::Fetch { .. } => ErrorKind::Unreachable,
        _ => ErrorKind::Failed,
    };
    let failed = CliError::new(kind, error.to_string());
    match error {
        PrerequisiteError::Fetch { .. } => {
            failed.hint("fetch it where there is network, and name its folder with --from DIR")
        }
        PrerequisiteError::Differs { .. } => failed.hint(
            "somebody exchanged the file, or the version was released again: look at it before \
             you write another sha256 into vendor/prerequisites.toml",
        ),
        _ => failed,
    }
}
