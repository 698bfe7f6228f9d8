//! Finds what a file of the upstream states.

use yaml_rust2::{Yaml, YamlLoader};

use super::contract::Place;

/// YAML beyond this is not read: its aliases could unfold without end.
const YAML_LIMIT: usize = 1 << 20;

/// Why a file does not state what a row asks for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The text is not in the file.
    #[error("not the text `{0}`")]
    NoText(String),
    /// The pointer leads nowhere.
    #[error("nothing at {0}")]
    Nothing(String),
    /// The pointer leads to a mapping or a list.
    #[error("no single value at {0}")]
    NotScalar(String),
    /// The file is not UTF-8, YAML or TOML.
    #[error("a file that cannot be read: {0}")]
    Unreadable(String),
}

/// What `file`, whose bytes these are, states at `place`.
///
/// # Errors
/// When it states nothing there.
pub fn lookup(file: &str, bytes: &[u8], place: &Place) -> Result<String, LookupError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| LookupError::Unreadable(error.to_string()))?;
    match place {
        Place::Text { contains, states } => {
            if text.contains(contains.as_str()) {
                return Ok(states.as_ref().unwrap_or(contains).clone());
            }
            Err(LookupError::NoText(contains.clone()))
        }
        Place::Pointer(pointer) => {
            let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
            match extension {
                "toml" => in_toml(text, pointer),
                "yaml" | "yml" => in_yaml(text, pointer),
                other => Err(LookupError::Unreadable(format!(
                    "a pointer needs a .toml, .yaml or .yml file, not .{other}"
                ))),
            }
        }
    }
}

/// The steps of a pointer, with `~1` and `~0` undone (RFC 6901, section 4).
fn steps(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~"))
}

fn in_toml(text: &str, pointer: &str) -> Result<String, LookupError> {
    let root: toml::Table =
        toml::from_str(text).map_err(|error| LookupError::Unreadable(error.message().into()))?;
    let mut value = &toml::Value::Table(root);
    for step in steps(pointer) {
        let next = match value {
            toml::Value::Table(table) => table.get(&step),
            toml::Value::Array(list) => index(&step).and_then(|index| list.get(index)),
            _ => None,
        };
        value = next.ok_or_else(|| LookupError::Nothing(pointer.to_owned()))?;
    }
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Table(_) | toml::Value::Array(_) => {
            Err(LookupError::NotScalar(pointer.to_owned()))
        }
        other => Ok(other.to_string()),
    }
}

fn in_yaml(text: &str, pointer: &str) -> Result<String, LookupError> {
    if text.len() > YAML_LIMIT {
        return Err(LookupError::Unreadable(format!("YAML of more than {YAML_LIMIT} bytes")));
    }
    let documents = YamlLoader::load_from_str(text)
        .map_err(|error| LookupError::Unreadable(error.to_string()))?;
    let mut value = documents.first().ok_or_else(|| LookupError::Nothing(pointer.to_owned()))?;
    for step in steps(pointer) {
        let next = match value {
            Yaml::Hash(map) => map.get(&Yaml::String(step)),
            Yaml::Array(list) => index(&step).and_then(|index| list.get(index)),
            _ => None,
        };
        value = next.ok_or_else(|| LookupError::Nothing(pointer.to_owned()))?;
    }
    match value {
        Yaml::String(text) | Yaml::Real(text) => Ok(text.clone()),
        Yaml::Integer(number) => Ok(number.to_string()),
        Yaml::Boolean(yes) => Ok(yes.to_string()),
        Yaml::Null => Ok("null".to_owned()),
        _ => Err(LookupError::NotScalar(pointer.to_owned())),
    }
}

/// A list index as RFC 6901 writes it: digits, no leading zero.
fn index(step: &str) -> Option<usize> {
    let leading_zero = step.len() > 1 && step.starts_with('0');
    let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !leading_zero).then(|| step.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(file: &str, text: &str, pointer: &str) -> Result<String, LookupError> {
        lookup(file, text.as_bytes(), &Place::Pointer(pointer.to_owned()))
    }

    #[test]
    fn pointers_lead_into_yaml_and_toml() {
        let yaml = "a:\n  b/c: [x, {d: 8000}]\n  e:\n";
        assert_eq!(pointer("f.yaml", yaml, "/a/b~1c/1/d").as_deref(), Ok("8000"));
        assert_eq!(pointer("f.yaml", yaml, "/a/e").as_deref(), Ok("null"));
        assert_eq!(pointer("f.yaml", yaml, "/a"), Err(LookupError::NotScalar("/a".into())));
        assert_eq!(
            pointer("f.yaml", yaml, "/a/b~1c/01"),
            Err(LookupError::Nothing("/a/b~1c/01".into()))
        );
        let toml = "[package]\nversion = \"0.10.0\"\nlist = [1, 2]\n";
        assert_eq!(pointer("f.toml", toml, "/package/version").as_deref(), Ok("0.10.0"));
        assert_eq!(pointer("f.toml", toml, "/package/list/1").as_deref(), Ok("2"));
        assert!(matches!(pointer("f.json", "{}", "/a"), Err(LookupError::Unreadable(_))));
    }

    #[test]
    fn a_text_states_its_part() {
        let place = Place::Text { contains: "port: 8000".into(), states: Some("8000".into()) };
        assert_eq!(lookup("f", b"a port: 8000", &place).as_deref(), Ok("8000"));
        assert!(lookup("f", b"a port: 8001", &place).is_err());
    }
}
