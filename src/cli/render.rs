//! `warren render`: an environment's manifests, to a folder or to stdout.

use std::path::{Path, PathBuf};

use super::composition;
use super::context::Context;
use super::error::CliError;
use crate::delivery::folder;
use crate::pipeline::provenance;

/// Writes an environment's manifests.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  warren render sandbox\n  warren render sandbox --output - | less"
)]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Where to write: a folder that is replaced as a whole, or - for stdout.
    #[arg(
        long,
        value_name = "-|DIR",
        help = "A folder that is replaced as a whole, or - for stdout [default: deploy/ENVIRONMENT]"
    )]
    output: Option<PathBuf>,
    /// Where to write what the manifests were made from.
    #[arg(
        long,
        value_name = "FILE",
        help = "Where to write the statement of provenance [default: \
                deploy/.provenance/ENVIRONMENT.intoto.json, and nowhere with --output]"
    )]
    provenance: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be composed, a check finds an error, or the
/// folder can't be replaced.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let composed = composition::checked(&root, &args.environment)?;
    let files = &composed.rendered.files;
    if args.output.as_deref() == Some(Path::new("-")) {
        let objects = composed.rendered.objects.iter().map(|object| &object.node);
        context.printer.out(&crate::pipeline::yaml::write_all(objects));
        return match &args.provenance {
            Some(path) => composition::write_statement(&composed, None, path),
            None => Ok(()),
        };
    }
    let target = args.output.clone().unwrap_or_else(|| root.join("deploy").join(&args.environment));
    let changed = folder::replace(&target, files)
        .map_err(|error| CliError::failed("nothing was written").because(error))?;
    let own = format!("deploy/{}", args.environment);
    match (&args.provenance, &args.output) {
        (Some(path), None) => composition::write_statement(&composed, Some(&own), path)?,
        (Some(path), Some(_)) => composition::write_statement(&composed, None, path)?,
        (None, None) => {
            let path = root.join(provenance::path(&args.environment));
            composition::write_statement(&composed, Some(&own), &path)?;
        }
        (None, Some(_)) => {}
    }
    let what = if changed { "wrote" } else { "nothing changed in" };
    context.printer.note(&format!("{what} {} ({} files)", target.display(), files.len()));
    Ok(())
}
