//! `warren secret`: makes the Secrets that an environment's objects refer to,
//! from what only the operator has.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::ca;
use super::cluster;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::load;
use crate::delivery::cluster::{Cluster, manifests};
use crate::delivery::password::{Password, PasswordError, Source};
use crate::delivery::secret::{Secret, SecretKind, to_yaml};
use crate::fs::{self, Access};
use crate::pipeline::environment::Environment;
use crate::trust::Authority;

/// Make the Secrets that an environment's objects refer to
#[derive(Debug, clap::Args)]
#[command(after_help = "The password comes from a prompt, --password-file or --password-env, \
                        never from an argument. The Secrets go to the cluster (--apply), to a \
                        file (--output) or into a pipe, never into deploy/.\n\
                        Example: warren secret sandbox --apply")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Which Secrets, such as trow-pass [default: all].
    names: Vec<String>,
    /// Read the password from this file, or from stdin for `-`. One line end
    /// after it is not part of it.
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// Read the password from this environment variable.
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// Where the private CA is; made when it isn't there.
    #[arg(
        long,
        value_name = "DIR",
        help = "Where the private CA is; made when it isn't there [default: \
                .warren/ENVIRONMENT/ca, where warren up keeps it]"
    )]
    ca_dir: Option<PathBuf>,
    /// Give the Secrets to the environment's cluster.
    #[arg(long, conflicts_with = "output")]
    apply: bool,
    /// Write them to this file, readable for you alone.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Put the private CA in the place of another that the cluster signs with.
    #[arg(long, requires = "apply")]
    replace_authority: bool,
    /// Overwrite the file of --output.
    #[arg(long, requires = "output")]
    force: bool,
    /// Taken only to be refused with the way out.
    #[arg(long, hide = true, num_args = 0..=1, value_name = "PASSWORD")]
    #[allow(clippy::option_option, reason = "whether it was given matters, never what")]
    password: Option<Option<String>>,
}

/// Where the Secrets go.
enum Sink {
    Cluster,
    File(PathBuf),
    Stdout,
}

/// Runs the command.
///
/// # Errors
/// When an argument is wrong, there is no password that can log in, the CA
/// can't be used, the file can't be written or the cluster refuses.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    if args.password.is_some() {
        return Err(CliError::new(
            ErrorKind::Usage,
            "a password is never an argument: every process of the machine can read it there, \
             and the shell's history keeps it",
        )
        .hint("leave it out to be asked, or use --password-file FILE, --password-env VARIABLE")
        .hint("what was typed is known now: choose another password"));
    }
    let root = context.root()?;
    let environment = load::environment(&root, &args.environment)?;
    let kinds = chosen(&args.names, &environment)?;
    // Whatever can fail fails before anyone is asked for a password.
    let sink = sink(args, &root)?;
    let cluster = match sink {
        Sink::Cluster => Some(connected(&environment)?),
        Sink::File(_) | Sink::Stdout => None,
    };
    if let (Some(cluster), false) = (&cluster, args.replace_authority)
        && kinds.contains(&SecretKind::Authority)
    {
        let folder = ca_dir(args, &root, &environment);
        let ours = Authority::open(&folder)
            .map_err(|error| CliError::failed("the private CA").because(error))?;
        let ours = ours.as_ref().map(Authority::certificate_pem);
        cluster::guard_authority(cluster, &environment, ours, None)?;
    }
    let secrets = make(args, context, &root, &environment, &kinds)?;
    let titles: Vec<_> = secrets.iter().map(Secret::title).collect();
    let titles = titles.join(", ");
    let yaml = to_yaml(&secrets);
    if let Some(cluster) = cluster {
        let files = BTreeMap::from([("secrets.yaml".to_owned(), yaml)]);
        let objects = manifests(&files).map_err(CliError::input)?;
        let applied = cluster
            .apply_objects(&objects)
            .map_err(|error| cluster::refused(&format!("{titles} not made"), &error))?;
        for one in applied {
            context.printer.note(&one.to_string());
        }
        context.printer.note(&format!("applied to {}", cluster.context()));
    } else if let Sink::File(path) = sink {
        fs::write_atomic(&path, yaml.as_bytes(), Access::Owner)?;
        context.printer.note(&format!("{titles} written to {}", path.display()));
        context.printer.note("whoever can read this file can log in: keep it out of git");
    } else {
        context.printer.out(&yaml);
    }
    Ok(())
}

/// The Secrets that are named, or all; each once, in a fixed order.
fn chosen(names: &[String], environment: &Environment) -> Result<Vec<SecretKind>, CliError> {
    if names.is_empty() {
        return Ok(SecretKind::needed(environment));
    }
    let mut kinds = Vec::new();
    for name in names {
        let kind = SecretKind::by_name(name, environment).ok_or_else(|| {
            let known = SecretKind::ALL.map(|kind| kind.name(environment)).join(", ");
            CliError::new(
                ErrorKind::Usage,
                format!("{} has no Secret {name:?}; there is {known}", environment.name),
            )
        })?;
        kinds.push(kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

fn sink(args: &Args, root: &Path) -> Result<Sink, CliError> {
    if args.apply {
        return Ok(Sink::Cluster);
    }
    if let Some(path) = &args.output {
        return file(path, root, args.force).map(Sink::File);
    }
    if std::io::stdout().is_terminal() {
        return Err(CliError::new(ErrorKind::Usage, "a Secret is not printed on a terminal").hint(
            "give it to the cluster with --apply, to a file with --output FILE, or pipe it",
        ));
    }
    Ok(Sink::Stdout)
}

/// A path where a Secret may be written.
fn file(path: &Path, root: &Path, force: bool) -> Result<PathBuf, CliError> {
    let unwritable =
        |reason: &str| CliError::new(ErrorKind::Usage, format!("{}: {reason}", path.display()));
    let name = path.file_name().ok_or_else(|| unwritable("is no name for a file"))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // The real folder, so that neither `..` nor a link leads into git.
    let folder = folder
        .canonicalize()
        .map_err(|error| unwritable(&format!("there is no such folder ({error})")))?;
    for committed in ["deploy", "environments"] {
        let inside =
            root.join(committed).canonicalize().is_ok_and(|place| folder.starts_with(place));
        if inside {
            return Err(unwritable(&format!(
                "{committed}/ is committed and synced: a Secret there is a leak"
            ))
            .hint("write it outside of the repository, or give it to the cluster with --apply"));
        }
    }
    let target = folder.join(name);
    if target.is_dir() {
        return Err(unwritable("is a folder"));
    }
    if target.symlink_metadata().is_ok() && !force {
        return Err(unwritable("is already there").hint("overwrite it with --force"));
    }
    Ok(target)
}

fn connected(environment: &Environment) -> Result<Cluster, CliError> {
    cluster::connected(environment, "nothing is made").map_err(|error| {
        error.hint("write the Secrets to a file with --output FILE and apply it later")
    })
}

fn make(
    args: &Args,
    context: &Context,
    root: &Path,
    environment: &Environment,
    kinds: &[SecretKind],
) -> Result<Vec<Secret>, CliError> {
    // The CA first: it can fail without anyone having typed anything.
    let authority = if kinds.iter().any(|kind| !kind.needs_password()) {
        Some(authority(args, context, root, environment)?)
    } else {
        None
    };
    let password = if kinds.iter().any(|kind| kind.needs_password()) {
        Some(password(args, environment)?)
    } else {
        None
    };
    let signed = |authority| {
        Secret::certificate(environment, authority)
            .map_err(|error| CliError::failed("the domain's certificate").because(error))
    };
    let secrets = kinds.iter().filter_map(|kind| match (kind, &password, &authority) {
        (SecretKind::Password, Some(password), _) => {
            Some(Ok(Secret::password(environment, password)))
        }
        (SecretKind::Credentials, Some(password), _) => {
            Some(Ok(Secret::credentials(environment, password)))
        }
        (SecretKind::Authority, _, Some(authority)) => {
            Some(Ok(Secret::authority(environment, authority)))
        }
        (SecretKind::Certificate, _, Some(authority)) => Some(signed(authority)),
        _ => None,
    });
    secrets.collect()
}

fn authority(
    args: &Args,
    context: &Context,
    root: &Path,
    environment: &Environment,
) -> Result<Authority, CliError> {
    let folder = ca_dir(args, root, environment);
    let authority = Authority::open_or_make(&folder)
        .map_err(|error| CliError::failed("the private CA").because(error))?;
    let how = if authority.is_new() { "made" } else { "found" };
    context.printer.note(&format!(
        "private CA {how}: clients are to trust {}",
        authority.certificate_path().display()
    ));
    Ok(authority)
}

/// Where the private CA is.
fn ca_dir(args: &Args, root: &Path, environment: &Environment) -> PathBuf {
    args.ca_dir.clone().unwrap_or_else(|| ca::folder(root, environment))
}

fn password(args: &Args, environment: &Environment) -> Result<Password, CliError> {
    let source = password_source(args.password_file.as_deref(), args.password_env.as_deref())?;
    source.read(environment.registry.user.as_str()).map_err(|error| match error {
        PasswordError::Fs(error) => error.into(),
        error => CliError::new(ErrorKind::Input, error.to_string()),
    })
}

/// Where a password comes from: a file (`-` is stdin), a variable, or a prompt
/// where there is a terminal.
///
/// # Errors
/// When there is neither.
pub fn password_source(file: Option<&Path>, variable: Option<&str>) -> Result<Source, CliError> {
    match (file, variable) {
        (Some(path), _) if path == Path::new("-") => Ok(Source::Stdin),
        (Some(path), _) => Ok(Source::File(path.to_owned())),
        (None, Some(name)) => Ok(Source::Variable(name.to_owned())),
        (None, None) if std::io::stdin().is_terminal() => Ok(Source::Prompt),
        (None, None) => {
            Err(CliError::new(ErrorKind::Usage, "there is no password, and no terminal to ask on")
                .hint("use --password-file FILE (- for stdin) or --password-env VARIABLE"))
        }
    }
}
