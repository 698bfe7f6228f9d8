//! Who may do what: users, their passwords, and the tokens that stand for
//! them. It knows nothing of HTTP but the text of an `Authorization` header.

mod access_list;
mod argon2id;
mod clients;
mod credentials;
mod error;
mod familiar;
mod glob;
mod htpasswd;
mod key;
mod policy;
mod queue;
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

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

pub use access_list::AccessList;
pub use argon2id::{Argon2id, Cost};
use clients::Clients;
pub use credentials::Credentials;
pub use error::AuthError;
use familiar::Familiar;
pub use glob::Glob;
pub use htpasswd::parse as parse_htpasswd;
pub use key::TokenKey;
pub use policy::Policy;
use queue::{MOST, Party, Place, Queue};
pub use scope::Scope;
pub use secret::{Secret, without_newline};
use throttle::{Pair, Throttle};
pub use token::{Claims, SERVICE, SignError, TokenError, sign, verify};
pub use users::{Checked, MAX_ARGON2_COSTS, MAX_COST, Users, Verifier, Work};
use verified::Verified;

use super::network::of_client;
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
    /// Too many are being looked at, of this client or in all: nobody looked at
    /// these.
    Busy,
}

/// Turns credentials into identities.
pub struct Authenticator {
    list: Swap<AccessList>,
    verified: Verified,
    throttle: Throttle,
    clients: Clients,
    familiar: Familiar,
    queue: Queue,
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
            clients: Clients::default(),
            familiar: Familiar::default(),
            queue: Queue::new(MOST),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            permits: Arc::new(Semaphore::new(cores)),
            comparisons: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
        })
    }

    /// The same where there are so many connections: at most half of them wait
    /// for a password to be checked.
    #[must_use]
    pub fn for_connections(self, connections: usize) -> Self {
        Self { queue: Queue::new((connections / 2).clamp(1, MOST)), ..self }
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
                self.check(list, of_client(client), &user, password).await?;
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
        client: IpAddr,
        user: &str,
        password: Secret,
    ) -> Result<(), Refused> {
        let pair = self.throttle.pair(client, user);
        self.wait(pair)?;
        // Comparing a fast hash costs less than remembering that it was right.
        if !list.users().is_slow() {
            let checked = list.users().check(user, password.expose());
            self.count(&checked);
            if checked.right {
                self.throttle.succeeded(pair);
                return Ok(());
            }
            self.throttle.failed(pair, Instant::now());
            return Err(Refused::Wrong);
        }
        let name = self.verified.name(user, password.expose(), list.users().fingerprint(user));
        let verified = || self.verified.holds(&name, Instant::now());
        let familiar = self.familiar.holds(pair, Instant::now());
        if familiar && verified() {
            self.throttle.succeeded(pair);
            return Ok(());
        }
        let _place = self.enter(client, pair, familiar)?;
        if !verified() {
            let _turn = match self.lane(pair) {
                Some(lane) => Some(lane.lock().await),
                None => None,
            };
            // What was waited for may have answered both questions.
            self.wait(pair)?;
            if !verified() {
                let permits = Arc::clone(&self.permits);
                let permit = permits.acquire_owned().await.map_err(|_| Refused::Wrong)?;
                if !familiar {
                    self.wait_for_client(client)?;
                }
                // It counts as wrong until it is known to be right: whoever goes
                // away meanwhile leaves the work behind.
                self.throttle.failed(pair, Instant::now());
                self.clients.failed(client, Instant::now());
                let checked = Self::compute(permit, list, user, password).await;
                let checked = checked.ok_or(Refused::Wrong)?;
                self.count(&checked);
                if !checked.right {
                    return Err(Refused::Wrong);
                }
                self.clients.succeeded(client);
                self.verified.remember(name, Instant::now());
            }
        }
        self.throttle.succeeded(pair);
        self.familiar.remember(pair, Instant::now());
        Ok(())
    }

    /// A place among those whose password is looked at. Of whom nobody knows not
    /// even a right one that is remembered is let in without: the refusals of the
    /// others would tell it from them, as fast as somebody can ask.
    fn enter(&self, client: IpAddr, pair: Pair, familiar: bool) -> Result<Place<'_>, Refused> {
        if !familiar {
            self.wait_for_client(client)?;
            return self.queue.enter(Party::Client(client)).ok_or(Refused::Busy);
        }
        self.queue.enter(Party::Pair(pair)).ok_or_else(|| {
            // Here they do tell it, so each of them is a guess.
            self.throttle.failed(pair, Instant::now());
            Refused::Busy
        })
    }

    /// Whether an attempt of this pair comes too soon.
    fn wait(&self, pair: Pair) -> Result<(), Refused> {
        self.throttle.wait(pair, Instant::now()).map_or(Ok(()), |left| Err(Refused::TooSoon(left)))
    }

    /// Whether one of this client does, whoever it says it is.
    fn wait_for_client(&self, client: IpAddr) -> Result<(), Refused> {
        self.clients.wait(client, Instant::now()).map_or(Ok(()), |left| Err(Refused::TooSoon(left)))
    }

    fn count(&self, checked: &Checked) {
        self.comparisons.fetch_add(checked.work.comparisons.into(), Ordering::Relaxed);
        self.rounds.fetch_add(checked.work.rounds, Ordering::Relaxed);
        self.blocks.fetch_add(checked.work.blocks, Ordering::Relaxed);
    }

    async fn compute(
        permit: OwnedSemaphorePermit,
        list: &Arc<AccessList>,
        user: &str,
        password: Secret,
    ) -> Option<Checked> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Alice alone, whose hash is a slow kind and costs next to nothing.
    fn gate() -> Authenticator {
        let cost = Cost { memory: 8, passes: 1, lanes: 1, length: 32 };
        let hash = Argon2id::new("right", b"somesalt", cost).unwrap();
        let mut users = Users::default();
        users.add("alice", Verifier::Argon2id(hash)).unwrap();
        let list = AccessList::new(users, None, TokenKey::random().unwrap()).unwrap();
        Authenticator::new(list).unwrap()
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    async fn log_in(
        gate: &Authenticator,
        from: u8,
        user: &str,
        password: &str,
    ) -> Result<(), Refused> {
        let credentials =
            Credentials::Basic { user: user.to_owned(), password: Secret::new(password) };
        gate.identify(&gate.list(), credentials, client(from), 0).await.map(|_| ())
    }

    #[tokio::test]
    async fn a_right_password_ends_a_row_of_wrong_ones_remembered_or_not() {
        let gate = gate();
        // The second client's right password is remembered from the first one.
        for from in [1, 2] {
            for _ in 0..20 {
                assert_eq!(log_in(&gate, from, "alice", "wrong").await, Err(Refused::Wrong));
                log_in(&gate, from, "alice", "right").await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn names_without_end_make_their_client_wait_but_nobody_who_was_there_before() {
        let gate = gate();
        log_in(&gate, 1, "alice", "right").await.unwrap();
        log_in(&gate, 2, "alice", "right").await.unwrap();
        let mut wrong = 0;
        for name in 0..150 {
            match log_in(&gate, 1, &name.to_string(), "right").await {
                Err(Refused::Wrong) => wrong += 1,
                Err(Refused::TooSoon(left)) => assert!(left <= Duration::from_secs(9)),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!((100..150).contains(&wrong), "{wrong}");

        // So many that none of them is forgotten while this test runs.
        for _ in 0..200 {
            for from in [1, 3] {
                gate.clients.failed(client(from), Instant::now());
            }
        }
        let work = gate.work();
        for (from, user) in [(1, "bob"), (3, "alice")] {
            let refused = log_in(&gate, from, user, "right").await;
            assert!(matches!(refused, Err(Refused::TooSoon(_))), "{from} {user}: {refused:?}");
        }
        assert_eq!(gate.work(), work, "nothing was computed for them");
        assert_eq!(log_in(&gate, 2, "bob", "right").await, Err(Refused::Wrong));
        log_in(&gate, 1, "alice", "right").await.unwrap();
        // Nor where the password is not remembered any more.
        let gate = Authenticator { verified: Verified::new().unwrap(), ..gate };
        assert_eq!(log_in(&gate, 1, "alice", "wrong").await, Err(Refused::Wrong));
        log_in(&gate, 1, "alice", "right").await.unwrap();
    }

    #[tokio::test]
    async fn whoever_finds_no_place_in_the_queue_is_refused_at_once() {
        // Eight places, two for each client.
        let gate = Arc::new(gate().for_connections(16));
        log_in(&gate, 9, "alice", "right").await.unwrap();
        let cores = u32::try_from(gate.permits.available_permits()).unwrap();
        let held = Arc::clone(&gate.permits).acquire_many_owned(cores).await.unwrap();
        let attempt = |from: u8, user: &'static str| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { log_in(&gate, from, user, "wrong").await })
        };
        let mut waiting = vec![attempt(1, "a"), attempt(1, "b")];
        while gate.queue.taken() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(log_in(&gate, 1, "c", "wrong").await, Err(Refused::Busy));
        // A right one that is remembered is not told from a wrong one there.
        assert_eq!(log_in(&gate, 1, "alice", "right").await, Err(Refused::Busy));

        for from in 2..5 {
            waiting.extend(["a", "b"].map(|user| attempt(from, user)));
        }
        while gate.queue.taken() < 8 {
            tokio::task::yield_now().await;
        }
        assert_eq!(log_in(&gate, 6, "a", "wrong").await, Err(Refused::Busy));
        log_in(&gate, 9, "alice", "right").await.unwrap();
        // Here it is, so each refusal is a guess.
        for _ in 0..5 {
            assert_eq!(log_in(&gate, 9, "alice", "wrong").await, Err(Refused::Busy));
        }
        let refused = log_in(&gate, 9, "alice", "right").await;
        assert!(matches!(refused, Err(Refused::TooSoon(_))), "{refused:?}");

        drop(held);
        for attempt in waiting {
            assert_eq!(attempt.await.unwrap(), Err(Refused::Wrong));
        }
        assert_eq!(gate.queue.taken(), 0);
        assert_eq!(log_in(&gate, 1, "c", "wrong").await, Err(Refused::Wrong));
    }

    #[tokio::test]
    async fn whoever_goes_away_has_tried_all_the_same() {
        let gate = gate();
        for _ in 0..5 {
            tokio::select! {
                biased;
                _ = log_in(&gate, 1, "alice", "wrong") => {}
                () = std::future::ready(()) => {}
            }
            // The thread that computes is left behind.
            while gate.permits.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
        }
        let refused = log_in(&gate, 1, "alice", "right").await;
        assert!(matches!(refused, Err(Refused::TooSoon(_))), "{refused:?}");
    }
}
