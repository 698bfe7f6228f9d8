//! `warren render`: an environment's manifests, to a folder or to stdout.

use std::path::{Path, PathBuf};

use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::folder;
use crate::pipeline::compose::KUSTOMIZATION;
use crate::pipeline::provenance;

/// Writes environments' manifests.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  warren render\n  warren render sandbox\n  \
                  warren render sandbox --output - | less")]
pub struct Args {
    /// The environments: names of files in environments/, without .toml; all of
    /// them when none is named.
    environments: Vec<String>,
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
/// When an environment can't be composed, a check finds an error, or a folder
/// can't be replaced. Those that come before it are written then.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let names = match args.environments.as_slice() {
        [] => composition::names(&root)?,
        names => names.to_vec(),
    };
    if names.len() > 1 && (args.output.is_some() || args.provenance.is_some()) {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!("one place is not for {} environments", names.len()),
        )
        .hint(format!("name one environment: {}", names.join(", "))));
    }
    names.iter().try_for_each(|name| render(args, context, &root, name))
}

fn render(args: &Args, context: &Context, root: &Path, name: &str) -> Result<(), CliError> {
    let composed = composition::checked(root, name)?;
    let files = &composed.rendered.files;
    if args.output.as_deref() == Some(Path::new("-")) {
        // The files are the objects, in the same order.
        let objects = files.iter().filter(|(file, _)| *file != KUSTOMIZATION);
        let mut between = "";
        context.printer.out_all(
            objects.flat_map(|(_, text)| [std::mem::replace(&mut between, "---\n"), text.as_str()]),
        );
        return match &args.provenance {
            Some(path) => composition::write_statement(&composed, None, path),
            None => Ok(()),
        };
    }
    let own = format!("deploy/{name}");
    let target = args.output.clone().unwrap_or_else(|| root.join(&own));
    let changed = folder::replace(&target, files)
        .map_err(|error| CliError::failed("nothing was written").because(error))?;
    match (&args.provenance, &args.output) {
        (Some(path), None) => composition::write_statement(&composed, Some(&own), path)?,
        (Some(path), Some(_)) => composition::write_statement(&composed, None, path)?,
        (None, None) => {
            let path = root.join(provenance::path(name));
            composition::write_statement(&composed, Some(&own), &path)?;
        }
        (None, Some(_)) => {}
    }
    let what = if changed { "wrote" } else { "nothing changed in" };
    context.printer.note(&format!("{what} {} ({} files)", target.display(), files.len()));
    Ok(())
}
