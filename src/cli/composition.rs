//! An environment composed and checked: what every command that needs one
//! starts with.

use std::path::Path;

use super::error::{CliError, ErrorKind};
use crate::fs::{self, Access};
use crate::pipeline::check::{Finding, check};
use crate::pipeline::compose::{ComposeError, Rendered, compose, registry_defaults};
use crate::pipeline::environment::{self, EnvironmentError};
use crate::pipeline::faults;
use crate::pipeline::provenance::Statement;
use crate::pipeline::upstream::{Lock, Upstream};

/// The lock, relative to the repository.
pub const LOCK: &str = "vendor/trow.lock.toml";

/// An environment, composed, with what the checks found.
#[derive(Debug)]
pub struct Composed {
    /// The environment, its objects and files.
    pub rendered: Rendered,
    /// What the pin says of the upstream.
    pub upstream: Upstream,
    /// What the checks found.
    pub findings: Vec<Finding>,
}

impl Composed {
    /// The registry's own defaults in this environment.
    #[must_use]
    pub fn registry_defaults(&self) -> Vec<(String, String)> {
        registry_defaults(&self.rendered.environment, &self.upstream)
    }
}

/// Composes an environment and runs the checks; findings are no error here.
///
/// # Errors
/// When there is no such environment, or a file that goes into it is wrong.
pub fn composed(root: &Path, name: &str) -> Result<Composed, CliError> {
    attempted(root, name)?.map_err(compose_error)
}

/// Like [`composed`], but for what is wrong with the files of this environment alone,
/// which is for the caller to tell.
///
/// # Errors
/// When there is no such environment, or a file that is for all of them is wrong.
pub fn attempted(root: &Path, name: &str) -> Result<Result<Composed, ComposeError>, CliError> {
    let lock = Lock::read(&root.join(LOCK)).map_err(CliError::input)?;
    let upstream = lock.upstream().clone();
    let faults = faults::known(root, &upstream.version).map_err(CliError::input)?;
    match compose(root, name, &upstream) {
        Ok(rendered) => {
            let findings = check(&rendered, &upstream, &faults);
            Ok(Ok(Composed { rendered, upstream, findings }))
        }
        Err(error @ ComposeError::Environment(EnvironmentError::Unknown { .. })) => {
            Err(compose_error(error))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Composes an environment in which the checks find no error.
///
/// # Errors
/// As [`composed`], and when a check found an error.
pub fn checked(root: &Path, name: &str) -> Result<Composed, CliError> {
    let composed = composed(root, name)?;
    let errors: Vec<_> = composed.findings.iter().filter(|found| found.is_error()).collect();
    let Some(first) = errors.first() else { return Ok(composed) };
    Err(CliError::failed(format!(
        "{name}: the checks found {} error(s): {}",
        errors.len(),
        errors.iter().map(|found| line(found)).collect::<Vec<_>>().join("; ")
    ))
    .hint(first.hint.clone()))
}

/// Writes what a rendering was made from, as [`Statement`] has it. `folder` is
/// where the rendering is, relative to the repository.
///
/// # Errors
/// When the file can't be written.
pub fn write_statement(
    composed: &Composed,
    folder: Option<&str>,
    path: &Path,
) -> Result<(), CliError> {
    write_text(&statement(composed, folder)?, path)
}

/// What a rendering was made from, as JSON. `folder` is where the rendering is,
/// relative to the repository.
///
/// # Errors
/// When it has no JSON form.
pub fn statement(composed: &Composed, folder: Option<&str>) -> Result<String, CliError> {
    let statement = Statement::of(&composed.rendered, &composed.upstream, folder);
    statement
        .to_json()
        .map_err(|error| CliError::failed("the statement has no JSON form").because(error))
}

/// Writes a statement, where it is not what is there.
///
/// # Errors
/// When the file can't be written.
pub fn write_text(text: &str, path: &Path) -> Result<(), CliError> {
    if fs::read_if_there(path)?.is_some_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write_atomic(path, text.as_bytes(), Access::Everyone)?)
}

/// The names of all environments.
///
/// # Errors
/// When the folder can't be read.
pub fn names(root: &Path) -> Result<Vec<String>, CliError> {
    environment::names(root).map_err(CliError::input)
}

/// A finding on one line, with the line of the file that caused it.
#[must_use]
pub fn line(finding: &Finding) -> String {
    let place = [finding.object.as_str(), finding.field.as_str()];
    let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
    let place = if place.is_empty() { String::new() } else { format!("{}: ", place.join(" ")) };
    let cause = finding.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("[{}] {place}{}{cause}", finding.code, finding.message)
}

fn compose_error(error: ComposeError) -> CliError {
    match error {
        ComposeError::Environment(EnvironmentError::Unknown { .. }) => {
            CliError::new(ErrorKind::Usage, error.to_string())
        }
        error => CliError::input(error),
    }
}
