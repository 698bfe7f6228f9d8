//! The registry beside its peers and nginx: `just bench-registry`, or with
//! `--smoke` whether all of it works. `docs/benchmarks.md` has the figures.

use std::path::Path;
use std::time::Instant;

use warren::fs;

use self::contender::{Contender, Content};
use self::plan::Plan;
use self::secrets::Secrets;

mod bulk;
mod contender;
mod content;
mod http;
mod limits;
mod load;
mod many;
mod page;
mod peer;
mod plan;
mod proof;
mod scenarios;
mod secrets;
mod server;
mod table;
mod upkeep;
mod wrk;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// `cargo bench -- --test` wants a smoke run too, and `cargo bench` alone is
/// for the quick benches: the comparison takes minutes and is asked for.
fn run(arguments: &[String]) -> Result<()> {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let these = |option: &str| -> Vec<&str> {
        let values = arguments.iter().filter_map(|argument| argument.strip_prefix(option));
        values.flat_map(|values| values.split(',')).collect()
    };
    let (only, chosen) = (these("--only="), these("--peers="));
    let wants = |name: &str| only.is_empty() || only.contains(&name);
    let full = has("--full");
    if !full && !has("--smoke") && !has("--test") {
        println!("registry: `just bench-registry` compares the registries; skipped");
        return Ok(());
    }
    let plan = if full { Plan::full() } else { Plan::smoke() };
    let begun = Instant::now();

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
    let shared = target.join("bench-registry");
    let folder = shared.join(if full { "full" } else { "smoke" });
    fs::remove_dir_all_if_there(&folder)?;
    fs::create_dir_all(&folder)?;
    let secrets = Secrets::make(&folder)?;
    let mut peers = peer::find(&target.join("tools"));
    peers.retain(|peer| chosen.is_empty() || chosen.contains(&peer.name));
    let names: Vec<&str> = peers.iter().map(|peer| peer.name).collect();
    let step = |what: &str| eprintln!("{:>4} s  {what}", begun.elapsed().as_secs());

    step("starts");
    let mut rows = Vec::new();
    let mut late = Vec::new();
    if wants("starts") {
        late.extend(many::starts(&plan, &peers, &folder, &secrets)?);
    }
    if wants("lists") {
        step("lists");
        late.extend(many::lists(&plan, &peers, &folder, &secrets)?);
    }
    step("content");
    let content = Content::new(&plan);
    let mut everyone = Vec::new();
    for peer in &peers {
        let contender = Contender::start(peer, &folder, &secrets, &content);
        everyone.push(contender.map_err(|error| format!("{}: {error}", peer.name))?);
    }
    // Who wrote its files how must not decide in which pieces the system keeps them.
    rustix::fs::sync();
    content::forget(&folder)?;
    step("proofs");
    let registries = everyone.iter().filter(|contender| contender.peer.is_registry());
    let proofs =
        registries.map(|contender| proof::prove(contender, &folder)).collect::<Result<Vec<_>>>()?;
    if wants("manifests") {
        step("manifests");
        rows.extend(scenarios::manifests(&plan, &everyone)?);
    }
    if wants("large") {
        step("large pulls");
        rows.extend(scenarios::large_pulls(&plan, &everyone, &content)?);
    }
    if wants("layers") {
        step("layers");
        rows.extend(scenarios::layers(&plan, &everyone, &content)?);
    }
    if wants("pushes") {
        step("pushes");
        rows.extend(scenarios::pushes(&plan, &everyone, &folder)?);
    }
    if wants("upkeep") {
        step("upkeep");
        rows.extend(upkeep::beside(&plan, &everyone, &content)?);
    }
    rows.push(scenarios::memory(&everyone)?);
    rows.push(many::afterwards(&everyone)?);
    rows.extend(late);
    drop(everyone);

    let mut columns = names.clone();
    columns.push("machine");
    let text =
        page::text(&peers, &proofs, &table::markdown(&rows, &columns), "just bench-registry");
    println!("{text}");
    if full && only.is_empty() && chosen.is_empty() {
        page::write(&text)?;
    }
    fs::remove_dir_all_if_there(&folder)?;
    step("done");
    Ok(())
}
