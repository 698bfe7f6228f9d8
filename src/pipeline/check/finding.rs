//! What a check found.

use serde::Serialize;

use super::super::yaml::{Node, Origin};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It would not work, or would leak: nothing is written.
    Error,
    /// The operator should know.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable name, such as `service-name`: [`super::rules`] lists them.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The environment.
    pub environment: String,
    /// The object, such as `statefulset/trow-set`; empty for the whole.
    pub object: String,
    /// The field within it; empty for the whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: String,
    /// What caused it, where that stands in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Why the environment waives it, where it does: it then counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

impl Finding {
    /// Whether nothing may be written because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error && self.waived.is_none()
    }

    /// Whether the operator should know of it.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.severity == Severity::Warning && self.waived.is_none()
    }
}

/// Where the value that caused a finding stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The file, relative to the repository.
    pub file: String,
    /// Its line, from 1; 0 where only the file is known.
    pub line: usize,
    /// The column, from 1; 0 where only the file is known.
    pub column: usize,
    /// The key of a TOML file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Cause {
    /// Where this node came from. None for what the program made by itself or
    /// for the default of a key.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        let origin = node.origin.as_deref()?;
        let file = origin.file()?.to_owned();
        let (line, column) = (node.at.line(), node.at.column());
        let key = match origin {
            Origin::Key { key, .. } => Some(key.clone()),
            _ => None,
        };
        Some(Self { file, line, column, key })
    }
}

impl std::fmt::Display for Cause {
    /// `environments/sandbox.toml:4:10`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 { write!(f, ":{}:{}", self.line, self.column) } else { Ok(()) }
    }
}
