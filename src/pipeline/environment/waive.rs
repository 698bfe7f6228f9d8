//! `[[waive]]`: findings that an environment takes as they are.

use serde::Deserialize;

/// A finding that counts no more, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Waive {
    /// The finding's code; without the part after `/`, all codes that begin so.
    pub code: String,
    /// The object, such as `statefulset/trow-set`; every one unless given.
    #[serde(default)]
    pub object: Option<String>,
    /// Why it may be.
    pub reason: Reason,
}

/// Why something is waived: a text that says something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(String);

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(warren_schema)]
impl schemars::JsonSchema for Reason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"\S" })
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() {
            Err("say why: whoever reads this file must know what was weighed")
        } else {
            Ok(Self(text))
        }
    }
}
