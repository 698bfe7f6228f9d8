//! `warren agent`: what Argo CD or Flux needs to sync environments.

use std::path::{Path, PathBuf};

use git2::Repository;

use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::agent::{Source, argo, faults, flux};
use crate::delivery::git::{Place, Remote, prefix};
use crate::fs::{self, Access};
use crate::pipeline::yaml;

/// Print what Argo CD or Flux needs to sync environments
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Argo CD: an AppProject that allows what is rendered and nothing else, and \
                        an Application, or for several environments an ApplicationSet. Flux: a \
                        GitRepository, and a Kustomization for each environment. Both sync \
                        deploy/ENVIRONMENT as it is committed, prune, and never prune volumes, \
                        claims or namespaces.\n\
                        Examples:\n  warren agent argo sandbox | kubectl apply -f -\n  \
                        warren agent flux sandbox --secret git-token --depends-on cert-manager\n  \
                        warren agent argo sandbox lapin --output trow-argo.yaml"
)]
pub struct Args {
    /// Which agent.
    #[arg(value_enum)]
    agent: Agent,
    /// The environments: names of files in environments/, without .toml.
    #[arg(required = true)]
    environments: Vec<String>,
    /// The repository, as the agent reaches it [default: that of the remote
    /// origin].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The branch to sync; {environment} in it stands for the environment's
    /// name.
    #[arg(long, default_value = "main")]
    branch: String,
    /// The agent's namespace [default: argocd or flux-system].
    #[arg(long)]
    namespace: Option<String>,
    /// A Secret in the agent's namespace with the credentials for the url
    /// (Flux). Argo CD finds its own by the url.
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// A Kustomization of Flux to sync before, such as cert-manager's.
    #[arg(long = "depends-on", value_name = "NAME")]
    depends_on: Vec<String>,
    /// The Secret in Flux's namespace with the key of SOPS.
    #[arg(long, value_name = "NAME", default_value = "sops-age")]
    sops_secret: String,
    /// The cluster that Argo CD deploys to.
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc")]
    server: String,
    /// Write to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// An agent that syncs git into a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Agent {
    Argo,
    Flux,
}

/// Runs the command.
///
/// # Errors
/// When an environment can't be rendered or a check finds an error, and when
/// the repository's url is not known.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let mut rendered = Vec::new();
    for name in &args.environments {
        rendered.push(composition::checked(&root, name)?.rendered);
    }
    let url = match &args.url {
        Some(url) => url.clone(),
        None => origin(&root)?,
    };
    let namespace = match args.agent {
        Agent::Argo => "argocd",
        Agent::Flux => "flux-system",
    };
    let source = Source {
        url,
        prefix: below(&root),
        branch: args.branch.clone(),
        secret: args.secret.clone(),
        depends_on: args.depends_on.clone(),
        namespace: args.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
        server: args.server.clone(),
        sops_secret: args.sops_secret.clone(),
    };
    let single = args.environments.first().map_or("", String::as_str);
    let source = match (args.agent, rendered.len()) {
        // One Application names its branch itself.
        (Agent::Argo, 1) => {
            Source { branch: source.branch.replace("{environment}", single), ..source }
        }
        _ => source,
    };
    let objects = match args.agent {
        Agent::Argo => argo(&rendered, &source),
        Agent::Flux => flux(&rendered, &source),
    };
    let faults = faults(&objects);
    if !faults.is_empty() {
        return Err(CliError::failed(format!("not what the agent takes: {}", faults.join("; "))));
    }
    let text = yaml::write_all(objects.iter().map(|object| &object.node));
    match &args.output {
        None => context.printer.out(&text),
        Some(path) => {
            fs::write_atomic(path, text.as_bytes(), Access::Everyone)?;
            context.printer.note(&format!("{} objects in {}", objects.len(), path.display()));
        }
    }
    if args.agent == Agent::Argo && args.secret.is_some() {
        context.printer.warning(
            "Argo CD finds the credentials of a repository by its url: make them once with \
             argocd repo add; --secret is for Flux",
        );
    }
    Ok(())
}

/// The project's folder in its repository; nothing outside of one.
fn below(root: &Path) -> String {
    let repository = Repository::discover(root).ok();
    repository.and_then(|repository| prefix(&repository, root).ok()).unwrap_or_default()
}

/// The url of the remote `origin`, without a password.
fn origin(root: &Path) -> Result<String, CliError> {
    let unknown = |reason: String| {
        CliError::new(ErrorKind::Usage, format!("the repository's url is not known: {reason}"))
            .hint("name it with --url URL, as the agent reaches it")
    };
    let repository =
        Repository::discover(root).map_err(|error| unknown(error.message().to_owned()))?;
    let remote =
        Remote::open(&repository, "origin", None).map_err(|error| unknown(error.to_string()))?;
    match remote.place() {
        Place::Folder(path) => Err(unknown(format!("origin is the folder {path}"))),
        Place::Http(_) | Place::Ssh(_) => Ok(remote.shown()),
    }
}
