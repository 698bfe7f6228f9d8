//! Long jobs that the requests shall not feel: a thread of their own that the
//! system runs when nothing else wants to run, and that rests between.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::fs::{At as _, FsError};
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

/// Divides the time of a job between work and rest.
pub(super) struct Rest {
    /// How long it rests after each turn.
    rest: Duration,
    since: Instant,
}

impl Rest {
    /// Work for this share of the time, in percent.
    pub(super) fn new(share: u32) -> Self {
        let share = share.clamp(1, 100);
        Self { rest: TURN * (100 - share) / share, since: Instant::now() }
    }

    /// Rests if a turn is over; to be called often.
    pub(super) fn now_and_then(&mut self) {
        if self.since.elapsed() >= TURN && !self.rest.is_zero() {
            // Work that took longer than a turn earns a longer rest.
            let turns = self.since.elapsed().as_secs_f64() / TURN.as_secs_f64();
            std::thread::sleep(self.rest.mul_f64(turns.min(100.0)));
            self.since = Instant::now();
        }
    }
}
