//! `warren upstream diff`: what another tag changes in what we rely on.

use serde::Serialize;

use super::super::context::Context;
use super::super::error::CliError;
use super::Format;
use super::pin::{Wanted, pinned};
use crate::pipeline::upstream::{Lock, changes};

/// What was typed after `warren upstream diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Fetches the tag, and compares each fact of vendor/trow.contract.toml \
                        (flags, configuration keys, ports, the image, chart values) with the \
                        pinned one. Writes nothing. A fact that the tag no longer states ends it \
                        with exit code 1 and the fact's name.\n\
                        Example: warren upstream diff v0.11.0")]
pub(super) struct Args {
    /// The tag to compare with
    tag: String,
    /// A url or path to fetch from instead of the contract's url
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// How to print it
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
struct Report<'a> {
    from: &'a str,
    to: &'a str,
    commit: String,
    changes: Vec<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let old = Lock::read(&root.join(Lock::PATH)).map_err(CliError::input)?;
    let wanted =
        Wanted { tag: &args.tag, commit: None, from: args.from.as_ref(), image_digest: None };
    let new = pinned(&root, &wanted, Some(&old))?.lock;
    let report = Report {
        from: &old.tag,
        to: &new.tag,
        commit: new.commit.to_string(),
        changes: changes(Some(&old), &new),
    };
    match args.output {
        Format::Json => context.printer.json(&report),
        Format::Text if report.changes.is_empty() => {
            context.printer.out("nothing that we rely on changes\n");
        }
        Format::Text => context.printer.out(&format!("{}\n", report.changes.join("\n"))),
    }
    Ok(())
}
