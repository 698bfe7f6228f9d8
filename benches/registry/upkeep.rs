//! What pulls feel of a collection and a scrub.

use std::sync::atomic::{AtomicBool, Ordering};

use super::contender::{Contender, Content, blob_path};
use super::plan::Plan;
use super::table::{Goal, OURS, Row};
use super::{Result, content, load};

/// How much slower the slowest pulls may get.
const AT_MOST: f64 = 1.2;

/// Pulls without and with `warren-registry gc` and `scrub` beside them, one
/// after the other and again. Nothing where ours has no such commands.
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
        for _ in 0..plan.rounds {
            let endpoint = &ours.main.endpoint;
            let outcome = load::pull(endpoint, clients, plan.time, &paths, content::BLOCK)?;
            row.add(OURS, outcome.percentile(0.99));
        }
        Ok(())
    };
    let mut quiet = Row::new(title("nothing beside"), "ms", &[]);
    let mut busy = Row::new(title("gc and scrub beside"), "ms", &[]);
    measure(&mut quiet)?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for job in ["gc", "scrub"] {
            let (over, ours) = (&over, &ours);
            scope.spawn(move || {
                let folder = ours.data.to_string_lossy();
                while !over.load(Ordering::Relaxed) {
                    // A scrub lasts longer than the measurement: it is let go of.
                    let started = ours.peer.command(&[job, "--data-dir", &folder]).spawn();
                    let Ok(mut child) = started else { break };
                    while child.try_wait().is_ok_and(|ended| ended.is_none()) {
                        if over.load(Ordering::Relaxed) {
                            let _ = child.kill();
                        }
                        std::thread::sleep(std::time::Duration::from_millis(5));
                    }
                }
            });
        }
        let measured = measure(&mut busy);
        over.store(true, Ordering::Relaxed);
        measured
    })?;
    let limit = quiet.median(OURS).unwrap_or_default() * AT_MOST;
    busy.goals.push(Goal::Under(limit));
    Ok(vec![quiet, busy])
}
