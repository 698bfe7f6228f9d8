//! What we rely on, written by hand: `vendor/trow.contract.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::toml_file::{self, FileError};

/// The hand-written side of the pin: where the upstream is, and which of its
/// statements our base relies on. `warren upstream pin` looks each of them up
/// and writes what it found into the lock.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Where the upstream is.
    pub url: String,
    /// Where else it can be had.
    pub mirrors: Vec<String>,
    /// The image's name without a tag.
    pub image: String,
    /// What we rely on.
    pub rows: Vec<Row>,
}

/// One statement of the upstream that we rely on.
#[derive(Clone, Debug)]
pub struct Row {
    /// A short name, unique, such as `port`.
    pub name: String,
    /// What of ours would break without it.
    pub why: String,
    /// The file of the upstream that states it.
    pub file: String,
    /// Where in the file.
    pub place: Place,
}

/// Where a file states something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The scalar at this JSON pointer (RFC 6901) of a YAML or TOML file.
    Pointer(String),
    /// This text, which the file contains.
    Text {
        /// The text.
        contains: String,
        /// The part of it that is the value; without one, the whole text.
        states: Option<String>,
    },
}

impl Contract {
    /// Where the contract is, from the repository's root.
    pub const PATH: &'static str = "vendor/trow.contract.toml";

    /// Reads the contract.
    ///
    /// # Errors
    /// When the file can't be read, or as [`Contract::parse`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::parse(path, &toml_file::read(path)?)
    }

    /// Reads the contract from its text; `path` is for messages.
    ///
    /// # Errors
    /// A syntax error, an unknown key, a row without a place or with two, or
    /// two rows of one name: with line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let raw: RawContract = toml_file::parse(path, text)?;
        let mut names = BTreeSet::new();
        let mut rows = Vec::new();
        for spanned in raw.row {
            let offset = spanned.span().start;
            let at = |message: String| FileError::at(path, text, offset, message);
            let row = spanned.into_inner();
            if !names.insert(row.name.clone()) {
                return Err(at(format!("there are two rows named `{}`", row.name)));
            }
            let place = place(row.pointer, row.contains, row.states)
                .map_err(|what| at(format!("row `{}` {what}", row.name)))?;
            rows.push(Row { name: row.name, why: row.why, file: row.file, place });
        }
        Ok(Self { url: raw.url, mirrors: raw.mirrors, image: raw.image, rows })
    }
}

/// Puts together a place from the keys of a row, in the contract or the lock.
pub(super) fn place(
    pointer: Option<String>,
    contains: Option<String>,
    states: Option<String>,
) -> Result<Place, &'static str> {
    match (pointer, contains) {
        (Some(pointer), None) if states.is_none() => {
            if pointer.is_empty() || pointer.starts_with('/') {
                return Ok(Place::Pointer(pointer));
            }
            Err("has a `pointer` that does not start with `/` (RFC 6901)")
        }
        (None, Some(contains)) => {
            if contains.is_empty() || states.as_ref().is_some_and(|part| !contains.contains(part)) {
                return Err("has a `states` that its `contains` does not contain");
            }
            Ok(Place::Text { contains, states })
        }
        (Some(_), _) => Err("has a `pointer`, so it takes neither `contains` nor `states`"),
        (None, None) => Err("needs a `pointer` or a `contains`"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContract {
    url: String,
    #[serde(default)]
    mirrors: Vec<String>,
    image: String,
    row: Vec<Spanned<RawRow>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    name: String,
    why: String,
    file: String,
    pointer: Option<String>,
    contains: Option<String>,
    states: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_shown_with_its_line() {
        let base = "url = \"u\"\nimage = \"i\"\n";
        let row = |keys: &str| {
            format!("{base}[[row]]\nname = \"a\"\nwhy = \"w\"\nfile = \"f\"\n{keys}\n")
        };
        let error = |text: &str| Contract::parse(Path::new("c"), text).unwrap_err().to_string();
        assert_eq!(error(&row("")), "c:3:1: row `a` needs a `pointer` or a `contains`");
        assert!(error(&row("pointer = \"x\"")).contains("does not start with `/`"));
        assert!(error(&row("contains = \"x\"\nstates = \"y\"")).contains("`states`"));
        assert!(error(&row("pointr = \"/x\"")).starts_with("c:7:1: unknown field `pointr`"));
        let twice = format!(
            "{}{}",
            row("pointer = \"/a\""),
            "[[row]]\nname = \"a\"\nwhy=\"\"\nfile=\"\"\npointer=\"/a\"\n"
        );
        assert!(error(&twice).starts_with("c:8:1: there are two rows named `a`"));
    }
}
