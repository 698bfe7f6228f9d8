//! The figures in `docs/benchmarks.md`, between two markers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use warren::fs::{self, Access};

use super::Result;
use super::peer::Peer;
use super::proof::Proof;

const BEGIN: &str = "<!-- bench-registry: begin, written by `just bench-registry` -->\n";
/// What the server is made of: the commit that is named is the last of these.
const SERVER: &[&str] = &["src", "build.rs", "Cargo.toml", "Cargo.lock"];
const END: &str = "<!-- bench-registry: end -->";

/// The text around the table: with what and how it was measured.
pub fn text(peers: &[Peer], proofs: &[Proof], table: &str, command: &str) -> String {
    let mut text = format!(
        "{}\n\n| | version | wrong bytes | syncs of one pushed blob |\n|---|---|---|---|\n",
        machine(command)
    );
    for peer in peers {
        let proof = proofs.iter().find(|proof| proof.name == peer.name);
        let (bytes, syncs) = proof.map_or(("serves files only", "–"), |proof| {
            (proof.wrong_bytes.as_str(), proof.syncs.as_str())
        });
        let _ = writeln!(text, "| {} | {} | {bytes} | {syncs} |", peer.name, peer.version);
    }
    let _ = write!(text, "\n{table}");
    text
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn machine(command: &str) -> String {
    let cpu = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let memory = fs::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
    let kib = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().split(' ').next()?.parse::<u64>().ok()
    });
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "Measured by `{command}` on {} at commit {}{}: {cores} cores ({}), {} GiB, {}, Linux {}, {}.",
        said("date", &["+%Y-%m-%d"]),
        said("git", &[&["log", "-1", "--format=%h", "--abbrev=12", "--"], SERVER].concat()),
        if said("git", &[&["status", "--porcelain", "--"], SERVER].concat()).is_empty() {
            ""
        } else {
            " with changes"
        },
        model.trim_start_matches([' ', '\t', ':']),
        kib.unwrap_or_default() / 1024 / 1024,
        said("findmnt", &["-n", "-o", "FSTYPE", "-T", "."]),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
    )
}

/// Puts the text where the last one was.
pub fn write(text: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let page = fs::read_to_string(&path)?;
    let missing = || format!("{} lacks the markers {BEGIN}and {END}", path.display());
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    fs::write_atomic(
        &path,
        format!("{before}{BEGIN}\n{text}\n{END}{after}").as_bytes(),
        Access::Everyone,
    )?;
    Ok(())
}
