//! `warren upstream vendor`: a copy of the pinned tree.

use super::super::context::Context;
use super::super::error::CliError;
use super::{input_error, inputs, with_progress};
use crate::pipeline::upstream::{Pin, VENDORED, obtain, write_copy};

/// What was typed after `warren upstream vendor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The copy is not committed; builds check it against the lock.\n\
                        Example: warren upstream vendor --from https://git.example/trow.git")]
pub(super) struct Args {
    /// A url or path to fetch from instead of the lock's url
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let mut inputs = inputs(&root, args.from.as_ref())?;
    // What an earlier command fetched and this one verifies is as good.
    inputs.reuse = args.from.is_none();
    let pin = Pin::read(&root, inputs.repin).map_err(input_error)?;
    let repository =
        with_progress(|progress| obtain(&pin, &inputs, progress)).map_err(input_error)?;
    write_copy(&pin, &repository, &root.join(VENDORED)).map_err(input_error)?;
    let count = pin.listing.entries.len();
    context.printer.out(&format!("{VENDORED}/ holds {} in {count} files\n", pin.lock.tag));
    Ok(())
}
