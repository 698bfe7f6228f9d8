//! The generated tables `kinds.txt` and `types.txt`, read as far as they
//! are asked: a type's fields are parsed when the first of them is looked up.
//! `docs/schema.md` describes their form.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::limits::{Bounds, Limits, Pattern};
use super::list::ListType;
use super::scalar::Scalar;
use super::strategy::Strategy;

const KINDS: &str = include_str!("kinds.txt");
const TYPES: &str = include_str!("types.txt");

/// The first and the last minor version that the tables know.
pub(super) const MINORS: (u8, u8) = (25, 37);

/// The versions in which something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    first: u8,
    last: u8,
}

impl Span {
    const WHOLE: Self = Self { first: MINORS.0, last: MINORS.1 };

    pub(super) fn contains(self, minor: u8) -> bool {
        (self.first..=self.last).contains(&minor)
    }

    pub(super) fn last(self) -> u8 {
        self.last
    }

    /// `28-30`, `28-` or `-30`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let number = |text: &str, otherwise| match text {
            "" => Some(otherwise),
            text => text.parse().ok(),
        };
        Some(Self { first: number(first, MINORS.0)?, last: number(last, MINORS.1)? })
    }
}

/// A line of `kinds.txt`.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) namespaced: bool,
    /// Nothing for a kind that was gone before our first version.
    pub(super) root: Option<Expression>,
    pub(super) custom: bool,
    pub(super) deprecated: Option<u8>,
    pub(super) removed: Option<u8>,
    /// `apps/v1/Deployment`.
    pub(super) replacement: Option<&'static str>,
    pub(super) span: Span,
}

impl Row {
    fn parse(line: &'static str) -> Option<Self> {
        let mut words = line.split(' ');
        let (api_version, kind) = (words.next()?, words.next()?);
        let (plural, scope, root) = (words.next()?, words.next()?, words.next()?);
        let mut row = Self {
            api_version,
            kind,
            plural,
            namespaced: scope == "namespaced",
            root: (root != "-").then(|| Expression::parse(root, "")).flatten(),
            custom: false,
            deprecated: None,
            removed: None,
            replacement: None,
            span: Span::WHOLE,
        };
        for word in words {
            match (word.split_once('='), word.strip_prefix('^')) {
                (Some(("deprecated", minor)), _) => row.deprecated = Some(minor.parse().ok()?),
                (Some(("removed", minor)), _) => row.removed = Some(minor.parse().ok()?),
                (Some(("use", other)), _) => row.replacement = Some(other),
                (_, Some(span)) => row.span = Span::parse(span)?,
                _ if word == "custom" => row.custom = true,
                _ => return None,
            }
        }
        Some(row)
    }

    /// Whether a cluster of this version serves it, as far as the tables say.
    pub(super) fn is_served(&self, minor: u8) -> bool {
        self.root.is_some() && self.span.contains(minor)
    }
}

/// All kinds, in the order of their API version and name.
pub(super) fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| KINDS.lines().filter_map(Row::parse).collect())
}

/// What stands after a field's name: the type of its values.
#[derive(Debug)]
pub(super) enum Expression {
    Scalar(Scalar),
    List(Box<Self>),
    Map(Box<Self>),
    /// Its place among [`blocks`].
    Struct(usize),
}

impl Expression {
    /// `package` is what a name that starts with a dot lacks.
    fn parse(text: &str, package: &str) -> Option<Self> {
        if let Some(item) = text.strip_prefix("[]") {
            return Some(Self::List(Box::new(Self::parse(item, package)?)));
        }
        if let Some(value) = text.strip_prefix("{}") {
            return Some(Self::Map(Box::new(Self::parse(value, package)?)));
        }
        if let Some(scalar) = Scalar::parse(text) {
            return Some(Self::Scalar(scalar));
        }
        let name = match text.strip_prefix('.') {
            Some(_) => Cow::Owned(format!("{package}{text}")),
            None => Cow::Borrowed(text),
        };
        let found = blocks().binary_search_by(|block| block.name.cmp(&name));
        found.ok().map(Self::Struct)
    }
}

/// A type of `types.txt`, whose fields are parsed when they are first needed.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) name: &'static str,
    /// Whether the server keeps fields that are not listed.
    pub(super) open: bool,
    lines: &'static str,
    entries: OnceLock<Vec<Entry>>,
}

impl Block {
    /// The fields in the order of their names. One that changed between
    /// versions has several entries.
    pub(super) fn entries(&self) -> &[Entry] {
        self.entries.get_or_init(|| {
            let package = self.name.rsplit_once('.').map_or("", |(package, _)| package);
            self.lines.lines().filter_map(|line| Entry::parse(line, package)).collect()
        })
    }

    pub(super) fn entry(&self, name: &str, minor: u8) -> Option<&Entry> {
        let entries = self.entries();
        let first = entries.partition_point(|entry| *entry.name < *name);
        let named = entries.get(first..).unwrap_or_default();
        named.iter().take_while(|entry| entry.name == name).find(|entry| entry.is_in(minor))
    }
}

/// All types, in the order of their names.
pub(super) fn blocks() -> &'static [Block] {
    static BLOCKS: OnceLock<Vec<Block>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let block = |text: &'static str| {
            let (head, lines) = text.split_once('\n')?;
            let (name, open) = match head.strip_suffix(" open") {
                Some(name) => (name, true),
                None => (head, false),
            };
            Some(Block { name, open, lines, entries: OnceLock::new() })
        };
        TYPES.split('@').filter_map(block).collect()
    })
}

/// A line of a type: a field, as it is in some versions.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Cow<'static, str>,
    pub(super) of: Expression,
    pub(super) required: bool,
    pub(super) nullable: bool,
    pub(super) strategy: Strategy,
    pub(super) merge_key: Option<&'static str>,
    pub(super) list: ListType,
    pub(super) list_keys: Vec<&'static str>,
    pub(super) default: Option<Cow<'static, str>>,
    pub(super) values: Vec<Cow<'static, str>>,
    pub(super) limits: Limits,
    span: Span,
}

impl Entry {
    pub(super) fn is_in(&self, minor: u8) -> bool {
        self.span.contains(minor)
    }

    fn parse(line: &'static str, package: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let name = words.next()?;
        let (name, nullable) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (name, required) = match name.strip_suffix('!') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut entry = Self {
            name: unescape(name),
            of: Expression::parse(words.next()?, package)?,
            required,
            nullable,
            strategy: Strategy::default(),
            merge_key: None,
            list: ListType::default(),
            list_keys: Vec::new(),
            default: None,
            values: Vec::new(),
            limits: Limits::default(),
            span: Span::WHOLE,
        };
        for word in words {
            let (mark, rest) = word.split_at_checked(1)?;
            let (head, tail) =
                rest.split_once(':').map_or((rest, None), |(head, tail)| (head, Some(tail)));
            match mark {
                "~" => {
                    entry.strategy = Strategy::parse(head);
                    entry.merge_key = tail;
                }
                "#" => {
                    entry.list = ListType::parse(head)?;
                    entry.list_keys = tail.map_or_else(Vec::new, |keys| keys.split(',').collect());
                }
                "=" => entry.default = Some(unescape(rest)),
                "|" => entry.values = rest.split('|').map(unescape).collect(),
                "<" => entry.limits.range = Some(Bounds::parse(rest)?),
                "*" => entry.limits.length = Some(Bounds::parse(rest)?),
                "+" => entry.limits.size = Some(Bounds::parse(rest)?),
                "/" => entry.limits.pattern = Some(Pattern::parse(rest)?),
                "^" => entry.span = Span::parse(rest)?,
                _ => return None,
            }
        }
        Some(entry)
    }
}

/// Takes back the `%20` of a space, and the like.
fn unescape(text: &'static str) -> Cow<'static, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        out.extend(u8::from_str_radix(code, 16).ok().map(char::from));
        out.push_str(rest);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_tables_is_understood() {
        assert_eq!(rows().len(), KINDS.lines().count());
        assert!(rows().is_sorted_by_key(|row| (row.api_version, row.kind)));
        for row in rows() {
            assert_eq!(row.root.is_some(), row.plural != "-", "{row:?}");
        }
        assert!(blocks().is_sorted_by_key(|block| block.name));
        let entries: usize = blocks().iter().map(|block| block.entries().len()).sum();
        assert_eq!(entries + blocks().len(), TYPES.lines().count());
        for block in blocks() {
            assert!(block.entries().is_sorted_by_key(|entry| &entry.name), "{}", block.name);
        }
    }

    #[test]
    fn what_was_escaped_comes_back() {
        assert_eq!(unescape("a%20b%7c%25"), "a b|%");
        assert_eq!(unescape("plain"), "plain");
    }
}
