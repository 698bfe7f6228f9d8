//! From nodes to text: block style, two spaces, lists indented under their
//! key. A scalar that nobody touched leaves in the style in which it came.

use std::fmt::Write as _;

use super::node::{Mapping, Node, Value};
use super::quote;
use super::scalar::{Scalar, Style};

/// Writes one document, ending with a line end.
#[must_use]
pub fn write(node: &Node) -> String {
    let mut writer = Writer::default();
    match &node.value {
        Value::Mapping(mapping) if !mapping.is_empty() => writer.mapping(mapping, 0),
        Value::Sequence(items) if !items.is_empty() => writer.sequence(items, 0),
        _ => writer.value(node, 0),
    }
    // A rendering keeps the texts of all objects.
    writer.text.shrink_to_fit();
    writer.text
}

/// Writes documents with `---` between them.
#[must_use]
pub fn write_all<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> String {
    nodes.into_iter().map(write).collect::<Vec<_>>().join("---\n")
}

#[derive(Default)]
struct Writer {
    text: String,
}

/// A key longer than this must be written after `?`: YAML ends simple keys
/// at 1024 characters.
const SIMPLE_KEY: usize = 1000;

impl Writer {
    fn mapping(&mut self, mapping: &Mapping, indent: usize) {
        for (index, (key, value)) in mapping.iter().enumerate() {
            // The first key stands on the line of its `- ` already.
            if index > 0 || self.text.is_empty() || self.text.ends_with('\n') {
                self.indent(indent);
            }
            let key = scalar_on_one_line(key);
            if key.chars().count() > SIMPLE_KEY {
                let _ = writeln!(self.text, "? {key}");
                self.indent(indent);
            } else {
                self.text.push_str(&key);
            }
            self.text.push(':');
            match &value.value {
                Value::Mapping(inner) if !inner.is_empty() => {
                    self.text.push('\n');
                    self.mapping(inner, indent + 2);
                }
                Value::Sequence(items) if !items.is_empty() => {
                    self.text.push('\n');
                    self.sequence(items, indent + 2);
                }
                _ => {
                    if !is_empty_plain(value) {
                        self.text.push(' ');
                    }
                    self.value(value, indent + 2);
                }
            }
        }
    }

    fn sequence(&mut self, items: &[Node], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 || self.text.is_empty() || self.text.ends_with('\n') {
                self.indent(indent);
            }
            self.text.push('-');
            if !is_empty_plain(item) {
                self.text.push(' ');
            }
            match &item.value {
                Value::Mapping(inner) if !inner.is_empty() => self.mapping(inner, indent + 2),
                Value::Sequence(inner) if !inner.is_empty() => self.sequence(inner, indent + 2),
                _ => self.value(item, indent + 2),
            }
        }
    }

    /// A scalar or an empty collection, and the line end. `indent` is where
    /// the lines of a block go.
    fn value(&mut self, node: &Node, indent: usize) {
        match &node.value {
            Value::Mapping(_) => self.text.push_str("{}\n"),
            Value::Sequence(_) => self.text.push_str("[]\n"),
            Value::Scalar(scalar) if is_block(scalar) => self.block(scalar.text(), indent),
            Value::Scalar(scalar) => {
                self.text.push_str(&scalar_on_one_line(scalar));
                self.text.push('\n');
            }
        }
    }

    fn block(&mut self, text: &str, indent: usize) {
        let body = text.trim_end_matches('\n');
        let ends = text.len() - body.len();
        self.text.push_str(match ends {
            0 => "|-\n",
            1 => "|\n",
            _ => "|+\n",
        });
        for line in body.split('\n') {
            if !line.is_empty() {
                self.indent(indent.max(2));
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
        for _ in 1..ends {
            self.text.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n(' ', indent));
    }
}

fn is_empty_plain(node: &Node) -> bool {
    node.as_scalar()
        .is_some_and(|scalar| scalar.style() == Style::Plain && scalar.text().is_empty())
}

fn is_block(scalar: &Scalar) -> bool {
    scalar.style() == Style::Literal
        && scalar.text().contains('\n')
        && quote::literal_is_safe(scalar.text())
}

fn scalar_on_one_line(scalar: &Scalar) -> String {
    let text = scalar.text();
    match scalar.style() {
        // A plain text over several lines was folded into one; it may hold
        // line ends, and then it needs quotes.
        Style::Plain if text.is_empty() || quote::plain_is_possible(text) => text.to_owned(),
        Style::Single if quote::single_is_possible(text) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        _ => double_quoted(text),
    }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if quote::is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
