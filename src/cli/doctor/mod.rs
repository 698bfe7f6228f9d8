//! `warren doctor`: whether an environment's cluster has what the environment
//! needs, and what mends it where it has not.

mod look;

use std::collections::BTreeSet;

use serde::Serialize;

use super::args::Output;
use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::cluster::Cluster;
use look::Look;

/// Look for what keeps an environment from working
#[derive(Debug, clap::Args)]
#[command(after_help = "Looks at the cluster's version, the kinds that the environment uses, \
                        cert-manager, the ingress class or the gateway, the storage class and the \
                        node, the address pool, the Secrets, the authority and its lifetime, the \
                        certificate, the data folder's owner, the pods, and the domain's address. \
                        Changes nothing.\n\
                        Leaves with 0 when nothing is wrong, with 1 when something is, with 4 \
                        when the cluster can't be reached.\n\
                        Example: warren doctor sandbox")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// How to say it.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Good,
    /// It can't be told, as we may not look or nothing is there yet.
    Unknown,
    /// It works, and will not for ever.
    Warning,
    /// It does not work.
    Bad,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Unknown => "?",
            Self::Warning => "warn",
            Self::Bad => "BAD",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// What.
    about: &'static str,
    /// How it is.
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Diagnosis {
    fn good(about: &'static str, found: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Good, found: found.into(), remedy: None }
    }

    fn with(
        about: &'static str,
        verdict: Verdict,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { about, verdict, found: found.into(), remedy: Some(remedy.into()) }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    context: &'a str,
    diagnoses: &'a [Diagnosis],
}

/// Runs the command.
///
/// # Errors
/// When something is wrong, and when the environment can't be rendered.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let composed = composition::composed(&root, &args.environment)?;
    let environment = &composed.rendered.environment;
    let name = environment.cluster.context.as_str();
    let mut unreachable = false;
    let diagnoses = match Cluster::connect(name) {
        Ok(cluster) => Look::new(&cluster, &composed, &root).everything(),
        Err(obstacle) => {
            unreachable = true;
            let remedy = "KUBECONFIG names the kubeconfig; the environment names its context in \
                          [cluster]";
            let found = Diagnosis::with("cluster", Verdict::Bad, obstacle.to_string(), remedy);
            vec![found, look::domain(environment)]
        }
    };
    match args.output {
        Output::Json => context.printer.json(&Report {
            environment: &environment.name,
            context: name,
            diagnoses: &diagnoses,
        }),
        Output::Text => print(context, &diagnoses),
    }
    let bad: BTreeSet<_> =
        diagnoses.iter().filter(|one| one.verdict == Verdict::Bad).map(|one| one.about).collect();
    if bad.is_empty() {
        context.printer.note(&format!("{}: nothing is wrong", environment.name));
        return Ok(());
    }
    let kind = if unreachable { ErrorKind::Unreachable } else { ErrorKind::Failed };
    let bad: Vec<_> = bad.into_iter().collect();
    Err(CliError::new(kind, format!("{}: {} to mend", environment.name, bad.join(", "))))
}

fn print(context: &Context, diagnoses: &[Diagnosis]) {
    let width = diagnoses.iter().map(|one| one.about.len()).max().unwrap_or(0);
    for one in diagnoses {
        let sign = one.verdict.as_str();
        context.printer.out(&format!("{sign:<4} {:width$}  {}\n", one.about, one.found));
        if let Some(remedy) = &one.remedy {
            context.printer.out(&format!("     {:width$}  -> {remedy}\n", ""));
        }
    }
}
