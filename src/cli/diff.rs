//! `warren diff`: what a rendering would change in `deploy/<environment>`.

use super::composition;
use super::context::Context;
use super::error::CliError;
use crate::delivery::changes::{Changes, read_folder};

/// Show what a render would change in deploy/<environment>
#[derive(Debug, clap::Args)]
#[command(after_help = "Writes nothing. The diff goes to stdout, as git apply takes it.\n\
                        Example: warren diff sandbox")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Leave with exit code 1 when something differs.
    #[arg(long)]
    exit_code: bool,
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be rendered; with `--exit-code` also when the
/// folder is not what it renders to.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let name = &args.environment;
    let rendered = composition::composed(&root, name)?.rendered;
    let folder = format!("deploy/{name}");
    let changes = Changes::between(&read_folder(&root.join(&folder))?, &rendered.files);
    context.printer.out(&changes.unified(&folder));
    context.printer.note(&format!("{folder}: {}", changes.summary()));
    if args.exit_code && !changes.is_empty() {
        return Err(CliError::failed(format!("{folder} is not what {name} renders to"))
            .hint(format!("write it with warren deploy {name} --no-apply")));
    }
    Ok(())
}
