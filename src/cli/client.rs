//! `warren client`: what a machine needs to use an environment's registry.

use std::path::PathBuf;

use super::ca;
use super::cluster::secret_text;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::load;
use super::printer::quoted;
use crate::delivery::clients::Kit;
use crate::delivery::cluster::{Cluster, Identity};
use crate::fs::{self, Access};
use crate::pipeline::environment::{Environment, TlsKind};
use crate::trust::Authority;

/// Give a machine what it needs to use an environment's registry
#[derive(Debug, clap::Args)]
#[command(after_help = "The authority for podman, buildah, skopeo, CRI-O, docker and containerd, \
                        registries.conf, hosts.toml, and the line of /etc/hosts where the \
                        environment names an address.\n\
                        --script prints a shell script: `sh client.sh` installs, `sh client.sh \
                        undo` takes it away again and brings back what was there before.\n\
                        Examples:\n  warren client sandbox --script >client.sh\n  \
                        warren client sandbox --output-dir client\n  \
                        warren client sandbox --daemon-set | kubectl apply -f -\n  \
                        warren client sandbox --daemon-set --undo | kubectl apply -f -")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// Print a shell script that installs, and undoes.
    #[arg(long, conflicts_with_all = ["output_dir", "daemon_set"])]
    script: bool,
    /// Print what gives the files to every node.
    #[arg(
        long,
        conflicts_with = "output_dir",
        help = "Print a ConfigMap and a DaemonSet that give the files to every node"
    )]
    daemon_set: bool,
    /// Have the `DaemonSet` take the files away again: delete it once its pods are ready.
    #[arg(
        long,
        requires = "daemon_set",
        help = "Have the DaemonSet take the files away again: delete it once its pods are ready"
    )]
    undo: bool,
    /// Write the files to this folder, as they lie below /.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// The authority to trust [default: .warren/ENVIRONMENT/ca, else the
    /// cluster's Secret].
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the authority is found nowhere, or the files can't be written.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let environment = load::environment(&root, &args.environment)?;
    let authority = authority(&root, &environment, args.ca.as_ref())?;
    let kit = Kit::of(&environment, authority.as_deref());
    if args.script {
        context.printer.out(&kit.script());
        return Ok(());
    }
    if args.daemon_set {
        context.printer.out(&kit.daemon_set(args.undo));
        return Ok(());
    }
    let files = kit.files();
    if let Some(folder) = &args.output_dir {
        for (path, text) in &files {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write_atomic(&path, text.as_bytes(), Access::Everyone)?;
            // They are copied as they are, and clients of any user read them.
            let above = path.ancestors().skip(1).take_while(|above| above.starts_with(folder));
            std::iter::once(path.as_path()).chain(above).try_for_each(fs::share)?;
        }
        context.printer.note(&format!(
            "{} files below {}; copy them to / of each machine",
            files.len(),
            quoted(&folder.display().to_string())
        ));
        return Ok(());
    }
    for (path, text) in &files {
        let shown = if path == "hosts" { "a line of /etc/hosts" } else { path };
        let slash = if path == "hosts" { "" } else { "/" };
        context.printer.out(&format!("# {slash}{shown}\n{text}\n"));
    }
    Ok(())
}

/// What clients are to trust; nothing where an authority signs that everybody
/// trusts.
///
/// # Errors
/// When it is found nowhere.
pub fn authority(
    root: &std::path::Path,
    environment: &Environment,
    file: Option<&PathBuf>,
) -> Result<Option<String>, CliError> {
    if let Some(file) = file {
        return Ok(Some(fs::read_to_string(file)?));
    }
    if environment.tls.kind == TlsKind::Acme {
        return Ok(None);
    }
    let folder = ca::folder(root, environment);
    if environment.tls.kind == TlsKind::PrivateCa && folder.join("ca.crt").exists() {
        let authority = Authority::open_or_make(&folder)
            .map_err(|error| CliError::failed("the private authority").because(error))?;
        let pem = authority.trusted_pem();
        return pem
            .map(Some)
            .map_err(|error| CliError::failed("the private authority").because(error));
    }
    let not_found = |reason: String| {
        CliError::new(
            ErrorKind::Unreachable,
            format!("whom clients of {} are to trust is not known: {reason}", environment.name),
        )
        .hint("name the authority's certificate with --ca FILE")
    };
    let cluster = Cluster::connect(environment.cluster.context.as_str())
        .map_err(|obstacle| not_found(obstacle.to_string()))?;
    let (namespace, name) = (environment.namespace.as_str(), environment.tls.secret.as_str());
    let secret = Identity::new("v1", "Secret", namespace, name);
    let found = cluster.get(&secret).map_err(|error| not_found(error.to_string()))?;
    let found = found.as_ref().and_then(|secret| secret_text(secret, "ca.crt"));
    let missing = format!("the Secret {}/{} has no ca.crt", secret.namespace, secret.name);
    found.map(Some).ok_or_else(|| not_found(missing))
}
