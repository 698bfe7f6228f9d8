//! What is wrong with a YAML text, and where.

use std::fmt;

use super::node::Position;

/// What is wrong with a YAML text: file, line, column, and the line itself
/// with a caret below.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{}:{}: {fault}{excerpt}", at.line, at.column)]
pub struct YamlError {
    /// The file, as the reader was told.
    pub file: String,
    /// Where in it.
    pub at: Position,
    /// What is wrong there.
    pub fault: YamlFault,
    /// The line with a caret.
    pub excerpt: Excerpt,
}

/// The kinds of what can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlFault {
    /// The text is no YAML.
    #[error("not YAML: {message}")]
    Syntax {
        /// What the scanner says.
        message: String,
    },
    /// The bytes are no UTF-8.
    #[error("not UTF-8: save the file as UTF-8")]
    Encoding,
    /// A control character, or a byte order mark that is not the first thing.
    #[error("the character U+{code:04X} is not allowed in YAML: remove it")]
    Character {
        /// Its number.
        code: u32,
    },
    /// A line end that only YAML 1.1 knows.
    #[error(
        "the character U+{code:04X} ends a line for kubectl and for no other reader: remove it, \
         or write it as \"\\u{code:04x}\" in a text in double quotes"
    )]
    LineEnd {
        /// Its number.
        code: u32,
    },
    /// A key stands twice in one mapping. kubectl would take the last silently.
    #[error("the key `{key}` stands twice in this mapping, first in line {first}: remove one")]
    DuplicateKey {
        /// The key's name.
        key: String,
        /// The line of the first.
        first: usize,
    },
    /// A key that is a list, a mapping or null.
    #[error("a key must be a string, number or bool, and this is {found}")]
    Key {
        /// What it is.
        found: &'static str,
    },
    /// `<<` with something else than mappings.
    #[error("`<<` takes a mapping or a list of mappings, and this is {found}")]
    MergeKey {
        /// What it is.
        found: &'static str,
    },
    /// A tag that Kubernetes doesn't know.
    #[error("the tag `{tag}` is not supported: write the value without it")]
    Tag {
        /// The tag.
        tag: String,
    },
    /// A value does not have the type that its tag says.
    #[error("this is {found}, not what its tag `{tag}` says")]
    TagMismatch {
        /// The tag.
        tag: String,
        /// What it is.
        found: &'static str,
    },
    /// An alias inside the node that it stands for.
    #[error("this alias stands for a node that contains it")]
    AliasCycle,
    /// Aliases multiply beyond the bound.
    #[error("aliases multiply this text beyond the bound of {bound} nodes")]
    AliasBomb {
        /// The bound.
        bound: usize,
    },
    /// Too many values.
    #[error("more than {bound} keys and values in one file: make several of it")]
    Nodes {
        /// The bound.
        bound: usize,
    },
    /// Too deeply nested.
    #[error("nested deeper than {bound} levels")]
    Depth {
        /// The bound.
        bound: usize,
    },
    /// Too large.
    #[error("larger than {bound} bytes")]
    Size {
        /// The bound.
        bound: usize,
    },
}

impl YamlError {
    pub(super) fn new(file: &str, source: &str, at: Position, fault: YamlFault) -> Self {
        Self { file: file.to_owned(), at, fault, excerpt: Excerpt::of(source, at) }
    }
}

/// A line of a file with a caret below it. Prints as nothing where there is
/// no such line, otherwise it starts with a line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    line: usize,
    text: String,
    caret: usize,
}

impl Excerpt {
    /// At most this many characters of a line are shown.
    const WIDTH: usize = 120;

    /// The line at this position of a text.
    #[must_use]
    pub fn of(source: &str, at: Position) -> Self {
        let Some(line) = at.line().checked_sub(1).and_then(|index| source.lines().nth(index))
        else {
            return Self::default();
        };
        let column = at.column().saturating_sub(1);
        let skip = column.saturating_sub(Self::WIDTH / 2);
        let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        let shown = |c: char| if ends(c) { ' ' } else { c };
        let text = line.chars().skip(skip).take(Self::WIDTH).map(shown).collect();
        Self { line: at.line(), text, caret: column - skip }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return Ok(());
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(self.caret);
        write!(f, "\n{margin} |\n{number} | {}\n{margin} | {indent}^", self.text)
    }
}
