//! `warren render`: an environment's manifests, to a folder or to stdout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::folder;
use crate::pipeline::compose::KUSTOMIZATION;
use crate::pipeline::provenance;

/// Writes environments' manifests.
#[derive(Debug, clap::Args)]
#[command(after_help = "All environments are composed and checked before the first is written.\n\
                  Examples:\n  warren render\n  warren render sandbox\n  \
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
/// can't be replaced. Nothing is written unless all were composed and checked.
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
    // All of them are composed and checked before the first is written.
    let ready: Vec<_> =
        names.iter().map(|name| ready(args, &root, name)).collect::<Result<_, _>>()?;
    ready.into_iter().try_for_each(|ready| write(args, context, &root, ready))
}

/// What is to be written of an environment that was composed and checked.
struct Ready {
    name: String,
    files: BTreeMap<String, String>,
    /// The statement of provenance, and where it goes.
    statement: Option<(String, PathBuf)>,
}

fn ready(args: &Args, root: &Path, name: &str) -> Result<Ready, CliError> {
    let composed = composition::checked(root, name)?;
    let own = format!("deploy/{name}");
    let folder = args.output.is_none().then_some(own.as_str());
    let path = match (&args.provenance, folder) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(_)) => Some(root.join(provenance::path(name))),
        (None, None) => None,
    };
    let statement = match path {
        Some(path) => Some((composition::statement(&composed, folder)?, path)),
        None => None,
    };
    Ok(Ready { name: name.to_owned(), files: composed.rendered.files, statement })
}

fn write(args: &Args, context: &Context, root: &Path, ready: Ready) -> Result<(), CliError> {
    let Ready { name, files, statement } = ready;
    let stated = || match &statement {
        Some((text, path)) => composition::write_text(text, path),
        None => Ok(()),
    };
    if args.output.as_deref() == Some(Path::new("-")) {
        // The files are the objects, in the same order.
        let objects = files.iter().filter(|(file, _)| *file != KUSTOMIZATION);
        let mut between = "";
        context.printer.out_all(
            objects.flat_map(|(_, text)| [std::mem::replace(&mut between, "---\n"), text.as_str()]),
        );
        return stated();
    }
    let nothing = |error| CliError::failed("nothing was written").because(error);
    let target = match &args.output {
        Some(output) => output.clone(),
        None => folder::own(root, &name).map_err(nothing)?,
    };
    let changed = folder::replace(&target, &files).map_err(nothing)?;
    stated()?;
    let what = if changed { "wrote" } else { "nothing changed in" };
    context.printer.note(&format!("{what} {} ({} files)", target.display(), files.len()));
    Ok(())
}
