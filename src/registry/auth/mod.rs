//! Who may do what: users, their passwords, and the tokens that stand for
//! them. It knows nothing of HTTP but the text of an `Authorization` header.

mod argon2id;
mod credentials;
mod error;
mod htpasswd;
mod key;
mod scope;
mod secret;
mod token;
mod users;
mod verified;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;

pub use argon2id::{Argon2id, Cost};
pub use credentials::Credentials;
pub use error::AuthError;
pub use htpasswd::parse as parse_htpasswd;
pub use key::TokenKey;
pub use scope::Scope;
pub use secret::{Secret, without_newline};
pub use token::{Claims, SERVICE, TokenError, sign, verify};
pub use users::{Checked, MAX_ARGON2_COSTS, MAX_COST, Users, Verifier, Work};
use verified::Verified;

/// How long a token is good for, in seconds.
pub const TOKEN_LIFETIME: u64 = 3600;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user; none in an open registry.
    pub user: Option<Arc<str>>,
    /// What a token narrows the user's rights to; none where it doesn't.
    pub access: Option<Vec<Scope>>,
}

impl Identity {
    /// Nobody in particular.
    pub const ANYONE: Self = Self { user: None, access: None };

    /// Whether the request may do something.
    #[must_use]
    pub fn may(&self, wanted: &Scope) -> bool {
        self.access.as_ref().is_none_or(|access| access.iter().any(|row| row.covers(wanted)))
    }
}

/// Turns credentials into identities.
pub struct Authenticator {
    users: Arc<Users>,
    key: TokenKey,
    verified: Verified,
    /// Bounds the threads that compute hashes at the same time.
    permits: Arc<Semaphore>,
    comparisons: AtomicU64,
    rounds: AtomicU64,
    blocks: AtomicU64,
}

impl Authenticator {
    /// An authenticator for these users, with the token key of a data folder.
    ///
    /// # Errors
    /// [`AuthError`] when the key can't be read, made or written.
    pub fn new(users: Users, data_dir: &Path) -> Result<Self, AuthError> {
        Self::with_key(users, TokenKey::load_or_create(data_dir)?)
    }

    /// An authenticator for these users, with this key.
    ///
    /// # Errors
    /// [`AuthError::Random`] when the system gives no random bytes.
    pub fn with_key(users: Users, key: TokenKey) -> Result<Self, AuthError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            users: Arc::new(users),
            key,
            verified: Verified::new()?,
            permits: Arc::new(Semaphore::new(cores)),
            comparisons: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
        })
    }

    /// Whether everyone may do everything, because no user is configured.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.users.is_empty()
    }

    /// The identity behind credentials, at a time in seconds since 1970;
    /// `None` where they are wrong, whichever part of them.
    pub async fn identify(&self, credentials: Credentials, now: u64) -> Option<Identity> {
        match credentials {
            Credentials::Basic { user, password } => self.identify_user(user, password).await,
            Credentials::Bearer(token) => {
                let claims = verify(token.expose(), &self.key, now).ok()?;
                // A token ends with its user.
                self.users.contains(&claims.sub).then(|| Identity {
                    user: Some(claims.sub.as_str().into()),
                    access: claims.access,
                })
            }
        }
    }

    /// A token for a user, good for `access` or, without one, for all that
    /// the user may do.
    ///
    /// # Errors
    /// None in practice: see [`sign`].
    pub fn issue(
        &self,
        user: &str,
        access: Option<Vec<Scope>>,
        now: u64,
    ) -> Result<String, serde_json::Error> {
        sign(&Claims::new(user, access, now, TOKEN_LIFETIME), &self.key)
    }

    /// The work of all password checks so far: what tests compare instead of
    /// times.
    #[must_use]
    pub fn work(&self) -> (u64, u64, u64) {
        let [comparisons, rounds, blocks] = [&self.comparisons, &self.rounds, &self.blocks]
            .map(|counter| counter.load(Ordering::Relaxed));
        (comparisons, rounds, blocks)
    }

    async fn identify_user(&self, user: String, password: Secret) -> Option<Identity> {
        let name = self.verified.name(&user, password.expose(), self.users.fingerprint(&user));
        if !self.verified.holds(&name, Instant::now()) {
            let checked = self.check(&user, password).await?;
            self.comparisons.fetch_add(checked.work.comparisons.into(), Ordering::Relaxed);
            self.rounds.fetch_add(checked.work.rounds, Ordering::Relaxed);
            self.blocks.fetch_add(checked.work.blocks, Ordering::Relaxed);
            if !checked.right {
                return None;
            }
            // Comparing a hash costs less than remembering that it was right.
            if self.users.is_slow() {
                self.verified.remember(name, Instant::now());
            }
        }
        Some(Identity { user: Some(user.into()), access: None })
    }

    async fn check(&self, user: &str, password: Secret) -> Option<Checked> {
        if !self.users.is_slow() {
            return Some(self.users.check(user, password.expose()));
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let users = Arc::clone(&self.users);
        let user = user.to_owned();
        let work = move || {
            // The thread holds it, not the request: a client that goes away
            // leaves the work behind, and must not make room for more.
            let _permit = permit;
            users.check(&user, password.expose())
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}
