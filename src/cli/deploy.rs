//! `warren deploy`: render, check, write `deploy/<environment>`, show what
//! changed, and apply it where the environment's cluster is reachable.

use std::path::Path;

use serde::Serialize;

use super::composition::{self, Composed};
use super::context::Context;
use super::diff;
use super::error::CliError;
use super::printer::quoted;
use crate::delivery::changes::{ChangeKind, Changes, read_folder};
use crate::delivery::cluster::{Cluster, ClusterError, Reach};
use crate::delivery::difference::Difference;
use crate::delivery::folder;
use crate::delivery::kubectl::{Kubectl, Run};
use crate::delivery::references::{SecretReference, secret_references};
use crate::delivery::secret::SecretKind;
use crate::pipeline::compose::Rendered;
use crate::pipeline::environment::Environment;
use crate::pipeline::provenance;

/// Render, check and write deploy/<environment>, and apply it
#[derive(Debug, clap::Args)]
#[command(after_help = "Without a reachable cluster the files are written all the same, and the \
                        command to apply them later is printed; the exit code is then 0.\n\
                        WARREN_KUBECTL names another kubectl than that of PATH.\n\
                        Example: warren deploy sandbox")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Write the files and leave the cluster alone.
    #[arg(long)]
    no_apply: bool,
    /// How to say what was done.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Form,
}

/// How to say what was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Diffs and sentences.
    Text,
    /// One JSON object on stdout.
    Json,
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
    NotReached { reach: Reach, command: String },
    /// It took everything.
    Applied { objects: Vec<String>, missing_secrets: Vec<SecretReference> },
    /// It refused.
    Refused { reason: String, missing_secrets: Vec<SecretReference> },
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be rendered or a check finds an error: nothing
/// is written then. When the folder can't be written, and when a reachable
/// cluster refuses what is applied.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let composed = composition::checked(&root, &args.environment)?;
    let warnings = composed.findings.iter().filter(|found| found.is_warning()).count();
    if warnings > 0 {
        context.printer.warning(&format!(
            "the checks have {warnings} warnings: warren check {} names them",
            args.environment
        ));
    }
    deliver(args, context, &root, &composed, &Kubectl::from_environment())
}

fn deliver(
    args: &Args,
    context: &Context,
    root: &Path,
    composed: &Composed,
    kubectl: &dyn Run,
) -> Result<(), CliError> {
    let rendered = &composed.rendered;
    let environment = &rendered.environment;
    let shown = format!("deploy/{}", environment.name);
    let path = root.join(&shown);
    let before = read_folder(&path)?;
    let changes = Changes::between(&before, &rendered.files);
    let difference = Difference::of_files(&before, &rendered.files);
    folder::replace(&path, &rendered.files)
        .map_err(|error| CliError::failed("nothing was written").because(error))?;
    composition::write_statement(
        composed,
        Some(&shown),
        &root.join(provenance::path(&environment.name)),
    )?;
    if args.output == Form::Text {
        diff::print(&context.printer, &difference, &shown);
    }
    let cluster = Cluster::new(kubectl, environment.cluster.context.as_str());
    let (outcome, refusal) = if args.no_apply {
        (Outcome::NotAsked, None)
    } else {
        apply(context, cluster, &path, rendered)?
    };
    if args.output == Form::Json {
        let changes =
            changes.iter().map(|change| ReportedChange { file: &change.file, change: change.kind });
        context.printer.json(&Report {
            environment: &environment.name,
            folder: &shown,
            changes: changes.collect(),
            difference: &difference,
            context: cluster.context(),
            cluster: outcome,
        });
    } else {
        say(context, &outcome, &changes, cluster.context());
    }
    match refusal {
        None => Ok(()),
        Some(error) => {
            let hint = error.hint();
            let message = format!("{shown} is written, but {} refused it", cluster.context());
            let error = CliError::failed(message).because(error);
            Err(match hint {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
    }
}

fn apply(
    context: &Context,
    cluster: Cluster<'_>,
    path: &Path,
    rendered: &Rendered,
) -> Result<(Outcome, Option<ClusterError>), CliError> {
    let reach = cluster.reach();
    if reach != Reach::Ready {
        let command = later(path, cluster.context());
        return Ok((Outcome::NotReached { reach, command }, None));
    }
    let missing_secrets = missing(context, cluster, rendered)?;
    Ok(match cluster.apply_folder(path) {
        Ok(objects) => (Outcome::Applied { objects, missing_secrets }, None),
        Err(error) => {
            (Outcome::Refused { reason: error.to_string(), missing_secrets }, Some(error))
        }
    })
}

/// Warns of each Secret that the objects refer to and the cluster lacks. They
/// are applied all the same: the pods wait for it, and `warren secret` needs
/// the namespace that applying makes.
fn missing(
    context: &Context,
    cluster: Cluster<'_>,
    rendered: &Rendered,
) -> Result<Vec<SecretReference>, CliError> {
    let wanted = secret_references(&rendered.files).map_err(CliError::input)?;
    let missing = match cluster.missing_secrets(&wanted) {
        Ok(missing) => missing,
        Err(error) => {
            context.printer.warning(&format!("cannot tell which Secrets there are: {error}"));
            Vec::new()
        }
    };
    for reference in &missing {
        context.printer.warning(&about_missing(reference, &rendered.environment));
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

fn say(context: &Context, outcome: &Outcome, changes: &Changes, name: &str) {
    let printer = &context.printer;
    match outcome {
        Outcome::NotAsked => printer.note("not applied, as --no-apply says"),
        Outcome::NotReached { reach, command } => {
            let obstacle = reach.obstacle().unwrap_or_default();
            printer.note(&format!("not applied: {obstacle}"));
            printer.note(&format!("to apply it later: {command}"));
        }
        Outcome::Applied { objects, .. } => {
            for line in objects {
                printer.note(line);
            }
            printer.note(&format!("applied to {name}"));
            let removed = changes.files(ChangeKind::Removed);
            if !removed.is_empty() {
                printer.note(&format!(
                    "{name} keeps the objects of the removed files ({}): what is applied is \
                     never pruned, so that no data is lost. Delete them with kubectl.",
                    removed.join(", ")
                ));
            }
        }
        // The error that ends the command says it.
        Outcome::Refused { .. } => {}
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
