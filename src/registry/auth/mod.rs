//! Who may do what: users, their passwords, and the tokens that stand for
//! them. It knows nothing of HTTP but the text of an `Authorization` header.

mod access_list;
mod argon2id;
mod credentials;
mod error;
mod glob;
mod htpasswd;
mod key;
mod policy;
mod scope;
mod secret;
mod throttle;
mod token;
mod users;
mod verified;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};

pub use access_list::AccessList;
pub use argon2id::{Argon2id, Cost};
pub use credentials::Credentials;
pub use error::AuthError;
pub use glob::Glob;
pub use htpasswd::parse as parse_htpasswd;
pub use key::TokenKey;
pub use policy::Policy;
pub use scope::Scope;
pub use secret::{Secret, without_newline};
use throttle::{Pair, Throttle};
pub use token::{Claims, SERVICE, TokenError, sign, verify};
pub use users::{Checked, MAX_ARGON2_COSTS, MAX_COST, Users, Verifier, Work};
use verified::Verified;

use super::swap::Swap;

/// How long a token is good for, in seconds.
pub const TOKEN_LIFETIME: u64 = 3600;

/// How many passwords are waited for at the same time, of clients and users
/// that don't have to do with each other.
const LANES: usize = 64;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user; none for who did not log in.
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

/// Why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// They are wrong, whichever part of them.
    Wrong,
    /// Too many wrong ones came before: nobody looked at these. The time is
    /// what is left to wait.
    TooSoon(Duration),
}

/// Turns credentials into identities.
pub struct Authenticator {
    list: Swap<AccessList>,
    verified: Verified,
    throttle: Throttle,
    /// One password of a client and user is checked after the other, so that
    /// no number of attempts at once gets past the throttle, and what many
    /// requests bring at once is computed once.
    lanes: Vec<Mutex<()>>,
    /// Bounds the threads that compute hashes at the same time.
    permits: Arc<Semaphore>,
    comparisons: AtomicU64,
    rounds: AtomicU64,
    blocks: AtomicU64,
}

impl Authenticator {
    /// An authenticator for these users.
    ///
    /// # Errors
    /// [`AuthError::Random`] when the system gives no random bytes.
    pub fn new(list: AccessList) -> Result<Self, AuthError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            list: Swap::new(list),
            verified: Verified::new()?,
            throttle: Throttle::default(),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            permits: Arc::new(Semaphore::new(cores)),
            comparisons: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
        })
    }

    /// Who there is now. A request keeps to one list from its begin to its end.
    #[must_use]
    pub fn list(&self) -> Arc<AccessList> {
        self.list.current()
    }

    /// Other users and rules from the next request on, also for tokens that
    /// are out already.
    pub fn replace(&self, list: AccessList) {
        self.list.replace(list);
    }

    /// Whether there is such a user. Not for clients, who could try names.
    #[must_use]
    pub fn knows(&self, user: &str) -> bool {
        self.list().users().contains(user)
    }

    /// The identity behind credentials that came from this client, at a time
    /// in seconds since 1970.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn identify(
        &self,
        list: &Arc<AccessList>,
        credentials: Credentials,
        client: IpAddr,
        now: u64,
    ) -> Result<Identity, Refused> {
        match credentials {
            Credentials::Basic { user, password } => {
                let pair = self.throttle.pair(client, &user);
                self.check(list, pair, &user, password).await?;
                Ok(Identity { user: Some(user.into()), access: None })
            }
            Credentials::Bearer(token) => {
                let claims = verify(token.expose(), list.key(), now).map_err(|_| Refused::Wrong)?;
                // A token ends with its user.
                let user = match claims.sub.as_str() {
                    "" if list.is_for_anyone() => None,
                    user if list.users().contains(user) => Some(user.into()),
                    _ => return Err(Refused::Wrong),
                };
                Ok(Identity { user, access: claims.access })
            }
        }
    }

    /// The work of all password checks so far: what tests compare instead of
    /// times.
    #[must_use]
    pub fn work(&self) -> (u64, u64, u64) {
        let [comparisons, rounds, blocks] = [&self.comparisons, &self.rounds, &self.blocks]
            .map(|counter| counter.load(Ordering::Relaxed));
        (comparisons, rounds, blocks)
    }

    async fn check(
        &self,
        list: &Arc<AccessList>,
        pair: Pair,
        user: &str,
        password: Secret,
    ) -> Result<(), Refused> {
        self.wait(pair)?;
        // Comparing a fast hash costs less than remembering that it was right.
        if !list.users().is_slow() {
            let checked = list.users().check(user, password.expose());
            return self.learn(pair, checked);
        }
        let name = self.verified.name(user, password.expose(), list.users().fingerprint(user));
        if self.verified.holds(&name, Instant::now()) {
            return Ok(());
        }
        let _turn = match self.lane(pair) {
            Some(lane) => Some(lane.lock().await),
            None => None,
        };
        // What was waited for may have answered both questions.
        self.wait(pair)?;
        if !self.verified.holds(&name, Instant::now()) {
            let checked = self.compute(list, user, password).await.ok_or(Refused::Wrong)?;
            self.learn(pair, checked)?;
            self.verified.remember(name, Instant::now());
        }
        Ok(())
    }

    /// Whether an attempt of this pair comes too soon.
    fn wait(&self, pair: Pair) -> Result<(), Refused> {
        self.throttle.wait(pair, Instant::now()).map_or(Ok(()), |left| Err(Refused::TooSoon(left)))
    }

    fn learn(&self, pair: Pair, checked: Checked) -> Result<(), Refused> {
        self.comparisons.fetch_add(checked.work.comparisons.into(), Ordering::Relaxed);
        self.rounds.fetch_add(checked.work.rounds, Ordering::Relaxed);
        self.blocks.fetch_add(checked.work.blocks, Ordering::Relaxed);
        if checked.right {
            self.throttle.succeeded(pair);
            return Ok(());
        }
        self.throttle.failed(pair, Instant::now());
        Err(Refused::Wrong)
    }

    async fn compute(
        &self,
        list: &Arc<AccessList>,
        user: &str,
        password: Secret,
    ) -> Option<Checked> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        let list = Arc::clone(list);
        let user = user.to_owned();
        let work = move || {
            // The thread holds it, not the request: a client that goes away
            // leaves the work behind, and must not make room for more.
            let _permit = permit;
            list.users().check(&user, password.expose())
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn lane(&self, pair: Pair) -> Option<&Mutex<()>> {
        let mut hasher = DefaultHasher::new();
        pair.hash(&mut hasher);
        let index = hasher.finish() % self.lanes.len().max(1) as u64;
        self.lanes.get(usize::try_from(index).unwrap_or(0))
    }
}
