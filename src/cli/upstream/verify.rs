//! `warren upstream verify`: compares the pin with what is there.

use serde::Serialize;

use super::super::context::Context;
use super::super::error::CliError;
use super::{Format, input_error, inputs, with_progress};
use crate::pipeline::upstream::{Mismatch, Mode, Outcome, VerifyError, verify};

/// What was typed after `warren upstream verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The vendored copy is checked if there is one, else the upstream itself.\n\
                        Example: warren upstream verify --from ../trow")]
pub(super) struct Args {
    /// A url or path to fetch from instead of the lock's url
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// Check only what needs no network
    #[arg(long, conflicts_with = "from")]
    offline: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    checked: String,
    warnings: Vec<String>,
    mismatches: Vec<Mismatch>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let mut inputs = inputs(&root, args.from.as_ref())?;
    if args.offline {
        inputs.mode = Mode::Offline;
    }
    let verified = match with_progress(|progress| verify(&inputs, progress)) {
        Ok(verified) => verified,
        Err(error) => {
            if args.output == Format::Json {
                context.printer.json(&failed(&error));
            }
            return Err(input_error(error));
        }
    };
    for warning in &verified.warnings {
        context.printer.warning(warning);
    }
    let (lock, outcome) = (&verified.lock, &verified.outcome);
    match args.output {
        Format::Json => context.printer.json(&Report {
            ok: *outcome == Outcome::Fetched || *outcome == Outcome::Vendored,
            checked: outcome.to_string(),
            warnings: verified.warnings.clone(),
            mismatches: Vec::new(),
        }),
        Format::Text => {
            let line = format!("{} at {}: {outcome}\n", lock.tag, lock.commit.short());
            context.printer.out(&line);
        }
    }
    Ok(())
}

fn failed(error: &VerifyError) -> Report {
    let (checked, mismatches) = match error {
        VerifyError::Mismatch { what, rows } => (what.clone(), rows.clone()),
        other => (other.to_string(), Vec::new()),
    };
    Report { ok: false, checked, warnings: Vec::new(), mismatches }
}
