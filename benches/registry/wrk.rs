//! Debian's `wrk` for small answers: it costs less than a client of ours.

use std::process::Command;
use std::time::Duration;

use super::http::Endpoint;
use super::{Result, content, load};

/// Answers a second over `clients` connections.
pub fn get(
    endpoint: &Endpoint,
    path: &str,
    clients: usize,
    time: Duration,
    size: usize,
) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", &clients.to_string()]);
    command.args(["--duration", &format!("{}s", time.as_secs().max(1))]);
    if let Some(authorization) = &endpoint.authorization {
        command.arg("--header").arg(format!("Authorization: {authorization}"));
    }
    // Version 2 of distribution has no OCI manifest for who does not ask for one.
    command.arg("--header").arg(format!("Accept: {}", content::MANIFEST));
    let Ok(output) = command.arg(format!("http://{}{path}", endpoint.address)).output() else {
        eprintln!("wrk is not here: a slower client of our own takes its place");
        return Ok(load::pull(endpoint, clients, time, &[path.to_owned()], size)?.rate());
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    match rate.map(|rate| rate.trim().parse()) {
        Some(Ok(rate)) if !text.contains("Non-2xx") && !text.contains("Socket errors") => Ok(rate),
        _ => Err(format!("wrk {path}: {text}").into()),
    }
}
