//! `warren ca`: the private authority of an environment, and what it issues.

use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::args::Output;
use super::cluster::{connected, guard_authority, refused};
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::load;
use crate::delivery::cluster::{Cluster, manifests};
use crate::delivery::secret::{Secret, to_yaml};
use crate::fs::{self, Access};
use crate::pipeline::environment::Environment;
use crate::trust::{Authority, TrustError, expiry};

/// Make, use and replace an environment's private authority
#[derive(Debug, clap::Args)]
#[command(after_help = "The authority is in .warren/ENVIRONMENT/ca: ca.crt, and ca.key of mode \
                        0600. One that was made by another program, such as openssl, is used as \
                        it is when its key is a PKCS#8 PEM file. ECDSA P-256; the authority lasts \
                        10 years, what it issues 397 days.\n\
                        Examples:\n  warren ca init sandbox --apply\n  \
                        warren ca issue sandbox --name build.lapin.io --dir build\n  \
                        warren ca rotate sandbox")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the authority where there is none; --apply gives it to cert-manager.
    #[command(after_help = "Example: warren ca init sandbox --apply")]
    Init(Common),
    /// Issue a certificate for the environment's host names, or for others.
    #[command(after_help = "Without --name: the domain, its aliases and the Service's name. \
                            --apply makes the Secret that the environment names.\n\
                            Example: warren ca issue sandbox --dir tls")]
    Issue {
        #[command(flatten)]
        common: Common,
        /// A host name or IP address; several times for several.
        #[arg(long = "name", value_name = "NAME", conflicts_with = "apply")]
        names: Vec<String>,
        /// Write tls.crt, tls.key (0600) and ca.crt to this folder.
        #[arg(long, value_name = "DIR", conflicts_with = "apply")]
        dir: Option<PathBuf>,
    },
    /// Replace the authority, in two steps, so that clients always trust one.
    #[command(after_help = "The first call makes the next authority and bundle.crt, which holds \
                            both: give that to every client (warren client), then call it with \
                            --finish, and with --apply to give the new one to cert-manager. When \
                            every certificate is renewed, remove bundle.crt and give the clients \
                            ca.crt alone.\n\
                            Example: warren ca rotate sandbox --finish --apply")]
    Rotate {
        #[command(flatten)]
        common: Common,
        /// Put the prepared authority in place.
        #[arg(long)]
        finish: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Where the authority is [default: .warren/ENVIRONMENT/ca].
    #[arg(long, value_name = "DIR")]
    ca_dir: Option<PathBuf>,
    /// Give it to the environment's cluster as a Secret.
    #[arg(long)]
    apply: bool,
    /// Put it in the place of another that the cluster signs with.
    #[arg(long, requires = "apply")]
    replace_authority: bool,
    /// How to say what was done.
    #[arg(long = "output", value_name = "FORM", default_value = "text")]
    form: Output,
}

/// What was done, as JSON.
#[derive(Serialize)]
struct Report {
    environment: String,
    files: Vec<String>,
    expires: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the authority can't be made, opened or used, and when the cluster
/// refuses its Secret.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let (Command::Init(common) | Command::Issue { common, .. } | Command::Rotate { common, .. }) =
        &args.command;
    let environment = load::environment(&root, &common.environment)?;
    let folder = common.ca_dir.clone().unwrap_or_else(|| folder(&root, &environment));
    let cluster =
        if common.apply { Some(connected(&environment, "nothing is made")?) } else { None };
    let open = || {
        Authority::open(&folder).map_err(trust)?.ok_or_else(|| {
            CliError::failed(format!("there is no authority in {}", folder.display()))
                .hint(format!("make one with warren ca init {}", environment.name))
        })
    };
    let gives_authority = !matches!(&args.command, Command::Issue { .. });
    if let (Some(cluster), false, true) = (&cluster, common.replace_authority, gives_authority) {
        let ours = Authority::open(&folder).map_err(trust)?;
        let ours = ours.as_ref().map(|authority| authority.certificate_pem().to_owned());
        // A rotation may replace what it rotated: until it is finished that is
        // ours, and after it what is kept beside.
        let replaced = Authority::replaced(&folder).map_err(trust)?;
        guard_authority(cluster, &environment, ours.as_deref(), replaced.as_deref())?;
    }
    let mut report = match &args.command {
        Command::Init(_) => {
            let authority = Authority::open_or_make(&folder).map_err(trust)?;
            let how = if authority.is_new() { "made" } else { "is there" };
            context.printer.note(&format!("the authority {how}: {}", folder.display()));
            of_authority(&environment, &authority, &folder)?
        }
        Command::Issue { names, dir, .. } => {
            let authority = open()?;
            if cluster.is_some() {
                let secret = Secret::certificate(&environment, &authority).map_err(trust)?;
                let mut report = of_authority(&environment, &authority, &folder)?;
                report.secrets = give(context, cluster.as_ref(), &secret)?;
                say(context, common.form, &report);
                return Ok(());
            }
            issue(context, &environment, &authority, names, dir.as_deref())?
        }
        Command::Rotate { finish: false, .. } => {
            let (next, bundle) = Authority::prepare_next(&folder).map_err(trust)?;
            context.printer.note(&format!(
                "the next authority is ready: give {} to every client with warren client {}, then \
                 warren ca rotate {} --finish",
                bundle.display(),
                environment.name,
                environment.name
            ));
            if cluster.is_some() {
                return Err(CliError::new(
                    ErrorKind::Usage,
                    "the next authority signs nothing before --finish",
                ));
            }
            of_authority(&environment, &next, &folder.join("next"))?
        }
        Command::Rotate { finish: true, .. } => {
            let authority = Authority::switch_to_next(&folder).map_err(trust)?;
            context.printer.note("the new authority is in place; the old one is kept beside it");
            of_authority(&environment, &authority, &folder)?
        }
    };
    if cluster.is_some() {
        let authority = open()?;
        let secret = Secret::authority(&environment, &authority);
        report.secrets = give(context, cluster.as_ref(), &secret).map_err(|error| {
            error.hint(format!(
                "then give it to the cluster with warren ca init {} --apply",
                environment.name
            ))
        })?;
        if matches!(args.command, Command::Rotate { .. }) {
            context.printer.note(
                "cert-manager signs with it from now on; to renew at once: cmctl renew --all, or \
                 delete the Secrets of the certificates",
            );
        }
    }
    say(context, common.form, &report);
    Ok(())
}

/// Where the authority of an environment is.
#[must_use]
pub fn folder(root: &Path, environment: &Environment) -> PathBuf {
    root.join(".warren").join(&environment.name).join("ca")
}

fn of_authority(
    environment: &Environment,
    authority: &Authority,
    folder: &Path,
) -> Result<Report, CliError> {
    let file = |name: &str| folder.join(name).display().to_string();
    Ok(Report {
        environment: environment.name.clone(),
        files: vec![file("ca.crt"), file("ca.key")],
        expires: date(authority.expires().map_err(trust)?),
        secrets: Vec::new(),
    })
}

fn issue(
    context: &Context,
    environment: &Environment,
    authority: &Authority,
    names: &[String],
    folder: Option<&Path>,
) -> Result<Report, CliError> {
    let Some(folder) = folder else {
        return Err(CliError::new(ErrorKind::Usage, "a certificate is to go somewhere")
            .hint("write it to a folder with --dir DIR, or make the Secret with --apply"));
    };
    let names = if names.is_empty() {
        let mut names: Vec<_> = environment.hosts().map(ToString::to_string).collect();
        names.push(format!("trow-svc.{}.svc", environment.namespace));
        names
    } else {
        names.to_vec()
    };
    let issued = authority.issue(&names).map_err(trust)?;
    fs::create_dir_all(folder)?;
    let path = |name: &str| folder.join(name);
    fs::write_atomic(&path("tls.key"), issued.key_pem.as_bytes(), Access::Owner)?;
    fs::write_atomic(&path("tls.crt"), issued.chain_pem.as_bytes(), Access::Everyone)?;
    let pem = authority.certificate_pem().as_bytes();
    fs::write_atomic(&path("ca.crt"), pem, Access::Everyone)?;
    context.printer.note(&format!("issued for {}", names.join(", ")));
    let expires = expiry(&issued.chain_pem).map_err(CliError::failed)?;
    Ok(Report {
        environment: environment.name.clone(),
        files: ["tls.crt", "tls.key", "ca.crt"].map(|name| path(name).display().to_string()).into(),
        expires: date(expires),
        secrets: Vec::new(),
    })
}

fn give(
    context: &Context,
    cluster: Option<&Cluster>,
    secret: &Secret,
) -> Result<Vec<String>, CliError> {
    let Some(cluster) = cluster else { return Ok(Vec::new()) };
    let yaml = to_yaml(std::slice::from_ref(secret));
    let files = std::collections::BTreeMap::from([("secret.yaml".to_owned(), yaml)]);
    let objects = manifests(&files).map_err(CliError::input)?;
    let applied = cluster
        .apply_objects(&objects)
        .map_err(|error| refused(&format!("{} not made", secret.title()), &error))?;
    for one in applied {
        context.printer.note(&format!("{one} in {}", cluster.context()));
    }
    Ok(vec![secret.title()])
}

fn say(context: &Context, form: Output, report: &Report) {
    match form {
        Output::Json => context.printer.json(report),
        Output::Text => {
            for file in &report.files {
                context.printer.out(&format!("{file}\n"));
            }
            context.printer.note(&format!("valid until {}", report.expires));
        }
    }
}

fn date(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

fn trust(error: TrustError) -> CliError {
    CliError::failed("the private authority").because(error)
}
