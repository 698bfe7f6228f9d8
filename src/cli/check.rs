//! `warren check`: the findings of all environments, and whether `deploy/`
//! still equals what renders.

use std::path::Path;

use serde::Serialize;

use super::composition::{self, line};
use super::context::Context;
use super::error::CliError;
use crate::delivery::folder;
use crate::pipeline::check::{Finding, Severity};

/// Checks environments, and that deploy/ equals what renders, byte for byte.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Leaves with 1 when a check finds an error or deploy/ differs; warnings alone \
                  leave with 0.\nExample: warren check sandbox --output json"
)]
pub struct Args {
    /// The environments; all of them when none is named.
    environments: Vec<String>,
    /// How to print the findings.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Serialize)]
struct Report {
    environment: String,
    findings: Vec<Finding>,
    /// Files of deploy/ that differ from what renders, with how.
    drift: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When an environment can't be composed, a check finds an error, or the
/// committed output differs.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let names = match args.environments.as_slice() {
        [] => composition::names(&root)?,
        names => names.to_vec(),
    };
    let reports: Vec<Report> =
        names.iter().map(|name| report(&root, name)).collect::<Result<_, _>>()?;
    match args.output {
        Output::Json => context.printer.json(&reports),
        Output::Text => reports.iter().for_each(|report| print(report, context)),
    }
    let errors = reports.iter().flat_map(|report| &report.findings);
    let errors = errors.filter(|found| found.severity == Severity::Error).count();
    let drifted: Vec<_> = reports.iter().filter(|report| !report.drift.is_empty()).collect();
    if errors == 0 && drifted.is_empty() {
        return Ok(());
    }
    let mut error = CliError::failed(format!(
        "{errors} error(s) found, {} environment(s) whose deploy/ differs from what renders",
        drifted.len()
    ));
    for report in drifted {
        error = error.hint(format!("warren render {}, and commit it", report.environment));
    }
    Err(error)
}

fn report(root: &Path, name: &str) -> Result<Report, CliError> {
    let composed = composition::composed(root, name)?;
    let target = root.join("deploy").join(name);
    let drift = folder::differences(&target, &composed.rendered.files)?;
    Ok(Report { environment: name.to_owned(), findings: composed.findings, drift })
}

fn print(report: &Report, context: &Context) {
    let name = &report.environment;
    let printer = &context.printer;
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        printer.out(&format!("{name}: {severity}{}\n", line(finding)));
    }
    let mut hints: Vec<_> = report.findings.iter().map(|found| found.hint.as_str()).collect();
    hints.dedup();
    for hint in hints {
        printer.out(&format!("{name}: hint: {hint}\n"));
    }
    for file in &report.drift {
        printer.out(&format!("{name}: drift: {file}\n"));
    }
    let count = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    printer.out(&format!(
        "{name}: {} error(s), {} warning(s), deploy/{name} {}\n",
        count(Severity::Error),
        count(Severity::Warning),
        if report.drift.is_empty() { "is what renders" } else { "differs" }
    ));
}
