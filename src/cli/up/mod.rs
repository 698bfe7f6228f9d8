//! `warren up`: an environment's registry on this machine.

mod guide;
mod home;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::cli::composition;
use crate::client::proof::{self, ProofError};
use crate::client::{Client, Credentials, Trust};
use crate::registry::server::{self, Server};
use crate::registry::settings::Settings;
use home::Home;

/// The repository that the proof pushes to.
const REPOSITORY: &str = "warren/proof";
/// Where `up` listens: both loopback addresses, on an unprivileged port.
const BIND: &str = "127.0.0.1:8443,[::1]:8443";

/// Runs an environment's registry on this machine and proves it.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Checks the pin, composes the environment, starts its registry here with the \
                  environment's defaults and TLS from a private CA, and proves it with a login, \
                  a push, a pull and a comparison of digests. Needs no root. Ctrl-C stops it; \
                  the next run finds data, CA and password again.",
    after_help = "Example: warren up sandbox --once"
)]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Keep CA, password and data here.
    #[arg(
        long,
        value_name = "DIR",
        help = "Keep CA, password and data here [default: .warren/ENVIRONMENT]"
    )]
    data_dir: Option<PathBuf>,
    /// Listen on these addresses (port 0 picks a free one).
    #[arg(long, value_name = "IP:PORT,…", default_value = BIND)]
    bind: String,
    /// Leave after the proof.
    #[arg(long)]
    once: bool,
}

/// Runs the command.
///
/// # Errors
/// When a step before serving fails, or the proof does.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let composed = composition::checked(&root, &args.environment)?;
    let folder =
        args.data_dir.clone().unwrap_or_else(|| root.join(".warren").join(&args.environment));
    let environment = &composed.rendered.environment;
    let domain = environment.domain.as_str().to_owned();
    let mut names = vec![domain.clone()];
    names.extend(environment.aliases.iter().map(ToString::to_string));
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    for address in addresses(&args.bind)? {
        let ip = address.ip().to_string();
        if !address.ip().is_unspecified() && !names.contains(&ip) {
            names.push(ip);
        }
    }
    let printer = &context.printer;
    let lock = &composed.upstream;
    printer.note(&format!(
        "{:<12}trow {} {}, {}",
        "pin",
        lock.tag,
        lock.commit.short(),
        env!("WARREN_UPSTREAM_OUTCOME")
    ));
    let objects = composed.rendered.objects.len();
    printer.note(&format!("{:<12}{} objects for {}", "composed", objects, args.environment));
    let home = Home::open(&folder, environment.registry.user.as_str(), &names)?;
    let made = |new: bool| if new { "made" } else { "found" };
    printer.note(&format!(
        "{:<12}{} {}, valid for {}",
        "CA",
        made(home.authority.is_new()),
        home.authority.certificate_path().display(),
        names.join(", ")
    ));
    printer.note(&format!(
        "{:<12}{} {}",
        "password",
        made(home.password_is_new),
        home.password_file.display()
    ));
    let settings = settings(&composed.registry_defaults(), &home, &args.bind)?;
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| CliError::failed("cannot start the runtime").because(error))?;
    runtime.block_on(serve(settings, &Arc::new(home), &domain, args.once, context))
}

/// The addresses of `--bind`.
fn addresses(bind: &str) -> Result<Vec<SocketAddr>, CliError> {
    let parse = |item: &str| {
        item.trim().parse().map_err(|_| {
            CliError::new(ErrorKind::Usage, format!("--bind: {item:?} is not IP:PORT"))
                .hint("write it as 127.0.0.1:8443 or [::1]:8443, several with commas")
        })
    };
    bind.split(',').map(parse).collect()
}

/// The environment's own settings, moved onto this machine.
fn settings(defaults: &[(String, String)], home: &Home, bind: &str) -> Result<Settings, CliError> {
    let mut line = vec!["warren-registry".to_owned()];
    for (name, value) in defaults {
        if !["bind", "data-dir", "password", "log-level"].contains(&name.as_str()) {
            line.push(format!("--{name}={value}"));
        }
    }
    let text = |path: &Path| path.display().to_string();
    line.push(format!("--bind={bind}"));
    line.push(format!("--data-dir={}", text(&home.data)));
    line.push(format!("--password=file://{}", text(&home.password_file)));
    line.push(format!("--tls={},{}", text(&home.certificate), text(&home.key)));
    // The operator's terminal shows the proof; the log speaks up when something is wrong.
    line.push("--log-level=warn".to_owned());
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    Settings::from_line(&line)
        .map_err(|error| CliError::failed(format!("the registry's settings: {error}")))
}

async fn serve(
    settings: Settings,
    home: &Arc<Home>,
    domain: &str,
    once: bool,
    context: &Context,
) -> Result<(), CliError> {
    let printer = &context.printer;
    let signal = server::stop_signal()
        .map_err(|error| CliError::failed("cannot watch for Ctrl-C").because(error))?;
    tokio::pin!(signal);
    let server = Server::bind(settings).await.map_err(|error| {
        CliError::failed("the registry does not start")
            .because(error)
            .hint("another address or port: --bind 127.0.0.1:9443")
    })?;
    let addresses = server.addresses();
    let Some(dial) = addresses.first().copied() else {
        return Err(CliError::failed("the registry listens nowhere"));
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let listed: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    printer.note(&format!("{:<12}https on {}", "listening", listed.join(", ")));

    let outcome = tokio::select! {
        () = &mut signal => Ok(None),
        proof = proven(home, domain, dial) => proof.map(Some),
    };
    if let Ok(Some(steps)) = &outcome {
        for step in steps {
            let milliseconds = step.seconds * 1000.0;
            printer.note(&format!(
                "{:<12}{}, {} ({milliseconds:.1} ms)",
                "proof", step.name, step.outcome
            ));
        }
        printer.out(&guide::guide(home, domain, dial));
        if !once {
            printer.note("Ctrl-C stops it.");
            signal.await;
        }
    }
    let _ = stop.send(());
    running.await.map_err(|error| CliError::failed("the registry ended badly").because(error))?;
    printer.note("stopped");
    match outcome? {
        None if once => Err(CliError::failed("stopped before the proof was done")),
        _ => Ok(()),
    }
}

/// The proof runs on a thread of its own: the client blocks.
async fn proven(
    home: &Arc<Home>,
    domain: &str,
    dial: SocketAddr,
) -> Result<Vec<proof::Step>, CliError> {
    let base = format!("https://{domain}:{}", dial.port());
    let home = Arc::clone(home);
    let proof = tokio::task::spawn_blocking(move || prove(&home, &base, dial));
    let ended = |error| CliError::failed("the proof ended badly").because(error);
    proof.await.map_err(ended)?.map_err(|error| CliError::failed("the proof failed").because(error))
}

/// The proof, by a client that trusts nothing but the private CA.
fn prove(home: &Home, base: &str, dial: SocketAddr) -> Result<Vec<proof::Step>, ProofError> {
    let trust = Trust::Authority(home.authority.certificate_pem().to_owned());
    let right = Credentials { user: home.user.clone(), password: home.password.clone() };
    let wrong = Credentials { user: home.user.clone(), password: format!("{}-", home.password) };
    let client = Client::new(base, Some(right), &trust, Some(dial))?;
    let stranger = Client::new(base, Some(wrong), &trust, Some(dial))?;
    let authority = home.authority.certificate_path().display();
    let who = format!("{} over TLS under {authority}", home.user);
    let mut steps = Vec::new();
    proof::prove(&client, &stranger, REPOSITORY, &who, &mut steps)?;
    Ok(steps)
}
