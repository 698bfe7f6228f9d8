//! A remote: over HTTP with rustls, over SSH, or a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::{Direction, FetchOptions, Oid, PushOptions, RemoteCallbacks, Repository};

use super::credentials::{Credentials, host, is_private};
use super::error::GitError;
use super::ssh;
use crate::delivery::forge::Kind;
use crate::pipeline::fetch::{Address, Budget, FetchError, HttpError, Limits, over_http};

/// A remote of a repository.
#[derive(Debug)]
pub struct Remote {
    place: Place,
    credentials: Option<Credentials>,
    /// What the repository runs instead of `ssh`.
    ssh: Option<String>,
}

/// Where a remote is.
#[derive(Clone, Debug)]
pub enum Place {
    /// An `http://` or `https://` url.
    Http(Address),
    /// An `ssh://` url or `user@host:path`.
    Ssh(SshPlace),
    /// A folder, or a `file://` url.
    Folder(String),
}

/// How many bytes are kept of what a remote's hooks say.
const WORDS: usize = 2048;

/// How a path that begins in the home of the user stands in an url of ours.
const RELATIVE: &str = "./";

/// A place that is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshPlace {
    /// The host, with its user where one is named.
    pub host: String,
    /// The port, where one is named.
    pub port: Option<u16>,
    /// The path on the host.
    pub path: String,
}

impl SshPlace {
    /// Reads what stands behind `ssh://`.
    pub(super) fn parse(rest: &str) -> Option<Self> {
        let (authority, path) = rest.split_once('/')?;
        // `[::1]` has colons of its own.
        let after = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[after..].rsplit_once(':') {
            Some((before, port)) => (&authority[..after + before.len()], Some(port.parse().ok()?)),
            None => (authority, None),
        };
        // `ssh://host/~me/x` is in a home, and so is our own form of `host:x`;
        // a host that begins with `-` would be an option.
        let path = match path.strip_prefix(RELATIVE) {
            Some(relative) => relative.to_owned(),
            None if path.starts_with('~') => path.to_owned(),
            None => format!("/{path}"),
        };
        let is_host = !host.is_empty() && !host.starts_with('-');
        is_host.then(|| Self { host: host.replace(['[', ']'], ""), port, path })
    }

    /// Reads `user@host:path`.
    fn short(text: &str) -> Option<Self> {
        let (host, path) = text.split_once(':')?;
        let is_host = !host.contains('/') && !host.is_empty() && !host.starts_with('-');
        is_host.then(|| Self { host: host.to_owned(), port: None, path: path.to_owned() })
    }

    /// `user@host:path`, as people clone from a forge; with a port or a path from
    /// the root as an url.
    #[must_use]
    pub fn short_url(&self) -> String {
        if self.port.is_some() || self.path.starts_with('/') || self.host.contains(':') {
            return self.long_url();
        }
        format!("{}:{}", self.host, self.path)
    }

    /// `ssh://user@host/path`. A path that begins in the home of the user looks as
    /// if it began at the root: forges, which have no homes, take both.
    #[must_use]
    pub fn long_url(&self) -> String {
        format!("ssh://{}", self.url()).replacen("/./", "/", 1)
    }

    fn url(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let before = match self.path.chars().next() {
            Some('/') => "",
            Some('~') => "/",
            _ => "/./",
        };
        let host = match self.host.rsplit_once('@') {
            Some((user, host)) if host.contains(':') => format!("{user}@[{host}]"),
            None if self.host.contains(':') => format!("[{}]", self.host),
            _ => self.host.clone(),
        };
        format!("{host}{port}{before}{}", self.path)
    }
}

impl Remote {
    /// The remote of this name. What its forge is says which token is for it;
    /// where that is not known, the host's name may.
    ///
    /// # Errors
    /// [`GitError::NoRemote`], and what libgit2 says.
    pub fn open(
        repository: &Repository,
        name: &str,
        forge: Option<Kind>,
    ) -> Result<Self, GitError> {
        let remote = repository.find_remote(name).map_err(|_| {
            let names = repository.remotes().map(|names| {
                names.iter().flatten().flatten().map(str::to_owned).collect::<Vec<_>>().join(", ")
            });
            let known = names.ok().filter(|names| !names.is_empty());
            GitError::NoRemote {
                name: name.to_owned(),
                known: known.unwrap_or_else(|| "none".to_owned()),
            }
        })?;
        // What is proposed is pushed: where pushes go elsewhere, all of it is there.
        let url = remote.pushurl_bytes().unwrap_or_else(|| remote.url_bytes());
        let url = String::from_utf8_lossy(url).into_owned();
        let folder = repository.workdir().unwrap_or_else(|| repository.path());
        let place = place(&url, folder);
        let credentials = match &place {
            Place::Http(address) if !address.has_password() => {
                Credentials::find(address.url(), address.user(), forge, folder)
            }
            _ => None,
        };
        let config = repository.config().and_then(|mut config| config.snapshot());
        let ssh = config.ok().and_then(|config| config.get_string("core.sshCommand").ok());
        Ok(Self { place, credentials, ssh })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Scheme, host and port of the web pages of whoever serves it; none for a folder.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Http(address) => {
                let url = address.url();
                let end = url.find("://").map_or(0, |at| at + 3);
                Some(url[..url[end..].find('/').map_or(url.len(), |at| end + at)].to_owned())
            }
            Place::Ssh(_) => Some(format!("https://{}", self.host())),
        }
    }

    /// How to name it in a message: without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.place {
            Place::Http(address) => address.shown().to_owned(),
            Place::Ssh(place) => format!("ssh://{}", place.url()),
            Place::Folder(path) => path.clone(),
        }
    }

    /// Who we are there, where that was found.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The name of its host; empty for a folder.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.place {
            Place::Http(address) => host(address.url()),
            Place::Ssh(place) => host(&place.host),
            Place::Folder(_) => String::new(),
        }
    }

    /// The path of the repository on its host, such as `owner/name`.
    #[must_use]
    pub fn path(&self) -> String {
        let path = match &self.place {
            Place::Http(address) => {
                let rest = address.url().split_once("://").map_or("", |(_, rest)| rest);
                rest.split_once('/').map_or("", |(_, path)| path).to_owned()
            }
            Place::Ssh(place) => place.path.clone(),
            Place::Folder(path) => path.clone(),
        };
        let path = path.trim_matches('/');
        path.strip_suffix(".git").unwrap_or(path).to_owned()
    }

    /// The branches that it has, and the name of its default branch.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn branches(
        &self,
        repository: &Repository,
    ) -> Result<(BTreeMap<String, Oid>, Option<String>), GitError> {
        self.talk(|url| {
            let mut remote = repository.remote_anonymous(url)?;
            let connection = remote.connect_auth(Direction::Fetch, None, None)?;
            let heads = connection.list()?;
            let branch = |name: &str| name.strip_prefix("refs/heads/").map(str::to_owned);
            let default = heads.iter().find(|head| head.name() == "HEAD");
            let default = default.and_then(|head| head.symref_target().and_then(branch));
            let branches = heads.iter().filter_map(|head| Some((branch(head.name())?, head.oid())));
            Ok((branches.collect(), default))
        })
    }

    /// Fetches branches into refs of our own, `refs/warren/BRANCH`.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn fetch(&self, repository: &Repository, branches: &[&str]) -> Result<(), GitError> {
        let refspecs: Vec<_> = branches
            .iter()
            .map(|branch| format!("+refs/heads/{branch}:refs/warren/{branch}"))
            .collect();
        self.talk(|url| {
            let mut options = FetchOptions::new();
            options.download_tags(git2::AutotagOption::None).update_fetchhead(false);
            repository.remote_anonymous(url)?.fetch(&refspecs, Some(&mut options), None)
        })
    }

    /// Makes a branch of the remote point to this commit, which it points to
    /// `expected` now: whatever else it has is not overwritten.
    ///
    /// # Errors
    /// [`GitError::Moved`], [`GitError::Refused`], and when it can't be reached.
    pub fn push(
        &self,
        repository: &Repository,
        commit: Oid,
        branch: &str,
        expected: Option<Oid>,
    ) -> Result<(), GitError> {
        // libgit2 pushes refs, not commits.
        let local = format!("refs/warren/push/{branch}");
        repository.reference(&local, commit, true, "warren propose")?;
        let pushed =
            self.send(repository, &format!("+{local}:refs/heads/{branch}"), branch, expected);
        repository.find_reference(&local).and_then(|mut found| found.delete())?;
        pushed
    }

    /// Takes a branch of the remote away that points to `expected` now.
    ///
    /// # Errors
    /// As [`Remote::push`].
    pub fn delete(
        &self,
        repository: &Repository,
        branch: &str,
        expected: Oid,
    ) -> Result<(), GitError> {
        self.send(repository, &format!(":refs/heads/{branch}"), branch, Some(expected))
    }

    fn send(
        &self,
        repository: &Repository,
        refspec: &str,
        branch: &str,
        expected: Option<Oid>,
    ) -> Result<(), GitError> {
        let (mut moved, mut refused, mut words) = (false, None, Vec::new());
        let pushed = self.talk(|url| {
            let mut callbacks = RemoteCallbacks::new();
            callbacks.push_negotiation(|updates| {
                let there = updates.iter().map(git2::PushUpdate::src);
                let there: Vec<_> = there.filter(|oid| !oid.is_zero()).collect();
                if there != expected.into_iter().collect::<Vec<_>>() {
                    moved = true;
                    return Err(git2::Error::from_str("the branch moved"));
                }
                Ok(())
            });
            callbacks.push_update_reference(|_, status| {
                refused = status.map(str::to_owned);
                Ok(())
            });
            // What hooks say to whoever pushes.
            callbacks.sideband_progress(|bytes| {
                let room = WORDS.saturating_sub(words.len());
                words.extend(bytes.iter().take(room));
                true
            });
            let mut options = PushOptions::new();
            options.remote_callbacks(callbacks);
            repository.remote_anonymous(url)?.push(&[refspec], Some(&mut options))
        });
        if moved {
            return Err(GitError::Moved { branch: branch.to_owned() });
        }
        pushed?;
        match refused {
            None => Ok(()),
            Some(mut reason) => {
                let words = String::from_utf8_lossy(&words).into_owned();
                let lines = words.split(['\n', '\r']).map(str::trim);
                for line in lines.filter(|line| !line.is_empty()) {
                    let line: String = line.chars().filter(|c| !c.is_control()).collect();
                    reason = format!("{reason}; {line}");
                }
                Err(GitError::Refused { url: self.shown(), branch: branch.to_owned(), reason })
            }
        }
    }

    fn talk<T>(&self, work: impl FnOnce(&str) -> Result<T, git2::Error>) -> Result<T, GitError> {
        let failed = |error: git2::Error| GitError::Remote {
            url: self.shown(),
            reason: error.message().to_owned(),
        };
        match &self.place {
            Place::Http(address) => {
                let address = match &self.credentials {
                    Some(one) => address.clone().with_user(&one.user, &one.secret),
                    None => address.clone(),
                };
                let budget = Arc::new(Budget::new(Limits::PATIENT));
                over_http(&address, &budget, work).map_err(|error| match error {
                    HttpError::Http(FetchError::OtherHost { from, to }) => {
                        GitError::OtherHost { from, to }
                    }
                    HttpError::Http(error)
                        if error.is_unauthorized() && !is_private(address.url()) =>
                    {
                        GitError::NotPrivate { url: self.shown() }
                    }
                    HttpError::Http(error) => error.into(),
                    HttpError::Git(error) => failed(error),
                })
            }
            Place::Ssh(place) => {
                ssh::register(self.ssh.as_deref());
                work(&format!("{}://{}", ssh::SCHEME, place.url())).map_err(failed)
            }
            Place::Folder(path) => work(path).map_err(failed),
        }
    }
}

fn place(url: &str, root: &Path) -> Place {
    let lower = url.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Place::Http(Address::parse(url, root));
    }
    let ssh = url.strip_prefix("ssh://").map(SshPlace::parse);
    if let Some(Some(place)) = ssh {
        return Place::Ssh(place);
    }
    if url.contains("://") || Path::new(url).exists() {
        return Place::Folder(url.to_owned());
    }
    match SshPlace::short(url) {
        Some(place) => Place::Ssh(place),
        None => Place::Folder(root.join(url).to_string_lossy().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Place {
        place(url, Path::new("/srv/here"))
    }

    #[test]
    fn each_form_of_url_is_told_apart() {
        assert!(matches!(of("HTTPS://git.example/a.git"), Place::Http(_)));
        let Place::Ssh(long) = of("ssh://git@git.example:2222/a/b.git") else { panic!() };
        assert_eq!((long.host.as_str(), long.port), ("git@git.example", Some(2222)));
        assert_eq!(long.path, "/a/b.git");
        // What git asks for relative to the home, we do too.
        for url in ["git@git.example:a/b.git", "ssh://git@[::1]/srv/a", "ssh://h:22/~me/a"] {
            let Place::Ssh(place) = of(url) else { panic!("{url}") };
            let again = SshPlace::parse(&place.url());
            assert_eq!(again.as_ref(), Some(&place), "{url}: {}", place.url());
        }
        let Place::Ssh(six) = of("ssh://git@[::1]:2222/srv/a") else { panic!() };
        assert_eq!((six.host.as_str(), six.port), ("git@::1", Some(2222)));
        let Place::Ssh(short) = of("git@git.example:a/b.git") else { panic!() };
        assert_eq!((short.host.as_str(), short.path.as_str()), ("git@git.example", "a/b.git"));
        assert!(
            matches!(of("../other.git"), Place::Folder(path) if path == "/srv/here/../other.git")
        );
        assert!(matches!(of("ssh://-oProxyCommand=x/a"), Place::Folder(_)), "never an option");
        assert!(matches!(of("-oProxyCommand=x:a"), Place::Folder(_)), "never an option");
    }

    #[test]
    fn the_path_on_the_host_names_the_repository() {
        let remote = |url: &str| Remote { place: of(url), credentials: None, ssh: None };
        assert_eq!(remote("https://git.example/a/b.git").path(), "a/b");
        assert_eq!(remote("git@git.example:a/b.git").path(), "a/b");
        assert_eq!(remote("ssh://git@git.example:2222/a/b").path(), "a/b");
        assert_eq!(remote("ssh://git@git.example:2222/a/b").host(), "git.example");
    }
}
