//! What pulls feel of a collection and a scrub.

use std::fs::{File, FileTimes};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use warren::fs;

use super::contender::{Contender, Content, blob_path};
use super::plan::Plan;
use super::table::{Goal, OURS, Row};
use super::{Result, content, load};

/// How much slower the slowest pulls may get.
const AT_MOST: f64 = 1.2;

/// After how long both jobs are at work.
const BEGUN: Duration = Duration::from_millis(300);

/// How long nobody has touched what the collections find, far beyond every lease.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// Pulls without and with `warren-registry gc` and `scrub` beside them, in turn, so
/// that a slow minute of the machine is that of both. Nothing where ours has no such
/// commands.
pub fn beside(plan: &Plan, everyone: &[Contender<'_>], content: &Content) -> Result<Vec<Row>> {
    let Some(ours) = everyone.iter().find(|contender| contender.peer.name == OURS) else {
        return Ok(Vec::new());
    };
    let help = ours.peer.command(&["gc", "--help"]).status();
    if !help.is_ok_and(|status| status.success()) {
        eprintln!("upkeep: this registry has no gc and scrub yet; skipped");
        return Ok(Vec::new());
    }
    let paths: Vec<String> = content.layers.iter().map(|(digest, _)| blob_path(digest)).collect();
    let clients = plan.clients[0];
    let title = |how: &str| format!("1 MiB layers, {clients} clients, p99, {how}");
    let measure = |row: &mut Row| -> Result<()> {
        let endpoint = &ours.main.endpoint;
        let outcome = load::pull(endpoint, clients, plan.time, &paths, content::BLOCK)?;
        row.add(OURS, outcome.percentile(0.99));
        Ok(())
    };
    let mut quiet = Row::new(title("nothing beside"), "ms", &[]);
    let mut busy = Row::new(title("gc and scrub beside"), "ms", &[]);
    let (mut written, mut left) = (0, 0);
    // Two figures whose ratio is the goal need more rounds than those that are alone.
    let rounds = 3 * plan.rounds;
    for round in 0..rounds {
        let litter = litter(&ours.data, round, plan.litter / rounds)?;
        if round % 2 == 0 {
            measure(&mut quiet)?;
        }
        while_jobs_run(ours, || measure(&mut busy))?;
        if round % 2 == 1 {
            measure(&mut quiet)?;
        }
        written += litter.len();
        left += litter.iter().filter(|path| path.exists()).count();
    }
    eprintln!("upkeep: {} of {written} contents were removed beside the pulls", written - left);
    if left == written {
        return Err("the collections beside the pulls removed nothing".into());
    }
    let limit = quiet.median(OURS).unwrap_or_default() * AT_MOST;
    busy.goals.push(Goal::Under(limit));
    Ok(vec![quiet, busy])
}

/// Measures while one collection and one scrub after the other run.
fn while_jobs_run(ours: &Contender<'_>, measure: impl FnOnce() -> Result<()>) -> Result<()> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for job in ["gc", "scrub"] {
            let over = &over;
            scope.spawn(move || {
                let folder = ours.data.to_string_lossy();
                while !over.load(Ordering::Relaxed) {
                    // Either may last longer than the measurement: it is let go of.
                    let started = ours.peer.command(&[job, "--data-dir", &folder]).spawn();
                    let Ok(mut child) = started else { break };
                    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
                        if over.load(Ordering::Relaxed) {
                            let _ = child.kill();
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
        // To start a program is no part of its work.
        std::thread::sleep(BEGUN);
        let measured = measure();
        over.store(true, Ordering::Relaxed);
        measured
    })
}

/// Writes contents that no repository holds, for the collections to remove.
/// `src/registry/store/fs/layout.rs` says what is where.
fn litter(data: &Path, round: usize, count: usize) -> Result<Vec<PathBuf>> {
    let times = FileTimes::new().set_modified(SystemTime::now() - MONTH);
    let mut paths = Vec::new();
    for number in 0..count {
        let bytes = format!("litter {number} of {round}");
        let digest = content::digest(bytes.as_bytes());
        let hex = digest.trim_start_matches("sha256:");
        let shard = data.join("blobs/sha256").join(&hex[..2]);
        fs::create_dir_all(&shard)?;
        let path = shard.join(hex);
        let mut file = File::create(&path)?;
        file.write_all(bytes.as_bytes())?;
        file.set_times(times)?;
        paths.push(path);
    }
    rustix::fs::sync();
    Ok(paths)
}
