//! `warren promote`: carries an environment's image and chosen keys to the next
//! environment, as a proposal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use super::composition::{self, Composed};
use super::context::Context;
use super::error::{CliError, ErrorKind};
use super::propose::{Options, propose};
use crate::fs::{self, Access};
use crate::pipeline::provenance::{self, Statement};

/// What is carried unless keys are named: which image runs.
const KEYS: [&str; 2] = ["registry.engine", "registry.image"];

/// Carry an environment's image and chosen keys to another, as a proposal
#[derive(Debug, clap::Args)]
#[command(after_help = "The other environment's file keeps its comments and everything that is \
                        not carried; a key that the first one has not is taken away. The other \
                        environment is rendered anew, so that a pin that moved is in the proposal \
                        too, once the first one has it. Nothing here is written: the proposal is a branch and a pull \
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
    let source = composition::composed(&root, &args.environment)?;
    let there = composition::composed(&root, &args.to)?;
    delivered_pin(&root, args, &source)?;
    let document = |composed: &Composed| {
        let environment = &composed.rendered.environment;
        environment.document().map_err(CliError::input)
    };
    let (source, there) = (document(&source)?, document(&there)?);
    let file = format!("environments/{}.toml", args.to);
    let mut target = own(&root, &file)?;
    let chosen: Vec<_> = KEYS.into_iter().chain(args.keys.iter().map(String::as_str)).collect();
    for key in &args.keys {
        if find(&source, key).is_none() && find(&there, key).is_none() {
            return Err(CliError::new(
                ErrorKind::Usage,
                format!("neither {} nor {} has the key {key}", args.environment, args.to),
            )
            .hint("docs/environments.md lists the keys, as table.key"));
        }
    }
    for key in &chosen {
        if let Some(line) = carry(&source, &there, &mut target, key) {
            context.printer.note(&format!("{}: {line}", args.to));
        }
    }
    let text = target.to_string();
    let place = Elsewhere::with(&root, &file, &text)?;
    let composed = composition::checked(&place.0, &args.to)?;
    let result = document(&composed)?;
    if let Some(key) = chosen.iter().find(|key| find(&source, key) != find(&result, key)) {
        return Err(CliError::failed(format!(
            "nothing was proposed: {} has no {key}, and {} inherits one from what it extends",
            args.environment, args.to
        ))
        .hint(format!("say in {file} which it is to be, or in the file that it extends")));
    }
    context.printer.note(&format!(
        "{} is rendered at {}, as {} is",
        args.to, composed.upstream.tag, args.environment
    ));
    let changed = BTreeMap::from([(file, text)]);
    propose(context, &root, &composed, &changed, &args.options)
}

/// The environment that is carried from has to be proposed at the pin itself:
/// nothing goes to the next one that was not in this one.
fn delivered_pin(root: &Path, args: &Args, source: &Composed) -> Result<(), CliError> {
    let name = &args.environment;
    let path = root.join(provenance::path(name));
    let text = fs::read_if_there(&path)?.unwrap_or_default();
    // Without a statement there is nothing to hold it to.
    let Ok(statement) = Statement::parse(&String::from_utf8_lossy(&text)) else { return Ok(()) };
    let (was, is) = (&statement.predicate.upstream, &source.upstream);
    if was.tag == is.tag {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "nothing was proposed: the pin is at {}, and deploy/{name} still at {}",
        is.tag, was.tag
    ))
    .hint(format!("propose {name} first, and merge that: warren propose {name}")))
}

/// The environment's own file.
fn own(root: &Path, file: &str) -> Result<DocumentMut, CliError> {
    let text = fs::read_to_string(&root.join(file))?;
    text.parse().map_err(|error| CliError::new(ErrorKind::Input, format!("{file}: {error}")))
}

/// The value at `table.key`.
fn find<'t>(table: &'t toml::Table, key: &str) -> Option<&'t toml::Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

/// Makes the target's value of a key the source's; what changed, in words.
/// `there` is what the target has with what it inherits.
fn carry(
    source: &toml::Table,
    there: &toml::Table,
    target: &mut DocumentMut,
    key: &str,
) -> Option<String> {
    let (wanted, there) = (find(source, key), find(there, key));
    if wanted == there {
        return None;
    }
    let shown = |value: Option<&toml::Value>| {
        value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    let line = format!("{key}: {} -> {}", shown(there), shown(wanted));
    let (tables, name) = key.rsplit_once('.').map_or(("", key), |(tables, name)| (tables, name));
    let mut table: &mut dyn toml_edit::TableLike = target.as_table_mut();
    for part in tables.split('.').filter(|part| !part.is_empty()) {
        if wanted.is_none() && !table.contains_key(part) {
            return Some(line);
        }
        table = table.entry(part).or_insert_with(toml_edit::table).as_table_like_mut()?;
    }
    let Some(wanted) = wanted else {
        table.remove(name);
        return Some(line);
    };
    let mut new: toml_edit::Value = wanted.to_string().parse().ok()?;
    if let Some(Item::Value(old)) = table.get_mut(name) {
        // The comment behind the old value stays behind the new one.
        *new.decor_mut() = old.decor().clone();
        *old = new;
    } else {
        table.insert(name, Item::Value(new));
    }
    Some(line)
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
        let (source, there) = (source.parse().unwrap(), target.parse().unwrap());
        let mut target: DocumentMut = target.parse().unwrap();
        let line = carry(&source, &there, &mut target, key);
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
