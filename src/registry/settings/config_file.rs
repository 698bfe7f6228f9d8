use std::fmt;
use std::path::Path;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use super::SettingsError;
use crate::registry::auth::Secret;

/// The YAML file of Trow 0.10.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfigFile {
    /// Registries to pull through. The key must be there; it may be null.
    #[serde(deserialize_with = "null_is_default")]
    pub registry_proxies: RegistryProxies,
    /// Which images the admission webhook lets in.
    #[serde(default)]
    pub image_validation: Option<ImageValidation>,
    /// Levels of the log. The key is ours: Trow ignores it.
    #[serde(default, deserialize_with = "level")]
    pub log_level: Option<String>,
}

/// Registries to pull through.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RegistryProxies {
    /// Trow reads this and does not look at it.
    #[serde(default)]
    pub offline: bool,
    /// How much the proxied images may occupy.
    #[serde(default)]
    pub max_size: Option<ByteSize>,
    /// The registries.
    #[serde(default)]
    pub registries: Vec<ProxiedRegistry>,
}

/// One registry to pull through.
#[derive(Clone, Debug, Deserialize)]
pub struct ProxiedRegistry {
    /// Its host.
    pub host: String,
    /// Only repositories below this path.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// Plain HTTP.
    #[serde(default)]
    pub insecure: bool,
    /// User there.
    #[serde(default)]
    pub username: Option<String>,
    /// Password there.
    #[serde(default, deserialize_with = "secret")]
    pub password: Option<Secret>,
}

/// Which images the admission webhook lets in: the longest matching prefix
/// wins.
#[derive(Clone, Debug, Deserialize)]
pub struct ImageValidation {
    /// What holds where no prefix matches.
    pub default: Verdict,
    /// Prefixes of images that come in.
    pub allow: Vec<String>,
    /// Prefixes of images that don't.
    pub deny: Vec<String>,
}

/// Whether an image comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Verdict {
    /// It does.
    Allow,
    /// It does not.
    Deny,
}

/// A number of bytes, written as a number or as text: `50GiB`, `10 MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl ConfigFile {
    /// Reads the text of the file. `path` is for the errors. The second value
    /// names the keys that mean nothing to Trow: it ignores them, so they are
    /// no error, but they are worth a warning.
    ///
    /// # Errors
    /// [`SettingsError::ConfigFile`] with line and column.
    pub fn parse(path: &Path, text: &str) -> Result<(Self, Vec<String>), SettingsError> {
        let error = |error: serde_yaml::Error| SettingsError::ConfigFile {
            path: path.to_owned(),
            problem: error.to_string(),
        };
        let config = serde_yaml::from_str(text).map_err(error)?;
        let unknown = serde_yaml::from_str(text).map(|tree| unknown_keys(&tree)).map_err(error)?;
        Ok((config, unknown))
    }
}

impl ByteSize {
    /// Reads `50GiB`, `10 MB`, `1024`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits)?;
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" | "k" => 1000,
            "mb" | "m" => 1000_u64.pow(2),
            "gb" | "g" => 1000_u64.pow(3),
            "tb" | "t" => 1000_u64.pow(4),
            "kib" | "ki" => 1 << 10,
            "mib" | "mi" => 1 << 20,
            "gib" | "gi" => 1 << 30,
            "tib" | "ti" => 1 << 40,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).map(Self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => Self::parse(&text).ok_or_else(|| {
                serde::de::Error::custom(format!("{text:?} is no size: write it as 50GiB"))
            }),
        }
    }
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    // Read as anything first: the error of a plain string holds what it found.
    match Option::<serde_yaml::Value>::deserialize(deserializer)? {
        None | Some(serde_yaml::Value::Null) => Ok(None),
        Some(serde_yaml::Value::String(text)) => Ok(Some(Secret::new(text))),
        Some(_) => Err(serde::de::Error::custom("the password is no text: put it into quotes")),
    }
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    /// An error from within a visitor is one that knows its line.
    struct Level;

    impl Visitor<'_> for Level {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a level of the log")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            super::resolve::log_level(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Level).map(Some)
}

/// The keys which no version of the file has.
fn unknown_keys(tree: &serde_yaml::Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut look = |value: &serde_yaml::Value, path: &str, known: &[&str]| {
        let keys = value.as_mapping().into_iter().flat_map(|mapping| mapping.keys());
        unknown.extend(
            keys.filter_map(serde_yaml::Value::as_str)
                .filter(|key| !known.contains(key))
                .map(|key| format!("{path}{key}")),
        );
    };
    look(tree, "", &["registry_proxies", "image_validation", "log_level"]);
    if let Some(validation) = tree.get("image_validation") {
        look(validation, "image_validation.", &["default", "allow", "deny"]);
    }
    if let Some(proxies) = tree.get("registry_proxies") {
        look(proxies, "registry_proxies.", &["offline", "max_size", "registries"]);
        let registries = proxies.get("registries").and_then(serde_yaml::Value::as_sequence);
        for (index, registry) in registries.into_iter().flatten().enumerate() {
            look(
                registry,
                &format!("registry_proxies.registries[{index}]."),
                &["host", "path_prefix", "insecure", "username", "password"],
            );
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(ConfigFile, Vec<String>), String> {
        ConfigFile::parse(Path::new("trow.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_trow_reads() {
        let (config, unknown) = parse(
            "registry_proxies:\n  offline: false\n  max_size: 50GiB\n  registries:\n  - host: ghcr.io\n    username: me\n    password: hunter2\nimage_validation:\n  default: Deny\n  allow: [ghcr.io/a]\n  deny: []\n",
        )
        .unwrap();
        assert_eq!(unknown, [""; 0]);
        assert_eq!(config.registry_proxies.max_size, Some(ByteSize(50 << 30)));
        assert_eq!(config.registry_proxies.registries[0].host, "ghcr.io");
        assert_eq!(config.image_validation.as_ref().unwrap().default, Verdict::Deny);
        assert!(!format!("{config:?}").contains("hunter2"));
        let (config, _) = parse("registry_proxies:\n").unwrap();
        assert!(config.registry_proxies.registries.is_empty());
    }

    #[test]
    fn errors_say_where() {
        for (text, expected) in [
            ("image_validation: null\n", "missing field `registry_proxies`"),
            ("registry_proxies:\n  max_size: much\n", "is no size"),
            (
                "registry_proxies:\nimage_validation:\n  default: Maybe\n  allow: []\n  deny: []\n",
                "line 3",
            ),
            ("registry_proxies:\nimage_validation:\n  default: Deny\n", "missing field `allow`"),
            ("registry_proxies: [\n", "line"),
            ("registry_proxies:\nlog_level: loud\n", "\"loud\" is no level"),
            ("registry_proxies:\nlog_level: loud\n", "line 2"),
            (
                "registry_proxies:\n  registries:\n  - host: a\n    password: 4711\n",
                "the password is no text",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with("trow.yaml: ") && error.contains(expected), "{error}");
            assert!(!error.contains("4711"), "{error}");
        }
    }

    #[test]
    fn keys_without_meaning_are_named() {
        let (_, unknown) =
            parse("registry_proxies:\n  registries:\n  - host: a\n    tls: on\nproxies: 1\n")
                .unwrap();
        assert_eq!(unknown, ["proxies", "registry_proxies.registries[0].tls"]);
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1024", Some(1024)),
            ("50GiB", Some(50 << 30)),
            ("10 MB", Some(10_000_000)),
            ("1k", Some(1000)),
            ("", None),
            ("GiB", None),
            ("1 parsec", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(ByteSize::parse(text).map(|size| size.0), bytes, "{text}");
        }
    }
}
