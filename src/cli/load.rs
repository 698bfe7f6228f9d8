//! An environment's settings, for commands that need no rendering.

use std::path::Path;

use super::error::{CliError, ErrorKind};
use crate::pipeline::environment::{self, Environment, EnvironmentError};

/// Reads an environment.
///
/// # Errors
/// When there is none of the name, or its file is wrong.
pub fn environment(root: &Path, name: &str) -> Result<Environment, CliError> {
    environment::read(root, name).map_err(|error| match error {
        EnvironmentError::Unknown { .. } => CliError::new(ErrorKind::Usage, error.to_string()),
        error => CliError::input(error),
    })
}
