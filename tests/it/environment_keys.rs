//! The keys of an environment: the types that read them, the JSON Schema, the
//! page that explains them and the suite that renders them know the same ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use warren::fs;
use warren::pipeline::environment::check_text;
use warren::pipeline::environment::schema::schema;

use crate::choices::FOLDER;
use crate::compose::repository;

fn text(path: &str) -> String {
    fs::read_to_string(&repository().join(path)).unwrap()
}

/// The schema behind a reference, or the part of an alternative that is not null.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.strip_prefix('#').unwrap());
        return resolved(root, target.unwrap_or_else(|| panic!("{name} is not there")));
    }
    for word in ["allOf", "anyOf"] {
        if let Some(parts) = schema[word].as_array() {
            let part = parts.iter().find(|part| part["type"] != "null").unwrap();
            return resolved(root, part);
        }
    }
    schema
}

/// Every key that holds a value, with the default of the schema, if it has one.
fn keys(root: &Value, schema: &Value, path: &str, found: &mut BTreeMap<String, Option<Value>>) {
    let here = resolved(root, schema);
    let properties = here["properties"].as_object().unwrap();
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        assert!(
            property["description"].is_string()
                || resolved(root, property)["description"].is_string(),
            "{path} is not described"
        );
        let inside = resolved(root, property);
        let items = resolved(root, &inside["items"]);
        if inside["properties"].is_object() {
            keys(root, property, &path, found);
        } else if items["properties"].is_object() {
            keys(root, items, &format!("{path}[]"), found);
        } else {
            let asked = match path.split_once('.') {
                // What must be there unless it is inherited.
                None => &root["else"]["required"],
                Some((table, _)) if !root["else"]["properties"][table].is_null() => {
                    &root["else"]["properties"][table]["required"]
                }
                Some(_) => &here["required"],
            };
            let required =
                asked.as_array().is_some_and(|r| r.contains(&Value::from(name.as_str())));
            let default = property.get("default").cloned();
            found.insert(path, if required { None } else { Some(default.unwrap_or(Value::Null)) });
        }
    }
}

fn schema_keys() -> BTreeMap<String, Option<Value>> {
    let (root, mut found) = (schema(), BTreeMap::new());
    keys(&root, &root, "", &mut found);
    found
}

/// The keys of the page with what it says of their defaults.
fn documented() -> BTreeMap<String, String> {
    let page = text("docs/environments.md");
    let (mut table, mut found, mut listing) = (String::new(), BTreeMap::new(), false);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.strip_prefix("`[").and_then(|rest| rest.strip_suffix("]`"));
            table = match name {
                // A list of tables is written in two brackets.
                Some(name) if name.starts_with('[') => {
                    format!("{}[].", name.trim_matches(['[', ']']))
                }
                Some(name) => format!("{name}."),
                None => String::new(),
            };
        }
        if line.starts_with('|') {
            listing |= line == "| key | meaning | default |";
        } else {
            listing = false;
        }
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let (true, [key, _, default]) = (listing, cells.as_slice())
            && let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'))
        {
            let twice = found.insert(format!("{table}{key}"), (*default).to_owned());
            assert_eq!(twice, None, "{table}{key} stands twice");
        }
    }
    found
}

#[test]
fn the_page_explains_each_key_of_the_schema_and_no_other() {
    let (schema, page) = (schema_keys(), documented());
    let schema: BTreeSet<_> = schema.keys().collect();
    let page: BTreeSet<_> = page.keys().collect();
    let missing: Vec<_> = schema.difference(&page).collect();
    let invented: Vec<_> = page.difference(&schema).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:?}, invented {invented:?}"
    );
}

#[test]
fn the_page_gives_the_defaults_of_the_schema() {
    let page = documented();
    for (key, default) in schema_keys() {
        let said = &page[&key];
        let expected = match &default {
            None => "required".to_owned(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(Value::Array(items)) if !items.is_empty() => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                format!("`{}`", items.join("`, `"))
            }
            Some(Value::Object(map)) if !map.is_empty() => {
                let item = |(key, value): (&String, &Value)| format!("`{key} = {value}`");
                map.iter().map(item).collect::<Vec<_>>().join(", ")
            }
            // What has no default of its own is told in words.
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
                assert!(!said.is_empty() && said != "required", "{key}: {said}");
                continue;
            }
            Some(other) => format!("`{other}`"),
        };
        assert_eq!(*said, expected, "{key}");
    }
}

#[test]
fn the_examples_of_the_page_are_right() {
    let page = text("docs/environments.md");
    let examples: Vec<_> = page.split("```toml\n").skip(1).collect();
    assert!(examples.len() > 12, "{}", examples.len());
    for example in examples {
        let example = example.split("```").next().unwrap();
        let mut tree: toml::Table = toml::from_str(example).unwrap_or_else(|error| {
            panic!("{example}: {error}");
        });
        // What an example leaves out, the sandbox has, with our own engine.
        let sandbox = text("environments/sandbox.toml").replace("\"trow\" ", "\"warren\" ");
        let sandbox: toml::Table = toml::from_str(&sandbox).unwrap();
        for (key, value) in sandbox {
            match (tree.get_mut(&key), value) {
                (Some(toml::Value::Table(there)), toml::Value::Table(table)) => {
                    for (key, value) in table {
                        there.entry(key).or_insert(value);
                    }
                }
                (None, value) => drop(tree.insert(key, value)),
                _ => {}
            }
        }
        let merged = toml::to_string(&tree).unwrap();
        check_text("example", &merged).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_committed_schema_is_what_the_types_say() {
    let committed = text("environments/schema.json");
    assert!(
        committed == warren::cli::schema::text(),
        "run `warren schema --output environments/schema.json`, and commit it"
    );
}

#[test]
fn the_files_that_there_are_fit_the_schema() {
    let schema = schema();
    for folder in ["environments", FOLDER] {
        for path in fs::list(&repository().join(folder)).unwrap() {
            if path.extension().is_some_and(|extension| extension == "toml") {
                let tree: toml::Value =
                    toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                let tree = serde_json::to_value(tree).unwrap();
                fits(&schema, &schema, &tree, "").unwrap_or_else(|error| {
                    panic!("{}: {error}", path.display());
                });
            }
        }
    }
    let sandbox = text("environments/sandbox.toml");
    for (from, to) in [
        ("domain =", "domian ="),
        ("\"host-path\"", "\"host_path\""),
        ("uid = 999", "uid = \"999\""),
        ("size = \"10Gi\"", "size = 10"),
        ("kubernetes = \"1.36\"", "kubernetes = \"1.24\""),
        ("user = \"trow-pass\"", ""),
        ("context = \"kubernetes-admin@sandbox\"", ""),
    ] {
        assert!(sandbox.contains(from), "{from}");
        let tree: toml::Value = toml::from_str(&sandbox.replacen(from, to, 1)).unwrap();
        let tree = serde_json::to_value(tree).unwrap();
        assert!(fits(&schema, &schema, &tree, "").is_err(), "{from} {to}");
    }
    // What is inherited need not be repeated.
    let tree = serde_json::json!({ "extends": "sandbox", "registry": { "log_level": "debug" } });
    fits(&schema, &schema, &tree, "").unwrap();
}

#[test]
fn the_suite_of_choices_sets_every_key() {
    let mut set = BTreeSet::new();
    for folder in ["environments", FOLDER] {
        for path in fs::list(&repository().join(folder)).unwrap() {
            if path.extension().is_some_and(|extension| extension == "toml") {
                let tree: toml::Value =
                    toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                leaves(&tree, "", &mut set);
            }
        }
    }
    // A table of free keys counts as set when any of them is.
    let is_set = |key: &String| {
        set.contains(key) || set.iter().any(|other| other.starts_with(&format!("{key}.")))
    };
    let unset: Vec<_> = schema_keys().into_keys().filter(|key| !is_set(key)).collect();
    assert!(unset.is_empty(), "no file of {FOLDER} sets {unset:?}");
}

fn leaves(value: &toml::Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, found);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for item in items {
                leaves(item, &format!("{path}[]"), found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// Validates by the words of JSON Schema that ours uses; any other word is an
/// error, so that none is passed over. CI does it again with a validator of others.
fn fits(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{path}: {value} {what}"));
    let Some(words) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Ok(()) } else { wrong("is refused") };
    };
    for (word, rule) in words {
        match word.as_str() {
            "$ref" => {
                let target = rule.as_str().unwrap().strip_prefix('#').unwrap();
                fits(root, root.pointer(target).unwrap(), value, path)?;
            }
            "if" => {
                let branch = if fits(root, rule, value, path).is_ok() { "then" } else { "else" };
                if let Some(branch) = schema.get(branch) {
                    fits(root, branch, value, path)?;
                }
            }
            "allOf" => {
                for part in rule.as_array().unwrap() {
                    fits(root, part, value, path)?;
                }
            }
            "anyOf" | "oneOf" => {
                let parts = rule.as_array().unwrap();
                if !parts.iter().any(|part| fits(root, part, value, path).is_ok()) {
                    return wrong("fits no alternative");
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => return wrong("is no such word"),
            "const" if rule != value => return wrong("is another word"),
            "type" => {
                let kind = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(number) if number.is_i64() => "integer",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let fits = |word: &Value| word == kind || (word == "number" && kind == "integer");
                if !rule.as_array().map_or_else(|| fits(rule), |words| words.iter().any(fits)) {
                    return wrong("has another type");
                }
            }
            "minimum" if value.as_f64() < rule.as_f64() => return wrong("is too small"),
            "maximum" if value.as_f64() > rule.as_f64() => return wrong("is too large"),
            "$schema" | "title" | "description" | "default" | "definitions" | "format"
            | "pattern" | "enum" | "const" | "minimum" | "maximum" | "then" | "else" => {}
            "required" => {
                for key in rule.as_array().unwrap() {
                    if value.get(key.as_str().unwrap()).is_none() {
                        return wrong(&format!("lacks {key}"));
                    }
                }
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(key) {
                        fits(root, rule, value, &format!("{path}.{key}"))?;
                    }
                }
            }
            // A pattern stands for every key here.
            "patternProperties" => {
                let rule = rule.as_object().unwrap().values().next().unwrap();
                for (key, value) in value.as_object().into_iter().flatten() {
                    fits(root, rule, value, &format!("{path}.{key}"))?;
                }
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let known = schema["properties"].get(key).is_some();
                    if !known && schema.get("patternProperties").is_none() {
                        fits(root, rule, value, &format!("{path}.{key}"))?;
                    }
                }
            }
            "items" => {
                for value in value.as_array().into_iter().flatten() {
                    fits(root, rule, value, &format!("{path}[]"))?;
                }
            }
            other => panic!("{path}: the test does not know the word {other}"),
        }
    }
    Ok(())
}
