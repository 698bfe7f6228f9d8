//! Differences for people at a terminal.

use std::fmt::Write as _;

use super::{Difference, FieldChange, Kind, ObjectChange, Risk};

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    colour: bool,
}

/// A value longer than this is cut.
const WIDTH: usize = 72;

impl Palette {
    /// With colours, or without.
    #[must_use]
    pub fn new(colour: bool) -> Self {
        Self { colour }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn kind(self, kind: Kind, text: &str) -> String {
        self.paint(
            match kind {
                Kind::Added => "32",
                Kind::Changed => "33",
                Kind::Removed => "31",
            },
            text,
        )
    }

    fn risk(self, risks: &[Risk]) -> String {
        let words: Vec<_> = risks.iter().map(|risk| risk.as_str()).collect();
        let code = match risks.first() {
            Some(Risk::DataLoss | Risk::Immutable | Risk::WiderRights | Risk::Outage) => "1;31",
            Some(Risk::Selector | Risk::Host | Risk::Restart) => "33",
            _ => return String::new(),
        };
        self.paint(code, &format!("  ! {}", words.join(", ")))
    }
}

impl Difference {
    /// A line for each object and field, with what it puts at risk after `!`.
    #[must_use]
    pub fn text(&self, palette: Palette) -> String {
        let mut text = String::new();
        for object in &self.objects {
            one(&mut text, object, palette);
        }
        for file in &self.files {
            let _ = writeln!(text, "* {file}");
        }
        text
    }
}

fn one(text: &mut String, object: &ObjectChange, palette: Palette) {
    let sign = match object.change {
        Kind::Added => "+",
        Kind::Changed => "~",
        Kind::Removed => "-",
    };
    let head = palette.kind(object.change, &format!("{sign} {}", object.object));
    // The fields of a changed object say the risk of each.
    let risk = if object.fields.is_empty() { palette.risk(&object.risks) } else { String::new() };
    let _ = writeln!(text, "{head}{risk}");
    for change in &object.fields {
        let _ = writeln!(text, "    {}", field(change, palette));
    }
}

fn field(change: &FieldChange, palette: Palette) -> String {
    let before = change.before.as_ref().map(value).unwrap_or_default();
    let after = change.after.as_ref().map(value).unwrap_or_default();
    let what = match change.change {
        Kind::Added => palette.kind(Kind::Added, &format!("+ {after}")),
        Kind::Removed => palette.kind(Kind::Removed, &format!("- {before}")),
        Kind::Changed => format!(
            "{} -> {}",
            palette.kind(Kind::Removed, &before),
            palette.kind(Kind::Added, &after)
        ),
    };
    format!("{}: {what}{}", change.field, palette.risk(&change.risks))
}

/// A value on one line, and not a long one.
#[must_use]
pub fn value(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::String(text) if is_bare(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= WIDTH {
        return text;
    }
    let short: String = text.chars().take(WIDTH - 1).collect();
    format!("{short}…")
}

/// A text that needs no quotes to be seen as a text.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '"')
        && text.parse::<f64>().is_err()
        && !matches!(text, "true" | "false" | "null")
        && !text.starts_with(['{', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_add_nothing_but_escapes() {
        let change = FieldChange {
            field: "spec.x".to_owned(),
            change: Kind::Changed,
            before: Some("a b".into()),
            after: Some(8000.into()),
            risk: Risk::Host,
            risks: vec![Risk::Host, Risk::Restart],
        };
        let plain = field(&change, Palette::default());
        assert_eq!(plain, "spec.x: \"a b\" -> 8000  ! host change, restart");
        let painted = field(&change, Palette::new(true));
        assert!(painted.contains("\u{1b}[31m\"a b\"\u{1b}[0m"), "{painted:?}");
        let bare: Vec<_> = painted
            .split('\u{1b}')
            .map(|part| {
                part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |p| p.1)
            })
            .collect();
        assert_eq!(bare.concat(), plain);
    }

    #[test]
    fn a_long_value_is_cut_and_a_number_in_a_text_is_told_from_a_number() {
        assert_eq!(value(&"x".repeat(100).into()).chars().count(), WIDTH);
        assert_eq!((value(&"8".into()), value(&8.into())), ("\"8\"".to_owned(), "8".to_owned()));
    }
}
