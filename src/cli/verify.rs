//! `warren verify`: renders again, and compares with what the statement says
//! and with the files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::args::Output;
use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::changes::read_folder;
use crate::delivery::folder;
use crate::digest::Digest;
use crate::fs;
use crate::pipeline::provenance::{self, Statement};
use crate::pipeline::upstream::Upstream;

/// Render again, and compare with the statement of provenance and the files
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Leaves with 1 when anything differs, and names it; not where an environment waits \
                        for the proposal that brings a moved pin. Writes nothing.\n\
                        Examples:\n  warren verify sandbox\n  warren verify --all"
)]
pub struct Args {
    /// The environments: names of files in environments/, without .toml.
    #[arg(required_unless_present = "all")]
    environments: Vec<String>,
    /// All environments.
    #[arg(long, conflicts_with = "environments")]
    all: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Serialize)]
struct Report {
    environment: String,
    statement: String,
    inputs: usize,
    outputs: usize,
    /// What differs, a sentence each.
    differences: Vec<String>,
    /// The tag that it was rendered with, where the pin has moved since and nothing
    /// else was done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier_pin: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When an environment can't be composed, and when anything differs.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let names = if args.all { composition::names(&root)? } else { args.environments.clone() };
    let reports: Vec<Report> =
        names.iter().map(|name| report(&root, name)).collect::<Result<_, _>>()?;
    match args.output {
        Output::Json => context.printer.json(&reports),
        Output::Text => reports.iter().for_each(|report| say(report, context)),
    }
    let bad = reports
        .iter()
        .filter(|report| !report.differences.is_empty() && report.earlier_pin.is_none());
    let bad: Vec<_> = bad.map(|report| report.environment.as_str()).collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(CliError::new(ErrorKind::Failed, format!("not what renders: {}", bad.join(", "))).hint(
        format!("where the change is wanted: warren render {}, and commit it", bad.join(" ")),
    ))
}

fn say(report: &Report, context: &Context) {
    let name = &report.environment;
    if let Some(tag) = &report.earlier_pin {
        context.printer.out(&format!(
            "{name}: rendered with the pin {tag}, and untouched since: warren propose {name}\n"
        ));
        return;
    }
    for line in &report.differences {
        context.printer.out(&format!("{name}: {line}\n"));
    }
    if report.differences.is_empty() {
        context.printer.out(&format!(
            "{name}: {} outputs of {} inputs are what {} says\n",
            report.outputs, report.inputs, report.statement
        ));
    }
}

fn report(root: &Path, name: &str) -> Result<Report, CliError> {
    let composed = composition::composed(root, name)?;
    let target = format!("deploy/{name}");
    let now = Statement::of(&composed.rendered, &composed.upstream, Some(&target));
    let path = provenance::path(name);
    let mut differences = Vec::new();
    match statement(root, &path)? {
        None => differences.push(format!("there is no {path}")),
        Some(Err(error)) => differences.push(format!("{path} is no statement of ours: {error}")),
        Some(Ok(then)) => {
            differences
                .extend(then.differences(&now).into_iter().map(|line| format!("{path}: {line}")));
            differences.extend(tampered(root, name, &then)?);
        }
    }
    let drift = folder::differences(&root.join(&target), &composed.rendered.files)?;
    differences.extend(drift.into_iter().map(|line| format!("{target}/{line}")));
    let earlier_pin =
        if differences.is_empty() { None } else { earlier_pin(root, name, &composed.upstream)? };
    Ok(Report {
        environment: name.to_owned(),
        earlier_pin,
        statement: path,
        inputs: now.predicate.inputs.len(),
        outputs: now.subject.len(),
        differences,
    })
}

/// The tag of the pin that `deploy/NAME` was rendered with, where that is another than
/// the present one and every file is still what its statement says. So it is until
/// the environment's own proposal is merged: a pin moves for one after the other.
///
/// # Errors
/// When a file can't be read.
pub fn earlier_pin(
    root: &Path,
    name: &str,
    upstream: &Upstream,
) -> Result<Option<String>, CliError> {
    let Some(Ok(then)) = statement(root, &provenance::path(name))? else { return Ok(None) };
    let pin = &then.predicate.upstream;
    if (&pin.tag, &pin.commit) == (&upstream.tag, &upstream.commit.to_string()) {
        return Ok(None);
    }
    let files = read_folder(&root.join("deploy").join(name))?;
    let said: BTreeMap<_, _> = then
        .subject
        .iter()
        .map(|one| (one.name.rsplit('/').next().unwrap_or_default(), one.sha256().to_owned()))
        .collect();
    let there: BTreeMap<_, _> = files
        .iter()
        .map(|(file, text)| (file.as_str(), Digest::sha256(text.as_bytes()).hex().to_owned()))
        .collect();
    Ok((said == there).then(|| pin.tag.clone()))
}

type Read = Option<Result<Statement, serde_json::Error>>;

fn statement(root: &Path, path: &str) -> Result<Read, CliError> {
    match fs::read_to_string(&root.join(path)) {
        Ok(text) => Ok(Some(Statement::parse(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Files that are not what the statement says of them.
fn tampered(root: &Path, name: &str, statement: &Statement) -> Result<Vec<String>, CliError> {
    let files = read_folder(&root.join("deploy").join(name))?;
    let wrong = statement.subject.iter().filter_map(|subject| {
        let file = subject.name.rsplit('/').next().unwrap_or_default();
        let text = files.get(file)?;
        let digest = Digest::sha256(text.as_bytes());
        (digest.hex() != subject.sha256())
            .then(|| format!("{} is not what its statement says", subject.name))
    });
    Ok(wrong.collect())
}
