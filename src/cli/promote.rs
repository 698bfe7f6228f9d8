//! `warren promote`: carries an environment's image and chosen keys to the next
//! environment, as a proposal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table};

use super::composition;
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::propose::{Options, propose};
use crate::fs::{self, Access};

/// What is carried unless keys are named: which image runs.
const KEYS: [&str; 2] = ["registry.engine", "registry.image"];

/// Carry an environment's image and chosen keys to another, as a proposal
#[derive(Debug, clap::Args)]
#[command(after_help = "The other environment's file keeps its comments and everything that is \
                        not carried; a key that the first one has not is taken away. The other \
                        environment is rendered anew, so that a pin that moved is in the proposal \
                        too. Nothing here is written: the proposal is a branch and a pull \
                        request, as with warren propose.\n\
                        Examples:\n  warren promote sandbox --to lapin\n  \
                        warren promote sandbox --to lapin --key registry.log_level --dry-run")]
pub struct Args {
    /// The environment to carry from.
    environment: String,
    /// The environment to carry to.
    #[arg(long, value_name = "ENVIRONMENT")]
    to: String,
    /// A key to carry as well, such as `registry.log_level`; several times for
    /// several.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// How to propose.
    #[command(flatten)]
    options: Options,
}

/// Runs the command.
///
/// # Errors
/// When an environment is not there, a key is in neither of them, the result
/// can't be rendered or a check finds an error, and as `warren propose`.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    if args.environment == args.to {
        return Err(CliError::new(ErrorKind::Usage, "an environment is not promoted to itself"));
    }
    // Both are read first, so that what is wrong with them is told as such.
    composition::composed(&root, &args.environment)?;
    composition::composed(&root, &args.to)?;
    let file = |name: &str| format!("environments/{name}.toml");
    let source = document(&root, &file(&args.environment))?;
    let mut target = document(&root, &file(&args.to))?;
    let chosen: Vec<_> = KEYS.into_iter().chain(args.keys.iter().map(String::as_str)).collect();
    for key in &args.keys {
        if find(source.as_table(), key).is_none() && find(target.as_table(), key).is_none() {
            return Err(CliError::new(
                ErrorKind::Usage,
                format!("neither {} nor {} has the key {key}", args.environment, args.to),
            )
            .hint("docs/environments.md lists the keys, as table.key"));
        }
    }
    for key in chosen {
        if let Some(line) = carry(&source, &mut target, key) {
            context.printer.note(&format!("{}: {line}", args.to));
        }
    }
    let text = target.to_string();
    let place = Elsewhere::with(&root, &file(&args.to), &text)?;
    let composed = composition::checked(&place.0, &args.to)?;
    context.printer.note(&format!(
        "{} is rendered at {}, as {} is",
        args.to, composed.upstream.tag, args.environment
    ));
    let changed = BTreeMap::from([(file(&args.to), text)]);
    propose(context, &root, &composed, &changed, &args.options)
}

fn document(root: &Path, file: &str) -> Result<DocumentMut, CliError> {
    let text = fs::read_to_string(&root.join(PathBuf::from(file)))?;
    text.parse().map_err(|error| CliError::new(ErrorKind::Input, format!("{file}: {error}")))
}

/// The item at `table.key`.
fn find<'t>(table: &'t Table, key: &str) -> Option<&'t Item> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |item, part| item.get(part))
}

/// Makes the target's value of a key the source's; what changed, in words.
fn carry(source: &DocumentMut, target: &mut DocumentMut, key: &str) -> Option<String> {
    let wanted = find(source.as_table(), key).cloned();
    let there = find(target.as_table(), key);
    let shown = |item: Option<&Item>| {
        item.map_or_else(|| "nothing".to_owned(), |item| item.to_string().trim().to_owned())
    };
    // Comments behind a value are no part of it.
    let bare = |item: &Item| {
        let mut value = item.as_value().cloned();
        if let Some(value) = &mut value {
            value.decor_mut().clear();
        }
        value.map_or_else(|| item.to_string(), |value| value.to_string())
    };
    if wanted.as_ref().map(bare) == there.map(bare) {
        return None;
    }
    let line = format!(
        "{key}: {} -> {}",
        shown(there.map(strip).as_ref()),
        shown(wanted.as_ref().map(strip).as_ref())
    );
    let (tables, name) = key.rsplit_once('.').map_or(("", key), |(tables, name)| (tables, name));
    let mut table: &mut dyn toml_edit::TableLike = target.as_table_mut();
    for part in tables.split('.').filter(|part| !part.is_empty()) {
        table = table.entry(part).or_insert_with(toml_edit::table).as_table_like_mut()?;
    }
    match wanted {
        None => {
            table.remove(name);
        }
        Some(item) => match (table.get_mut(name), strip(&item)) {
            // The comment behind the old value stays behind the new one.
            (Some(Item::Value(old)), Item::Value(mut new)) => {
                *new.decor_mut() = old.decor().clone();
                *old = new;
            }
            (_, new) => {
                table.insert(name, new);
            }
        },
    }
    Some(line)
}

/// The item without the comments and blanks around it.
fn strip(item: &Item) -> Item {
    let mut item = item.clone();
    if let Some(value) = item.as_value_mut() {
        value.decor_mut().clear();
    }
    item
}

/// A copy of what a rendering reads, in which one file is another.
struct Elsewhere(PathBuf);

impl Elsewhere {
    fn with(root: &Path, file: &str, text: &str) -> Result<Self, CliError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| CliError::failed("the system gives no random bytes").because(error))?;
        let name = format!("warren-promote-{}", crate::digest::hex(&random));
        let place = Self(std::env::temp_dir().join(name));
        fs::create_private_dir(&place.0)?;
        for folder in ["environments", "vendor", "dashboards"] {
            if root.join(folder).is_dir() {
                copy(&root.join(folder), &place.0.join(folder))?;
            }
        }
        fs::write_atomic(&place.0.join(file), text.as_bytes(), Access::Everyone)?;
        Ok(place)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all_if_there(&self.0);
    }
}

/// Copies a folder; a vendored tree of the upstream is not read by a rendering.
fn copy(from: &Path, to: &Path) -> Result<(), CliError> {
    fs::create_dir_all(to)?;
    for path in fs::list(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_symlink() {
            continue;
        }
        if !path.is_dir() {
            fs::write_atomic(&target, &fs::read(&path)?, Access::Everyone)?;
        } else if !path.ends_with("vendor/trow") {
            copy(&path, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(source: &str, target: &str, key: &str) -> (Option<String>, String) {
        let source = source.parse().unwrap();
        let mut target: DocumentMut = target.parse().unwrap();
        let line = carry(&source, &mut target, key);
        (line, target.to_string())
    }

    #[test]
    fn a_value_is_carried_and_the_comments_stay() {
        let (line, text) = carried(
            "[registry]\nimage = \"new:2\" # theirs\n",
            "# top\n[registry]\nimage = \"old:1\" # ours\nuser = \"u\"\n",
            "registry.image",
        );
        assert_eq!(line.as_deref(), Some("registry.image: \"old:1\" -> \"new:2\""));
        assert_eq!(text, "# top\n[registry]\nimage = \"new:2\" # ours\nuser = \"u\"\n");
    }

    #[test]
    fn what_the_source_has_not_goes_and_what_the_target_has_not_comes() {
        let (line, text) = carried("", "[registry]\nimage = \"a\"\n", "registry.image");
        assert_eq!(line.as_deref(), Some("registry.image: \"a\" -> nothing"));
        assert_eq!(text, "[registry]\n");
        let (line, text) = carried("[a.b]\nc = 1\n", "", "a.b.c");
        assert_eq!(line.as_deref(), Some("a.b.c: nothing -> 1"));
        assert_eq!(text.parse::<toml::Table>().unwrap()["a"]["b"]["c"].as_integer(), Some(1));
        assert_eq!(carried("a = 1 # x\n", "a = 1\n", "a").0, None, "a comment is no value");
    }
}
