//! `warren import`: an environment's file from a kustomize overlay of Trow.

use std::path::PathBuf;

use serde::Serialize;

use super::args::Output;
use super::composition::LOCK;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::import::{Entry, ImportError, Options, import};
use crate::fs::{self, Access};
use crate::pipeline::environment::ObjectName;
use crate::pipeline::upstream::Lock;

/// Make an environment's file of a kustomize overlay of Trow.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Reads a kustomize overlay of Trow's install/ folder, writes \
                  environments/NAME.toml, and reports what it upgraded, fixed, moved out (passwords \
                  are written nowhere), patched, and could not carry, each with its line. Bases that \
                  are not at hand are taken for Trow's own of May 2020. Never overwrites a file.",
    after_help = "Examples:\n  warren import ../trow/install/overlays/paas-sandbox\n  \
                  warren import paas-sandbox --name sandbox-2 --address 192.168.1.250 --output json"
)]
pub struct Args {
    /// The overlay's folder, which holds kustomization.yaml.
    overlay: PathBuf,
    /// The environment's name: a-z, 0-9 and `-` [default: the folder's].
    #[arg(long)]
    name: Option<String>,
    /// The cluster's version.
    #[arg(long, value_name = "VERSION", default_value = "1.36")]
    kubernetes: String,
    /// The kubeconfig context of the cluster [default: kubernetes-admin@NAME].
    #[arg(long)]
    context: Option<String>,
    /// The host name that clients type, where the overlay has none.
    #[arg(long)]
    domain: Option<String>,
    /// The address that the domain resolves to, which `MetalLB` announces.
    #[arg(long, value_name = "IP")]
    address: Option<String>,
    /// How to print the report.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Serialize)]
struct Outcome<'a> {
    environment: &'a str,
    file: &'a str,
    report: &'a [Entry],
}

/// Runs the command.
///
/// # Errors
/// When the name is none or taken, the overlay can't be read or says something
/// that it cannot, or the file can't be written.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let usage = |reason: String| CliError::new(ErrorKind::Usage, reason);
    if !args.overlay.is_dir() {
        return Err(usage(format!("there is no folder {}", args.overlay.display())));
    }
    let folder = args.overlay.canonicalize().map_err(|error| {
        CliError::failed(format!("cannot find {}", args.overlay.display())).because(error)
    })?;
    let own = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = args.name.clone().unwrap_or(own);
    let name = ObjectName::try_from(name)
        .map_err(|reason| usage(reason).hint("name the environment with --name"))?;
    let shown = format!("environments/{name}.toml");
    let path = root.join(&shown);
    let taken = || {
        usage(format!("{shown} is already there"))
            .hint("choose another name with --name, or move that file away")
    };
    if path.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let lock = Lock::read(&root.join(LOCK)).map_err(CliError::input)?;
    let options = Options {
        name: name.to_string(),
        kubernetes: args.kubernetes.clone(),
        context: args.context.clone(),
        domain: args.domain.clone(),
        address: args.address.clone(),
    };
    let imported = import(&root, &folder, &options, lock.upstream()).map_err(|error| {
        let hint = "nothing was written";
        match error {
            ImportError::NoKustomization { .. } => usage(error.to_string()),
            error => CliError::input(error),
        }
        .hint(hint)
    })?;
    if !fs::write_new(&path, imported.text.as_bytes(), Access::Everyone)? {
        return Err(taken());
    }
    let printer = &context.printer;
    match args.output {
        Output::Text => printer.out(&imported.report.to_string()),
        Output::Json => printer.json(&Outcome {
            environment: name.as_str(),
            file: &shown,
            report: imported.report.entries(),
        }),
    }
    printer.note(&format!("wrote {shown}; docs/import.md says what to do next"));
    Ok(())
}
