//! `warren diff`: what a rendering would change, by object and field.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::printer::Printer;
use crate::delivery::changes::read_folder;
use crate::delivery::difference::{Difference, Palette};
use crate::delivery::revision::{self, RevisionError};

/// Show what a render would change, by object and field, with the risks
#[derive(Debug, clap::Args)]
#[command(after_help = "Writes nothing. After `!` stands what a change puts at risk: data loss, \
                        immutable field, wider rights, selector change, host change, restart.\n\
                        Leaves with 0 whether or not something differs; with --exit-code with 1 \
                        when a byte does.\n\
                        Examples:\n  warren diff sandbox\n  warren diff sandbox --against lapin\n  \
                        warren diff sandbox --against origin/main --output markdown")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// What to compare with: an environment as it renders, a folder, or a git
    /// revision's deploy/ENVIRONMENT, tried in this order.
    #[arg(
        long,
        value_name = "REV|ENVIRONMENT|DIR",
        help = "An environment as it renders, a folder, or a git revision [default: deploy/ENVIRONMENT]"
    )]
    against: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Leave with exit code 1 when something differs.
    #[arg(long)]
    exit_code: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Markdown,
    Json,
}

/// A difference as JSON.
#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    against: &'a str,
    summary: String,
    #[serde(flatten)]
    difference: &'a Difference,
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be rendered, when there is nothing of the name
/// to compare with, and with `--exit-code` when something differs.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let name = &args.environment;
    let rendered = composition::composed(&root, name)?.rendered;
    let (against, files) = before(&root, name, args.against.as_deref())?;
    let difference = Difference::of_files(&files, &rendered.files);
    match args.output {
        Output::Text => print(&context.printer, &difference, &against),
        Output::Markdown => {
            let title = format!("`{name}`, compared with {against}");
            context.printer.out(&difference.markdown(&title));
        }
        Output::Json => {
            let summary = difference.summary();
            let report =
                Report { environment: name, against: &against, summary, difference: &difference };
            context.printer.json(&report);
        }
    }
    if args.exit_code && files != rendered.files {
        return Err(CliError::failed(format!("{against} is not what {name} renders to"))
            .hint(format!("write it with warren deploy {name} --no-apply")));
    }
    Ok(())
}

/// Prints a difference for people: the changes to stdout, the sum to stderr.
pub fn print(printer: &Printer, difference: &Difference, against: &str) {
    printer.out(&difference.text(Palette::new(printer.colours_stdout())));
    printer.note(&format!("{against}: {}", difference.summary()));
}

type Before = (String, BTreeMap<String, String>);

/// What is compared with, and what it is called.
fn before(root: &Path, name: &str, against: Option<&str>) -> Result<Before, CliError> {
    let own = format!("deploy/{name}");
    let Some(against) = against else {
        let files = read_folder(&root.join(&own))?;
        return Ok((own, files));
    };
    let names = composition::names(root)?;
    if names.iter().any(|known| known == against) {
        return Ok((against.to_owned(), composition::composed(root, against)?.rendered.files));
    }
    let folder = PathBuf::from(against);
    if folder.is_dir() {
        return Ok((against.to_owned(), read_folder(&folder)?));
    }
    match revision::read_folder(root, &own, against) {
        Ok(files) => Ok((format!("{against}:{own}"), files)),
        Err(error @ RevisionError::Git { .. }) => {
            Err(CliError::failed("the revision can't be read").because(error))
        }
        Err(error) => Err(CliError::new(
            ErrorKind::Usage,
            format!("`{against}` is neither an environment, nor a folder, nor a revision: {error}"),
        )
        .hint(format!("the environments are {}", names.join(", ")))),
    }
}
