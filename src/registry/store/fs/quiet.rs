//! Long jobs that the requests shall not feel: a thread of their own that the
//! system runs when nothing else wants to run, and that rests between.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fs::{self, At as _, FsError};
use crate::registry::store::StoreError;

/// How kind the thread is to others, as `nice` counts.
const NICE: i32 = 19;

/// How long a job works before it rests.
const TURN: Duration = Duration::from_millis(1);

/// Runs a job in a thread of low priority.
pub(super) async fn run<T: Send + 'static>(
    name: &str,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        // Where that isn't allowed the rests alone must do.
        let own = rustix::thread::gettid();
        let _ = rustix::process::setpriority_process(Some(own), NICE);
        let _ = sender.send(job());
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .at("start a thread for", name.as_ref())?;
    receiver.await.map_err(|_| {
        let source = std::io::Error::other("the thread ended early");
        StoreError::from(FsError { step: "run", path: name.into(), source })
    })
}

/// Divides the time of a job between work and rest. Time in which it would have
/// worked and others had the processor is neither: on a busy machine it has
/// rested already.
pub(super) struct Rest {
    /// How long it rests after each turn.
    rest: Duration,
    since: Instant,
    /// How long the thread had waited for a processor by then.
    waited: Duration,
}

impl Rest {
    /// Work for this share of the time, in percent.
    pub(super) fn new(share: u32) -> Self {
        let share = share.clamp(1, 100);
        Self { rest: TURN * (100 - share) / share, since: Instant::now(), waited: waited() }
    }

    /// Rests if a turn is over; to be called often, by one thread.
    pub(super) fn now_and_then(&mut self) {
        if self.since.elapsed() >= TURN && !self.rest.is_zero() {
            let waited = waited().saturating_sub(self.waited);
            std::thread::sleep(self.earned(self.since.elapsed(), waited));
            (self.since, self.waited) = (Instant::now(), self::waited());
        }
    }

    /// The rest after so much time, in some of which others had the processor.
    /// Work that took longer than a turn earns a longer one.
    fn earned(&self, took: Duration, waited: Duration) -> Duration {
        let worked = took.saturating_sub(waited);
        let turns = worked.as_secs_f64() / TURN.as_secs_f64();
        self.rest.mul_f64(turns.min(100.0))
    }
}

/// How long this thread has waited for a processor since it began; nothing
/// where the system doesn't tell.
fn waited() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat".as_ref());
    told.ok().and_then(|told| waited_of(&told)).unwrap_or_default()
}

/// The second number of the kernel's `schedstat`, in nanoseconds
/// (Documentation/scheduler/sched-stats).
fn waited_of(told: &str) -> Option<Duration> {
    let nanos = told.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_of_the_time_is_no_work() {
        let rest = Rest::new(25);
        let millis = Duration::from_millis;
        assert_eq!(rest.earned(millis(10), millis(0)), millis(30));
        assert_eq!(rest.earned(millis(10), millis(9)), millis(3));
        assert_eq!(rest.earned(millis(10), millis(11)), millis(0), "the clocks differ a little");
        assert_eq!(rest.earned(millis(1000), millis(0)), millis(300), "at most");
        assert_eq!(waited_of("617608 2500 3\n"), Some(Duration::from_nanos(2500)));
        assert_eq!(waited_of(""), None);
    }
}
