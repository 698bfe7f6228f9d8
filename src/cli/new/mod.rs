//! `warren new`: asks the few questions and writes an environment's file.

mod answers;
mod questions;

use std::io::IsTerminal as _;

use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::fs::{self, Access};
use crate::pipeline::environment::{self, ObjectName};
use answers::Answers;
use questions::Asker;

/// Write a new environment's file.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Writes environments/NAME.toml from a few answers: those of the options, and, \
                  on a terminal, those that it asks for. Never overwrites a file, and never asks \
                  where stdin is no terminal.",
    after_help = "Examples:\n  warren new staging\n  \
                  warren new staging --yes --domain registry.staging.example \
                  --storage dynamic --size 50Gi --tls acme --email ops@staging.example"
)]
pub struct Args {
    /// The environment's name: a-z, 0-9 and `-`.
    environment: String,
    /// Take the default wherever no option answers, and ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    given: questions::Given,
}

/// Runs the command.
///
/// # Errors
/// When the name is none or taken, an answer is missing or outside its grammar,
/// or the file can't be written.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let name = ObjectName::try_from(args.environment.as_str())
        .map_err(|reason| CliError::new(ErrorKind::Usage, reason))?;
    let shown = format!("environments/{name}.toml");
    let path = root.join(&shown);
    if path.symlink_metadata().is_ok() {
        return Err(CliError::new(ErrorKind::Usage, format!("{shown} is already there"))
            .hint("choose another name, or edit that file"));
    }
    let asking = !args.yes && std::io::stdin().is_terminal();
    let (mut stdin, mut stderr) = (std::io::stdin().lock(), std::io::stderr());
    let input = asking.then_some(&mut stdin as &mut dyn std::io::BufRead);
    let mut asker = Asker { input, output: &mut stderr };
    let answers = Answers::gather(name.as_str(), &args.given, &mut asker)?;
    let text = answers.text(name.as_str());
    // What is written is what can be read: a wrong answer is said in its line.
    environment::check_text(name.as_str(), &text)
        .map_err(|error| CliError::new(ErrorKind::Usage, error.to_string()))?;
    fs::write_atomic(&path, text.as_bytes(), Access::Everyone)?;
    let printer = &context.printer;
    printer.note(&format!("wrote {shown}; docs/environments.md explains every key"));
    printer.note("next:");
    for (command, what) in [
        (format!("warren render {name}"), "write its manifests"),
        (format!("warren check {name}"), "what is worth knowing about them"),
        (format!("warren up {name}"), "run its registry on this machine"),
        (format!("warren deploy {name}"), "write, show and apply"),
        (format!("warren secret {name} --apply"), "make its Secrets in the cluster"),
    ] {
        printer.note(&format!("  {command:<34}{what}"));
    }
    Ok(())
}
