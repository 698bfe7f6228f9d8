//! `warren upstream`: looks at the pin, checks it, moves it, copies it.

mod diff;
mod pin;
mod status;
mod vendor;
mod verify;

use std::path::Path;

use clap::{Subcommand, ValueEnum};

use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::pipeline::fetch::{Limits, Progress};
use crate::pipeline::upstream::{
    Inputs, MIRROR_VARIABLE, Mode, REPIN_VARIABLE, VerifyError, verify as verify_pin,
};

/// What was typed after `warren upstream`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is pinned, without touching the network
    Status(status::Args),
    /// Move the pin to a tag and say what changed in what we rely on
    Pin(pin::Args),
    /// Say what another tag changes in what we rely on, and write nothing
    Diff(diff::Args),
    /// Check the pin against the vendored copy or the upstream
    Verify(verify::Args),
    /// Write vendor/trow/, a copy of the pinned tree for builds without network
    Vendor(vendor::Args),
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Runs the command.
///
/// # Errors
/// A mismatch (exit code 1), a file of `vendor/` that is wrong (3), or an
/// upstream that can't be reached (4).
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    match &args.command {
        Command::Status(args) => status::run(args, context),
        Command::Pin(args) => pin::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Vendor(args) => vendor::run(args, context),
    }
}

/// What a check or a fetch starts from: the source that was typed, else the
/// one of the environment; and the mode of the environment, else `require`,
/// because who types the command wants to know.
fn inputs(root: &Path, from: Option<&String>) -> Result<Inputs, CliError> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let mode = match variable(Mode::VARIABLE) {
        Some(text) => text.parse().map_err(|error| input_error(VerifyError::Mode(error)))?,
        None => Mode::Require,
    };
    let limits = if mode == Mode::Auto { Limits::AUTO } else { Limits::PATIENT };
    // A path that was typed is meant from here, not from the root.
    let typed = from.map(|text| {
        let there = std::path::absolute(text).ok().filter(|_| !text.contains("://"));
        there.map_or_else(|| text.clone(), |path| path.to_string_lossy().into_owned())
    });
    Ok(Inputs {
        root: root.to_owned(),
        cache: root.join(".warren/upstream.git"),
        mode,
        mirror: typed.or_else(|| variable(MIRROR_VARIABLE)),
        limits,
        reuse: false,
        repin: variable(REPIN_VARIABLE).is_some_and(|text| text == "1"),
    })
}

/// Makes sure that the lock, its listing, its contract and a vendored copy agree,
/// without network: what a delivery starts with.
///
/// # Errors
/// As [`run`].
pub fn check_pin(root: &Path) -> Result<(), CliError> {
    let inputs = Inputs { mode: Mode::Offline, ..inputs(root, None)? };
    verify_pin(&inputs, &mut |_| {}).map(|_| ()).map_err(input_error)
}

/// Runs `work` with a progress display on stderr, which is none where stderr
/// is no terminal.
fn with_progress<T>(work: impl FnOnce(&mut dyn FnMut(Progress)) -> T) -> T {
    let bar = indicatif::ProgressBar::new(0);
    let style =
        indicatif::ProgressStyle::with_template("fetching {bar:30} {pos}/{len} objects, {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let result = work(&mut |progress: Progress| {
        bar.set_length(u64::try_from(progress.of).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(progress.objects).unwrap_or(u64::MAX));
        bar.set_message(format!("{} KiB", progress.bytes / 1024));
    });
    bar.finish_and_clear();
    result
}

/// The error of a check as that of a command, with its exit code and a way out.
fn input_error(error: VerifyError) -> CliError {
    match error {
        VerifyError::File(_) => CliError::input(error),
        VerifyError::Mode(_) => CliError::new(ErrorKind::Usage, error.to_string()),
        VerifyError::Unreachable(_) => CliError::new(ErrorKind::Unreachable, error.to_string())
            .hint(format!("name a mirror, a url or a path, with --from or {MIRROR_VARIABLE}")),
        VerifyError::Mismatch { .. } | VerifyError::Contradicted(_) => {
            CliError::failed(error.to_string()).hint(
                "if the upstream is right and the change is wanted, pin again: warren upstream \
                 pin TAG",
            )
        }
        other => CliError::failed(other.to_string()),
    }
}
