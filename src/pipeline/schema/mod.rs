//! The types of Kubernetes, by version, and of the custom resources that an
//! environment may use. The tables are generated (`tests/schema/table.py`) from
//! the published schemas and baked in, so that nothing is asked of a network.

mod field;
mod kind;
mod limits;
mod list;
mod scalar;
mod strategy;
mod table;
mod types;

pub use field::Field;
pub use kind::{Kind, Replacement, Scope};
pub use limits::{Bounds, Limits};
pub use list::ListType;
pub use scalar::Scalar;
pub use strategy::Strategy;
pub use types::Type;

/// The schema of one Kubernetes version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    minor: u8,
}

/// There is no table for a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no schema for Kubernetes {version}; there are those of 1.{} to 1.{}", table::MINORS.0, table::MINORS.1)]
pub struct UnknownVersion {
    /// The version that was asked for.
    pub version: String,
}

impl Schema {
    /// The schema of a version such as `1.33`, `v1.33` or `1.33.2`.
    ///
    /// # Errors
    /// [`UnknownVersion`].
    pub fn of(version: &str) -> Result<Self, UnknownVersion> {
        let mut parts = version.strip_prefix('v').unwrap_or(version).split('.');
        let minor = parts.next().filter(|major| *major == "1").and_then(|_| parts.next());
        minor
            .and_then(|minor| minor.parse().ok())
            .filter(|minor| (table::MINORS.0..=table::MINORS.1).contains(minor))
            .map(|minor| Self { minor })
            .ok_or_else(|| UnknownVersion { version: version.to_owned() })
    }

    /// The newest version that there is a schema of.
    #[must_use]
    pub fn newest() -> Self {
        Self { minor: table::MINORS.1 }
    }

    /// The version, such as `1.33`.
    #[must_use]
    pub fn version(self) -> String {
        format!("1.{}", self.minor)
    }

    /// Whether it is the schema of Kubernetes 1.`minor` or of a later version.
    #[must_use]
    pub fn has(self, minor: u8) -> bool {
        self.minor >= minor
    }

    /// A kind, by `apiVersion` and `kind` as they stand in a manifest. Nothing
    /// where this version does not serve it.
    #[must_use]
    pub fn kind(self, api_version: &str, kind: &str) -> Option<Kind> {
        Kind::find(self.minor, api_version, kind).filter(|kind| kind.is_served())
    }

    /// A kind, also one that other versions serve and this one does not.
    #[must_use]
    pub fn kind_of_any_version(self, api_version: &str, kind: &str) -> Option<Kind> {
        Kind::find(self.minor, api_version, kind)
    }

    /// All kinds that this version serves, in the order of API version and name.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::all(self.minor).filter(|kind| kind.is_served())
    }
}

#[cfg(test)]
mod tests;
