//! Equality as JSON has it, RFC 6902 section 4.6.

use super::super::yaml::{Kind, Node, Scalar, Value};

/// Whether two nodes are the same JSON value: numbers by what they amount to
/// (1 and 1.0 are one), texts by their characters, lists in order, mappings in
/// any order.
#[must_use]
pub fn equal(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar(a), Value::Scalar(b)) => scalars(a, b),
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| b.get(&key.name()).is_some_and(|b| equal(a, b)))
        }
        _ => false,
    }
}

fn scalars(a: &Scalar, b: &Scalar) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Float(a), Kind::Float(b)) => a.total_cmp(&b).is_eq() || (a - b).abs() == 0.0,
        (Kind::Integer(integer), Kind::Float(float))
        | (Kind::Float(float), Kind::Integer(integer)) => is_integer(float, integer),
        _ => a == b,
    }
}

/// Whether a float is exactly this whole number.
#[allow(clippy::cast_possible_truncation, reason = "the bounds are checked")]
fn is_integer(float: f64, integer: i128) -> bool {
    // All whole numbers that are read lie within these bounds.
    float.fract() == 0.0 && float.abs() < 1e30 && float as i128 == integer
}
