//! `warren agent`: what Argo CD or Flux needs to sync environments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use git2::Repository;

use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use crate::delivery::agent::{Source, argo, collision, faults, flux};
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
                        Environments that go to different clusters need --cluster: what they hold \
                        has the same names.\n\
                        Examples:\n  warren agent argo sandbox | kubectl apply -f -\n  \
                        warren agent flux sandbox --secret git-token --depends-on cert-manager\n  \
                        warren agent argo sandbox lapin --cluster lapin=https://lapin.example:6443 \
                        --output trow-argo.yaml"
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
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    url: Option<String>,
    /// The branch to sync; {environment} in it stands for the environment's
    /// name.
    #[arg(long, default_value = "main", value_parser = NonEmptyStringValueParser::new())]
    branch: String,
    /// The agent's namespace [default: argocd or flux-system].
    #[arg(long)]
    namespace: Option<String>,
    /// A Secret in the agent's namespace with the credentials for the url. For
    /// Argo CD it is printed too, with the url alone: add the credentials to it.
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
    /// Where one of the environments goes instead: a server's url for Argo CD, a
    /// Secret with a kubeconfig in its namespace for Flux.
    #[arg(long = "cluster", value_name = "ENVIRONMENT=WHERE", value_parser = pair)]
    clusters: Vec<(String, String)>,
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
        None => origin(&root, args.agent)?,
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
        clusters: clusters(args)?,
        server: args.server.clone(),
        sops_secret: args.sops_secret.clone(),
    };
    if let Some((one, other, object)) = collision(&rendered, &source) {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!("{one} and {other} both hold {object}: in one cluster each would take it from the other"),
        )
        .hint("say which cluster each goes to: --cluster ENVIRONMENT=WHERE"));
    }
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
    if let (Agent::Argo, Some(secret)) = (args.agent, &args.secret) {
        context.printer.note(&format!(
            "the Secret {secret} names the repository alone; once it is applied, add the \
             credentials: kubectl -n {} patch secret {secret} --patch-file FILE, where FILE has \
             stringData with username and password, or with sshPrivateKey",
            source.namespace
        ));
    }
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty());
    let pair = pair.map(|(name, place)| (name.to_owned(), place.to_owned()));
    pair.ok_or_else(|| "this is ENVIRONMENT=WHERE, such as lapin=https://lapin:6443".to_owned())
}

/// The clusters by environment, each of which is one of those that were named, once.
fn clusters(args: &Args) -> Result<BTreeMap<String, String>, CliError> {
    let usage = |message: String| CliError::new(ErrorKind::Usage, message);
    for (number, name) in args.environments.iter().enumerate() {
        if args.environments[..number].contains(name) {
            return Err(usage(format!("{name} is named twice")));
        }
    }
    let mut found = BTreeMap::new();
    for (name, place) in &args.clusters {
        if !args.environments.contains(name) {
            return Err(usage(format!("--cluster {name}={place}: {name} is not asked for")));
        }
        if found.insert(name.clone(), place.clone()).is_some() {
            return Err(usage(format!("--cluster says twice where {name} goes")));
        }
    }
    Ok(found)
}

/// The project's folder in its repository; nothing outside of one.
fn below(root: &Path) -> String {
    let repository = Repository::discover(root).ok();
    repository.and_then(|repository| prefix(&repository, root).ok()).unwrap_or_default()
}

/// The url of the remote `origin`, without a password, as the agent reads it.
fn origin(root: &Path, agent: Agent) -> Result<String, CliError> {
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
        Place::Http(_) => Ok(remote.shown()),
        Place::Ssh(place) => Ok(match agent {
            Agent::Argo => place.short_url(),
            Agent::Flux => place.long_url(),
        }),
    }
}
