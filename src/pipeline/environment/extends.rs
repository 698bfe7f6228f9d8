//! `extends = "…"`: the tables of one environment laid over those of another.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::document::{DocumentError, told};
use super::sources::Sources;
use super::text::ObjectName;
use super::{EnvironmentError, FOLDER, names};
use crate::fs;

/// The key that names the environment to start from.
const KEY: &str = "extends";

/// The lists that inheritance appends to; every other list is replaced.
const APPENDED: [&str; 2] = [super::patches::KEY, "waive"];

/// How many environments can stand behind one.
const DEPTH: usize = 8;

/// How large a file may be: far beyond what a person writes.
const BYTES: u64 = 1 << 20;

/// Reads `<name>.toml` and what it extends.
///
/// # Errors
/// A file cannot be read or is no TOML, is not there, or extends itself.
pub(super) fn gather(root: &Path, name: &str) -> Result<Sources, EnvironmentError> {
    let mut sources = Sources::default();
    let mut chain = vec![name.to_owned()];
    let mut next = load(root, name, &mut sources)?;
    while let Some(parent) = next {
        let (span, parent) = (parent.span(), parent.into_inner());
        let told = |reason: String, hint: Option<String>| {
            EnvironmentError::from(sources.error(Some(span.clone()), &reason, hint))
        };
        let again = chain.contains(&parent);
        chain.push(parent.clone());
        let path: Vec<_> = chain.iter().map(|name| format!("`{name}`")).collect();
        let path = path.join(" extends ");
        if again {
            let hint = "let one of them stand alone, and extend that".to_owned();
            return Err(told(format!("these environments go round: {path}"), Some(hint)));
        }
        if chain.len() > DEPTH + 1 {
            let reason = format!("more than {DEPTH} environments stand behind this one: {path}");
            return Err(told(reason, Some("extend one nearer to the end".to_owned())));
        }
        let known = names(root)?;
        if !known.contains(&parent) {
            let reason = format!("there is no environment `{parent}` to extend");
            let near = known.iter().filter(|other| *other != name);
            let near = near.min_by_key(|other| strsim::damerau_levenshtein(other, &parent));
            return Err(told(reason, near.map(|near| format!("did you mean `{near}`?"))));
        }
        next = load(root, &parent, &mut sources)?;
    }
    Ok(sources)
}

/// The tables of all the files as one, its spans those of [`Sources`].
///
/// # Errors
/// A file is no TOML.
pub(super) fn merge(sources: &Sources) -> Result<Spanned<DeTable<'_>>, DocumentError> {
    let mut merged: Option<Spanned<DeTable<'_>>> = None;
    for (start, text) in sources.texts() {
        let mut table = parse(sources, start, text)?;
        match &mut merged {
            Some(over) => {
                table.get_mut().remove(KEY);
                lay_over(table.into_inner(), over.get_mut(), true);
            }
            None => merged = Some(table),
        }
    }
    Ok(merged.unwrap_or_else(|| Spanned::new(0..0, DeTable::new())))
}

/// Adds one file, and says what it extends.
fn load(
    root: &Path,
    name: &str,
    sources: &mut Sources,
) -> Result<Option<Spanned<String>>, EnvironmentError> {
    let file = format!("{name}.toml");
    let text = fs::read_text_within(root, &Path::new(FOLDER).join(&file), BYTES)?;
    // Errors name the file as the user of the repository knows it.
    let start = sources.add(PathBuf::from(FOLDER).join(file), text.clone());
    let mut table = parse(sources, start, &text)?;
    let Some(value) = table.get_mut().remove(KEY) else { return Ok(None) };
    let span = value.span();
    let told = |reason: &str| sources.error(Some(span.clone()), reason, None);
    let Some(parent) = value.get_ref().as_str() else {
        let found = value.get_ref().type_str();
        return Err(
            told(&format!("`{KEY}` names one environment in quotes, and this is {found}")).into()
        );
    };
    match ObjectName::try_from(parent) {
        Ok(_) => Ok(Some(Spanned::new(span, parent.to_owned()))),
        Err(_) => Err(told("this is no name of an environment: write that of a file beside this one, without `.toml`").into()),
    }
}

fn parse<'a>(
    sources: &Sources,
    start: usize,
    text: &'a str,
) -> Result<Spanned<DeTable<'a>>, DocumentError> {
    match DeTable::parse(text) {
        Ok(table) => Ok(Spanned::new(shift(table.span(), start), moved(table.into_inner(), start))),
        Err(error) => {
            let (span, reason, hint) = told(text, &error);
            let span = span.map_or(start..start, |span| shift(span, start));
            Err(sources.error(Some(span), &reason, hint))
        }
    }
}

fn shift(span: Range<usize>, by: usize) -> Range<usize> {
    span.start + by..span.end + by
}

/// The table with each span moved. The parser bounds how deep it is.
fn moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let mut out = DeTable::new();
    for (key, value) in table {
        let key = Spanned::new(shift(key.span(), by), key.into_inner());
        out.insert(key, moved_value(value, by));
    }
    out
}

fn moved_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = shift(value.span(), by);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, by)),
        DeValue::Array(items) => {
            let mut out = DeArray::new();
            for item in items {
                out.push(moved_value(item, by));
            }
            DeValue::Array(out)
        }
        scalar => scalar,
    };
    Spanned::new(span, value)
}

/// Puts into `over` what only `below` has.
fn lay_over<'a>(below: DeTable<'a>, over: &mut DeTable<'a>, top: bool) {
    for (key, value) in below {
        let Some(there) = over.get_mut(key.get_ref().as_ref()) else {
            over.insert(key, value);
            continue;
        };
        match (value.into_inner(), there.get_mut()) {
            (DeValue::Table(below), DeValue::Table(over)) => lay_over(below, over, false),
            // What is inherited comes first, so that one's own patches see its result.
            (DeValue::Array(mut below), DeValue::Array(over))
                if top && APPENDED.contains(&key.get_ref().as_ref()) =>
            {
                for item in std::mem::replace(over, DeArray::new()) {
                    below.push(item);
                }
                *over = below;
            }
            _ => {}
        }
    }
}
