//! The environment's file while it is made: each line knows which line of the
//! overlay it came from.

use std::fmt::Write as _;

use super::report::Place;

/// The tables in the order in which they stand.
const TABLES: [&str; 12] = [
    "",
    "cluster",
    "registry",
    "storage",
    "storage.owner",
    "tls",
    "exposure",
    "ingress",
    "service",
    "address",
    "scheduling",
    "admission",
];

/// The last table, whose place is behind all others.
const LAST: &str = "pod_security";

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    table: &'static str,
    key: &'static str,
    value: String,
    says: &'static str,
    place: Option<Place>,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    lines: Vec<Line>,
}

impl Draft {
    /// Sets a key to a text.
    pub fn text(
        &mut self,
        table: &'static str,
        key: &'static str,
        value: &str,
        place: Option<Place>,
    ) {
        self.set(table, key, quoted(value), "", place);
    }

    /// Sets a key to a value as TOML writes it, with a remark behind it.
    pub fn set(
        &mut self,
        table: &'static str,
        key: &'static str,
        value: String,
        says: &'static str,
        place: Option<Place>,
    ) {
        self.lines.retain(|line| (line.table, line.key) != (table, key));
        self.lines.push(Line { table, key, value, says, place });
    }

    /// Takes a key out.
    pub fn unset(&mut self, table: &str, key: &str) {
        self.lines.retain(|line| line.table != table || line.key != key);
    }

    /// The value of a key, as TOML writes it.
    #[must_use]
    pub fn get(&self, table: &str, key: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find(|line| line.table == table && line.key == key).map(|line| line.value.as_str())
    }

    /// The file, with these patches at its end, and for each of its lines the
    /// place in the overlay, if it has one.
    #[must_use]
    pub fn write(&self, name: &str, patches: &[String]) -> (String, Vec<Option<Place>>) {
        let mut text = format!(
            "#:schema schema.json\n# The environment {name}, imported from an overlay of kustomize. \
             docs/environments.md\n# explains every key; what is absent has the default given there.\n"
        );
        let mut places = vec![None; 3];
        for table in TABLES.into_iter().chain([LAST]) {
            let mut lines: Vec<_> = self.lines.iter().filter(|line| line.table == table).collect();
            // The cluster and the domain first, the rest as it was found.
            lines.sort_by_key(|line| match line.key {
                "kubernetes" => 0,
                "domain" => 1,
                "aliases" => 2,
                _ => 3,
            });
            if lines.is_empty() {
                continue;
            }
            if !table.is_empty() {
                let _ = write!(text, "\n[{table}]\n");
                places.extend([None, None]);
            }
            for Line { key, value, says, place, .. } in lines {
                let says = if says.is_empty() { String::new() } else { format!(" # {says}") };
                let _ = writeln!(text, "{key} = {value}{says}");
                places.push(place.clone());
            }
        }
        for patch in patches {
            let _ = write!(text, "\n{patch}");
        }
        (text, places)
    }
}

/// A text as TOML writes it on one line.
#[must_use]
pub fn quoted(text: &str) -> String {
    // The long form of TOML would stand on several lines.
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A list of texts.
#[must_use]
pub fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<_> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A table on one line.
#[must_use]
pub fn inline<K: AsRef<str>>(pairs: impl IntoIterator<Item = (K, String)>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let pair = |(key, value): (K, String)| {
        let key = key.as_ref();
        let bare = !key.is_empty() && key.chars().all(plain);
        format!("{} = {value}", if bare { key.to_owned() } else { quoted(key) })
    };
    let pairs: Vec<_> = pairs.into_iter().map(pair).collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}
