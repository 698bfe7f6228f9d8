//! Long jobs that the requests shall not feel: a thread of their own that the
//! system runs when nothing else wants to run, and that rests between.

use std::time::{Duration, Instant};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::oneshot;

use crate::fs::{At as _, FsError};
use crate::registry::store::StoreError;

/// How kind the thread is to others, as `nice` counts.
const NICE: i32 = 19;

/// How long a job works before it rests: once it has a core it may keep a request
/// waiting for that long.
const TURN: Duration = Duration::from_micros(250);

/// What a job may take from the requests.
#[derive(Clone, Copy)]
pub(super) enum Rank {
    /// A small share of the cores even where all are busy: it holds locks that
    /// requests wait for.
    Last,
    /// Only what nobody else wants, of the cores and of the disk. It holds nothing
    /// that a request waits for, but while it sets damaged content aside.
    Idle,
}

/// Runs a job in a thread of low priority.
pub(super) async fn run<T: Send + 'static>(
    name: &str,
    rank: Rank,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        if let Rank::Idle = rank {
            be_idle();
        }
        yield_to_others();
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

/// Has the system run this thread, and those that it starts from now on, when
/// nothing else wants to run. Where that isn't allowed the rests alone must do.
pub(crate) fn yield_to_others() {
    let own = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(own), NICE);
}

/// Has the system run this thread where a core has nothing else to do, and stop it
/// as soon as it has.
fn be_idle() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy of this thread and how nice it is, as the system tells them
    /// (`proc_pid_stat(5)`, fields 41 and 19).
    fn own() -> (String, String) {
        let text = crate::fs::read_to_string("/proc/thread-self/stat".as_ref()).unwrap();
        // The name may have spaces, and ends with the last bracket.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[41 - 3].to_owned(), fields[19 - 3].to_owned())
    }

    #[tokio::test]
    async fn a_job_has_the_priority_of_its_rank() {
        let (policy, _) = run("last", Rank::Last, own).await.unwrap();
        assert_eq!(policy, "0");
        assert_eq!(run("last", Rank::Last, own).await.unwrap().1, "19");
        assert_eq!(run("idle", Rank::Idle, own).await.unwrap(), ("5".to_owned(), "19".to_owned()));
        assert_eq!(own().0, "0", "whoever waits for it is what it was");
    }
}
