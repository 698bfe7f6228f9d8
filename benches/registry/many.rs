//! What a large store costs: starting over it, and pages of its lists.

use std::path::Path;
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::http::{Client, Endpoint};
use super::load::percentile;
use super::peer::{Mode, Peer};
use super::plan::Plan;
use super::secrets::Secrets;
use super::table::{Goal, OURS, Row};
use super::{Result, bulk, limits};

/// From the start of a process to its first answer, and its memory then.
pub fn starts(plan: &Plan, peers: &[Peer], folder: &Path, secrets: &Secrets) -> Result<Vec<Row>> {
    let blobs = plan.repositories * plan.blobs_each;
    let goal = [Goal::Under(15.0)];
    let mut empty = Row::new("start to first answer, empty store", "ms", &goal);
    let mut full = Row::new(
        format!("the same, {blobs} blobs in {} repositories", plan.repositories),
        "ms",
        &goal,
    );
    let mut idle = Row::new("memory when idle", "MiB", &[Goal::Under(12.0)]);
    for round in 0..plan.rounds.max(3) {
        for peer in peers.iter().filter(|peer| peer.is_registry()) {
            let mode = if peer.name == super::table::OURS { Mode::Users } else { Mode::Open };
            let data = folder.join(format!("empty-{}-{round}", peer.name.replace(' ', "-")));
            let server = peer.start(mode, &data, folder, secrets)?;
            empty.add(peer.name, limits::milliseconds(server.started));
            std::thread::sleep(Duration::from_millis(200));
            idle.add(peer.name, server.resident()? as f64 / 1024.0);
            drop(server);
            if let Some(data) = bulk::make(peer, plan, folder.parent().unwrap_or(folder))? {
                let server = peer.start(mode, &data, folder, secrets)?;
                full.add(peer.name, limits::milliseconds(server.started));
            }
        }
    }
    Ok(vec![empty, full, idle])
}

/// Pages of lists, from different places of them.
pub fn lists(plan: &Plan, peers: &[Peer], folder: &Path, secrets: &Secrets) -> Result<Vec<Row>> {
    let goal = [Goal::Under(5.0)];
    let tags_title = format!("page of 100 of {} tags", plan.tags);
    let catalog_title = format!("catalog page of 100 of {} repositories", plan.repositories);
    let mut rows = Vec::new();
    for title in [&tags_title, &catalog_title] {
        rows.push(Row::new(format!("{title}, p50"), "ms", &[]));
        rows.push(Row::new(format!("{title}, p99"), "ms", &goal));
    }
    for peer in peers.iter().filter(|peer| peer.is_registry()) {
        let Some(data) = bulk::make(peer, plan, folder.parent().unwrap_or(folder))? else {
            continue;
        };
        let server = peer.start(Mode::Open, &data, folder, secrets)?;
        let tags = |number: usize| {
            format!(
                "/v2/{}/tags/list?n=100&last={}",
                bulk::TAGGED,
                bulk::tag(spread(number, plan.tags))
            )
        };
        let catalog = |number: usize| {
            format!(
                "/v2/_catalog?n=100&last={}",
                bulk::repository(spread(number, plan.repositories))
            )
        };
        let took = [
            pages(&server.endpoint, plan.pages, &tags)?,
            pages(&server.endpoint, plan.pages, &catalog)?,
        ];
        if peer.name == OURS {
            rows.extend(reviews(plan, &server.endpoint)?);
        }
        for (index, took) in took.iter().enumerate() {
            rows[2 * index].add(peer.name, percentile(took, 0.5));
            rows[2 * index + 1].add(peer.name, percentile(took, 0.99));
        }
    }
    Ok(rows)
}

/// An API server's questions about a pod of three images, one of which is in
/// the store.
fn reviews(plan: &Plan, endpoint: &Endpoint) -> Result<[Row; 2]> {
    let local = format!("localhost/{}:{}", bulk::TAGGED, bulk::tag(0));
    let review = serde_json::json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "u", "operation": "CREATE", "object": {"spec": {
            "initContainers": [{"image": "quay.io/team/init:1"}],
            "containers": [{"image": local}, {"image": "quay.io/team/side:1"}],
        }}},
    });
    let review = serde_json::to_vec(&review)?;
    let mut client = Client::connect(endpoint)?;
    let mut took = Vec::new();
    for _ in 0..plan.pages * 10 {
        let start = Instant::now();
        let (head, body) = client.call("POST", "/validate-image", "", &review)?;
        took.push(start.elapsed());
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        if head.status != 200 || answer["response"]["allowed"] != true {
            return Err(format!("/validate-image: {head:?} {answer}").into());
        }
    }
    took.sort_unstable();
    let title = "review of a pod of three images";
    let mut median = Row::new(format!("{title}, p50"), "ms", &[]);
    let mut slow = Row::new(format!("{title}, p99"), "ms", &[Goal::Under(10.0)]);
    median.add(OURS, percentile(&took, 0.5));
    slow.add(OURS, percentile(&took, 0.99));
    Ok([median, slow])
}

/// A number below `below` that jumps about.
fn spread(number: usize, below: usize) -> usize {
    number.wrapping_mul(7919) % below
}

/// How long each page took, sorted. A registry that is slow is asked for
/// fewer pages.
fn pages(
    endpoint: &Endpoint,
    count: usize,
    path: &dyn Fn(usize) -> String,
) -> Result<Vec<Duration>> {
    let mut client = Client::connect(endpoint)?;
    let begun = Instant::now();
    let mut took = Vec::new();
    for number in 0..count {
        let start = Instant::now();
        let (head, body) = client.call("GET", &path(number), "", b"")?;
        took.push(start.elapsed());
        if head.status != 200 || body.is_empty() {
            return Err(format!("{}: {head:?}", path(number)).into());
        }
        if begun.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    took.sort_unstable();
    Ok(took)
}

/// Our memory after everything, once nobody asks any more.
pub fn afterwards(everyone: &[Contender<'_>]) -> Result<Row> {
    let mut row = Row::new("memory after it all", "MiB", &[]);
    for contender in everyone.iter().filter(|contender| contender.peer.is_registry()) {
        row.add(contender.peer.name, contender.main.resident()? as f64 / 1024.0);
    }
    Ok(row)
}
