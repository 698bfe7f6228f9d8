//! Scalars: the text as it stood, and what Kubernetes reads from it.

use std::borrow::Cow;

use compact_str::CompactString;

use super::quote;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: the text decides what it is.
    Plain,
    /// In `'…'`: always a string, as are those below.
    Single,
    /// In `"…"`.
    Double,
    /// A block after `|`; a folded block is kept as this one.
    Literal,
}

/// A scalar. Equal to another where Kubernetes reads the same from both.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Most texts of a manifest are short: those need no memory of their own.
    text: CompactString,
    style: Style,
}

/// What Kubernetes reads from a scalar, as kubectl does: by YAML 1.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Nothing: empty, `~`, `null`.
    Null,
    /// A bool: `true`, also `yes`, `on`, `y`.
    Bool(bool),
    /// A whole number from -2^63 to 2^64 - 1.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Everything else.
    String,
}

impl Kind {
    /// What it is, for messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::String => "a string",
        }
    }
}

impl Eq for Scalar {}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::String, Kind::String) => self.text == other.text,
            // Not-a-number is equal to itself here: the same is read from it.
            (Kind::Float(a), Kind::Float(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }
}

impl Scalar {
    /// A scalar that was read in this style.
    pub(super) fn read(text: String, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    /// A string, in the plainest style in which every reader takes it for one.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        let text = text.into();
        let style = if quote::plain_is_safe(&text) {
            Style::Plain
        } else if text.contains('\n') && quote::literal_is_safe(&text) {
            Style::Literal
        } else {
            Style::Double
        };
        Self { text: text.into(), style }
    }

    /// A whole number.
    #[must_use]
    pub fn integer(number: i64) -> Self {
        Self { text: number.to_string().into(), style: Style::Plain }
    }

    /// A bool.
    #[must_use]
    pub fn bool(value: bool) -> Self {
        Self { text: value.to_string().into(), style: Style::Plain }
    }

    /// A number; one that is not finite is a text to JSON.
    #[must_use]
    pub fn float(number: f64) -> Self {
        Self { text: format!("{number:?}").into(), style: Style::Plain }
    }

    /// The text, without quotes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it is written.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// What Kubernetes reads from it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.style == Style::Plain { resolve(&self.text) } else { Kind::String }
    }

    /// Whether its name as a key is this.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        if self.style != Style::Plain {
            return self.text == name;
        }
        match resolve(&self.text) {
            Kind::Null | Kind::String => self.text == name,
            _ => self.name() == name,
        }
    }

    /// Its name as a key: Kubernetes turns numbers and bools into texts.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match self.kind() {
            Kind::Null | Kind::String => Cow::Borrowed(&self.text),
            Kind::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Kind::Integer(number) => Cow::Owned(number.to_string()),
            Kind::Float(number) => Cow::Owned(number.to_string()),
        }
    }
}

/// What kubectl reads from a plain scalar.
fn resolve(text: &str) -> Kind {
    // No word below is longer, and only numbers begin with these.
    let first = text.as_bytes().first();
    if text.len() > "false".len() && !matches!(first, Some(b'0'..=b'9' | b'+' | b'-' | b'.')) {
        return Kind::String;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            return Kind::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Kind::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Kind::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match first {
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {
            let digits = text.replace('_', "");
            if let Some(number) = integer(&digits) {
                return Kind::Integer(number);
            }
            float(&digits).map_or(Kind::String, Kind::Float)
        }
        _ => Kind::String,
    }
}

/// A whole number with the prefixes 0x, 0o, 0b and 0, from -2^63 to 2^64 - 1.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let prefix = |lower: &str, upper: &str| {
        digits.strip_prefix(lower).or_else(|| digits.strip_prefix(upper))
    };
    let (radix, digits) = if let Some(digits) = prefix("0x", "0X") {
        (16, digits)
    } else if let Some(digits) = prefix("0o", "0O") {
        (8, digits)
    } else if let Some(digits) = prefix("0b", "0B") {
        (2, digits)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, digits.get(1..)?)
    } else {
        (10, digits)
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if negative { -number } else { number };
    let bounds = i128::from(i64::MIN)..=i128::from(u64::MAX);
    // An unsigned number beyond 2^63 must come without a sign.
    let signed = negative || text.starts_with('+');
    let fits = bounds.contains(&number) && (!signed || number <= i128::from(i64::MAX));
    fits.then_some(number)
}

/// A decimal number: digits, a point, an exponent.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (number, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at + 1..)?)),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let exponent_ok = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    if !(has_digits && all_digits(whole) && all_digits(fraction) && exponent_ok) {
        return None;
    }
    // Beyond the largest float Go refuses to parse and the text stays a text.
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_read_as_kubectl_reads_them() {
        for (text, kind) in [
            ("on", Kind::Bool(true)),
            ("yes", Kind::Bool(true)),
            ("y", Kind::Bool(true)),
            ("n", Kind::Bool(false)),
            ("off", Kind::Bool(false)),
            ("yEs", Kind::String),
            ("0777", Kind::Integer(511)),
            ("0o7", Kind::Integer(7)),
            ("0b101", Kind::Integer(5)),
            ("-0b101", Kind::Integer(-5)),
            ("1_000", Kind::Integer(1000)),
            ("0x1F", Kind::Integer(31)),
            ("08", Kind::Float(8.0)),
            ("+5", Kind::Integer(5)),
            ("0", Kind::Integer(0)),
            ("1.", Kind::Float(1.0)),
            (".5", Kind::Float(0.5)),
            ("1e3", Kind::Float(1000.0)),
            ("1e", Kind::String),
            ("1e999", Kind::String),
            ("18446744073709551615", Kind::Integer(18_446_744_073_709_551_615)),
            ("+9223372036854775808", Kind::Float(9_223_372_036_854_775_808.0)),
            ("2026-11-23", Kind::String),
            ("12:30:45", Kind::String),
            ("1.2.3", Kind::String),
            (".", Kind::String),
            ("-", Kind::String),
            ("+", Kind::String),
            ("0x", Kind::String),
            ("", Kind::Null),
            ("~", Kind::Null),
            ("nil", Kind::String),
        ] {
            assert_eq!(Scalar::read(text.into(), Style::Plain).kind(), kind, "{text}");
            assert_eq!(Scalar::read(text.into(), Style::Single).kind(), Kind::String, "{text}");
        }
    }

    #[test]
    fn keys_have_the_names_that_kubernetes_gives_them() {
        for (text, name) in [("on", "true"), ("0777", "511"), ("08", "8"), ("1.5", "1.5")] {
            assert_eq!(Scalar::read(text.into(), Style::Plain).name(), name);
        }
    }
}
