use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use super::upkeep_command::UpkeepCommand;
use super::{Server, ServerError, descriptors, logging, reload_on_hangup, stop_signal};
use crate::registry::settings::{Flags, Settings, Variables};

/// The exit code for wrong arguments and settings, as clap has it.
const USAGE: u8 = 2;

/// Threads for calls that may block: files, syncs, password hashes.
const BLOCKING_THREADS: usize = 64;

/// The whole command `warren-registry`: arguments in, exit code out.
pub fn run<I>(arguments: I) -> ExitCode
where
    I: IntoIterator<Item = OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if UpkeepCommand::is_meant(arguments.get(1)) {
        return run_upkeep(arguments);
    }
    let flags = match Flags::parse_line(arguments) {
        Ok(flags) => flags,
        Err(error) => {
            // Help and version are no errors; clap knows the stream of each.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match obey(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            if error.is_usage() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Runs a command beside the server; the exit code is 1 where it found damage.
fn run_upkeep(arguments: Vec<OsString>) -> ExitCode {
    let command = match UpkeepCommand::try_parse_from(arguments) {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match command.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            if error.is_usage() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn obey(flags: &Flags) -> Result<(), ServerError> {
    let settings = Settings::resolve(flags, &Variables::process())?;
    if flags.print_config {
        return say(&settings.print(flags.output));
    }
    logging::start(&settings);
    if flags.dry_run {
        Server::check(&settings)?;
        return say("the settings are valid; nothing was started (--dry-run)\n");
    }
    descriptors::raise(settings.max_connections.value);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each of them costs memory, and a disk has no use for more. No work
        // in one waits for work in another.
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|source| ServerError::System { step: "start the runtime", source })?;
    let served = runtime.block_on(serve(settings));
    // What still reads or writes a file in a thread has had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve(settings: Settings) -> Result<(), ServerError> {
    let stop = stop_signal()?;
    let reload = reload_on_hangup()?;
    tracing::info!(
        version = env!("WARREN_VERSION"),
        data_dir = %settings.data_dir.value.display(),
        environment = settings.environment.value,
        "starting"
    );
    let server = Server::bind(settings).await?;
    let reload = reload(server.reloader());
    tokio::select! {
        () = server.run(stop) => {}
        () = reload => {}
    }
    Ok(())
}

/// Writes data to stdout.
fn say(text: &str) -> Result<(), ServerError> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|source| ServerError::System { step: "write to stdout", source })
}
