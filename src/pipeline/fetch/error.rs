//! Why a source did not give the pinned tag.

/// Why a source did not give the pinned tag. All but [`FetchError::TagGone`],
/// [`FetchError::TagMoved`] and [`FetchError::Cache`] count as "not reached":
/// whoever can break a transfer can also cut the wire, so none of them may
/// weigh more than a missing network, and none of them less.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// No connection came about, or the source is not there at all.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The source as it was named, without a password.
        url: String,
        /// What stood in the way.
        reason: String,
    },
    /// The first answer did not come in time.
    #[error("{url} gave no answer within {seconds:.1} s")]
    NoAnswer {
        /// The source as it was named, without a password.
        url: String,
        /// How long it had.
        seconds: f64,
    },
    /// The answer began and then nothing more came.
    #[error("{url} hangs: nothing came for {seconds:.1} s in the middle of its answer")]
    Stalled {
        /// The source as it was named, without a password.
        url: String,
        /// How long nothing came.
        seconds: f64,
    },
    /// The answer kept coming, but not fast enough.
    #[error("{url} is too slow: its answer was not complete after {seconds:.0} s")]
    TooSlow {
        /// The source as it was named, without a password.
        url: String,
        /// The limit for everything together.
        seconds: f64,
    },
    /// The answer is larger than any upstream of ours.
    #[error("{url} sent more than {bytes} bytes; the transfer was stopped")]
    TooLarge {
        /// The source as it was named, without a password.
        url: String,
        /// The limit.
        bytes: u64,
    },
    /// The answer ended before it was complete.
    #[error("the transfer from {url} was cut off: {detail}")]
    Truncated {
        /// The source as it was named, without a password.
        url: String,
        /// What was missing.
        detail: String,
    },
    /// The source points at another host, which is not followed.
    #[error(
        "{from} redirects to another host, {to}, which is not followed: if the upstream moved \
         there, write the new url into vendor/trow.contract.toml and pin again"
    )]
    OtherHost {
        /// The host that was asked.
        from: String,
        /// The host that it named.
        to: String,
    },
    /// The source answered, and it is no git server, or not for us.
    #[error("{url} does not serve this git repository: {reason}")]
    NotGit {
        /// The source as it was named, without a password.
        url: String,
        /// What it answered.
        reason: String,
    },
    /// The source has no such tag any more.
    #[error("row `tag`: expected `{tag}` at {url}, found no such tag: it was deleted or renamed")]
    TagGone {
        /// The source as it was named, without a password.
        url: String,
        /// The tag that the lock names.
        tag: String,
    },
    /// The source's tag points at another commit than the lock.
    #[error(
        "row `commit`: the tag `{tag}` at {url} points elsewhere than the lock: expected \
         {expected}, found {found}. If that is right, after a look at why: WARREN_UPSTREAM=offline \
         cargo run -- upstream pin {tag} --accept-moved-tag"
    )]
    TagMoved {
        /// The source as it was named, without a password.
        url: String,
        /// The tag that the lock names.
        tag: String,
        /// The commit of the lock.
        expected: String,
        /// The commit of the source.
        found: String,
    },
    /// Our own repository, into which the objects go, gave up.
    #[error("the local copy of the upstream cannot be written: {reason}")]
    Cache {
        /// What libgit2 said.
        reason: String,
    },
}

impl FetchError {
    /// Whether the source was reached and contradicts the lock. This fails a
    /// build in every mode.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::TagGone { .. } | Self::TagMoved { .. })
    }

    /// Whether the source wants to know who asks, and does not know us.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::NotGit { reason, .. } if reason.contains("answered 401"))
    }

    /// Two or three words for a version line: stable, and without a path or url.
    #[must_use]
    pub fn in_short(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "not reachable",
            Self::NoAnswer { .. } => "no answer in time",
            Self::Stalled { .. } | Self::TooSlow { .. } => "the upstream hangs",
            Self::TooLarge { .. } => "too large a transfer",
            Self::Truncated { .. } => "transfer cut off",
            Self::OtherHost { .. } => "redirected to another host",
            Self::NotGit { .. } => "no git server there",
            Self::TagGone { .. } => "tag deleted",
            Self::TagMoved { .. } => "tag moved",
            Self::Cache { .. } => "no local copy",
        }
    }
}
