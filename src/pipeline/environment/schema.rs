//! The keys of an environment as a JSON Schema, for editors. The types that
//! read the file are the types that it is made of, so neither can know a key
//! that the other doesn't.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Environment;

/// The schema, as draft 7, which editors of TOML know.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<Environment>();
    schema.insert("title".to_owned(), "An environment of Warren".into());
    let mut schema = schema.into();
    without_null(&mut schema);
    inherit(&mut schema);
    schema
}

/// Asks for the keys that must be there only where nothing is inherited: what
/// `extends` names has them.
fn inherit(schema: &mut Value) {
    let mut asked = serde_json::Map::new();
    let tables: Vec<(String, String)> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, property)| {
            let part = property.pointer("/allOf/0").unwrap_or(property);
            let name = part.get("$ref")?.as_str()?.strip_prefix('#')?;
            Some((key.clone(), name.to_owned()))
        })
        .collect();
    for (key, pointer) in tables {
        let table = schema.pointer_mut(&pointer).and_then(Value::as_object_mut);
        if let Some(required) = table.and_then(|table| table.remove("required")) {
            asked.insert(key, serde_json::json!({ "required": required }));
        }
    }
    let Some(words) = schema.as_object_mut() else { return };
    let required = words.remove("required").unwrap_or_default();
    words.insert("if".to_owned(), serde_json::json!({ "required": ["extends"] }));
    let otherwise = serde_json::json!({ "required": required, "properties": asked });
    words.insert("else".to_owned(), otherwise);
}

/// Takes out every null: TOML has none, an absent key stands for it, and an
/// editor would offer it otherwise.
fn without_null(schema: &mut Value) {
    if let Value::Array(items) = schema {
        items.iter_mut().for_each(without_null);
    }
    let Value::Object(words) = schema else { return };
    if words.get("default") == Some(&Value::Null) {
        words.remove("default");
    }
    if let Some(Value::Array(types)) = words.get_mut("type") {
        types.retain(|word| word != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            words.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(parts)) = words.get_mut("anyOf") {
        parts.retain(|part| part.get("type") != Some(&Value::from("null")));
        if let [only] = parts.as_slice() {
            // Beside a reference draft 7 reads nothing else, so it stays in a list.
            let only = only.clone();
            words.remove("anyOf");
            words.insert("allOf".to_owned(), Value::Array(vec![only]));
        }
    }
    words.values_mut().for_each(without_null);
}
