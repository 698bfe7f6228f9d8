//! `warren check`: the findings of all environments, and whether `deploy/`
//! still equals what renders.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::composition::{self, line};
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::sarif;
use super::verify::earlier_pin;
use crate::delivery::folder;
use crate::fs;
use crate::pipeline::check::{Cause, Finding, Severity, rules, unreadable};

/// Checks environments, and that deploy/ equals what renders, byte for byte.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Leaves with 1 when a check finds an error or deploy/ differs (not where it waits \
                  for the proposal that brings a moved pin), and with 3 when an \
                  environment can't be composed, which is a finding among those of the others; \
                  warnings alone and waived findings leave with 0. docs/checks.md lists every code.\n\
                  Examples:\n  warren check sandbox --output json\n  \
                  warren check --output sarif > warren.sarif"
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
    Sarif,
}

#[derive(Serialize)]
struct Report {
    environment: String,
    findings: Vec<Finding>,
    /// Files of deploy/ that differ from what renders, with how.
    drift: Vec<String>,
    /// What is wrong with an environment that can't be composed, in full.
    #[serde(skip)]
    unreadable: Option<CliError>,
}

/// Runs the command.
///
/// # Errors
/// When an environment can't be composed, a check finds an error, or the
/// committed output differs; each after all findings were printed.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let names = match args.environments.as_slice() {
        [] => composition::names(&root)?,
        names => names.to_vec(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let reports: Vec<Report> = fs::in_parallel(&names, threads, |name| report(&root, name))
        .into_iter()
        .collect::<Result<_, _>>()?;
    match args.output {
        Output::Json => context.printer.json(&reports),
        Output::Sarif => context.printer.json(&sarif::log(&results(&reports))),
        Output::Text => reports.iter().for_each(|report| context.printer.out(&text(report))),
    }
    let unreadable: Vec<_> =
        reports.iter().filter_map(|report| report.unreadable.as_ref()).collect();
    if !unreadable.is_empty() {
        let told: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
        return Err(CliError::new(ErrorKind::Input, told.join("\n")));
    }
    let errors = reports.iter().flat_map(|report| &report.findings);
    let errors = errors.filter(|found| found.is_error()).count();
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
    let environment = name.to_owned();
    let composed = match composition::attempted(root, name)? {
        Ok(composed) => composed,
        // The others are told all the same.
        Err(error) => {
            let findings = vec![unreadable(name, &error)];
            let unreadable = Some(CliError::input(error));
            return Ok(Report { environment, findings, drift: Vec::new(), unreadable });
        }
    };
    let target = root.join("deploy").join(name);
    let mut drift = folder::differences(&target, &composed.rendered.files)?;
    let mut findings = composed.findings;
    if !drift.is_empty()
        && let Some(tag) = earlier_pin(root, name, &composed.upstream)?
    {
        drift.clear();
        findings.push(of_earlier_pin(name, &tag, &composed.upstream.tag));
    }
    Ok(Report { environment, findings, drift, unreadable: None })
}

/// That the pin moved and the environment's own proposal is not merged yet.
fn of_earlier_pin(name: &str, then: &str, now: &str) -> Finding {
    Finding {
        code: rules::EARLIER_PIN.code.to_owned(),
        severity: Severity::Warning,
        environment: name.to_owned(),
        object: String::new(),
        field: String::new(),
        message: format!("deploy/{name} was rendered with {then}, and the pin is at {now}"),
        hint: format!("warren propose {name} brings it up to date"),
        cause: None,
        waived: None,
    }
}

/// All findings, and the drift as findings.
fn results(reports: &[Report]) -> Vec<Finding> {
    let drift = reports.iter().flat_map(|report| {
        report.drift.iter().map(|line| {
            let file = line.split(' ').next().unwrap_or_default();
            let file = format!("deploy/{}/{file}", report.environment);
            Finding {
                code: rules::DRIFT.code.to_owned(),
                severity: Severity::Error,
                environment: report.environment.clone(),
                object: String::new(),
                field: String::new(),
                message: line.clone(),
                hint: format!("warren render {}, and commit it", report.environment),
                cause: Some(Cause { file, line: 0, column: 0, key: None }),
                waived: None,
            }
        })
    });
    reports.iter().flat_map(|report| report.findings.iter().cloned()).chain(drift).collect()
}

/// A report for people.
fn text(report: &Report) -> String {
    let name = &report.environment;
    let mut out = String::new();
    for finding in &report.findings {
        let severity = finding.severity.as_str();
        let _ = match &finding.waived {
            None => writeln!(out, "{name}: {severity}{}", line(finding)),
            Some(reason) => writeln!(out, "{name}: waived {severity}{}: {reason}", line(finding)),
        };
    }
    let counting = || report.findings.iter().filter(|found| found.waived.is_none());
    let mut hints: Vec<_> = counting().map(|found| found.hint.as_str()).collect();
    hints.dedup();
    for hint in hints {
        let _ = writeln!(out, "{name}: hint: {hint}");
    }
    for file in &report.drift {
        let _ = writeln!(out, "{name}: drift: {file}");
    }
    let waived = report.findings.len().saturating_sub(counting().count());
    let _ = writeln!(
        out,
        "{name}: {} error(s), {} warning(s), {}deploy/{name} {}",
        counting().filter(|found| found.is_error()).count(),
        counting().filter(|found| found.is_warning()).count(),
        if waived > 0 { format!("{waived} waived, ") } else { String::new() },
        match (&report.unreadable, report.drift.is_empty()) {
            (Some(_), _) => "is not compared",
            (None, true) => "is what renders",
            (None, false) => "differs",
        }
    );
    out
}
