//! Where the keys of a TOML file stand, so that what composition makes of a
//! value can say which line it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::yaml::{Node, Origin, Position};

/// The keys of a file, and of those that it extends, with their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, (Position, Arc<Origin>)>);

impl Origins {
    /// The keys of this text with where their values stand. `file` is what
    /// messages call it. A text that is no TOML has none: whoever parses it
    /// into types says so.
    #[must_use]
    pub fn read(file: &str, text: &str) -> Self {
        let mut origins = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            let lines = Lines::new(text);
            origins.table(file, &lines, "", table.get_ref());
        }
        origins
    }

    /// Takes over the keys of a file that this one extends, but for those that
    /// this one sets itself.
    pub fn inherit(&mut self, parent: Self) {
        for (key, place) in parent.0 {
            self.0.entry(key).or_insert(place);
        }
    }

    /// Where a key stands: `registry.log_level`, `patch[0].target`, or, for an
    /// element that has a name, `contract[name=port].value`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(Position, &Arc<Origin>)> {
        self.0.get(key).map(|(at, origin)| (*at, origin))
    }

    /// The files that set any of the keys.
    #[must_use]
    pub fn files(&self) -> BTreeSet<&str> {
        self.0.values().filter_map(|(_, origin)| origin.file()).collect()
    }

    /// The key of an entry of a table whose keys are free, such as `labels`.
    #[must_use]
    pub fn entry(table: &str, key: &str) -> String {
        format!("{table}.{}", step(key))
    }

    /// The first key of a table, for what several of its keys make together.
    fn first_of(&self, table: &str) -> Option<(Position, &Arc<Origin>)> {
        let prefix = format!("{table}.");
        let (key, (at, origin)) = self.0.range(prefix.clone()..).next()?;
        key.starts_with(&prefix).then_some((*at, origin))
    }

    /// The same node, said to come from this key, or, where it is a table, from
    /// the first of its keys, or from its default where no file sets it.
    #[must_use]
    pub fn mark(&self, key: &str, node: Node) -> Node {
        let Some((at, origin)) = self.get(key).or_else(|| self.first_of(key)) else {
            let origin = Arc::new(Origin::Default { key: key.to_owned() });
            return node.placed(Position::default(), &origin);
        };
        node.placed(at, origin)
    }

    /// Recurses as deep as the TOML, which its parser bounds.
    fn table(&mut self, file: &str, lines: &Lines<'_>, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let key = step(key.get_ref());
            let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            self.value(file, lines, key, value);
        }
    }

    fn value(&mut self, file: &str, lines: &Lines<'_>, key: String, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(file, lines, &key, table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = item.get_ref().get("name").and_then(|name| name.get_ref().as_str());
                    let element = match name {
                        Some(name) => format!("{key}[name={name}]"),
                        None => format!("{key}[{index}]"),
                    };
                    self.value(file, lines, element, item);
                }
            }
            _ => {}
        }
        let origin = Origin::Key { file: file.to_owned(), key: key.clone() };
        self.0.insert(key, (lines.position(&value.span()), Arc::new(origin)));
    }
}

/// A key as it can stand between dots.
fn step(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(plain) { key.to_owned() } else { format!("{key:?}") }
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn position(&self, span: &Range<usize>) -> Position {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..span.start).unwrap_or_default();
        Position::new(line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(origins: &Origins, key: &str) -> Option<(usize, usize)> {
        origins.get(key).map(|(at, _)| (at.line(), at.column()))
    }

    #[test]
    fn keys_are_found_where_their_values_stand() {
        let text = "a = 1\n[b]\nc = { \"x.y\" = \"é\", z = 2 }\n[[d]]\nname = \"n\"\nv = 1\n[[e]]\nv = 2\n";
        let origins = Origins::read("t.toml", text);
        assert_eq!(line(&origins, "a"), Some((1, 5)));
        assert_eq!(line(&origins, "b.c.\"x.y\""), Some((3, 15)));
        assert_eq!(line(&origins, "b.c.z"), Some((3, 24)), "columns count characters");
        assert_eq!(line(&origins, "d[name=n].v"), Some((6, 5)));
        assert_eq!(line(&origins, "e[0].v"), Some((8, 5)));
        assert_eq!(line(&origins, "f"), None);
    }

    #[test]
    fn a_parent_gives_what_the_child_leaves_out() {
        let mut child = Origins::read("child.toml", "a = 1\n");
        child.inherit(Origins::read("parent.toml", "b = 2\na = 3\n"));
        let file = |key| child.get(key).and_then(|(_, origin)| origin.file());
        assert_eq!((file("a"), file("b")), (Some("child.toml"), Some("parent.toml")));
        let node = child.mark("c", Node::sequence([Node::integer(1)]));
        let below = node.as_sequence().and_then(|items| items.first()).unwrap();
        assert_eq!(below.origin.as_deref(), Some(&Origin::Default { key: "c".to_owned() }));
    }
}
