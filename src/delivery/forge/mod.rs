//! Pull requests on GitHub, GitLab, Gitea and Forgejo: one for each branch,
//! found again, and changed only when something about it changed.

mod gitea;
mod github;
mod gitlab;
mod http;

use serde::Serialize;

pub use http::ForgeError;
use http::Http;

/// Which API a forge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// GitHub, and GitHub Enterprise Server.
    Github,
    /// GitLab: merge requests.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo, which speaks Gitea's API.
    Forgejo,
}

impl Kind {
    /// The forge at a host, as far as its name tells.
    #[must_use]
    pub fn of_host(host: &str) -> Option<Self> {
        let known: [(&str, Self); 5] = [
            ("github", Self::Github),
            ("gitlab", Self::Gitlab),
            ("codeberg", Self::Forgejo),
            ("forgejo", Self::Forgejo),
            ("gitea", Self::Gitea),
        ];
        // A whole part of the name: whoever likes may call a host github-mirror.
        let is_part = |part: &str| host.split('.').any(|label| label == part);
        known.into_iter().find(|(part, _)| is_part(part)).map(|(_, kind)| kind)
    }

    /// How many bytes the description of a pull request may have.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::Github => 65_000,
            Self::Gitlab => 1_000_000,
            Self::Gitea | Self::Forgejo => 200_000,
        }
    }

    /// Where its API is, below `https://host`.
    #[must_use]
    pub fn api(self, origin: &str) -> String {
        match self {
            Self::Github if origin.ends_with("//github.com") => "https://api.github.com".to_owned(),
            Self::Github => format!("{origin}/api/v3"),
            Self::Gitlab => format!("{origin}/api/v4"),
            Self::Gitea | Self::Forgejo => format!("{origin}/api/v1"),
        }
    }
}

/// A repository on a forge.
#[derive(Debug)]
pub struct Forge {
    kind: Kind,
    /// `owner/name`; on GitLab with any number of groups before the name.
    repository: String,
    http: Http,
}

/// What a pull request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The branch that it proposes.
    pub head: String,
    /// The branch that it is for.
    pub base: String,
    /// Its title.
    pub title: String,
    /// Its description, in Markdown.
    pub body: String,
}

/// A pull request that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
    #[serde(skip)]
    title: String,
    #[serde(skip)]
    body: String,
}

/// What happened to a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was opened.
    Opened,
    /// It was there and says something else now.
    Updated,
    /// It was there and says the same.
    Unchanged,
}

impl Forge {
    /// The repository at this API.
    #[must_use]
    pub fn new(kind: Kind, api: &str, repository: &str, token: &str) -> Self {
        let http = Http::new(kind, api.trim_end_matches('/'), token);
        Self { kind, repository: repository.to_owned(), http }
    }

    /// Closes the open pull request of a branch, if there is one: what it
    /// proposed is there already.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub fn withdraw(&self, head: &str, base: &str) -> Result<Option<Pull>, ForgeError> {
        let request = Request {
            head: head.to_owned(),
            base: base.to_owned(),
            title: String::new(),
            body: String::new(),
        };
        let Some(there) = self.find(&request)? else { return Ok(None) };
        let number = there.number;
        match self.kind {
            Kind::Github => github::close(&self.http, &self.repository, number),
            Kind::Gitlab => gitlab::close(&self.http, &self.repository, number),
            Kind::Gitea | Kind::Forgejo => gitea::close(&self.http, &self.repository, number),
        }?;
        Ok(Some(there))
    }

    /// The open pull request of this branch of the repository itself: a fork may
    /// have a branch of the same name.
    fn find(&self, request: &Request) -> Result<Option<Pull>, ForgeError> {
        match self.kind {
            Kind::Github => github::find(&self.http, &self.repository, request),
            Kind::Gitlab => gitlab::find(&self.http, &self.repository, request),
            Kind::Gitea | Kind::Forgejo => gitea::find(&self.http, &self.repository, request),
        }
    }

    /// Opens the pull request, or brings the open one of its branch up to date.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub fn propose(&self, request: &Request) -> Result<(Pull, Outcome), ForgeError> {
        let Some(there) = self.find(request)? else {
            let opened = match self.kind {
                Kind::Github => github::open(&self.http, &self.repository, request),
                Kind::Gitlab => gitlab::open(&self.http, &self.repository, request),
                Kind::Gitea | Kind::Forgejo => gitea::open(&self.http, &self.repository, request),
            }?;
            return Ok((opened, Outcome::Opened));
        };
        // Forges store line ends as they like.
        let same = |one: &str, other: &str| one.replace('\r', "").trim() == other.trim();
        if there.title == request.title && same(&there.body, &request.body) {
            return Ok((there, Outcome::Unchanged));
        }
        let number = there.number;
        match self.kind {
            Kind::Github => github::update(&self.http, &self.repository, number, request),
            Kind::Gitlab => gitlab::update(&self.http, &self.repository, number, request),
            Kind::Gitea | Kind::Forgejo => {
                gitea::update(&self.http, &self.repository, number, request)
            }
        }?;
        Ok((there, Outcome::Updated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_is_known_by_its_host_and_has_its_api_there() {
        assert_eq!(Kind::of_host("github.com"), Some(Kind::Github));
        assert_eq!(Kind::of_host("gitlab.lapin.io"), Some(Kind::Gitlab));
        assert_eq!(Kind::of_host("codeberg.org"), Some(Kind::Forgejo));
        assert_eq!(Kind::of_host("git.lapin.io"), None);
        assert_eq!(Kind::Github.api("https://github.com"), "https://api.github.com");
        assert_eq!(Kind::Github.api("https://github.lapin.io"), "https://github.lapin.io/api/v3");
        assert_eq!(Kind::Gitea.api("http://localhost:3000"), "http://localhost:3000/api/v1");
    }
}
