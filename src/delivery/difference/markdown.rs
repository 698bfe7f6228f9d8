//! Differences for a pull request.

use std::fmt::Write as _;

use super::text::value;
use super::{Difference, FieldChange, Kind, ObjectChange, Risk};

impl Difference {
    /// A heading, a sentence, and a table of every change.
    #[must_use]
    pub fn markdown(&self, title: &str) -> String {
        let mut text = format!("### {title}\n\n{}\n", capital(&self.summary()));
        if !self.objects.is_empty() {
            text.push_str("\n| | object | field | before | after | risk |\n");
            text.push_str("|---|---|---|---|---|---|\n");
        }
        for object in &self.objects {
            if object.fields.is_empty() {
                let _ = writeln!(text, "{}", whole(object));
            }
            for change in &object.fields {
                let _ = writeln!(text, "{}", row(object, change));
            }
        }
        if !self.files.is_empty() {
            text.push('\n');
        }
        for file in &self.files {
            let _ = writeln!(text, "- {}", code(file));
        }
        text
    }
}

fn whole(object: &ObjectChange) -> String {
    let word = match object.change {
        Kind::Added => "added",
        Kind::Changed => "changed",
        Kind::Removed => "removed",
    };
    format!("| {word} | {} | | | | {} |", code(&object.object), risks(&object.risks))
}

fn row(object: &ObjectChange, change: &FieldChange) -> String {
    let cell = |value_: &Option<serde_json::Value>| {
        value_.as_ref().map(|json| code(&value(json))).unwrap_or_default()
    };
    let word = match change.change {
        Kind::Added => "added",
        Kind::Changed => "changed",
        Kind::Removed => "removed",
    };
    format!(
        "| {word} | {} | {} | {} | {} | {} |",
        code(&object.object),
        code(&change.field),
        cell(&change.before),
        cell(&change.after),
        risks(&change.risks)
    )
}

fn risks(risks: &[Risk]) -> String {
    let words: Vec<_> = risks.iter().map(|risk| risk.as_str()).collect();
    match risks.first() {
        None | Some(Risk::None) => String::new(),
        Some(_) => format!("**{}**", words.join(", ")),
    }
}

/// Inline code that no content breaks out of: neither out of the code nor, by
/// a bar or a line end, out of the table.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ").replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}
