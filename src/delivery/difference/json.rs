//! Objects between JSON, as the API server speaks it, and our own nodes.

use crate::pipeline::yaml::{Kind, Node, Scalar, Value};

/// A node as JSON, as Kubernetes reads it.
#[must_use]
pub fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Mapping(mapping) => mapping
            .iter()
            .map(|(key, value)| (key.name().into_owned(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Sequence(items) => items.iter().map(json).collect::<Vec<_>>().into(),
        Value::Scalar(scalar) => match scalar.kind() {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(value) => value.into(),
            Kind::Integer(number) => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                _ => scalar.text().into(),
            },
            Kind::Float(number) => number.into(),
            Kind::String => scalar.text().into(),
        },
    }
}

/// JSON as a node. A key whose value is null is left out, as the API server
/// leaves it out.
#[must_use]
pub fn node(value: &serde_json::Value) -> Node {
    let scalar = |scalar| Node::from(Value::Scalar(scalar));
    match value {
        serde_json::Value::Null => scalar(Scalar::string("")),
        serde_json::Value::Bool(value) => scalar(Scalar::bool(*value)),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Node::integer(number),
            (None, Some(float)) => scalar(Scalar::float(float)),
            (None, None) => Node::string(number.to_string()),
        },
        serde_json::Value::String(text) => Node::string(text),
        serde_json::Value::Array(items) => Node::sequence(items.iter().map(node)),
        serde_json::Value::Object(entries) => Node::mapping(
            entries
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.as_str(), node(value))),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_there_comes_back() {
        let value = serde_json::json!({
            "text": "8000", "number": 8000, "float": 0.5, "bool": true, "list": ["a", 1],
            "lines": "one\ntwo\n", "empty": {}, "true": "true",
        });
        assert_eq!(json(&node(&value)), value);
        let with_null = serde_json::json!({"a": null, "b": 1});
        assert_eq!(json(&node(&with_null)), serde_json::json!({"b": 1}));
    }
}
