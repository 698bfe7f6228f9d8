//! The command line as typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::{
    agent, ca, check, client, deploy, diff, doctor, drift, explain, image, import, new,
    prerequisites, promote, propose, render, rollback, schema, secret, smoke, up, upstream, verify,
};

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For scripts.
    Json,
}

/// Everything that can be typed after `warren`.
#[derive(Debug, Parser)]
#[command(
    name = "warren",
    version = env!("WARREN_VERSION"),
    about = "A GitOps repository around the Trow container registry",
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 bad input in a file, \
                  4 something outside could not be reached.\n\
                  Example: warren up sandbox"
)]
pub struct Args {
    /// The repository's folder; without it, the nearest one upwards from here.
    #[arg(long, global = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an environment's registry on this machine, and prove it.
    Up(up::Args),
    /// Ask the few questions and write a new environment's file.
    New(new::Args),
    /// Make an environment's file of a kustomize overlay of Trow.
    Import(import::Args),
    /// Write an environment's manifests.
    Render(render::Args),
    /// Check environments, and that deploy/ equals what renders.
    Check(check::Args),
    /// Render, check and write deploy/ENVIRONMENT, and apply it.
    Deploy(deploy::Args),
    /// Say what in the cluster differs from what was delivered.
    Drift(drift::Args),
    /// Name, or install, what an environment needs in its cluster before.
    Prerequisites(prerequisites::Args),
    /// Look for what keeps an environment from working.
    Doctor(doctor::Args),
    /// Go back to an earlier delivery.
    Rollback(rollback::Args),
    /// Open or update the pull request of an environment.
    Propose(propose::Args),
    /// Carry an environment's image and chosen keys to another, as a proposal.
    Promote(promote::Args),
    /// Show what a render would change, by object and field, with the risks.
    Diff(diff::Args),
    /// Say where each value of an environment came from.
    Explain(explain::Args),
    /// Render again, and compare with the statement of provenance and the files.
    Verify(verify::Args),
    /// Print what Argo CD or Flux needs to sync environments.
    Agent(agent::Args),
    /// Make, use and replace an environment's private authority.
    Ca(ca::Args),
    /// Give a machine what it needs to use an environment's registry.
    Client(client::Args),
    /// Test a deployed registry as a client does.
    Smoke(smoke::Args),
    /// Make the Secrets that an environment's objects refer to.
    Secret(secret::Args),
    /// Print the JSON Schema of an environment's file.
    Schema(schema::Args),
    /// Make an OCI image of the registry.
    Image(image::Args),
    /// The pinned upstream: what it is, whether it still is, and moving the pin.
    Upstream(upstream::Args),
}
