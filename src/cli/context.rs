//! What every command needs: where the repository is, and where to print.

use std::path::{Path, PathBuf};

use super::error::{CliError, ErrorKind};
use super::printer::Printer;

/// Handed to every command.
#[derive(Debug)]
pub struct Context {
    root: Option<PathBuf>,
    /// Where output goes.
    pub printer: Printer,
}

impl Context {
    /// A context for the given `--root`, or for the current folder.
    #[must_use]
    pub fn new(root: Option<PathBuf>) -> Self {
        Self { root, printer: Printer::default() }
    }

    /// The repository's folder: what `--root` named, or the nearest folder
    /// upwards from the current one that holds `environments` and `vendor`.
    ///
    /// # Errors
    /// When there is none.
    pub fn root(&self) -> Result<PathBuf, CliError> {
        if let Some(root) = &self.root {
            if is_root(root) {
                return Ok(root.clone());
            }
            return Err(CliError::new(
                ErrorKind::Usage,
                format!(
                    "{} is not a Warren repository: it has no environments/ and vendor/",
                    root.display()
                ),
            ));
        }
        let here = std::env::current_dir()
            .map_err(|error| CliError::failed("cannot find the current folder").because(error))?;
        here.ancestors().find(|folder| is_root(folder)).map(Path::to_path_buf).ok_or_else(|| {
            CliError::new(
                ErrorKind::Usage,
                format!("neither {} nor a folder above it is a Warren repository", here.display()),
            )
            .hint("go to your clone, or name it with --root DIR")
        })
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("environments").is_dir() && folder.join("vendor").is_dir()
}
