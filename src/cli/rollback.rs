//! `warren rollback`: goes back to an earlier delivery.

use serde::Serialize;

use super::args::Output;
use super::cluster::{connected, refused};
use super::context::Context;
use super::deliver::{Delivered, Delivery, Options, deliver};
use super::error::{CliError, ErrorKind};
use super::load;
use crate::delivery::cluster::{Record, State};

/// Go back to an earlier delivery, or list them
#[derive(Debug, clap::Args)]
#[command(after_help = "Without a revision: the last complete one before the present one. It is \
                        applied as warren deploy applies, as a new revision. deploy/ in git is \
                        left as it is: revert the change there too, or the next deployment \
                        brings it again.\n\
                        Examples:\n  warren rollback sandbox --list\n  warren rollback sandbox 3")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// The revision to go back to.
    revision: Option<u64>,
    /// Only list the revisions that the cluster keeps.
    #[arg(long, conflicts_with = "revision")]
    list: bool,
    /// How to deliver.
    #[command(flatten)]
    options: Options,
    /// How to say what was done.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    context: &'a str,
    to: u64,
    #[serde(flatten)]
    delivered: &'a Delivered,
}

/// Runs the command.
///
/// # Errors
/// When the cluster can't be asked, does not keep the revision, or refuses it.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let environment = load::environment(&root, &args.environment)?;
    let name = environment.name.as_str();
    let cluster = connected(&environment, "nothing is gone back to")?;
    let history = cluster
        .history(name, environment.namespace.as_str())
        .map_err(|error| refused("nothing is gone back to", &error))?;
    let text = matches!(args.output, Output::Text);
    if args.list {
        list(context, &history, text);
        return Ok(());
    }
    let target = target(&history, args.revision, name)?;
    let Some(files) = &target.files else {
        return Err(CliError::failed(format!(
            "revision {} was too large to be kept in the cluster",
            target.revision
        ))
        .hint("check its commit out of git and run warren deploy"));
    };
    let rollback_of = Some(target.revision);
    let delivery = Delivery { environment: &environment, files, rollback_of, quiet: !text };
    let delivered = deliver(context, &cluster, &delivery, &args.options)?;
    if text {
        match delivered.revision {
            Some(revision) => context.printer.note(&format!(
                "{} is back at revision {}, as revision {revision}; deploy/{name} in git is not",
                cluster.context(),
                target.revision
            )),
            None => context.printer.note(&format!("{} is there already", cluster.context())),
        }
    } else {
        context.printer.json(&Report {
            environment: name,
            context: cluster.context(),
            to: target.revision,
            delivered: &delivered,
        });
    }
    Ok(())
}

fn list(context: &Context, history: &[Record], text: bool) {
    if !text {
        return context.printer.json(&history);
    }
    for record in history {
        let of = record.rollback_of.map(|of| format!(", back to {of}")).unwrap_or_default();
        context.printer.out(&format!(
            "{:>4}  {:<8}  {}  {:>3} objects  {}{of}\n",
            record.revision,
            record.state.as_str(),
            record.at,
            record.objects.len(),
            record.by
        ));
    }
}

/// The revision to go back to.
fn target<'a>(
    history: &'a [Record],
    revision: Option<u64>,
    name: &str,
) -> Result<&'a Record, CliError> {
    let kept: Vec<_> = history.iter().map(|record| record.revision.to_string()).collect();
    let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
    if let Some(revision) = revision {
        return history.iter().find(|record| record.revision == revision).ok_or_else(|| {
            CliError::new(
                ErrorKind::Usage,
                format!("the cluster keeps no revision {revision} of {name}; it keeps {kept}"),
            )
        });
    }
    let present = history.last().map(|record| (record.revision, &record.digest));
    history
        .iter()
        .rev()
        .filter(|record| record.state == State::Deployed)
        .find(|record| {
            present.is_some_and(|(revision, digest)| {
                record.revision != revision && record.digest != *digest
            })
        })
        .ok_or_else(|| {
            CliError::failed(format!("{name} has no complete delivery before the present one"))
                .hint(format!("the cluster keeps the revisions {kept}"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(revision: u64, state: State, digest: &str) -> Record {
        Record {
            environment: "sandbox".to_owned(),
            revision,
            state,
            by: "anna".to_owned(),
            at: "2026-01-01T00:00:00Z".to_owned(),
            digest: digest.to_owned(),
            rollback_of: None,
            objects: Vec::new(),
            files: None,
        }
    }

    #[test]
    fn the_last_complete_delivery_of_something_else_is_gone_back_to() {
        let history = [
            record(1, State::Deployed, "a"),
            record(2, State::Deployed, "b"),
            record(3, State::Failed, "c"),
            record(4, State::Deployed, "b"),
        ];
        let to = |history: &[Record], revision| {
            target(history, revision, "sandbox").map(|record| record.revision)
        };
        assert_eq!(to(&history, None).unwrap(), 1);
        assert_eq!(to(&history[..3], None).unwrap(), 2);
        assert_eq!(to(&history, Some(3)).unwrap(), 3);
        assert!(to(&history[..1], None).is_err());
        let error = to(&history, Some(9)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("it keeps 1, 2, 3, 4"), "{error}");
    }
}
