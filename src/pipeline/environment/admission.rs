//! The `[admission]` table: which images may run in the cluster.

use serde::{Deserialize, Serialize};

use super::text::{ImagePrefix, ObjectName};

/// Which images may run in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Admission {
    /// Who judges: `none`; `webhook`, the registry's `/validate-image`; or
    /// `policy`, a `ValidatingAdmissionPolicy`, which needs Kubernetes 1.30.
    pub kind: AdmissionKind,
    /// What happens to an image that no prefix names.
    pub default: Verdict,
    /// Beginnings of image names that may run; the longest that fits wins.
    pub allow: Vec<ImagePrefix>,
    /// Beginnings of image names that may not run; of two as long, these win.
    pub deny: Vec<ImagePrefix>,
    /// What happens when nobody can be asked.
    pub failure_policy: FailurePolicy,
    /// Seconds that the webhook has for its answer, from 1 to 30.
    pub timeout: WebhookTimeout,
    /// Namespaces that nobody looks at, beside the environment's own.
    pub excluded_namespaces: Vec<ObjectName>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            kind: AdmissionKind::default(),
            default: Verdict::default(),
            allow: Vec::new(),
            deny: Vec::new(),
            failure_policy: FailurePolicy::default(),
            timeout: WebhookTimeout(10),
            excluded_namespaces: vec![ObjectName::literal("kube-system")],
        }
    }
}

/// Who judges images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AdmissionKind {
    /// Nobody.
    #[default]
    None,
    /// The registry, asked by the API server.
    Webhook,
    /// The API server itself.
    Policy,
}

/// What happens to an image that no prefix names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may run.
    Allow,
    /// It may not.
    #[default]
    Deny,
}

impl Verdict {
    /// The word as the registry's configuration file takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// What happens when nobody can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// No pod starts.
    #[default]
    Fail,
    /// Every pod starts.
    Ignore,
}

impl FailurePolicy {
    /// The word as the API server takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }
}

/// Seconds from 1 to 30, as the API server takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u8")]
pub struct WebhookTimeout(u8);

impl WebhookTimeout {
    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for WebhookTimeout {
    type Error = String;

    fn try_from(seconds: u8) -> Result<Self, String> {
        if (1..=30).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(format!("{seconds} is no time that the API server takes: write 1 to 30 seconds"))
        }
    }
}

#[cfg(warren_schema)]
impl schemars::JsonSchema for WebhookTimeout {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WebhookTimeout".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 30 })
    }
}
