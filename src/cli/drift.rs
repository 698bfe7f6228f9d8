//! `warren drift`: what in the cluster differs from what was delivered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::args::Output;
use super::cluster::{connected, refused};
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::load;
use crate::delivery::changes::read_folder;
use crate::delivery::cluster::{Cluster, ClusterError, Drift, DriftedField, State, manifests};
use crate::delivery::difference::value_text;

/// Say what in the cluster differs from what was delivered
#[derive(Debug, clap::Args)]
#[command(after_help = "Compared is the last delivery of warren deploy, or, where an agent \
                        delivers, deploy/ENVIRONMENT. What the API server fills in and what \
                        controllers own is no drift. Each field is told with who changed it.\n\
                        What others added counts too, but for labels, annotations and the rest of \
                        the metadata. The comparison is the server's own, by a dry run: it takes \
                        the right to patch.\n\
                        Leaves with 0 when nothing differs, with 1 when something does, with 3 \
                        when nothing was delivered yet, and with 4 when the cluster can't be \
                        reached or does not let us compare.\n\
                        Example: warren drift sandbox")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Compare with deploy/ENVIRONMENT also where there is a delivery.
    #[arg(long)]
    committed: bool,
    /// How to say it.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    context: &'a str,
    against: &'a str,
    #[serde(flatten)]
    drift: &'a Drift,
}

/// Runs the command.
///
/// # Errors
/// When the cluster can't be asked, nothing was delivered yet, or something
/// differs.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let environment = load::environment(&root, &args.environment)?;
    let name = environment.name.as_str();
    let cluster = connected(&environment, "nothing to compare with")?;
    let history = if args.committed {
        Vec::new()
    } else {
        cluster
            .history(name, environment.namespace.as_str())
            .map_err(|error| not_compared(&error))?
    };
    let last = history.iter().rev().find(|record| record.state == State::Deployed);
    let committed = format!("deploy/{name}");
    let (against, files) = match last {
        Some(record) => match &record.files {
            Some(files) => (format!("revision {}", record.revision), files.clone()),
            None => (committed.clone(), read_folder(&root.join(&committed))?),
        },
        None => (committed.clone(), read_folder(&root.join(&committed))?),
    };
    if files.is_empty() {
        let empty = format!("nothing was delivered, and {committed} is empty");
        return Err(CliError::new(ErrorKind::Input, empty)
            .hint(format!("deliver it with warren deploy {name}")));
    }
    let drift = drift(&cluster, &files)?;
    match args.output {
        Output::Text => print(context, &drift, &against, cluster.context()),
        Output::Json => context.printer.json(&Report {
            environment: name,
            context: cluster.context(),
            against: &against,
            drift: &drift,
        }),
    }
    if drift.is_empty() {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "{} object(s) in {} differ from {against}",
        drift.objects.len(),
        cluster.context()
    ))
    .hint(match last {
        Some(_) => format!("put them back with warren deploy {name} --take-over"),
        // An agent would take back what is delivered beside it.
        None => "the agent that syncs it puts back what differs, not what others added: take \
                 that away by hand"
            .to_owned(),
    }))
}

fn drift(cluster: &Cluster, files: &BTreeMap<String, String>) -> Result<Drift, CliError> {
    let objects = manifests(files).map_err(CliError::input)?;
    cluster.drift(&objects).map_err(|error| not_compared(&error))
}

/// Scripts must not take a cluster that does not let us look for one that differs.
fn not_compared(error: &ClusterError) -> CliError {
    refused("the cluster can't be compared", error).of_kind(ErrorKind::Unreachable)
}

fn print(context: &Context, drift: &Drift, against: &str, name: &str) {
    let mut text = String::new();
    for object in &drift.objects {
        let sign = if object.missing { "-" } else { "~" };
        let gone = match (object.missing, object.deleting) {
            (true, _) => " is gone",
            (_, true) => " is being deleted",
            _ => "",
        };
        let _ = writeln!(text, "{sign} {}{gone}", object.identity.id());
        for field in &object.fields {
            let _ = writeln!(text, "    {}", line(field));
        }
    }
    context.printer.out(&text);
    let left_out = match drift.controllers {
        0 => String::new(),
        count => format!(", {count} field(s) of controllers left out"),
    };
    context.printer.note(&format!(
        "{name}, compared with {against}: {} object(s) differ{left_out}",
        drift.objects.len()
    ));
}

fn line(field: &DriftedField) -> String {
    let shown = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), value_text)
    };
    let owner = match &field.owner {
        Some(owner) => format!("  ({owner})"),
        None => String::new(),
    };
    format!("{}: {} -> {}{owner}", field.field, shown(&field.delivered), shown(&field.live))
}
