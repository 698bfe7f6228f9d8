//! The memory for bodies that are read only once they are there whole.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::{ErrorCode, RegistryError};

/// How long a body waits for its room: as long as those before it take.
const PATIENCE: Duration = Duration::from_secs(10);

/// After how many seconds a client that found no room may try again.
const RETRY_AFTER: u8 = 2;

/// Room is given away in pieces of so many bytes.
const PIECE: usize = 1024;

/// What a body costs beside its bytes, so that their number is limited too.
const LEAST: usize = 4096;

/// Room for the bodies of those who may push. Who needs a part of it gets all
/// of it at once, before the body is read: two that have half each would wait
/// for each other. Nobody gets more than half, so that one client can't keep
/// the others waiting.
#[derive(Debug)]
pub struct Room {
    /// Held by who makes something of a body, which takes many times its bytes.
    turn: Arc<Semaphore>,
    all: Arc<Semaphore>,
    each: usize,
    clients: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// A part of the room, for as long as this is there.
#[derive(Debug)]
pub struct Part {
    turn: Arc<Semaphore>,
    _all: OwnedSemaphorePermit,
    _each: OwnedSemaphorePermit,
}

impl Part {
    /// Waits until nobody else makes something of a body, and keeps others from
    /// it as long as the result is there.
    ///
    /// # Errors
    /// None in practice: the turns don't end.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, RegistryError> {
        Arc::clone(&self.turn).acquire_owned().await.map_err(RegistryError::internal)
    }
}

impl Room {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let pieces = (bytes / PIECE).clamp(2, Semaphore::MAX_PERMITS);
        let (all, each) = (Arc::new(Semaphore::new(pieces)), pieces / 2);
        let turn = Arc::new(Semaphore::new(1));
        Self { turn, all, each, clients: Mutex::default() }
    }

    /// Waits for room for a body of so many bytes.
    ///
    /// # Errors
    /// `TOOMANYREQUESTS` where there is none in time.
    pub async fn take(&self, client: IpAddr, bytes: usize) -> Result<Part, RegistryError> {
        let pieces = bytes.div_ceil(PIECE).min(self.each);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let own = self.client(client);
        let taken = tokio::time::timeout(PATIENCE, async {
            // In this order: who waits for its own share keeps nothing from others.
            let each = own.acquire_many_owned(pieces).await;
            let all = Arc::clone(&self.all).acquire_many_owned(pieces).await;
            let turn = Arc::clone(&self.turn);
            each.and_then(|each| Ok(Part { turn, _all: all?, _each: each }))
        });
        match taken.await {
            Ok(part) => part.map_err(RegistryError::internal),
            Err(_) => Err(no_room("too many large manifests are under way; come back in a moment")),
        }
    }

    /// The share of a client, which is forgotten with the last that has a part
    /// of it.
    fn client(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut clients = lock(&self.clients);
        if let Some(own) = clients.get(&client).and_then(Weak::upgrade) {
            return own;
        }
        clients.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.each));
        clients.insert(client, Arc::downgrade(&own));
        own
    }
}

/// Room for the bodies of those who need not show who they are. Where it is
/// full the one that has been arriving longest gives way: what is sent at once
/// is there in milliseconds, and who sends slowly to be in the way isn't.
#[derive(Debug)]
pub struct Arrivals {
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    held: usize,
    arriving: BTreeMap<u64, (usize, CancellationToken)>,
}

impl Arrivals {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { most: bytes, queue: Mutex::default() }
    }

    /// A body begins to arrive.
    #[must_use]
    pub fn begin(&self) -> Arrival<'_> {
        let mut queue = lock(&self.queue);
        let (id, ended) = (queue.next, CancellationToken::new());
        queue.next += 1;
        queue.arriving.insert(id, (0, ended.clone()));
        queue.grow(id, LEAST, self.most);
        Arrival { arrivals: self, id, ended }
    }
}

impl Queue {
    /// A body has so many bytes now; the oldest others make room for it.
    fn grow(&mut self, id: u64, bytes: usize, most: usize) {
        let Some((held, _)) = self.arriving.get_mut(&id) else { return };
        let more = bytes.saturating_sub(*held);
        *held += more;
        self.held += more;
        while self.held > most {
            let Some(oldest) = self.arriving.keys().copied().find(|other| *other != id) else {
                return;
            };
            self.end(oldest);
        }
    }

    fn end(&mut self, id: u64) {
        if let Some((held, ended)) = self.arriving.remove(&id) {
            self.held -= held;
            ended.cancel();
        }
    }
}

/// A body that arrives, or waits to be read.
#[derive(Debug)]
pub struct Arrival<'a> {
    arrivals: &'a Arrivals,
    id: u64,
    ended: CancellationToken,
}

impl Arrival<'_> {
    /// The body has so many bytes now.
    pub fn grow(&self, bytes: usize) {
        lock(&self.arrivals.queue).grow(self.id, bytes.max(LEAST), self.arrivals.most);
    }

    /// Goes on with something unless the body has to give way.
    ///
    /// # Errors
    /// `TOOMANYREQUESTS` where it has to.
    pub async fn unless_ended<T>(
        &self,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => {
                Err(no_room("too many requests arrive at the same time; come back in a moment"))
            }
            done = work => done,
        }
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        lock(&self.arrivals.queue).end(self.id);
    }
}

fn no_room(message: &str) -> RegistryError {
    RegistryError::new(ErrorCode::TooManyRequests, message)
        .with_header("retry-after", RETRY_AFTER.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn one_client_gets_half_of_the_room_and_another_the_rest() {
        let room = Room::new(16 * PIECE);
        let [one, two] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let first = room.take(one, 8 * PIECE).await.unwrap();
        let mut second = Box::pin(room.take(one, 1));
        tokio::select! {
            biased;
            _ = &mut second => panic!("more than its share"),
            () = std::future::ready(()) => {}
        }
        let other = room.take(two, 8 * PIECE - 1).await.unwrap();
        drop(first);
        drop((second.await.unwrap(), other));
        assert_eq!(room.all.available_permits(), 16);
        // More than the share is as much as the share.
        drop(room.take(one, usize::MAX).await.unwrap());
        assert_eq!(lock(&room.clients).len(), 1, "who has nothing is forgotten");
    }

    #[tokio::test]
    async fn the_oldest_arrival_makes_room() {
        let arrivals = Arrivals::new(4 * LEAST);
        let [slow, next] = [arrivals.begin(), arrivals.begin()];
        slow.grow(2 * LEAST);
        let ended = async |arrival: &Arrival<'_>| {
            arrival.unless_ended(std::future::ready(Ok(()))).await.is_err()
        };
        assert!(!ended(&slow).await);
        let quick = arrivals.begin();
        quick.grow(2 * LEAST);
        assert!(ended(&slow).await && !ended(&next).await && !ended(&quick).await);
        // One alone may have it all, and more.
        quick.grow(5 * LEAST);
        assert!(ended(&next).await && !ended(&quick).await);
        drop((slow, next, quick));
        assert_eq!(lock(&arrivals.queue).held, 0);
    }
}
