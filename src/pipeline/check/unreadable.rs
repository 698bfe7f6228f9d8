//! An environment that can't be composed, as a finding among those of the others.

use super::super::compose::ComposeError;
use super::super::document::DocumentError;
use super::super::environment::EnvironmentError;
use super::finding::{Cause, Finding};
use super::rules;

/// What is wrong, and where, as far as one place is to blame.
#[must_use]
pub fn unreadable(environment: &str, error: &ComposeError) -> Finding {
    let file =
        |file: &str, line, column| Some(Cause { file: file.to_owned(), line, column, key: None });
    let shown = error.to_string();
    let first = shown.lines().next().unwrap_or_default().to_owned();
    let (message, hint, cause) = match error {
        ComposeError::Environment(EnvironmentError::Document(document))
        | ComposeError::Patch(document) => {
            let DocumentError { path, line, column, reason, hint, .. } = &**document;
            let cause = file(&path.to_string_lossy(), *line, *column);
            (reason.clone(), hint.clone(), cause)
        }
        ComposeError::Yaml(yaml) => {
            (yaml.fault.to_string(), None, file(&yaml.file, yaml.at.line(), yaml.at.column()))
        }
        ComposeError::Merge { source_file, at, source } => {
            (source.to_string(), None, file(source_file, at.line(), at.column()))
        }
        ComposeError::Field { source_file, .. }
        | ComposeError::Incomplete { source_file, .. }
        | ComposeError::Unsealed { source_file, .. }
        | ComposeError::NoTarget { source_file, .. }
        | ComposeError::Twice { second: source_file, .. } => (first, None, file(source_file, 0, 0)),
        ComposeError::Environment(_) | ComposeError::Fs(_) | ComposeError::Missing { .. } => {
            (first, None, None)
        }
    };
    Finding {
        code: rules::UNREADABLE.code.to_owned(),
        severity: rules::UNREADABLE.severity,
        environment: environment.to_owned(),
        object: String::new(),
        field: String::new(),
        message,
        hint: hint.unwrap_or_else(|| rules::UNREADABLE.way_out.to_owned()),
        cause,
        waived: None,
    }
}
