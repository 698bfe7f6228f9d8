//! Who is connected, and since when they have done nothing. One task looks
//! through the list now and then, so that no connection needs a timer of its
//! own; where all places are taken, the one that was idle longest makes room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::registry::http::waiting::Waiting;
use crate::registry::metrics::{Closed, Metrics};

/// How often connections are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long an honest client takes at most to send what is small.
const PROMPT: Duration = Duration::from_secs(1);
/// How long every new connection may take over its first head, also where there
/// is no other that could make room: places that are taken again at once would
/// else go around before anybody has said a word.
const WELCOME: Duration = Duration::from_millis(100);
/// One of so many idle connections is ended at a time.
const EVICTED_TOGETHER: usize = 64;
/// How long a client is waited for before it counts as slow where others find
/// no place: who pauses for a moment is not.
const PAUSE: Duration = Duration::from_secs(10);
/// The most milliseconds that count between two looks: that the server itself
/// stood still is no client's fault.
const MOST_BETWEEN: u64 = 2_000;
/// No point in time: something has not begun.
const NEVER: u64 = u64::MAX;

/// How patient the server is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// With the head of a request.
    pub head: Duration,
    /// With a connection that does nothing.
    pub idle: Duration,
    /// How many bytes of what is sent a client takes in a second at least, for
    /// as long as it is the client who is waited for; 0 for any.
    pub rate: u64,
    /// Over how long they are counted.
    pub window: Duration,
}

impl Patience {
    /// The bytes that a client takes at least while it is waited for so many
    /// milliseconds.
    fn least(&self, waited: u64) -> u64 {
        self.rate.saturating_mul(waited) / 1000
    }
}

/// Every open connection.
pub struct Roster {
    /// Points in time are milliseconds since then.
    epoch: Instant,
    patience: Patience,
    metrics: Metrics,
    next: AtomicU64,
    /// When all were last looked at.
    looked: AtomicU64,
    members: Mutex<HashMap<u64, Arc<State>>>,
}

/// What one connection does.
struct State {
    /// Requests whose answer has not been sent whole.
    busy: AtomicU32,
    /// Those of them, over HTTP/2, whose answer has begun: the rest is up to the
    /// client, who may take nothing of it and yet answer every ping.
    begun: AtomicU32,
    /// When one of them last went on.
    progress: AtomicU64,
    /// Those of them that only wait for what the client has still to send.
    waiting: Waiting,
    /// When the last one came that has a body.
    asked: AtomicU64,
    /// Since when there is no request, and nothing of an answer left to send.
    idle: AtomicU64,
    /// Since when it waits for its first request; `NEVER` once that was there.
    new: AtomicU64,
    /// Whether a part of an answer may not have been sent: the HTTP library is
    /// done with a body as soon as its last piece waits to be sent.
    unflushed: AtomicBool,
    /// Since when a part of a head is there. HTTP/1 only: HTTP/2 sends frames
    /// that mean nothing.
    head: AtomicU64,
    /// Since when the client takes nothing of what is sent.
    stalled: AtomicU64,
    /// The bytes that went out so far.
    sent: AtomicU64,
    /// For how many milliseconds of this window the client was waited for.
    waited: AtomicU64,
    /// What `sent` was when the window began.
    before: AtomicU64,
    /// Cancelled to end the connection.
    ended: CancellationToken,
}

/// Who makes room before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Takes nothing of its answers, for too long.
    Stuck,
    /// Takes long over a body that nobody asked for, or takes next to nothing of
    /// its answers.
    Slow,
    /// Does nothing, or has such a body on its way.
    Idle,
    /// May still be about to send its first request.
    New,
}

impl State {
    /// Whether nothing is asked and nothing is left to send.
    fn rests(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0 && !self.unflushed.load(Ordering::Acquire)
    }

    /// Since when there is nothing to lose with it but a body that is on its
    /// way, if that is so.
    fn waits(&self) -> Option<u64> {
        let busy = self.busy.load(Ordering::Acquire);
        let waits = busy > 0 && self.waiting.count() >= busy;
        waits.then(|| self.asked.load(Ordering::Relaxed))
    }

    /// In which order it makes room for another connection, if it can.
    fn dispensable(&self, now: u64, patience: Patience) -> Option<(Rank, u64)> {
        if longer(now, self.stuck(), patience.idle) {
            return Some((Rank::Stuck, 0));
        }
        if self.is_slow(patience) {
            let waited = self.waited.load(Ordering::Relaxed);
            return Some((Rank::Slow, now.saturating_sub(waited)));
        }
        if let Some(since) = self.waits() {
            let rank = if longer(now, since, PROMPT) { Rank::Slow } else { Rank::Idle };
            return Some((rank, since));
        }
        if !self.rests() {
            return None;
        }
        let new = self.new.load(Ordering::Relaxed);
        if new == NEVER || longer(now, new, PROMPT) {
            return Some((Rank::Idle, self.idle.load(Ordering::Relaxed)));
        }
        longer(now, new, WELCOME).then_some((Rank::New, new))
    }

    /// Since when no answer goes on because of the client; `NEVER` as long as
    /// one is still being made.
    fn stuck(&self) -> u64 {
        let busy = self.busy.load(Ordering::Acquire);
        if busy > 0 && self.begun.load(Ordering::Acquire) >= busy {
            self.progress.load(Ordering::Relaxed)
        } else {
            NEVER
        }
    }

    /// Whether nothing goes on but by what the client does: the network takes no
    /// more for it, or all that is left of its requests is for it to take, or to
    /// send.
    fn is_waited_for(&self) -> bool {
        if self.stalled.load(Ordering::Relaxed) != NEVER {
            return true;
        }
        let busy = self.busy.load(Ordering::Acquire);
        let begun = self.begun.load(Ordering::Acquire);
        begun > 0 && begun.saturating_add(self.waiting.count()) >= busy
    }

    /// Counts the milliseconds since the last look, if it was the client who was
    /// waited for, and says whether a window of them is over in which it took
    /// too little. A client that takes a byte now and then stalls no connection,
    /// and would else hold its place for ever.
    fn took_too_little(&self, elapsed: u64, patience: Patience) -> bool {
        if patience.rate == 0 || !self.is_waited_for() {
            return false;
        }
        let waited = self.waited.load(Ordering::Relaxed);
        if waited == 0 {
            self.before.store(self.sent.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let waited = waited.saturating_add(elapsed);
        let over = Duration::from_millis(waited) >= patience.window;
        self.waited.store(if over { 0 } else { waited }, Ordering::Relaxed);
        over && self.took() < patience.least(waited).max(1)
    }

    /// Whether the client takes too little of its answers so far.
    fn is_slow(&self, patience: Patience) -> bool {
        let waited = self.waited.load(Ordering::Relaxed);
        patience.rate > 0
            && Duration::from_millis(waited) >= PAUSE
            && self.is_waited_for()
            && self.took() < patience.least(waited)
    }

    /// The bytes that went out in this window.
    fn took(&self) -> u64 {
        let sent = self.sent.load(Ordering::Relaxed);
        sent.saturating_sub(self.before.load(Ordering::Relaxed))
    }
}

impl Roster {
    /// An empty one.
    pub fn new(patience: Patience, metrics: Metrics) -> Self {
        Self {
            epoch: Instant::now(),
            patience,
            metrics,
            next: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            members: Mutex::default(),
        }
    }

    /// How patient the server is.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// A new connection, which is idle.
    pub fn enter(self: &Arc<Self>) -> Member {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(State {
            busy: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            progress: AtomicU64::new(NEVER),
            waiting: Waiting::default(),
            asked: AtomicU64::new(NEVER),
            idle: AtomicU64::new(self.now()),
            new: AtomicU64::new(self.now()),
            unflushed: AtomicBool::new(false),
            head: AtomicU64::new(NEVER),
            stalled: AtomicU64::new(NEVER),
            sent: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            before: AtomicU64::new(0),
            ended: CancellationToken::new(),
        });
        self.lock().insert(id, Arc::clone(&state));
        Member { roster: Arc::clone(self), id, state }
    }

    /// Ends the connection that has been idle longest, so that another one can
    /// be served; of many a few more, since others wait behind that one. Whose
    /// client takes next to nothing goes before, who has just come goes last.
    /// Whether there was any.
    pub fn evict(&self) -> bool {
        let now = self.now();
        let dispensable = |state: &State| state.dispensable(now, self.patience);
        let mut idle: Vec<((Rank, u64), Arc<State>)> = self
            .lock()
            .values()
            .filter(|state| !state.ended.is_cancelled())
            .filter_map(|state| Some((dispensable(state)?, Arc::clone(state))))
            .collect();
        let count = (idle.len() / EVICTED_TOGETHER).max(1);
        if count < idle.len() {
            idle.select_nth_unstable_by_key(count, |(order, _)| *order);
        }
        let longest = idle.iter().take(count);
        longest.map(|(_, state)| self.end(state, Closed::Evicted)).count() > 0
    }

    /// Ends connections on which the server has lost patience, for ever.
    pub async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look();
        }
    }

    /// Ends each connection on which the server has lost patience.
    fn look(&self) {
        let now = self.now();
        let elapsed = now.saturating_sub(self.looked.swap(now, Ordering::Relaxed));
        let Patience { head, idle, .. } = self.patience;
        for state in self.lock().values() {
            let since = |time: &AtomicU64| time.load(Ordering::Relaxed);
            let rests = state.rests()
                && (longer(now, since(&state.idle), idle) || longer(now, since(&state.head), head));
            let takes_nothing =
                longer(now, since(&state.stalled), idle) || longer(now, state.stuck(), idle);
            let too_little = state.took_too_little(elapsed.min(MOST_BETWEEN), self.patience);
            if (rests || takes_nothing || too_little) && !state.ended.is_cancelled() {
                self.end(state, Closed::Idle);
            }
        }
    }

    fn end(&self, state: &State, reason: Closed) {
        state.ended.cancel();
        self.metrics.http.closed(reason);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(NEVER)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<State>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something has lasted so long.
fn longer(now: u64, since: u64, patience: Duration) -> bool {
    since != NEVER && Duration::from_millis(now.saturating_sub(since)) >= patience
}

/// A connection's own entry, which goes when the connection does.
pub struct Member {
    roster: Arc<Roster>,
    id: u64,
    state: Arc<State>,
}

impl Member {
    /// A request is there; the connection is busy until the guard goes.
    ///
    /// Over HTTP/1 the guard goes in the task that sends, before it flushes, so
    /// that the connection stays taken until then. Over HTTP/2 each request has
    /// a task of its own, whose end may come after the last flush; there only
    /// what the client doesn't take at once holds the connection.
    pub fn busy(self: &Arc<Self>, flushes: bool) -> Busy {
        self.state.busy.fetch_add(1, Ordering::AcqRel);
        self.state.head.store(NEVER, Ordering::Relaxed);
        if self.state.new.load(Ordering::Relaxed) != NEVER {
            self.state.new.store(NEVER, Ordering::Relaxed);
        }
        Busy { member: Arc::clone(self), flushes, begun: false }
    }

    /// For a request that has a body: it says so where it only waits for that.
    pub fn waiting(&self) -> Waiting {
        self.state.asked.store(self.roster.now(), Ordering::Relaxed);
        self.state.waiting.clone()
    }

    /// Bytes came in, which over HTTP/1 and without a request begin a head.
    pub fn heard(&self) {
        if self.state.busy.load(Ordering::Relaxed) == 0
            && self.state.head.load(Ordering::Relaxed) == NEVER
        {
            self.state.head.store(self.roster.now(), Ordering::Relaxed);
        }
    }

    /// The client took what was sent, or doesn't.
    pub fn taken(&self, taken: bool) {
        let stalled = &self.state.stalled;
        if taken {
            // A write of the same value would cost other cores their copy.
            if stalled.load(Ordering::Relaxed) != NEVER {
                stalled.store(NEVER, Ordering::Relaxed);
            }
        } else {
            self.state.unflushed.store(true, Ordering::Release);
            if stalled.load(Ordering::Relaxed) == NEVER {
                stalled.store(self.roster.now(), Ordering::Relaxed);
            }
        }
    }

    /// So many bytes went out. Only one task at a time writes to a connection.
    pub fn sent(&self, count: usize) {
        let sent = &self.state.sent;
        let all = sent.load(Ordering::Relaxed).wrapping_add(count as u64);
        sent.store(all, Ordering::Relaxed);
    }

    /// All that waited to be sent has been.
    pub fn flushed(&self) {
        if self.state.unflushed.load(Ordering::Acquire) {
            self.state.idle.store(self.roster.now(), Ordering::Relaxed);
            self.state.unflushed.store(false, Ordering::Release);
        }
    }

    /// Waits until the connection must end.
    pub async fn ended(&self) {
        self.state.ended.cancelled().await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.roster.lock().remove(&self.id);
    }
}

/// One more request on a connection for as long as this is there.
pub struct Busy {
    member: Arc<Member>,
    /// Whether a flush follows for certain.
    flushes: bool,
    /// Whether the rest is up to the client.
    begun: bool,
}

impl Busy {
    /// The answer has begun, or a piece of it was handed over.
    pub fn went_on(&mut self) {
        // Over HTTP/1 a client that takes nothing is seen by what is written.
        if self.flushes {
            return;
        }
        let state = &self.member.state;
        state.progress.store(self.member.roster.now(), Ordering::Relaxed);
        if !self.begun {
            self.begun = true;
            state.begun.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The client has room for the next piece, which is not there yet: until it
    /// goes on nobody waits for the client.
    pub fn held_up(&mut self) {
        if self.begun {
            self.begun = false;
            self.member.state.begun.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let member = &self.member;
        if self.flushes {
            member.state.unflushed.store(true, Ordering::Release);
        }
        member.state.idle.store(member.roster.now(), Ordering::Relaxed);
        // What is left has its own time from here on.
        member.state.progress.store(member.roster.now(), Ordering::Relaxed);
        if self.begun {
            member.state.begun.fetch_sub(1, Ordering::AcqRel);
        }
        member.state.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOR_EVER: Duration = Duration::from_hours(1);

    fn roster(head: Duration, idle: Duration) -> Arc<Roster> {
        let patience = Patience { head, idle, rate: 0, window: FOR_EVER };
        Arc::new(Roster::new(patience, Metrics::default()))
    }

    /// A window is a minute, in which 60 KiB go out.
    const STEADY: Patience =
        Patience { head: FOR_EVER, idle: FOR_EVER, rate: 1024, window: Duration::from_mins(1) };

    fn is_ended(member: &Member) -> bool {
        member.state.ended.is_cancelled()
    }

    #[test]
    fn the_longest_idle_makes_room_and_who_is_busy_stays() {
        let roster = roster(FOR_EVER, FOR_EVER);
        let members: Vec<_> = (0..3).map(|_| Arc::new(roster.enter())).collect();
        for (member, idle) in members.iter().zip([5, 3, 4]) {
            drop(member.busy(false));
            member.state.idle.store(idle, Ordering::Relaxed);
        }
        let busy = members[1].busy(false);
        assert!(roster.evict());
        assert_eq!(
            members.iter().map(|member| is_ended(member)).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert!(roster.evict());
        assert!(is_ended(&members[0]));
        assert!(!roster.evict(), "the one that is left works");
        drop(busy);
        assert!(roster.evict());
        assert!(is_ended(&members[1]));
        drop(members);
        assert!(roster.lock().is_empty());
    }

    #[test]
    fn who_has_just_come_makes_room_last() {
        let roster = roster(FOR_EVER, FOR_EVER);
        let [new, asked] = [(); 2].map(|()| Arc::new(roster.enter()));
        assert!(!roster.evict(), "both may be about to say something");
        drop(asked.busy(false));
        assert!(roster.evict());
        assert!(is_ended(&asked) && !is_ended(&new));
        assert!(!roster.evict());
        std::thread::sleep(WELCOME);
        let newer = roster.enter();
        assert!(roster.evict());
        assert!(is_ended(&new) && !is_ended(&newer));
    }

    #[test]
    fn who_only_waits_for_a_body_makes_room_too() {
        let roster = roster(FOR_EVER, FOR_EVER);
        let [stranger, pusher] = [(); 2].map(|()| Arc::new(roster.enter()));
        let _asked = stranger.busy(true);
        let _pushes = pusher.busy(true);
        let waiting = stranger.waiting();
        let _ = pusher.waiting();
        assert!(!roster.evict(), "the body may be wanted");
        let waits = waiting.begin();
        let _more = stranger.busy(false);
        assert!(!roster.evict(), "another request of it works");
        let _more = waiting.begin();
        drop(waits);
        let _waits = waiting.begin();
        assert!(roster.evict());
        assert!(is_ended(&stranger) && !is_ended(&pusher));
    }

    #[test]
    fn what_is_left_of_an_answer_is_sent_before_its_connection_is_idle() {
        let roster = roster(FOR_EVER, Duration::ZERO);
        let member = Arc::new(roster.enter());
        drop(member.busy(true));
        roster.look();
        assert!(!roster.evict() && !is_ended(&member), "the last piece only waits");
        member.taken(true);
        assert!(!roster.evict(), "a part of it was taken");
        member.state.idle.store(NEVER, Ordering::Relaxed);
        member.flushed();
        assert_ne!(member.state.idle.load(Ordering::Relaxed), NEVER, "idle since now");
        assert!(roster.evict());

        let slow = Arc::new(roster.enter());
        drop(slow.busy(false));
        slow.taken(false);
        slow.taken(true);
        assert!(!roster.evict(), "not all of it was taken");
        slow.flushed();
        roster.look();
        assert!(is_ended(&slow));
    }

    #[test]
    fn who_takes_nothing_of_an_answer_is_ended_and_who_waits_for_one_is_not() {
        let roster = roster(FOR_EVER, Duration::ZERO);
        let member = Arc::new(roster.enter());
        let mut stuck = member.busy(false);
        let made = member.busy(false);
        stuck.went_on();
        roster.look();
        assert!(!roster.evict() && !is_ended(&member), "the second answer is being made");
        drop(made);
        assert!(roster.evict());
        assert!(is_ended(&member));

        let member = Arc::new(roster.enter());
        let mut stuck = member.busy(false);
        stuck.went_on();
        stuck.went_on();
        let mut other = member.busy(true);
        other.went_on();
        roster.look();
        assert!(!is_ended(&member), "over HTTP/1 writing tells");
        drop(other);
        // The test's connection speaks both.
        member.flushed();
        roster.look();
        assert!(is_ended(&member));
        drop(stuck);
        assert_eq!(member.state.begun.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn patience_ends_with_idlers_half_heads_and_those_who_take_nothing() {
        let impatient = roster(FOR_EVER, Duration::ZERO);
        let idle = Arc::new(impatient.enter());
        let works = Arc::new(impatient.enter());
        let _busy = works.busy(false);
        impatient.look();
        assert!(is_ended(&idle) && !is_ended(&works));
        works.taken(false);
        impatient.look();
        assert!(is_ended(&works), "who works but takes nothing");

        let strict = roster(Duration::ZERO, FOR_EVER);
        let silent = strict.enter();
        let half = strict.enter();
        half.heard();
        strict.look();
        assert!(is_ended(&half) && !is_ended(&silent));
        let whole = Arc::new(strict.enter());
        whole.heard();
        let _busy = whole.busy(false);
        whole.heard();
        whole.taken(false);
        whole.taken(true);
        strict.look();
        assert!(!is_ended(&whole));
    }

    #[test]
    fn a_client_takes_so_many_bytes_of_each_window_that_it_is_waited_for() {
        let roster = Arc::new(Roster::new(STEADY, Metrics::default()));
        let member = Arc::new(roster.enter());
        let _busy = member.busy(true);
        // A drop now and then, for a whole window.
        let look = |elapsed: u64, bytes: usize| {
            member.sent(bytes);
            member.taken(true);
            member.taken(false);
            member.state.took_too_little(elapsed, STEADY)
        };
        assert!(!look(50_000, 1 << 20), "what went out before is not counted");
        assert!(look(10_000, 4000));
        // Enough of it, and the next window.
        assert!(!look(50_000, 0));
        assert!(!look(10_000, 61_440));
        assert!(!look(59_999, 0));
        assert!(look(1, 61_000));
        // The time in which it is the server who is waited for.
        assert!(!look(59_999, 0));
        member.taken(true);
        assert!(!member.state.took_too_little(60_000, STEADY), "there is nothing to take");
        let any = Patience { rate: 0, ..STEADY };
        member.taken(false);
        assert!(!member.state.took_too_little(60_000, any));
        assert!(member.state.took_too_little(60_000, STEADY));
    }

    #[test]
    fn a_look_ends_who_takes_too_little_and_no_one_else() {
        let patience = Patience { window: Duration::ZERO, ..STEADY };
        let roster = Arc::new(Roster::new(patience, Metrics::default()));
        let [slow, works, idle] = [(); 3].map(|()| Arc::new(roster.enter()));
        let _busy = [slow.busy(true), works.busy(true)];
        slow.taken(false);
        slow.sent(1);
        works.taken(false);
        works.taken(true);
        roster.look();
        assert!(is_ended(&slow) && !is_ended(&works) && !is_ended(&idle));
    }

    #[test]
    fn who_takes_next_to_nothing_makes_room_before_who_is_idle() {
        let roster = Arc::new(Roster::new(STEADY, Metrics::default()));
        let [slow, steady, idle] = [(); 3].map(|()| Arc::new(roster.enter()));
        let _busy = [slow.busy(true), steady.busy(true)];
        drop(idle.busy(false));
        for (member, bytes) in [(&slow, 4000), (&steady, 20_000)] {
            member.taken(false);
            assert!(!member.state.took_too_little(5_000, STEADY));
            member.sent(bytes);
            assert!(!member.state.is_slow(STEADY), "it may only pause");
            assert!(!member.state.took_too_little(5_000, STEADY));
        }
        assert!(roster.evict());
        assert!(is_ended(&slow) && !is_ended(&idle));
        assert!(roster.evict());
        assert!(is_ended(&idle));
        assert!(!roster.evict());
        assert!(!is_ended(&steady));
    }

    #[test]
    fn over_http_2_who_is_waited_for_is_seen_by_the_answers() {
        let roster = Arc::new(Roster::new(STEADY, Metrics::default()));
        let member = Arc::new(roster.enter());
        let mut begun = member.busy(false);
        assert!(!member.state.is_waited_for(), "the answer is being made");
        begun.went_on();
        assert!(member.state.is_waited_for());
        begun.held_up();
        assert!(!member.state.is_waited_for(), "the next piece is not there yet");
        begun.held_up();
        begun.went_on();
        let other = member.busy(false);
        assert!(!member.state.is_waited_for(), "the other answer is being made");
        let waiting = member.waiting();
        let _waits = waiting.begin();
        assert!(member.state.is_waited_for(), "for a body that nobody needs");
        drop((begun, other));
        assert!(!member.state.is_waited_for());
        assert_eq!(member.state.begun.load(Ordering::Relaxed), 0);
    }
}
