//! Values that have no fields, against what the schema wants.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::schema::{Bounds, Limits, Scalar};
use super::super::yaml::{Kind, Node, Value};

/// What is wrong with a value and the way out; nothing if it is right.
pub(super) fn problem(node: &Node, wanted: Scalar) -> Option<(String, String)> {
    let Some(scalar) = node.as_scalar() else {
        let fits = match wanted {
            Scalar::Any => true,
            Scalar::Object => node.as_mapping().is_some(),
            _ => false,
        };
        return (!fits).then(|| other_type(node, wanted));
    };
    let text = scalar.text();
    match (wanted, scalar.kind()) {
        (Scalar::Any, _)
        | (Scalar::String | Scalar::IntOrString, Kind::String)
        | (Scalar::Bool, Kind::Bool(_))
        | (Scalar::Number | Scalar::Quantity, Kind::Integer(_)) => None,
        (Scalar::Int32 | Scalar::IntOrString, Kind::Integer(number)) => {
            (i32::try_from(number).is_err()).then(|| too_large(text, "32"))
        }
        (Scalar::Int64, Kind::Integer(number)) => {
            (i64::try_from(number).is_err()).then(|| too_large(text, "64"))
        }
        // kubectl sends 8.0 and 08 as 8.
        (Scalar::Int32 | Scalar::Int64, Kind::Float(number))
            if number.fract() == 0.0 && number.abs() < 2_147_483_648.0 =>
        {
            None
        }
        (Scalar::Number | Scalar::Quantity, Kind::Float(number)) => (!number.is_finite())
            .then(|| (format!("`{text}` is no number in JSON"), "write a number".to_owned())),
        (Scalar::Quantity, Kind::String) => (!is_quantity(text)).then(|| {
            let hint = "write a number and a unit: m, k, M, G, Ki, Mi, Gi, …".to_owned();
            (format!("`{text}` is no quantity"), hint)
        }),
        (Scalar::Time, Kind::String) => (!is_time(text)).then(|| {
            (format!("`{text}` is no time"), "write it as 2026-01-31T12:00:00Z".to_owned())
        }),
        (Scalar::Bytes, Kind::String) => {
            let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            STANDARD.decode(text).is_err().then(|| {
                ("is no base64".to_owned(), "write the text itself under stringData".to_owned())
            })
        }
        _ => Some(other_type(node, wanted)),
    }
}

/// What is wrong with a value of the right type by the limits of its field.
pub(super) fn beyond(node: &Node, limits: &Limits) -> Option<(String, String)> {
    let scalar = node.as_scalar()?;
    let text = scalar.text();
    let number = match scalar.kind() {
        Kind::Integer(number) => number as f64,
        Kind::Float(number) => number,
        Kind::String => return other_text(text, limits),
        Kind::Null | Kind::Bool(_) => return None,
    };
    let range = limits.range.filter(|range| !range.contain_number(number))?;
    Some((format!("{text} is not {range}"), format!("write {range}")))
}

fn other_text(text: &str, limits: &Limits) -> Option<(String, String)> {
    let count = text.chars().count();
    if let Some(length) = limits.length.filter(|length| !length.contain(count)) {
        let message = format!("has {count} characters, and may have {length}");
        return Some((message, "write another text".to_owned()));
    }
    let pattern = limits.pattern.filter(|pattern| !pattern.matches(text))?;
    let shown: String = text.chars().take(80).collect();
    let message = format!("`{shown}` does not match {}", pattern.text());
    Some((message, "write a text of that form".to_owned()))
}

/// What is wrong with how much a list or mapping holds.
pub(super) fn size(node: &Node, size: Bounds) -> Option<(String, String)> {
    let (count, what) = match &node.value {
        Value::Sequence(items) => (items.len(), "elements"),
        Value::Mapping(mapping) => (mapping.iter().count(), "keys"),
        Value::Scalar(_) => return None,
    };
    (!size.contain(count)).then(|| {
        let message = format!("has {count} {what}, and may have {size}");
        (message, format!("write {size} {what}"))
    })
}

fn too_large(text: &str, bits: &str) -> (String, String) {
    (format!("{text} does not fit in {bits} bits"), "write a smaller number".to_owned())
}

fn other_type(node: &Node, wanted: Scalar) -> (String, String) {
    let message = format!("is {}, and must be {}", node.describe(), wanted.describe());
    let text = node.as_scalar().map(super::super::yaml::Scalar::text);
    let hint = match (wanted, text) {
        (Scalar::String | Scalar::Bytes | Scalar::Time, Some(text)) => {
            format!("put it in quotes: \"{text}\"")
        }
        (Scalar::Bool, Some(text)) if ["true", "false"].contains(&text) => {
            format!("write it without quotes: {text}")
        }
        (Scalar::Int32 | Scalar::Int64 | Scalar::Number, Some(text))
            if text.parse::<f64>().is_ok() && node.as_str().is_some() =>
        {
            format!("write it without quotes: {text}")
        }
        _ => format!("write {}", wanted.describe()),
    };
    (message, hint)
}

/// A decimal number with one of the suffixes of `resource.Quantity`.
pub(super) fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] =
        ["n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let digits = number.bytes().any(|byte| byte.is_ascii_digit());
    let exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|digits| {
        let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits && number.matches('.').count() <= 1 && (SUFFIXES.contains(&suffix) || exponent)
}

/// RFC 3339, as Go reads it: `2026-01-31T12:00:00.5+01:00`.
pub(super) fn is_time(text: &str) -> bool {
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => byte == wanted,
            })
    };
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    shaped(moment, "0000-00-00T00:00:00")
        && (zone == "Z" || shaped(zone, "+00:00") || shaped(zone, "-00:00"))
}

/// The word that was most likely meant.
pub(super) fn nearest<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = found.to_lowercase();
    words
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min()
        .map(|(_, word)| word)
}
