//! The operator's tool: one file per command. `args` holds what was typed,
//! `context` what a command needs, `error` what ends it, `printer` what it says.

pub mod agent;
pub mod args;
pub mod ca;
pub mod check;
pub mod client;
pub mod cluster;
pub mod composition;
pub mod context;
pub mod deliver;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod drift;
pub mod error;
pub mod explain;
pub mod image;
pub mod import;
pub mod load;
pub mod new;
pub mod prerequisites;
pub mod printer;
pub mod promote;
pub mod propose;
pub mod render;
pub mod rollback;
pub mod sarif;
pub mod schema;
pub mod secret;
pub mod smoke;
pub mod up;
pub mod upstream;
pub mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use context::Context;
use error::CliError;

/// Runs the command line and says with which code to leave: 0 done, and
/// otherwise [`error::ErrorKind`]'s.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let context = Context::new(args.root.clone());
    match dispatch(&args.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.printer.error(&error);
            error.exit_code()
        }
    }
}

fn dispatch(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Up(args) => up::run(args, context),
        Command::New(args) => new::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Render(args) => render::run(args, context),
        Command::Check(args) => check::run(args, context),
        Command::Schema(args) => schema::run(args, context),
        Command::Deploy(args) => deploy::run(args, context),
        Command::Drift(args) => drift::run(args, context),
        Command::Propose(args) => propose::run(args, context),
        Command::Agent(args) => agent::run(args, context),
        Command::Ca(args) => ca::run(args, context),
        Command::Client(args) => client::run(args, context),
        Command::Smoke(args) => smoke::run(args, context),
        Command::Doctor(args) => doctor::run(args, context),
        Command::Promote(args) => promote::run(args, context),
        Command::Prerequisites(args) => prerequisites::run(args, context),
        Command::Rollback(args) => rollback::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Explain(args) => explain::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Secret(args) => secret::run(args, context),
        Command::Image(args) => image::run(args, context),
        Command::Upstream(args) => upstream::run(args, context),
    }
}
