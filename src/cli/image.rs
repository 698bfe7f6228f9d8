//! `warren image`: an OCI image of the registry, without a container engine.

use std::path::PathBuf;

use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::fs::{self, Access};
use crate::image::{self, Recipe};

/// Who runs the registry in our manifests.
const OWNER: u32 = 999;

/// Makes an OCI image of the registry.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  warren image --binary target/x86_64-unknown-linux-gnu/release/warren-registry --output image.tar\n  podman load --input image.tar"
)]
pub struct Args {
    /// The registry's program, linked statically.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Where to write: an OCI layout in a tar file.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// What the image is called.
    #[arg(
        long,
        value_name = "NAME:TAG",
        default_value = concat!("localhost/warren-registry:", env!("CARGO_PKG_VERSION"))
    )]
    name: String,
    /// When it says that it was made, in seconds since 1970.
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
    time: u64,
}

/// Runs the command.
///
/// # Errors
/// When the program can't be read or is not static, or the image can't be
/// written.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let program = fs::read(&args.binary)?;
    let recipe = Recipe {
        program: &program,
        path: "warren-registry",
        folders: &["data"],
        owner: OWNER,
        port: 8000,
        name: &args.name,
        labels: &[
            ("org.opencontainers.image.description", "A container registry: a drop-in for Trow"),
            ("org.opencontainers.image.licenses", "Apache-2.0"),
            ("org.opencontainers.image.title", "warren-registry"),
            ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
        ],
        time: args.time,
    };
    let image = image::build(&recipe).map_err(|error| {
        let path = args.binary.display();
        CliError::new(ErrorKind::Input, format!("{path} can't be made an image of")).because(error)
    })?;
    fs::write_atomic(&args.output, &image.archive, Access::Everyone)?;
    let size = image.archive.len() / 1024;
    context.printer.note(&format!("wrote {} ({size} KiB)", args.output.display()));
    context.printer.out(&format!("{}\n", image.digest));
    Ok(())
}
