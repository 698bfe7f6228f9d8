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
    schema
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
