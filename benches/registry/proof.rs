//! That everyone does the same work: refuses wrong bytes, and syncs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use warren::fs;

use super::Result;
use super::contender::{Contender, push};
use super::content;

/// What was found out about a registry.
pub struct Proof {
    /// Who.
    pub name: &'static str,
    /// How it took bytes that aren't those of their digest.
    pub wrong_bytes: String,
    /// The syncs of one push of 64 KiB, as the system sees them.
    pub syncs: String,
}

/// Pushes wrong bytes and then right ones under the eyes of `strace`.
pub fn prove(contender: &Contender<'_>, folder: &Path) -> Result<Proof> {
    let endpoint = &contender.main.endpoint;
    let bytes = content::random(77, 64 * 1024);
    let wrong_bytes = match push(endpoint, &content::digest(b"something else"), &bytes) {
        Ok(()) => return Err(format!("{} took wrong bytes", contender.peer.name).into()),
        Err(error) => refusal(&error.to_string()),
    };
    let syncs = syncs(contender, &bytes, folder)?;
    Ok(Proof { name: contender.peer.name, wrong_bytes, syncs })
}

/// The status of a refusal.
fn refusal(error: &str) -> String {
    let status = error.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() == 3);
    format!("refused ({})", status.unwrap_or("connection closed"))
}

const CALLS: [&str; 6] = ["fsync", "fdatasync", "syncfs", "sync_file_range", "msync", "sync"];

fn syncs(contender: &Contender<'_>, bytes: &[u8], folder: &Path) -> Result<String> {
    let log = folder.join(format!("strace-{}", contender.main.pid()));
    let started = Command::new("strace")
        .args(["-f", "-qq", "-e", &format!("trace={}", CALLS.join(",")), "-o"])
        .arg(&log)
        .args(["-p", &contender.main.pid().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut strace) = started else {
        push(&contender.main.endpoint, &content::digest(bytes), bytes)?;
        return Ok("not looked at: strace is not here".to_owned());
    };
    // There is no sign of it being attached but in /proc.
    let status = format!("/proc/{}/status", contender.main.pid());
    for _ in 0..100 {
        let text = fs::read_to_string(Path::new(&status))?;
        if text.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(100));
    let pushed = push(&contender.main.endpoint, &content::digest(bytes), bytes);
    let pid = rustix::process::Pid::from_child(&strace);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    strace.wait()?;
    pushed?;
    let text = fs::read_to_string(&log)?;
    let count =
        |call: &str| text.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    let seen: Vec<String> = CALLS
        .iter()
        .map(|call| (call, count(call)))
        .filter(|(_, count)| *count > 0)
        .map(|(call, count)| format!("{count} {call}"))
        .collect();
    Ok(if seen.is_empty() { "none: **it does not sync**".to_owned() } else { seen.join(", ") })
}
