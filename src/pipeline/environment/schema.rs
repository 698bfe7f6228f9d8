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
    schema.into()
}
