//! What a schema says of a value beyond its type.

use std::sync::OnceLock;

use regex::Regex;

const PATTERNS: &str = include_str!("patterns.txt");

/// The least and the greatest that is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The least; nothing where there is no such bound.
    pub least: Option<i64>,
    /// The greatest, which is allowed.
    pub greatest: Option<i64>,
}

impl Bounds {
    /// `1..16`, `1..` or `..16`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (least, greatest) = text.split_once("..")?;
        let number = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(Self { least: number(least)?, greatest: number(greatest)? })
    }

    /// Whether a count is within.
    #[must_use]
    pub fn contain(self, count: usize) -> bool {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.least.is_none_or(|least| count >= least)
            && self.greatest.is_none_or(|greatest| count <= greatest)
    }

    /// Whether a number is within.
    #[must_use]
    pub fn contain_number(self, number: f64) -> bool {
        self.least.is_none_or(|least| number >= least as f64)
            && self.greatest.is_none_or(|greatest| number <= greatest as f64)
    }
}

/// For messages: `1 to 16`, `at least 1`, `at most 16`.
impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.least, self.greatest) {
            (Some(least), Some(greatest)) if least == greatest => write!(f, "{least}"),
            (Some(least), Some(greatest)) => write!(f, "{least} to {greatest}"),
            (Some(least), None) => write!(f, "at least {least}"),
            (None, Some(greatest)) => write!(f, "at most {greatest}"),
            (None, None) => f.write_str("any"),
        }
    }
}

/// The limits of a field. All but [`Limits::size`] are those of its value, or of
/// each element of its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of a number (`minimum`, `maximum`).
    pub range: Option<Bounds>,
    /// Of a text, in characters (`minLength`, `maxLength`).
    pub length: Option<Bounds>,
    /// Of a list, in elements, or of a mapping, in keys (`minItems`, `maxItems`,
    /// `minProperties`, `maxProperties`).
    pub size: Option<Bounds>,
    /// Of a text (`pattern`).
    pub pattern: Option<Pattern>,
}

/// A regular expression that a text has to match somewhere in it, in the syntax
/// of RE2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    place: usize,
}

impl Pattern {
    /// The number of its line in `patterns.txt`, the first of which is 0.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let place = text.parse().ok()?;
        patterns().get(place).map(|_| Self { place })
    }

    /// Its text.
    #[must_use]
    pub fn text(self) -> &'static str {
        patterns().get(self.place).map_or("", |(text, _)| *text)
    }

    /// Whether a text matches.
    #[must_use]
    pub fn matches(self, text: &str) -> bool {
        self.compiled().is_none_or(|regex| regex.is_match(text))
    }

    fn compiled(self) -> Option<&'static Regex> {
        let (text, compiled) = patterns().get(self.place)?;
        compiled.get_or_init(|| Regex::new(text).ok()).as_ref()
    }
}

/// A pattern, and what it was compiled to once it was asked.
type Line = (&'static str, OnceLock<Option<Regex>>);

/// All patterns.
fn patterns() -> &'static [Line] {
    static ALL: OnceLock<Vec<Line>> = OnceLock::new();
    ALL.get_or_init(|| PATTERNS.lines().map(|text| (text, OnceLock::new())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_a_regular_expression_and_is_asked() {
        for place in 0..patterns().len() {
            assert!(Pattern { place }.compiled().is_some(), "{}", patterns()[place].0);
        }
        let host = Pattern { place: patterns().len() };
        assert_eq!(Pattern::parse(&host.place.to_string()), None);
        let day = patterns().iter().position(|(text, _)| text.contains("wednes")).unwrap();
        let day = Pattern { place: day };
        assert!(day.matches("Monday") && day.matches("monday:friday") && !day.matches("today"));
    }

    #[test]
    fn bounds_hold_what_is_between_them() {
        let bounds = Bounds::parse("1..16").unwrap();
        assert!(bounds.contain(1) && bounds.contain(16));
        assert!(!bounds.contain(0) && !bounds.contain(17));
        assert!(!bounds.contain_number(0.9) && bounds.contain_number(16.0));
        assert_eq!(bounds.to_string(), "1 to 16");
        let open = Bounds::parse("..16").unwrap();
        assert!(open.contain(0) && open.contain_number(-1.0) && !open.contain(17));
        assert_eq!(open.to_string(), "at most 16");
        assert_eq!(Bounds::parse("1..").unwrap().to_string(), "at least 1");
        assert_eq!(Bounds::parse("x..1"), None);
    }
}
