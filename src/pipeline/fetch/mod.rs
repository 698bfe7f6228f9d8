//! Gets a tag of a git repository: over HTTP with rustls, or from a path.

mod address;
mod budget;
mod error;
mod redirect;
mod session;
mod transport;

use std::sync::Arc;

use git2::{Direction, ErrorClass, FetchOptions, Oid, RemoteCallbacks, RemoteHead, Repository};

pub use address::Address;
pub use budget::{Budget, Limits};
pub use error::FetchError;
pub use redirect::at_same_origin;
pub use session::root_certificates;

use session::Session;

/// Where a fetched commit is kept in the local repository.
pub const PIN_REF: &str = "refs/pin";

/// What has arrived so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Objects that arrived.
    pub objects: usize,
    /// Objects that there are in all.
    pub of: usize,
    /// Bytes that arrived.
    pub bytes: usize,
}

/// What to fetch from where.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The source.
    pub address: &'a Address,
    /// The tag's name, such as `v0.10.0`.
    pub tag: &'a str,
    /// The commit that it must lead to, if that is known.
    pub commit: Option<Oid>,
    /// How many sources are left to try with the same budget, this one included.
    pub sources: usize,
}

/// Fetches a tag into `repository` and says which commit it leads to; the
/// commit is then at [`PIN_REF`]. The tag is asked for first: one that moved
/// is found out before anything is transferred.
///
/// # Errors
/// See [`FetchError`]; [`FetchError::is_mismatch`] tells those apart where the
/// source was reached and contradicts the request.
pub fn fetch(
    repository: &Repository,
    request: &Request<'_>,
    budget: &Arc<Budget>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Oid, FetchError> {
    let address = request.address;
    if let Some(scheme) = address.foreign_scheme() {
        let reason =
            format!("{scheme}:// is not spoken here; name an http, https or file url, or a path");
        return Err(FetchError::Unreachable { url: address.shown().to_owned(), reason });
    }
    if let Some(path) = address.url().strip_prefix("file://").or_else(|| local_path(address)) {
        // A path that is not there would be reported as an unknown protocol.
        if !std::path::Path::new(path).exists() {
            let reason = "there is no such folder".to_owned();
            return Err(FetchError::Unreachable { url: address.shown().to_owned(), reason });
        }
    }
    let session = Session::new(address.clone(), Arc::clone(budget), budget.share(request.sources));
    transport::with_session(&session, || {
        let fetched = fetch_with_git(repository, request, progress);
        fetched.map_err(|error| {
            let known = session.take_error();
            known.unwrap_or_else(|| error.into_fetch_error(address))
        })
    })
}

/// Runs git operations on a remote that is spoken to over HTTP within the
/// budget: `work` gets the url to hand to libgit2, for fetching or pushing.
///
/// # Errors
/// What ended the HTTP exchange where one did, else what libgit2 says.
pub fn over_http<T>(
    address: &Address,
    budget: &Arc<Budget>,
    work: impl FnOnce(&str) -> Result<T, git2::Error>,
) -> Result<T, HttpError> {
    let session = Session::new(address.clone(), Arc::clone(budget), budget.share(1));
    transport::with_session(&session, || {
        work(&format!("{}{}", transport::PREFIX, address.url()))
            .map_err(|error| session.take_error().map_or(HttpError::Git(error), HttpError::Http))
    })
}

/// What ended [`over_http`].
#[derive(Debug)]
pub enum HttpError {
    /// The exchange itself.
    Http(FetchError),
    /// Something else in libgit2.
    Git(git2::Error),
}

fn local_path(address: &Address) -> Option<&str> {
    (!address.url().contains("://")).then_some(address.url())
}

/// What ends a fetch inside libgit2.
enum Ended {
    Known(FetchError),
    Git(git2::Error),
}

impl From<git2::Error> for Ended {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

impl Ended {
    fn into_fetch_error(self, address: &Address) -> FetchError {
        let error = match self {
            Self::Known(error) => return error,
            Self::Git(error) => error,
        };
        let url = address.shown().to_owned();
        let detail = error.message().to_owned();
        match error.class() {
            ErrorClass::Net if detail.contains("unsupported URL protocol") => {
                FetchError::Unreachable { url, reason: detail }
            }
            ErrorClass::Net | ErrorClass::Indexer | ErrorClass::Zlib if address.is_smart() => {
                FetchError::Truncated { url, detail }
            }
            ErrorClass::Os | ErrorClass::Filesystem if address.is_smart() => {
                FetchError::Cache { reason: detail }
            }
            _ if address.is_smart() => FetchError::Truncated { url, detail },
            _ => FetchError::NotGit { url, reason: detail },
        }
    }
}

fn fetch_with_git(
    repository: &Repository,
    request: &Request<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Oid, Ended> {
    let address = request.address;
    let prefix = if address.is_smart() { transport::PREFIX } else { "" };
    let url = format!("{prefix}{}", address.url());
    let mut remote = repository.remote_anonymous(&url)?;
    let mut connection = remote.connect_auth(Direction::Fetch, None, None)?;
    let Some(commit) = find_tag(connection.list()?, request.tag) else {
        let (url, tag) = (address.shown().to_owned(), request.tag.to_owned());
        return Err(Ended::Known(FetchError::TagGone { url, tag }));
    };
    if let Some(expected) = request.commit.filter(|expected| *expected != commit) {
        return Err(Ended::Known(FetchError::TagMoved {
            url: address.shown().to_owned(),
            tag: request.tag.to_owned(),
            expected: expected.to_string(),
            found: commit.to_string(),
        }));
    }
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(|stats| {
        progress(Progress {
            objects: stats.received_objects(),
            of: stats.total_objects(),
            bytes: stats.received_bytes(),
        });
        true
    });
    let mut options = FetchOptions::new();
    options.remote_callbacks(callbacks);
    options.download_tags(git2::AutotagOption::None);
    options.update_fetchhead(false);
    if address.is_smart() {
        // libgit2's own transport for paths refuses a depth.
        options.depth(1);
    }
    // By the tag's name, not by the commit's id: a server gives its tips to
    // everyone, other ids only where it was told to.
    let refspec = format!("+refs/tags/{}:{PIN_REF}", request.tag);
    connection.remote().fetch(&[&refspec], Some(&mut options), None)?;
    let fetched = repository.find_reference(PIN_REF)?.peel_to_commit()?.id();
    if fetched == commit {
        return Ok(commit);
    }
    Err(Ended::Known(FetchError::TagMoved {
        url: address.shown().to_owned(),
        tag: request.tag.to_owned(),
        expected: commit.to_string(),
        found: fetched.to_string(),
    }))
}

/// The commit that a tag leads to; an annotated tag is listed a second time,
/// with `^{}`, as what it points at.
fn find_tag(heads: &[RemoteHead<'_>], tag: &str) -> Option<Oid> {
    let plain = format!("refs/tags/{tag}");
    let peeled = format!("{plain}^{{}}");
    let find = |name: &str| heads.iter().find(|head| head.name() == name).map(RemoteHead::oid);
    find(&peeled).or_else(|| find(&plain))
}
