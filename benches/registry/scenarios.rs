//! What is measured with the servers side by side: in each round everyone in
//! turn, so that a slow minute of the machine is everyone's.

use std::time::Instant;

use super::contender::{Contender, Content, REPOSITORY, blob_path, manifest_path, push_large};
use super::content::{self, Large};
use super::http::{Client, Endpoint};
use super::plan::Plan;
use super::table::{Goal, Row};
use super::{Result, limits, load, wrk};

const MIB: f64 = 1024.0 * 1024.0;

/// How often the large blob is pulled in each round: it takes half a second.
const PULLS: usize = 3;

/// Everyone, in a round's own order: who begins has what the round before left
/// to the disk.
fn in_turn<'a>(
    everyone: &'a [Contender<'a>],
    round: usize,
) -> impl Iterator<Item = &'a Contender<'a>> {
    everyone.iter().cycle().skip(round).take(everyone.len())
}

/// Calls `measure` for everyone in each round.
fn each<'a>(
    plan: &Plan,
    everyone: &'a [Contender<'a>],
    mut measure: impl FnMut(usize, &'a Contender<'a>) -> Result<()>,
) -> Result<()> {
    for round in 0..plan.rounds {
        for contender in in_turn(everyone, round) {
            measure(round, contender)
                .map_err(|error| format!("{}: {error}", contender.peer.name))?;
        }
    }
    Ok(())
}

/// Manifests of 4 KiB over 32 connections.
pub fn manifests(plan: &Plan, everyone: &[Contender<'_>]) -> Result<Vec<Row>> {
    let goals = [Goal::TimesBest(5.0), Goal::OfNginx(1.0 / 3.0)];
    let mut users =
        Row::new("4 KiB manifest, 32 connections, users, password each time", "req/s", &goals);
    let mut token =
        Row::new("the same, ours with a token, the others without users", "req/s", &goals);
    let measure = |endpoint: &Endpoint| wrk::get(endpoint, &manifest_path(), 32, plan.time, 4096);
    each(plan, everyone, |_, contender| {
        let name = contender.peer.name;
        let main = measure(&contender.main.endpoint)?;
        token.add(name, main);
        users.add(name, contender.basic.as_ref().map_or(Ok(main), measure)?);
        Ok(())
    })?;
    Ok(vec![users, token])
}

/// The large blob over one connection, plain and TLS.
pub fn large_pulls(plan: &Plan, everyone: &[Contender<'_>], content: &Content) -> Result<Vec<Row>> {
    let title = |how: &str| format!("pull of {} MiB, {how}", plan.large);
    let mut bare = Row::new(title("plain"), "MiB/s", &[Goal::OfNginx(0.95)]);
    let mut tls = Row::new(title("TLS"), "MiB/s", &[Goal::OfNginx(0.95)]);
    let pull = |endpoint: &Endpoint| -> Result<f64> {
        let mut client = Client::connect(endpoint)?;
        let start = Instant::now();
        client.send("GET", &blob_path(&content.large.digest), "", 0)?;
        let head = client.head()?;
        let size = client.skip(&head)?;
        if head.status != 200 || size != content.large.size() {
            return Err(format!("{head:?} and {size} bytes").into());
        }
        Ok(size as f64 / MIB / start.elapsed().as_secs_f64())
    };
    for contender in everyone {
        // From the disk into the memory of the system, alike for everyone.
        pull(&contender.main.endpoint)?;
        pull(&contender.tls.endpoint)?;
    }
    each(plan, everyone, |_, contender| {
        for _ in 0..PULLS {
            bare.add(contender.peer.name, pull(&contender.main.endpoint)?);
            tls.add(contender.peer.name, pull(&contender.tls.endpoint)?);
        }
        Ok(())
    })?;
    Ok(vec![bare, tls])
}

/// Layers of 1 MiB for some, many and very many clients.
pub fn layers(plan: &Plan, everyone: &[Contender<'_>], content: &Content) -> Result<Vec<Row>> {
    let paths: Vec<String> = content.layers.iter().map(|(digest, _)| blob_path(digest)).collect();
    let mut rows = Vec::new();
    for clients in plan.clients {
        let title = |what: &str| format!("1 MiB layers, {clients} clients{what}");
        let mut rate = Row::new(title(""), "req/s", &[Goal::TimesBest(1.3)]);
        let mut median = Row::new(title(", p50"), "ms", &[Goal::NoWorse]);
        median.goals.clear();
        let mut slow = Row::new(title(", p99"), "ms", &[Goal::NoWorse]);
        each(plan, everyone, |_, contender| {
            let endpoint = &contender.main.endpoint;
            let outcome = load::pull(endpoint, clients, plan.time, &paths, content::BLOCK)?;
            rate.add(contender.peer.name, outcome.rate());
            median.add(contender.peer.name, outcome.percentile(0.5));
            slow.add(contender.peer.name, outcome.percentile(0.99));
            Ok(())
        })?;
        rows.extend([rate, median, slow]);
    }
    Ok(rows)
}

/// The large blob pushed, and many small ones, with what the machine can do.
pub fn pushes(
    plan: &Plan,
    everyone: &[Contender<'_>],
    folder: &std::path::Path,
) -> Result<Vec<Row>> {
    let mut machine = Vec::new();
    let mut large_row =
        Row::new(format!("push of {} MiB", plan.large), "MiB/s", &[Goal::TimesBest(2.0)]);
    let mut small_row =
        Row::new(format!("push of {} layers of 16 KiB, 16 connections", plan.small), "push/s", &[]);
    let mut slow_row = Row::new("the same, p99", "ms", &[Goal::NoWorse]);
    // What many connections have beyond it is what their syncs share.
    let alone = plan.small / 5;
    let mut alone_row =
        Row::new(format!("push of {alone} layers of 16 KiB, one connection"), "push/s", &[]);
    let mut sha = Row::new("limit: SHA-256 on one core", "MiB/s", &[]);
    let mut disk = Row::new("limit: write and sync to the disk", "MiB/s", &[]);
    let mut file = Row::new("limit: create, sync, rename, sync the folder", "ms", &[]);
    for round in 0..plan.rounds {
        // Other bytes each time, or a registry might have them already.
        let large = Large::new(100 + round as u64, plan.large);
        let each = plan.small + alone;
        let mut small: Vec<_> = (0..each)
            .map(|number| content::random((10_000 + round * each + number) as u64, 16 * 1024))
            .map(|bytes| (content::digest(&bytes), bytes))
            .collect();
        let few = small.split_off(plan.small);
        let hashed = limits::sha256(&large) / MIB;
        rustix::fs::sync();
        let written = limits::disk(folder, &large)? / MIB;
        sha.add("machine", hashed);
        disk.add("machine", written);
        file.add("machine", limits::small_file(folder, 200)?);
        machine.push(hashed.min(written));
        let registry = |contender: &&Contender<'_>| contender.peer.is_registry();
        for contender in in_turn(everyone, round).filter(registry) {
            let name = contender.peer.name;
            let endpoint = &contender.main.endpoint;
            let said = |error| format!("{name}: {error}");
            rustix::fs::sync();
            let start = Instant::now();
            push_large(endpoint, &large).map_err(said)?;
            large_row.add(name, plan.large as f64 / start.elapsed().as_secs_f64());
            rustix::fs::sync();
            let outcome = load::push(endpoint, 16, REPOSITORY, &small).map_err(said)?;
            small_row.add(name, outcome.rate());
            slow_row.add(name, outcome.percentile(0.99));
            alone_row.add(name, load::push(endpoint, 1, REPOSITORY, &few).map_err(said)?.rate());
        }
    }
    machine.sort_by(f64::total_cmp);
    let limit = machine.get(machine.len() / 2).copied().unwrap_or_default();
    large_row.goals.push(Goal::AtLeast(0.7 * limit));
    Ok(vec![large_row, small_row, slow_row, alone_row, sha, disk, file])
}

/// The memory that each process took at most, over all of the above.
pub fn memory(everyone: &[Contender<'_>]) -> Result<Row> {
    let mut row = Row::new("memory at its peak, all of the above", "MiB", &[Goal::Under(64.0)]);
    for contender in everyone.iter().filter(|contender| contender.peer.is_registry()) {
        let tls = contender.tls.peak()?;
        row.add(contender.peer.name, contender.main.peak()?.max(tls) as f64 / 1024.0);
    }
    Ok(row)
}
