//! Long jobs that the requests shall not feel: a thread of their own that the
//! system runs when nothing else wants to run, and that rests between.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
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

/// How long a job rests for each second that it waited for the disk.
const PER_WAIT: f64 = 3.0;

/// How long it rests at a time at most, so that whoever ends it needn't wait long.
const LONGEST: Duration = Duration::from_millis(100);

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
    /// How long it rests for what it had a core for.
    per_work: f64,
    /// How long it rests for what it waited, for the disk or for a core.
    per_wait: f64,
    since: Instant,
    /// What this thread had had of the cores by then.
    worked: Duration,
    /// What it has earned and not taken.
    owed: Duration,
}

impl Rest {
    /// Takes this share of a core, in percent, and the same of the disk's time, but
    /// a quarter of that at least: what it waits for costs the requests less than what it
    /// works, and a job that rested as long for it would hardly get on where the
    /// disk is busy.
    pub(super) fn new(share: u32) -> Self {
        let share = f64::from(share.clamp(1, 100));
        let per_work = (100.0 - share) / share;
        Self {
            per_work,
            per_wait: per_work.min(PER_WAIT),
            since: Instant::now(),
            worked: thread_time(),
            owed: Duration::ZERO,
        }
    }

    /// Rests if a turn is over; to be called often, by one thread.
    pub(super) fn now_and_then(&mut self) {
        let passed = self.since.elapsed();
        if (passed < TURN && self.owed.is_zero()) || self.per_work <= 0.0 {
            return;
        }
        let worked = thread_time().saturating_sub(self.worked).min(passed);
        std::thread::sleep(self.earn(worked, passed.saturating_sub(worked)));
        (self.since, self.worked) = (Instant::now(), thread_time());
    }

    /// How long it rests now, after this much more work and waiting. What is beyond
    /// [`LONGEST`] it rests later.
    fn earn(&mut self, worked: Duration, waited: Duration) -> Duration {
        self.owed += worked.mul_f64(self.per_work) + waited.mul_f64(self.per_wait);
        let rest = self.owed.min(LONGEST);
        self.owed -= rest;
        rest
    }
}

/// How long this thread has had a core.
fn thread_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
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

    #[test]
    fn waiting_earns_less_rest_than_work_and_all_of_it_is_taken() {
        let ms = Duration::from_millis;
        let due = |share, worked, waited| Rest::new(share).earn(ms(worked), ms(waited));
        assert_eq!(due(10, 1, 0), ms(9));
        assert_eq!(due(10, 0, 1), ms(3));
        assert_eq!(due(10, 1, 2), ms(15));
        assert_eq!(due(80, 4, 4), ms(2), "who may work most of the time rests little for either");
        assert_eq!(due(100, 5, 5), ms(0));
        let mut rest = Rest::new(10);
        assert_eq!(rest.earn(ms(20), ms(10)), LONGEST);
        assert_eq!(rest.earn(ms(1), ms(0)), LONGEST);
        assert_eq!(rest.earn(ms(0), ms(0)), ms(19), "what is left of 219 ms");
        assert_eq!(rest.earn(ms(0), ms(0)), ms(0));
    }

    #[test]
    fn the_time_on_a_core_is_told_from_that_of_waiting() {
        let begun = thread_time();
        std::thread::sleep(Duration::from_millis(20));
        let slept = thread_time().saturating_sub(begun);
        let started = Instant::now();
        while thread_time().saturating_sub(begun) < slept + Duration::from_millis(2) {
            // Fails instead of waiting for ever where the clock stands still.
            assert!(started.elapsed() < Duration::from_secs(30));
        }
        assert!(slept < Duration::from_millis(15), "{slept:?} of a sleep of 20 ms");
    }
}
