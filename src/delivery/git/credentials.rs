//! Who we are to a remote and its forge: a token from the environment, or what
//! git's credential helper knows.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::delivery::forge::Kind;

/// How long git's credential helper may take.
const HELPER: Duration = Duration::from_secs(20);

/// The variable that may hold a token for whatever host is named.
const OURS: &str = "WARREN_FORGE_TOKEN";

/// The variables that may hold a token for a forge of this kind.
fn variables(forge: Option<Kind>) -> &'static [&'static str] {
    match forge {
        Some(Kind::Github) => &["GITHUB_TOKEN", "GH_TOKEN"],
        Some(Kind::Gitlab) => &["GITLAB_TOKEN"],
        Some(Kind::Gitea) => &["GITEA_TOKEN"],
        Some(Kind::Forgejo) => &["FORGEJO_TOKEN", "GITEA_TOKEN"],
        // A token of one forge is not for whoever asks.
        None => &[],
    }
}

/// A user and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, as git sends it. Forges that take a token ignore it.
    pub user: String,
    /// The token or password.
    pub secret: String,
    /// Where they came from.
    pub source: Source,
}

/// Where credentials came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An environment variable of this name.
    Variable(String),
    /// git's credential helper.
    Helper,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Those for the remote at this url, if there are any; `forge` is what it
    /// is, where that is known better than by the host's name, and `user` whom the
    /// helper is asked for, where the url names one. None are for
    /// plain HTTP, but to this machine itself. The helper is the one that git has
    /// in `folder`: a repository may name its own.
    #[must_use]
    pub fn find(url: &str, user: Option<&str>, forge: Option<Kind>, folder: &Path) -> Option<Self> {
        if !is_private(url) {
            return None;
        }
        let forge = forge.or_else(|| Kind::of_host(&host(url)));
        from_variables(forge, |name| std::env::var(name).ok()).or_else(|| helper(url, user, folder))
    }
}

/// The host's name in a url, without user and port.
#[must_use]
pub fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let end = if host.starts_with('[') { host.find(']').map(|at| at + 1) } else { host.find(':') };
    host[..end.unwrap_or(host.len())].to_lowercase()
}

/// Whether nobody on the way can read what is sent to this url.
#[must_use]
pub fn is_private(url: &str) -> bool {
    let host = host(url);
    let here = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    here || !url.to_ascii_lowercase().starts_with("http://")
}

fn from_variables(
    forge: Option<Kind>,
    read: impl Fn(&str) -> Option<String>,
) -> Option<Credentials> {
    std::iter::once(&OURS).chain(variables(forge)).find_map(|name| {
        let secret = read(name).filter(|secret| !secret.trim().is_empty())?;
        let user = if forge == Some(Kind::Gitlab) { "oauth2" } else { "x-access-token" };
        Some(Credentials {
            user: user.to_owned(),
            secret: secret.trim().to_owned(),
            source: Source::Variable((*name).to_owned()),
        })
    })
}

/// What `git credential fill` answers without asking anybody; nothing where
/// there is no git.
fn helper(url: &str, user: Option<&str>, folder: &Path) -> Option<Credentials> {
    let mut child = Command::new("git")
        .current_dir(folder)
        .args(["-c", "core.askPass=", "credential", "fill"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_ASKPASS")
        .env_remove("SSH_ASKPASS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let user = user.map(|user| format!("username={user}\n")).unwrap_or_default();
    let question = format!("url={url}\n{user}\n");
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(question.as_bytes()));
    let output = answer(child)?;
    if written.is_none_or(|written| written.is_err()) {
        return None;
    }
    let text = String::from_utf8(output).ok()?;
    let value = |key: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
    };
    Some(Credentials {
        user: value("username")?,
        secret: value("password").filter(|secret| !secret.is_empty())?,
        source: Source::Helper,
    })
}

/// What a program says until it ends; nothing where it fails, or goes on for longer
/// than anybody who can't be asked needs.
fn answer(mut child: Child) -> Option<Vec<u8>> {
    let mut output = child.stdout.take()?;
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .spawn(move || {
            let mut bytes = Vec::new();
            let _ = sender.send(output.read_to_end(&mut bytes).map(|_| bytes));
        })
        .ok()?;
    let Ok(Ok(bytes)) = receiver.recv_timeout(HELPER) else {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    };
    child.wait().ok()?.success().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forge_decides_which_variables_are_read() {
        let found = |host: &str, set: &[&str]| {
            let read = |name: &str| set.contains(&name).then(|| format!("of {name}\n"));
            from_variables(Kind::of_host(host), read).map(|found| (found.user, found.secret))
        };
        let pair = |user: &str, secret: &str| Some((user.to_owned(), secret.to_owned()));
        let all = ["GITHUB_TOKEN", "GITLAB_TOKEN", "GITEA_TOKEN"];
        assert_eq!(found("github.com", &all), pair("x-access-token", "of GITHUB_TOKEN"));
        assert_eq!(found("gitlab.example", &all), pair("oauth2", "of GITLAB_TOKEN"));
        assert_eq!(found("gitea.example", &all), pair("x-access-token", "of GITEA_TOKEN"));
        assert_eq!(found("git.example", &all), None, "nobody says what it is");
        assert_eq!(found("github-mirror.evil.example", &all), None, "a name is no proof");
        assert!(is_private("https://git.example/a") && is_private("http://127.0.0.1:3000/a"));
        assert!(!is_private("HTTP://git.example/a"));
        let ours = ["WARREN_FORGE_TOKEN", "GITHUB_TOKEN"];
        assert_eq!(found("github.com", &ours), pair("x-access-token", "of WARREN_FORGE_TOKEN"));
    }

    #[test]
    fn a_program_that_never_answers_is_left_behind() {
        let run = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
        };
        assert_eq!(answer(run("printf hello")).as_deref(), Some(b"hello".as_slice()));
        assert_eq!(answer(run("printf hello; exit 1")), None);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let read = |name: &str| (name == OURS).then(|| "s3cret".to_owned());
        let found = from_variables(None, read).unwrap();
        assert!(!format!("{found:?}").contains("s3cret"));
    }

    #[test]
    fn the_host_is_found_in_every_form_of_url() {
        assert_eq!(host("https://me:pw@Git.example:8443/a/b.git"), "git.example");
        assert_eq!(host("ssh://git@git.example:22/a"), "git.example");
        assert_eq!(host("git@git.example:a/b.git"), "git.example");
        assert_eq!(host("http://[::1]:3000/a"), "[::1]");
    }
}
