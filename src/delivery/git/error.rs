//! Why git did not do what a proposal needs.

use std::path::PathBuf;

use crate::pipeline::fetch::FetchError;

/// Why git did not do what a proposal needs.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The folder is in no git repository.
    #[error("{} is in no git repository", folder.display())]
    NoRepository {
        /// The folder.
        folder: PathBuf,
    },
    /// The repository has no such remote.
    #[error("there is no remote `{name}`; there is {known}")]
    NoRemote {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The remote has no such branch.
    #[error("{url} has no branch `{branch}`")]
    NoBranch {
        /// The remote, without a password.
        url: String,
        /// What was asked for.
        branch: String,
    },
    /// The remote was not reached, or refused to talk.
    #[error(transparent)]
    Http(#[from] FetchError),
    /// The remote is said to be at another host now.
    #[error("{from} redirects to another host, {to}, which is not followed")]
    OtherHost {
        /// The host that was asked.
        from: String,
        /// The host that it named.
        to: String,
    },
    /// The remote wants to know who we are, where everybody on the way can read it.
    #[error("{url} asks for credentials, which are not sent over plain HTTP")]
    NotPrivate {
        /// The remote, without a password.
        url: String,
    },
    /// The remote can't be spoken to in another way.
    #[error("{url} can't be used: {reason}")]
    Remote {
        /// The remote, without a password.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A branch is no longer where it was when we looked.
    #[error("the branch `{branch}` moved while we worked: somebody else pushed to it")]
    Moved {
        /// The branch.
        branch: String,
    },
    /// Somebody else committed to our branch.
    #[error("the branch `{branch}` holds the commit {commit} of {author}, which is not ours")]
    Edited {
        /// The branch.
        branch: String,
        /// The commit.
        commit: String,
        /// Who made it.
        author: String,
    },
    /// The proposal's branch is the one that it is for.
    #[error("`{branch}` is what the proposal is for: it can't be its branch too")]
    OntoBase {
        /// The branch.
        branch: String,
    },
    /// The remote did not take the branch.
    #[error("{url} refused the branch `{branch}`: {reason}")]
    Refused {
        /// The remote, without a password.
        url: String,
        /// The branch.
        branch: String,
        /// What it said.
        reason: String,
    },
    /// A file that the rendering read is not the one of the base.
    #[error("{file} is not what {base} has")]
    OtherInput {
        /// The file, relative to the repository.
        file: String,
        /// The base.
        base: String,
    },
    /// This clone does not know what somebody changed.
    #[error("{file} was changed on {base} since this clone's HEAD")]
    Behind {
        /// The file, relative to the repository.
        file: String,
        /// The base.
        base: String,
    },
    /// libgit2 gave up.
    #[error("git: {}", .0.message())]
    Git(#[from] git2::Error),
}

impl GitError {
    /// The way out, where there is a known one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoRepository { .. } => "a proposal is a branch: work in a clone".to_owned(),
            Self::NoRemote { .. } => "name another with --remote NAME".to_owned(),
            Self::NoBranch { .. } => "name another with --base BRANCH".to_owned(),
            Self::Http(error) if error.is_unauthorized() => {
                "the token is missing, wrong or has expired: set WARREN_FORGE_TOKEN, or let git's \
                 credential helper know a new one"
                    .to_owned()
            }
            Self::Http(error)
                if ["answered 403", "answered 404"]
                    .iter()
                    .any(|code| error.to_string().contains(code)) =>
            {
                "the token may not read or write this repository: it needs both rights".to_owned()
            }
            Self::Moved { .. } => "run it again: it starts from what is there now".to_owned(),
            Self::Edited { branch, .. } => format!(
                "it is left as it is. Merge or close that proposal, or delete the branch `{branch}`, \
                 and run it again; or propose on another with --branch NAME"
            ),
            Self::OtherHost { .. } => {
                "if it moved there, say so: git remote set-url REMOTE URL".to_owned()
            }
            Self::NotPrivate { .. } => {
                "use its https url or SSH: git remote set-url REMOTE URL".to_owned()
            }
            Self::Remote { url, .. } if url.starts_with("ssh://") => {
                "what ssh itself says stands above".to_owned()
            }
            Self::OntoBase { .. } => {
                "name another with --branch NAME, or leave that out: warren/ENVIRONMENT".to_owned()
            }
            Self::Refused { .. } => {
                "the branch may be protected, or a hook of the server refused it".to_owned()
            }
            Self::Behind { .. } => {
                "a proposal from here would take that change back: pull first".to_owned()
            }
            Self::OtherInput { .. } => {
                "a proposal holds one environment's own files. Merge the change of the shared file \
                 first, or set it aside"
                    .to_owned()
            }
            _ => return None,
        })
    }

    /// Whether the remote could not be reached, which another try may mend.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Http(error) => !matches!(error, FetchError::NotGit { .. }),
            Self::Remote { .. } => true,
            _ => false,
        }
    }
}
