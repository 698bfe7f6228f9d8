//! `warren deploy`: render, check, write `deploy/<environment>`, show what
//! changes, and apply it where the environment's cluster is reachable.

use std::path::Path;

use serde::Serialize;

use super::args::Output;
use super::cluster::unreachable;
use super::composition::{self, Composed};
use super::context::Context;
use super::deliver::{Delivered, Delivery, Options, deliver};
use super::diff;
use super::error::CliError;
use super::printer::quoted;
use super::upstream;
use crate::delivery::changes::{ChangeKind, Changes, read_folder};
use crate::delivery::cluster::{Cluster, Obstacle};
use crate::delivery::difference::Difference;
use crate::delivery::folder;
use crate::pipeline::provenance;

/// Render, check and write deploy/<environment>, and apply it
#[derive(Debug, clap::Args)]
#[command(after_help = "Shows what changes in the cluster (a server-side dry run), asks, applies \
                        server-side in order, prunes, and waits until everything is healthy. \
                        Without a terminal, or with CI set, it does not ask; what puts data at \
                        risk then needs --yes.\n\
                        Without a reachable cluster the files are written all the same, and the \
                        command to apply them later is printed; the exit code is then 0, or 4 \
                        with --require-cluster.\n\
                        Example: warren deploy sandbox")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Write the files and leave the cluster alone.
    #[arg(long)]
    no_apply: bool,
    /// Fail where the cluster can't be reached.
    #[arg(long, conflicts_with = "no_apply")]
    require_cluster: bool,
    /// How to deliver.
    #[command(flatten)]
    options: Options,
    /// How to say what was done.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// What was done, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    folder: &'a str,
    changes: Vec<ReportedChange<'a>>,
    difference: &'a Difference,
    context: &'a str,
    cluster: Outcome,
}

#[derive(Serialize)]
struct ReportedChange<'a> {
    file: &'a str,
    change: ChangeKind,
}

/// What happened at the cluster.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Outcome {
    /// `--no-apply` was given.
    NotAsked,
    /// It could not be reached.
    NotReached { reach: Obstacle, command: String },
    /// It took everything.
    Applied(Box<Delivered>),
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be rendered or a check finds an error: nothing
/// is written then. When the folder can't be written, and when a reachable
/// cluster refuses what is applied or does not become healthy.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    upstream::check_pin(&root)?;
    let composed = composition::checked(&root, &args.environment)?;
    let warnings = composed.findings.iter().filter(|found| found.is_warning()).count();
    if warnings > 0 {
        context.printer.warning(&format!(
            "the checks have {warnings} warnings: warren check {} names them",
            args.environment
        ));
    }
    let rendered = &composed.rendered;
    let environment = &rendered.environment;
    let folder = format!("deploy/{}", environment.name);
    let before = read_folder(&root.join(&folder))?;
    write(&root, &folder, &composed)?;
    let name = environment.cluster.context.as_str();
    let cluster = if args.no_apply { None } else { Some(Cluster::connect(name)) };
    let text = matches!(args.output, Output::Text);
    let difference = Difference::of_files(&before, &rendered.files);
    if text {
        // With a cluster, what changes there is shown, not the same twice.
        if let Some(Ok(_)) = cluster {
            context.printer.note(&format!("{folder}: {}", difference.summary()));
        } else {
            diff::print(&context.printer, &difference, &folder);
        }
    }
    let outcome = match cluster {
        None => Outcome::NotAsked,
        Some(Err(reach)) if args.require_cluster => {
            return Err(unreachable(&format!("{folder} is written, but not applied"), &reach));
        }
        Some(Err(reach)) => {
            Outcome::NotReached { reach, command: later(&root.join(&folder), name) }
        }
        Some(Ok(cluster)) => {
            let files = &rendered.files;
            let delivery = Delivery { environment, files, rollback_of: None, quiet: !text };
            Outcome::Applied(Box::new(deliver(context, &cluster, &delivery, &args.options)?))
        }
    };
    if text {
        say(context, &outcome, name);
    } else {
        let changes = Changes::between(&before, &rendered.files);
        let changes =
            changes.iter().map(|change| ReportedChange { file: &change.file, change: change.kind });
        context.printer.json(&Report {
            environment: &environment.name,
            folder: &folder,
            changes: changes.collect(),
            difference: &difference,
            context: name,
            cluster: outcome,
        });
    }
    Ok(())
}

/// Writes the folder and the statement of what it was made from.
fn write(root: &Path, folder: &str, composed: &Composed) -> Result<(), CliError> {
    let nothing = |error| CliError::failed("nothing was written").because(error);
    let target = folder::own(root, &composed.rendered.environment.name).map_err(nothing)?;
    folder::replace(&target, &composed.rendered.files).map_err(nothing)?;
    let path = provenance::path(&composed.rendered.environment.name);
    composition::write_statement(composed, Some(folder), &root.join(path))
}

fn say(context: &Context, outcome: &Outcome, name: &str) {
    let printer = &context.printer;
    match outcome {
        Outcome::NotAsked => printer.note("not applied, as --no-apply says"),
        Outcome::NotReached { reach, command } => {
            printer.note(&format!("not applied: {reach}"));
            printer.note(&format!("to apply it later, run this again or: {command}"));
        }
        Outcome::Applied(delivered) => match delivered.revision {
            Some(revision) => printer.note(&format!("applied to {name} as revision {revision}")),
            None => printer.note(&format!("{name} is as it should be")),
        },
    }
}

/// The command that applies the folder by hand, as we would have done it.
fn later(path: &Path, context: &str) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(&here).unwrap_or(path).display().to_string();
    format!(
        "kubectl apply -k {} --context={} --server-side --field-manager=warren",
        quoted(&path),
        quoted(context)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_later_can_be_pasted() {
        assert_eq!(
            later(Path::new("/srv/it's here/deploy/sandbox"), "kubernetes-admin@sandbox"),
            r"kubectl apply -k '/srv/it'\''s here/deploy/sandbox' --context=kubernetes-admin@sandbox --server-side --field-manager=warren"
        );
        let here = std::env::current_dir().unwrap().join("deploy/sandbox");
        assert!(later(&here, "c").starts_with("kubectl apply -k deploy/sandbox --context=c "));
    }
}
