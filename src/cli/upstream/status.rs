//! `warren upstream status`: what is pinned.

use serde::Serialize;

use super::super::context::Context;
use super::super::error::CliError;
use super::{Format, input_error};
use crate::pipeline::upstream::{Lock, Pin, VENDORED};

/// What was typed after `warren upstream status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: warren upstream status --output json")]
pub(super) struct Args {
    /// For people or for programs
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

#[derive(Serialize)]
struct Status {
    tag: String,
    version: String,
    commit: String,
    tree: String,
    url: String,
    mirrors: Vec<String>,
    signer: Option<String>,
    image: String,
    export: String,
    vendored: bool,
    /// How the binary that runs was built.
    built_with: BuiltWith,
    relies_on: Vec<Fact>,
}

#[derive(Serialize)]
struct BuiltWith {
    tag: &'static str,
    commit: &'static str,
    outcome: &'static str,
}

#[derive(Serialize)]
struct Fact {
    name: String,
    value: String,
    file: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let pin = Pin::read(&root, false).map_err(input_error)?;
    let status = Status::of(&pin.lock, root.join(VENDORED).is_dir());
    match args.output {
        Format::Json => context.printer.json(&status),
        Format::Text => context.printer.out(&status.to_text()),
    }
    Ok(())
}

impl Status {
    fn of(lock: &Lock, vendored: bool) -> Self {
        let facts = lock.contract.iter().map(|row| Fact {
            name: row.name.clone(),
            value: row.value.clone(),
            file: row.file.clone(),
        });
        Self {
            tag: lock.tag.clone(),
            version: lock.upstream().version.clone(),
            commit: lock.commit.to_string(),
            tree: lock.tree.to_string(),
            url: lock.url.clone(),
            mirrors: lock.mirrors.clone(),
            signer: lock.signer.clone(),
            image: lock.image.to_string(),
            export: lock.export.to_string(),
            vendored,
            built_with: BuiltWith {
                tag: env!("WARREN_UPSTREAM_TAG"),
                commit: env!("WARREN_UPSTREAM_COMMIT"),
                outcome: env!("WARREN_UPSTREAM_OUTCOME"),
            },
            relies_on: facts.collect(),
        }
    }

    fn to_text(&self) -> String {
        let signer = self.signer.as_deref().unwrap_or("nobody");
        let copy = if self.vendored { "in vendor/trow/" } else { "none" };
        let same = self.built_with.commit == self.commit;
        let built = if same { "this pin" } else { self.built_with.tag };
        let mut lines = vec![
            format!("tag       {}", self.tag),
            format!("commit    {}", self.commit),
            format!("tree      {}", self.tree),
            format!("url       {}", self.url),
        ];
        lines.extend(self.mirrors.iter().map(|mirror| format!("mirror    {mirror}")));
        lines.extend([
            format!("signed by {signer}"),
            format!("image     {}", self.image),
            format!("copy      {copy}"),
            format!("built     with {built}, {}", self.built_with.outcome),
            String::new(),
            "relies on".to_owned(),
        ]);
        let width = self.relies_on.iter().map(|fact| fact.name.len()).max().unwrap_or(0);
        for Fact { name, value, file } in &self.relies_on {
            lines.push(format!("  {name:width$}  {value}  ({file})"));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}
