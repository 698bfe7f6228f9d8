//! `warren propose`: a pull request with what an environment renders to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use git2::Repository;
use serde::Serialize;

use super::args::Output;
use super::composition::{self, Composed};
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::upstream;
use crate::delivery::difference::{Difference, Palette};
use crate::delivery::forge::{Forge, ForgeError, Kind, Outcome, Pull, Request};
use crate::delivery::git::{
    Bases, Content, Credentials, GitError, Made, Proposal, Publication, Remote, is_private,
};
use crate::digest::Digest;
use crate::fs;
use crate::pipeline::provenance::{self, Statement};
use crate::pipeline::upstream::{Lock, changes};

/// Open or update the pull request of an environment
#[derive(Debug, clap::Args)]
#[command(after_help = "Renders, checks, commits only this environment's files on a branch of \
                        its own, pushes it, and opens or updates one pull request, whose text is \
                        the difference with its risks, the findings, a moved pin and the \
                        provenance. The same state twice changes nothing. A branch that somebody \
                        else committed to is never overwritten. The work tree, the index and the \
                        current branch stay as they are.\n\
                        The token comes from WARREN_FORGE_TOKEN, from GITHUB_TOKEN, GITLAB_TOKEN, \
                        GITEA_TOKEN or FORGEJO_TOKEN for a host of that kind, or from git's \
                        credential helper.\n\
                        Examples:\n  warren propose lapin\n  warren propose lapin --dry-run\n  \
                        warren propose lapin --forge forgejo --layout branch")]
pub struct Args {
    /// The environment: the name of a file in environments/, without .toml.
    environment: String,
    /// How to propose.
    #[command(flatten)]
    options: Options,
}

/// How to propose.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The git remote.
    #[arg(long, default_value = "origin")]
    remote: String,
    /// The branch to propose for [default: the remote's default branch].
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// The proposal's own branch [default: warren/ENVIRONMENT].
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// Where the rendering is kept.
    #[arg(long, value_enum, default_value = "folder")]
    layout: Layout,
    /// Which API the forge speaks [default: by the host's name].
    #[arg(long, value_enum, env = "WARREN_FORGE")]
    forge: Option<Kind>,
    /// Where the forge's API is [default: by the remote's url].
    #[arg(long, value_name = "URL", env = "WARREN_FORGE_API")]
    api: Option<String>,
    /// Push the branch and open no pull request.
    #[arg(long)]
    no_pull_request: bool,
    /// Push nothing; print what would be proposed.
    #[arg(long)]
    dry_run: bool,
    /// How to say what was done.
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// Where renderings are kept in git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Layout {
    /// deploy/ENVIRONMENT of the one branch.
    Folder,
    /// deploy/ENVIRONMENT of a branch environment/ENVIRONMENT, which holds
    /// nothing else.
    Branch,
}

/// What was done, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    environment: &'a str,
    branch: &'a str,
    base: &'a str,
    commit: Option<String>,
    pushed: Publication,
    title: &'a str,
    body: &'a str,
    difference: &'a Difference,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request: Option<Reported>,
}

#[derive(Serialize)]
struct Reported {
    #[serde(flatten)]
    pull: Pull,
    outcome: Outcome,
}

/// Runs the command.
///
/// # Errors
/// When the environment can't be rendered or a check finds an error, when the
/// remote or its forge refuses, and when the branch is not ours alone.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    upstream::check_pin(&root)?;
    let composed = composition::checked(&root, &args.environment)?;
    propose(context, &root, &composed, &BTreeMap::new(), &args.options)
}

/// Proposes a rendering. `changed` are files that differ from those of the work
/// tree, by their path.
///
/// # Errors
/// As [`run`].
pub fn propose(
    context: &Context,
    root: &Path,
    composed: &Composed,
    changed: &BTreeMap<String, String>,
    options: &Options,
) -> Result<(), CliError> {
    let name = composed.rendered.environment.name.as_str();
    let repository = Repository::discover(root)
        .map_err(|_| GitError::NoRepository { folder: root.to_owned() })?;
    let remote = Remote::open(&repository, &options.remote, options.forge)?;
    let forge = forge(root, &remote, options)?;
    let branch = options.branch.clone().unwrap_or_else(|| format!("warren/{name}"));
    let own = match options.layout {
        Layout::Folder => None,
        Layout::Branch => Some(format!("environment/{name}")),
    };
    let bases = Bases { source: options.base.clone(), own };
    let mut proposal = Proposal::open(&repository, &remote, root, &branch, &bases)?;
    let statement = Statement::of(&composed.rendered, &composed.upstream, Some(&folder(name)));
    let brought = content(root, composed, &statement, changed, options.layout)?;
    let inputs = statement.predicate.inputs.iter();
    proposal.same_inputs(inputs.map(|input| (input.name.as_str(), input.sha256())), &brought)?;
    if options.layout == Layout::Folder {
        let own = format!("environments/{name}.toml");
        proposal.not_behind(&own, &brought)?;
    }
    let before = proposal.base_files(&folder(name))?;
    let difference = Difference::of_files(&before, &composed.rendered.files);
    let old = proposal.base_file(&provenance::path(name))?;
    let old = old.and_then(|bytes| Statement::parse(&String::from_utf8(bytes).ok()?).ok());
    let moved = moved(root, &proposal, &statement, old.as_ref())?;
    let text = Text::of(composed, &difference, &statement, moved, &proposal.base.branch)?;
    let mut report = Report {
        environment: name,
        branch: &branch,
        base: &proposal.base.branch.clone(),
        commit: None,
        pushed: Publication::Unchanged,
        title: &text.title,
        body: &text.body,
        difference: &difference,
        pull_request: None,
    };
    if options.dry_run {
        let made = proposal.commit(&brought, &text.message)?;
        if made == Made::Nothing {
            context.printer.note(&nothing(name, &proposal));
        }
        say(context, options.output, &report, true);
        return Ok(());
    }
    let readme = format!("# {name}\n\nWhat the environment {name} renders to, and nothing else.\n");
    proposal.begin("README.md", &readme, &format!("Begin {name}"))?;
    let made = proposal.commit(&brought, &text.message)?;
    report.commit = match made {
        Made::Nothing => None,
        Made::There(id) | Made::Commit(id) => Some(id.to_string()),
    };
    if made == Made::Nothing {
        context.printer.note(&nothing(name, &proposal));
        // What is open still would bring back what was.
        if proposal.there.is_some() {
            let closed = forge.map(|(forge, _)| forge.withdraw(&branch, &proposal.base.branch));
            let closed = closed.transpose().map_err(|error| forge_error(&branch, &error))?;
            proposal.withdraw()?;
            let pull = closed.flatten().map(|pull| format!(", and {} closed", pull.url));
            context.printer.note(&format!("{branch} is removed{}", pull.unwrap_or_default()));
        }
        say(context, options.output, &report, false);
        return Ok(());
    }
    report.pushed = proposal.publish(made)?;
    if let Some((forge, kind)) = forge {
        let request = Request {
            head: branch.clone(),
            base: proposal.base.branch.clone(),
            title: text.title.clone(),
            body: limited(&text.body, kind.body_limit()),
        };
        let (pull, outcome) =
            forge.propose(&request).map_err(|error| forge_error(&branch, &error))?;
        report.pull_request = Some(Reported { pull, outcome });
    }
    say(context, options.output, &report, false);
    Ok(())
}

fn folder(name: &str) -> String {
    format!("deploy/{name}")
}

fn nothing(name: &str, proposal: &Proposal<'_>) -> String {
    format!("{} has what {name} renders to: nothing to propose", proposal.base.branch)
}

/// The files that the proposal brings: the rendering and its statement, and,
/// beside the sources, the environment's own file.
fn content(
    root: &Path,
    composed: &Composed,
    statement: &Statement,
    changed: &BTreeMap<String, String>,
    layout: Layout,
) -> Result<Content, CliError> {
    let name = composed.rendered.environment.name.as_str();
    let mut files = BTreeMap::new();
    for (file, text) in &composed.rendered.files {
        files.insert(format!("{}/{file}", folder(name)), text.clone().into_bytes());
    }
    let statement = statement
        .to_json()
        .map_err(|error| CliError::failed("the statement has no JSON form").because(error))?;
    files.insert(provenance::path(name), statement.into_bytes());
    if layout == Layout::Folder {
        let own = format!("environments/{name}.toml");
        let bytes = match changed.get(&own) {
            Some(text) => text.clone().into_bytes(),
            None => fs::read(&root.join(PathBuf::from(&own)))?,
        };
        files.insert(own, bytes);
    }
    Ok(Content { folders: vec![folder(name)], files })
}

/// What a proposal says.
struct Text {
    title: String,
    message: String,
    body: String,
}

impl Text {
    fn of(
        composed: &Composed,
        difference: &Difference,
        statement: &Statement,
        moved: Option<String>,
        base: &str,
    ) -> Result<Self, CliError> {
        let name = composed.rendered.environment.name.as_str();
        let title = format!("{name}: {}", difference.summary());
        let changes = difference.text(Palette::default());
        let message = format!("{title}\n\n{changes}");
        let mut body = difference.markdown(&format!("`{name}`, compared with `{base}`"));
        if let Some(lines) = moved {
            let _ = write!(body, "\n### Upstream\n\n{lines}");
        }
        body.push_str("\n### Checks\n\n");
        let found: Vec<_> = composed.findings.iter().filter(|one| one.waived.is_none()).collect();
        if found.is_empty() {
            body.push_str("Nothing was found.\n");
        }
        for finding in found {
            let _ = writeln!(
                body,
                "- **{}** {}",
                finding.severity.as_str(),
                composition::line(finding)
            );
        }
        let json = statement
            .to_json()
            .map_err(|error| CliError::failed("the statement has no JSON form").because(error))?;
        let _ = write!(
            body,
            "\n### Provenance\n\n`{}` is the digest of `{}`: {} files, rendered by warren {} from \
             {} inputs.\n",
            Digest::sha256(json.as_bytes()),
            provenance::path(name),
            statement.subject.len(),
            statement.predicate.renderer.version,
            statement.predicate.inputs.len()
        );
        Ok(Self { title, message, body })
    }
}

/// How the pin moved since the base was rendered, where it did, and what that
/// changes in what we rely on.
fn moved(
    root: &Path,
    proposal: &Proposal<'_>,
    statement: &Statement,
    old: Option<&Statement>,
) -> Result<Option<String>, CliError> {
    let Some(old) = old else { return Ok(None) };
    let (now, then) = (&statement.predicate.upstream, &old.predicate.upstream);
    if now == then {
        return Ok(None);
    }
    let mut text = format!(
        "The pin moves from {} (`{}`) to {} (`{}`).",
        then.tag, then.commit, now.tag, now.commit
    );
    let parsed = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        Lock::parse(Path::new(Lock::PATH), &text).ok()
    };
    let is_old =
        |bytes: &[u8]| parsed(bytes).is_some_and(|lock| lock.commit.to_string() == then.commit);
    let before = proposal.earlier_file(Lock::PATH, is_old)?.and_then(|bytes| parsed(&bytes));
    let now = Lock::read(&root.join(Lock::PATH)).map_err(CliError::input)?;
    match before {
        Some(before) => {
            text.push_str(" In what we rely on:\n\n");
            for line in changes(Some(&before), &now) {
                let _ = writeln!(text, "- {line}");
            }
        }
        None => text.push_str(
            " What that changes in what we rely on is not known here: this clone does not have \
             the lock of then.\n",
        ),
    }
    Ok(Some(text))
}

/// The text, or as much of it as a forge takes, cut after a whole line.
fn limited(body: &str, limit: usize) -> String {
    if body.len() <= limit {
        return body.to_owned();
    }
    let note =
        "\n\nThe rest is left out: it is longer than this forge takes. `warren diff` has it.\n";
    let mut end = limit.saturating_sub(note.len());
    while !body.is_char_boundary(end) {
        end -= 1;
    }
    let cut = body[..end].rfind('\n').unwrap_or(end);
    format!("{}{note}", &body[..cut])
}

fn say(context: &Context, output: Output, report: &Report<'_>, dry_run: bool) {
    let printer = &context.printer;
    match output {
        Output::Json => printer.json(report),
        Output::Text if dry_run => {
            printer.out(&format!("{}\n\n{}", report.title, report.body));
            printer.note(&format!("would go to {} for {}", report.branch, report.base));
        }
        Output::Text => {
            if let Some(commit) = &report.commit {
                let short: String = commit.chars().take(10).collect();
                let what = match report.pushed {
                    Publication::Created => "pushed",
                    Publication::Updated => "updated",
                    Publication::Unchanged => "is there already",
                };
                printer.note(&format!("{} {what}: {} ({short})", report.branch, report.title));
            }
            if let Some(Reported { pull, outcome }) = &report.pull_request {
                let what = match outcome {
                    Outcome::Opened => "opened",
                    Outcome::Updated => "updated",
                    Outcome::Unchanged => "says it already",
                };
                printer.note(&format!("pull request {} {what}: {}", pull.number, pull.url));
                printer.out(&format!("{}\n", pull.url));
            }
        }
    }
}

/// The forge behind a remote; none for a folder, and where none is wanted.
fn forge(
    root: &Path,
    remote: &Remote,
    options: &Options,
) -> Result<Option<(Forge, Kind)>, CliError> {
    if options.no_pull_request || options.dry_run {
        return Ok(None);
    }
    let Some(origin) = remote.origin() else { return Ok(None) };
    if !is_private(&origin) {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!("a token is not sent over plain HTTP, which {origin} is"),
        )
        .hint("use https, or push the branch alone with --no-pull-request"));
    }
    let kind = options.forge.or_else(|| Kind::of_host(&remote.host())).ok_or_else(|| {
        CliError::new(
            ErrorKind::Usage,
            format!("which forge {} is can't be told by its name", remote.host()),
        )
        .hint("name it with --forge github, gitlab, gitea or forgejo, or WARREN_FORGE")
        .hint("push the branch alone with --no-pull-request")
    })?;
    let found = remote
        .credentials()
        .cloned()
        .or_else(|| Credentials::find(&origin, None, Some(kind), root));
    let credentials = found.ok_or_else(|| {
        CliError::new(ErrorKind::Usage, format!("there is no token for {origin}"))
            .hint("set WARREN_FORGE_TOKEN, or let git's credential helper know one")
            .hint("push the branch alone with --no-pull-request")
    })?;
    let api = options.api.clone().unwrap_or_else(|| kind.api(&origin));
    Ok(Some((Forge::new(kind, &api, &remote.path(), &credentials.secret), kind)))
}

/// What git refused, with the way out.
impl From<GitError> for CliError {
    fn from(error: GitError) -> Self {
        let kind = if error.is_unreachable() { ErrorKind::Unreachable } else { ErrorKind::Failed };
        let failed = Self::new(kind, format!("nothing was proposed: {error}"));
        match error.hint() {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

fn forge_error(branch: &str, error: &ForgeError) -> CliError {
    let kind = match error {
        ForgeError::Unreachable { .. } => ErrorKind::Unreachable,
        _ => ErrorKind::Failed,
    };
    let failed = CliError::new(kind, format!("{branch} is pushed, but its pull request: {error}"));
    let failed = match error.hint() {
        Some(hint) => failed.hint(hint),
        None => failed,
    };
    failed.hint("run it again: what is done stays")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_after_a_whole_line() {
        let body = "line\n".repeat(100);
        assert_eq!(limited(&body, 500), body);
        let cut = limited(&body, 300);
        assert!(cut.len() <= 300 && cut.contains("line\n\nThe rest is left out"), "{cut}");
        let wide = "é".repeat(300);
        assert!(limited(&wide, 301).len() <= 301, "never within a character");
    }
}
