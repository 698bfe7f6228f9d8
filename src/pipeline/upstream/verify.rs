//! The check of the pin, as every build and `warren upstream verify` run it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{Oid, Repository};

use super::cache::Cache;
use super::check::{check_commit, check_contract, check_lock, check_tree};
use super::commit::Found;
use super::contract::Contract;
use super::listing::Listing;
use super::lock::Lock;
use super::mismatch::{Mismatch, in_lines};
use super::mode::{Mode, UnknownMode};
use super::snapshot::{Snapshot, SnapshotError};
use super::toml_file::{self, FileError};
use crate::fs::FsError;
use crate::pipeline::fetch::{self, Address, Budget, FetchError, Limits, Progress, Request};

/// The environment variable that names a mirror to use instead of the lock's url.
pub const MIRROR_VARIABLE: &str = "WARREN_UPSTREAM_MIRROR";

/// The environment variable that lets a build pass whose contract changed since
/// the lock was written, so that `cargo run -- upstream pin` can write it anew.
pub const REPIN_VARIABLE: &str = "WARREN_UPSTREAM_REPIN";

/// Where the vendored copy is, from the repository's root.
pub const VENDORED: &str = "vendor/trow";

/// What a check starts from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The repository's root, which holds `vendor/`.
    pub root: PathBuf,
    /// A folder of our own for fetched objects.
    pub cache: PathBuf,
    /// How much it may rely on the network.
    pub mode: Mode,
    /// A url or path to use instead of the lock's; the value of
    /// [`MIRROR_VARIABLE`].
    pub mirror: Option<String>,
    /// How long it may take.
    pub limits: Limits,
    /// Whether objects that are in the cache already spare the network.
    pub reuse: bool,
    /// Whether a contract that changed since the lock was written is only a
    /// warning; see [`REPIN_VARIABLE`].
    pub repin: bool,
}

/// How the pin was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream was fetched, now or by an earlier run, and is what the lock says.
    Fetched,
    /// The copy under `vendor/trow/` is what the lock says.
    Vendored,
    /// Nothing was compared: the lock's facts serve.
    FromLock {
        /// Why, in a few words that are the same on every machine.
        reason: &'static str,
    },
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fetched => f.write_str("fetched and verified"),
            Self::Vendored => f.write_str("vendored copy verified"),
            Self::FromLock { reason } => write!(f, "taken from the lock: {reason}"),
        }
    }
}

/// A pin that no check spoke against.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The lock.
    pub lock: Lock,
    /// How it was checked.
    pub outcome: Outcome,
    /// What went wrong without ending the check.
    pub warnings: Vec<String>,
}

/// Why a check ended without a verified pin.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file under `vendor/` is wrong.
    #[error(transparent)]
    File(#[from] FileError),
    /// The mode is none.
    #[error(transparent)]
    Mode(#[from] UnknownMode),
    /// What is there differs from the lock.
    #[error("{what} does not match vendor/trow.lock.toml:{}", in_lines(.rows))]
    Mismatch {
        /// What was compared: the url, the vendored copy, the files of `vendor/`.
        what: String,
        /// Each difference.
        rows: Vec<Mismatch>,
    },
    /// The contract changed since the lock was written.
    #[error(
        "vendor/trow.lock.toml was written for another vendor/trow.contract.toml:{}\n\
         if the contract is right, write the lock anew: {REPIN_VARIABLE}=1 cargo run -- upstream \
         pin {tag}", in_lines(.rows)
    )]
    Contract {
        /// The tag that is pinned.
        tag: String,
        /// Each difference.
        rows: Vec<Mismatch>,
    },
    /// The source was reached and contradicts the lock.
    #[error(transparent)]
    Contradicted(FetchError),
    /// No source could be reached.
    #[error("the upstream could not be reached:{}", in_lines(.0))]
    Unreachable(Vec<FetchError>),
    /// The tree is of a kind that can't be pinned.
    #[error("{what}: {source}")]
    Tree {
        /// What was read.
        what: String,
        /// Why it can't be.
        source: SnapshotError,
    },
    /// The cache can't be written or read.
    #[error("the local copy of the upstream fails: {}", .0.message())]
    Git(#[from] git2::Error),
    /// A file of our own can't be written or read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// The three files of the pin.
#[derive(Clone, Debug)]
pub struct Pin {
    /// What we rely on.
    pub contract: Contract,
    /// The pin.
    pub lock: Lock,
    /// The pinned tree.
    pub listing: Listing,
}

impl Pin {
    /// Reads the three files and compares them with each other; where `repin`,
    /// a lock for another contract passes.
    ///
    /// # Errors
    /// When one can't be read, or they contradict each other.
    pub fn read(root: &Path, repin: bool) -> Result<Self, VerifyError> {
        let contract = Contract::read(&root.join(Contract::PATH))?;
        let lock = Lock::read(&root.join(Lock::PATH))?;
        let path = root.join(Listing::PATH);
        let listing = Listing::parse(&path, &toml_file::read(&path)?)?;
        matching("the rest of vendor/", check_lock(&lock, &listing))?;
        let rows = check_contract(&lock, &contract);
        if rows.is_empty() || repin {
            return Ok(Self { contract, lock, listing });
        }
        Err(VerifyError::Contract { tag: lock.tag, rows })
    }
}

/// Checks the pin: the vendored copy if there is one, else the mirror if one
/// is named, else the lock's url and then its mirrors. `progress` hears of
/// what is fetched.
///
/// # Errors
/// A mismatch, in every mode; an upstream that can't be reached, in
/// [`Mode::Require`].
pub fn verify(
    inputs: &Inputs,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, VerifyError> {
    let verified = compare(inputs, progress)?;
    // Last, because what was fetched names each file that differs.
    matching("the commit in vendor/", check_commit(&verified.lock))?;
    Ok(verified)
}

fn compare(inputs: &Inputs, progress: &mut dyn FnMut(Progress)) -> Result<Verified, VerifyError> {
    let pin = Pin::read(&inputs.root, inputs.repin)?;
    let vendored = inputs.root.join(VENDORED);
    if vendored.is_dir() {
        verify_folder(&pin, &vendored)?;
        return Ok(pin.done(Outcome::Vendored, Vec::new()));
    }
    if inputs.mode == Mode::Offline {
        return Ok(pin.done(Outcome::FromLock { reason: "offline was asked for" }, Vec::new()));
    }
    match obtain(&pin, inputs, progress) {
        Ok(_) => Ok(pin.done(Outcome::Fetched, Vec::new())),
        Err(VerifyError::Unreachable(tried)) if inputs.mode == Mode::Auto => {
            let reason = tried.last().map_or("not reachable", FetchError::in_short);
            let warnings = tried.iter().map(ToString::to_string).collect();
            Ok(pin.done(Outcome::FromLock { reason }, warnings))
        }
        Err(error) => Err(error),
    }
}

/// Gets the pinned commit from the cache or a source, verified, and says which
/// repository holds it.
///
/// # Errors
/// A mismatch, or that no source could be reached.
pub fn obtain(
    pin: &Pin,
    inputs: &Inputs,
    progress: &mut dyn FnMut(Progress),
) -> Result<Repository, VerifyError> {
    let cache = Cache::at(&inputs.cache);
    if inputs.reuse
        && let Some(repository) = cache.with(pin.lock.commit.0)
    {
        match verify_commit(pin, &repository, "the upstream fetched earlier") {
            // A cache that lost objects is fetched again.
            Err(VerifyError::Tree { source: SnapshotError::Git(_), .. }) => {}
            verified => return verified.map(|()| repository),
        }
    }
    let lock = &pin.lock;
    let wanted = Wanted {
        urls: std::iter::once(&lock.url).chain(&lock.mirrors).collect(),
        tag: &lock.tag,
        commit: Some(lock.commit.0),
    };
    let (repository, shown) = fetch_first(&cache, &wanted, inputs, progress)?;
    verify_commit(pin, &repository, &shown)?;
    Ok(repository)
}

/// Fetches a tag that is to be pinned: from the mirror if one is named, else
/// from the contract's url and then its mirrors. `commit` is where the tag has
/// to lead, if that is known.
///
/// # Errors
/// That no source could be reached, or that the tag leads elsewhere.
pub fn fetch_tag(
    contract: &Contract,
    tag: &str,
    commit: Option<Oid>,
    inputs: &Inputs,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Repository, Oid), VerifyError> {
    let urls = std::iter::once(&contract.url).chain(&contract.mirrors).collect();
    let wanted = Wanted { urls, tag, commit };
    let (repository, _) = fetch_first(&Cache::at(&inputs.cache), &wanted, inputs, progress)?;
    let commit = repository.find_reference(fetch::PIN_REF)?.peel_to_commit()?.id();
    Ok((repository, commit))
}

/// What to fetch, and from where if no mirror is named.
struct Wanted<'a> {
    urls: Vec<&'a String>,
    tag: &'a str,
    commit: Option<Oid>,
}

/// Fetches from the first source that gives the tag, and says which that was.
fn fetch_first(
    cache: &Cache,
    wanted: &Wanted<'_>,
    inputs: &Inputs,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Repository, String), VerifyError> {
    let parse = |url: &String| Address::parse(url, &inputs.root);
    let sources: Vec<_> = match inputs.mirror.as_ref().filter(|mirror| !mirror.is_empty()) {
        Some(mirror) => vec![parse(mirror)],
        None => wanted.urls.iter().map(|url| parse(url)).collect(),
    };
    let budget = Arc::new(Budget::new(inputs.limits));
    let mut tried = Vec::new();
    for (index, address) in sources.iter().enumerate() {
        let repository = cache.renew()?;
        let request = Request {
            address,
            tag: wanted.tag,
            commit: wanted.commit,
            sources: sources.len() - index,
        };
        match fetch::fetch(&repository, &request, &budget, progress) {
            Ok(_) => return Ok((repository, address.shown().to_owned())),
            Err(error) if error.is_mismatch() => return Err(VerifyError::Contradicted(error)),
            Err(error) => tried.push(error),
        }
    }
    Err(VerifyError::Unreachable(tried))
}

fn verify_commit(pin: &Pin, repository: &Repository, what: &str) -> Result<(), VerifyError> {
    let lock = &pin.lock;
    let found = Found::read(repository, lock.commit.0, &lock.wanted())
        .map_err(|source| VerifyError::Tree { what: what.to_owned(), source })?;
    let mut rows = Vec::new();
    rows.extend(Mismatch::unless_equal(
        "signer",
        lock.signer.as_deref().unwrap_or("nobody"),
        found.signer.as_deref().unwrap_or("nobody"),
    ));
    rows.extend(check_tree(lock, &pin.listing, &found.snapshot));
    matching(what, rows)
}

/// Checks a folder that holds a copy of the pinned tree.
///
/// # Errors
/// Each difference by its path.
pub fn verify_folder(pin: &Pin, folder: &Path) -> Result<(), VerifyError> {
    let what = format!("the copy in {}", folder.display());
    let found = Snapshot::of_folder(folder, &pin.lock.wanted())
        .map_err(|source| VerifyError::Tree { what: what.clone(), source })?;
    matching(&what, check_tree(&pin.lock, &pin.listing, &found))
}

fn matching(what: &str, rows: Vec<Mismatch>) -> Result<(), VerifyError> {
    if rows.is_empty() {
        return Ok(());
    }
    Err(VerifyError::Mismatch { what: what.to_owned(), rows })
}

impl Pin {
    fn done(self, outcome: Outcome, warnings: Vec<String>) -> Verified {
        Verified { lock: self.lock, outcome, warnings }
    }
}
