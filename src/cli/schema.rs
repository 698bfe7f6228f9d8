//! `warren schema`: the keys of an environment as a JSON Schema.

use std::path::PathBuf;

use super::context::Context;
use super::error::CliError;
use crate::fs::{self, Access};
use crate::pipeline::environment::schema::schema;

/// Print the JSON Schema of an environment's file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Editors complete and check an environment with it: the first line of the \
                        file is `#:schema schema.json`. A test compares environments/schema.json \
                        with this.\n\
                        Example: warren schema --output environments/schema.json")]
pub struct Args {
    /// Write it to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the file can't be written.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let text = text();
    match &args.output {
        None => context.printer.out(&text),
        Some(path) => {
            fs::write_atomic(path, text.as_bytes(), Access::Everyone)?;
            context.printer.note(&format!("wrote {}", path.display()));
        }
    }
    Ok(())
}

/// The schema as it is committed: indented, with a line end.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", schema())
}
