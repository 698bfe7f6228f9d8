//! `warren smoke`: the notes' test against a deployed registry, as one command.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Serialize;

use super::args::Output;
use super::client::authority;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::load;
use super::secret::password_source;
use crate::client::proof::{ProofError, Step, prove, timed};
use crate::client::{Client, ClientError, Credentials, Trust};
use crate::delivery::clients::{endpoint, port};
use crate::delivery::password::Password;
use crate::digest::Digest;
use crate::fs::{self, Access};
use crate::pipeline::environment::{Environment, ExposureKind};

/// The repository that the test pushes to.
const REPOSITORY: &str = "warren/smoke";

/// Test a deployed registry as a client does
#[derive(Debug, clap::Args)]
#[command(after_help = "Name resolution, TLS chain, redirect of plain HTTP, login, a wrong \
                        password, push, pull, digests, deletion; then login and pull with podman \
                        or docker where one is there. The password comes from a prompt, \
                        --password-file or --password-env.\n\
                        Leaves with 0 when every step passed, with 1 when one failed, with 4 when \
                        the registry can't be reached.\n\
                        Example: warren smoke sandbox --password-file pass")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Connect to this address, whatever the domain resolves to.
    #[arg(long, value_name = "IP[:PORT]")]
    address: Option<String>,
    /// The authority to trust [default: as warren client finds it].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Log in as this user [default: the environment's].
    #[arg(long)]
    user: Option<String>,
    /// Read the password from this file, or from stdin for `-`.
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// Read the password from this environment variable.
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// The program to pull with as well.
    #[arg(long, value_enum, default_value = "auto")]
    with: Program,
    /// How to say it.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// A container engine to pull with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Program {
    /// The first of podman and docker that is there.
    Auto,
    Podman,
    Docker,
    None,
}

#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    registry: &'a str,
    passed: bool,
    steps: &'a [Step],
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When a step does not pass, and when the password or the authority is missing.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let environment = load::environment(&root, &args.environment)?;
    let authority = authority(&root, &environment, args.ca.as_ref())?;
    let user = args.user.clone().unwrap_or_else(|| environment.registry.user.to_string());
    let source = password_source(args.password_file.as_deref(), args.password_env.as_deref())?;
    let password =
        source.read(&user).map_err(|error| CliError::new(ErrorKind::Input, error.to_string()))?;
    let registry = endpoint(&environment, environment.domain.as_str());
    let mut steps = Vec::new();
    let test = Test { args, environment: &environment, authority, user, password };
    let outcome = test.run(&mut steps);
    if let Output::Json = args.output {
        context.printer.json(&Report {
            environment: &environment.name,
            registry: &registry,
            passed: outcome.is_ok(),
            steps: &steps,
            failed: outcome.as_ref().err().map(ToString::to_string),
        });
    } else {
        table(context, &steps);
    }
    outcome.map_err(|error| {
        let kind = match &error {
            SmokeError::Client(ClientError::Transport { .. })
            | SmokeError::Proof(ProofError::Client(ClientError::Transport { .. }))
            | SmokeError::Resolve { .. } => ErrorKind::Unreachable,
            _ => ErrorKind::Failed,
        };
        let passed = steps.iter().filter(|step| step.passed).count();
        let failed = CliError::new(kind, format!("after {passed} steps that passed: {error}"));
        match error.hint(&environment) {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    })?;
    context.printer.note(&format!("{registry}: all {} steps passed", steps.len()));
    Ok(())
}

fn table(context: &Context, steps: &[Step]) {
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    for step in steps {
        context.printer.out(&format!(
            "{}  {:width$}  {:>7.0} ms  {}\n",
            if step.passed { "ok  " } else { "FAIL" },
            step.name,
            step.seconds * 1000.0,
            step.outcome.lines().next().unwrap_or_default()
        ));
    }
}

/// Why a step did not pass.
#[derive(Debug, thiserror::Error)]
enum SmokeError {
    #[error("{name} does not resolve: {reason}")]
    Resolve { name: String, reason: String },
    #[error("{name} resolves to {found}, and the environment's address is {expected}")]
    Elsewhere { name: String, found: String, expected: IpAddr },
    #[error("--address {text} is no address: {reason}")]
    Address { text: String, reason: String },
    #[error("{url} does not lead to HTTPS: {found}")]
    Redirect { url: String, found: String },
    #[error("{0} is still there after it was deleted")]
    NotDeleted(Digest),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("{program} {what}: {reason}")]
    Program { program: &'static str, what: &'static str, reason: String },
    #[error(transparent)]
    Fs(#[from] fs::FsError),
}

impl SmokeError {
    fn hint(&self, environment: &Environment) -> Option<String> {
        let name = &environment.name;
        let text = self.to_string();
        Some(match self {
            Self::Resolve { .. } | Self::Elsewhere { .. } => format!(
                "warren client {name} has the line for /etc/hosts; --address IP connects there \
                 without it"
            ),
            _ if text.contains("UnknownIssuer") || text.contains("invalid peer certificate") => {
                format!(
                    "the certificate is not signed by the authority that is trusted here: name \
                     another with --ca FILE, or look at warren doctor {name}"
                )
            }
            _ if text.contains("x509") => format!(
                "docker trusts what lies in /etc/docker/certs.d: warren client {name} has it"
            ),
            _ if text.contains("401") => {
                format!("the password is not the one of warren secret {name} trow-pass")
            }
            Self::Client(ClientError::Transport { .. }) => {
                format!("nothing answers there: warren doctor {name} looks for the reason")
            }
            _ => return None,
        })
    }
}

struct Test<'a> {
    args: &'a Args,
    environment: &'a Environment,
    authority: Option<String>,
    user: String,
    password: Password,
}

impl Test<'_> {
    fn run(&self, steps: &mut Vec<Step>) -> Result<(), SmokeError> {
        let host = self.environment.domain.as_str();
        let dial = timed(steps, "resolve", || self.resolve(host))?;
        let base = format!("https://{}", endpoint(self.environment, host));
        let trust = match &self.authority {
            Some(pem) => Trust::Authority(pem.clone()),
            None => Trust::Public,
        };
        let client = |password: String| {
            let credentials = Credentials { user: self.user.clone(), password };
            Client::new(&base, Some(credentials), &trust, Some(dial))
        };
        let ours = client(self.password.expose().to_owned())?;
        let stranger = client(format!("{}-", self.password.expose()))?;
        timed(steps, "certificate", || {
            // Without credentials, so that whatever is wrong is the chain's.
            let nobody = Client::new(&base, None, &trust, Some(dial))?;
            match nobody.login() {
                Ok(()) => Ok(((), "the chain is trusted; anybody is let in".to_owned())),
                Err(ClientError::Answer { found, .. }) if found.starts_with("401") => {
                    Ok(((), format!("the chain is trusted for {host}")))
                }
                Err(error) => Err(SmokeError::from(error)),
            }
        })?;
        if matches!(self.environment.exposure.kind, ExposureKind::Ingress | ExposureKind::Gateway) {
            timed(steps, "redirect", || redirect(host, dial))?;
        }
        let digest = prove(&ours, &stranger, REPOSITORY, &self.user, steps)?;
        let mut pushed = vec![digest.clone()];
        if let Some(program) = self.program() {
            let done = timed(steps, program, || self.round_with(program, &digest, &ours));
            match done {
                Ok(theirs) => pushed.extend(Some(theirs).filter(|theirs| *theirs != digest)),
                Err(error) => {
                    // The test leaves nothing behind that it can take away.
                    let _ = ours.delete_manifest(REPOSITORY, &digest);
                    return Err(error);
                }
            }
        }
        timed(steps, "delete", || {
            for digest in &pushed {
                if !ours.delete_manifest(REPOSITORY, digest)? {
                    return Ok(((), "the registry does not let this user delete".to_owned()));
                }
                match ours.pull_manifest(REPOSITORY, &digest.to_string()) {
                    Err(ClientError::Answer { found, .. }) if found.starts_with("404") => {}
                    Err(error) => return Err(error.into()),
                    Ok(_) => return Err(SmokeError::NotDeleted(digest.clone())),
                }
            }
            Ok(((), "gone".to_owned()))
        })
    }

    fn resolve(&self, host: &str) -> Result<(SocketAddr, String), SmokeError> {
        let port = port(self.environment);
        if let Some(text) = &self.args.address {
            let address = text
                .parse::<SocketAddr>()
                .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)));
            return match address {
                Ok(address) => Ok((address, format!("{address}, as --address says"))),
                Err(error) => {
                    Err(SmokeError::Address { text: text.clone(), reason: error.to_string() })
                }
            };
        }
        let failed = |reason: String| SmokeError::Resolve { name: host.to_owned(), reason };
        let found = (host, port).to_socket_addrs().map_err(|error| failed(error.to_string()))?;
        let found: Vec<_> = found.collect();
        let first = found.first().copied().ok_or_else(|| failed("no address".to_owned()))?;
        let Some(wanted) = self.environment.address.as_ref().map(|address| address.ip) else {
            return Ok((first, format!("{host} is {}", first.ip())));
        };
        match found.iter().find(|address| address.ip() == wanted) {
            Some(address) => Ok((*address, format!("{host} is {wanted}"))),
            None => Err(SmokeError::Elsewhere {
                name: host.to_owned(),
                found: first.ip().to_string(),
                expected: wanted,
            }),
        }
    }

    /// The program to pull with: one that was asked for, or one that is there.
    /// It resolves the domain itself, so that an address of ours rules it out.
    fn program(&self) -> Option<&'static str> {
        let is_there = |program: &&str| {
            let asked = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        match self.args.with {
            Program::None => None,
            Program::Podman => Some("podman"),
            Program::Docker => Some("docker"),
            Program::Auto if self.args.address.is_some() => None,
            Program::Auto => ["podman", "docker"].into_iter().find(is_there),
        }
    }

    /// Logs in, pulls what our client pushed, and pushes it under a tag of the
    /// program's; the digest of that.
    fn round_with(
        &self,
        program: &'static str,
        digest: &Digest,
        ours: &Client,
    ) -> Result<(Digest, String), SmokeError> {
        let folder = Folder::make(program)?;
        let registry = endpoint(self.environment, self.environment.domain.as_str());
        let image = format!("{registry}/{REPOSITORY}@{digest}");
        let (global, options) = match program {
            "podman" => {
                if let Some(pem) = &self.authority {
                    let path = folder.0.join("ca.crt");
                    fs::write_atomic(&path, pem.as_bytes(), Access::Everyone)?;
                }
                let auth = folder.0.join("auth.json").display().to_string();
                let certificates = folder.0.display().to_string();
                let options =
                    vec!["--authfile".to_owned(), auth, "--cert-dir".to_owned(), certificates];
                (Vec::new(), options)
            }
            // docker trusts what its daemon finds in /etc/docker/certs.d.
            _ => (vec!["--config".to_owned(), folder.0.display().to_string()], Vec::new()),
        };
        let run = |what: &'static str, more: &[&str], input: Option<&str>| {
            execute(program, what, &global, &options, more, input)
        };
        let login = ["--username", self.user.as_str(), "--password-stdin", registry.as_str()];
        run("login", &login, Some(self.password.expose()))?;
        run("pull", &["--quiet", &image], None)?;
        let tagged = format!("{registry}/{REPOSITORY}:{program}");
        let pushed = execute(program, "tag", &global, &[], &[&image, &tagged], None)
            .and_then(|()| run("push", &[&tagged], None));
        let removed = execute(program, "rmi", &global, &[], &[&image, &tagged], None);
        pushed?;
        let found = Digest::sha256(&ours.pull_manifest(REPOSITORY, program)?.bytes);
        let left = if removed.is_ok() { "" } else { "; its copy could not be removed" };
        Ok((found, format!("logged in, pulled {digest} and pushed it{left}")))
    }
}

/// Plain HTTP must lead to HTTPS, or not answer at all.
fn redirect(host: &str, dial: SocketAddr) -> Result<((), String), SmokeError> {
    let plain = SocketAddr::new(dial.ip(), 80);
    let client = Client::new(&format!("http://{host}"), None, &Trust::Public, Some(plain))?;
    match client.redirect(host) {
        Err(_) => Ok(((), "plain HTTP is not answered at all".to_owned())),
        Ok(Some(to)) if to.starts_with("https://") => Ok(((), format!("leads to {to}"))),
        Ok(found) => Err(SmokeError::Redirect {
            url: format!("http://{host}/v2/"),
            found: found.unwrap_or_else(|| "it is answered as it is".to_owned()),
        }),
    }
}

/// A folder of our own for a program's files; it goes away with this.
struct Folder(PathBuf);

impl Folder {
    fn make(program: &str) -> Result<Self, SmokeError> {
        let mut random = [0; 8];
        let name = match getrandom::fill(&mut random) {
            Ok(()) => crate::digest::hex(&random),
            Err(_) => std::process::id().to_string(),
        };
        let path = std::env::temp_dir().join(format!("warren-smoke-{program}-{name}"));
        fs::create_private_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all_if_there(&self.0);
    }
}

fn execute(
    program: &'static str,
    what: &'static str,
    global: &[String],
    options: &[String],
    more: &[&str],
    input: Option<&str>,
) -> Result<(), SmokeError> {
    use std::io::Write as _;
    let failed = |reason: String| SmokeError::Program { program, what, reason };
    let mut child = Command::new(program)
        .args(global)
        .arg(what)
        .args(options)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take()
        && let Some(input) = input
    {
        // A program that ends early closes the pipe; its exit code says so.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(failed(text.lines().last().unwrap_or("it failed without a word").to_owned()))
}
