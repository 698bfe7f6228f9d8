//! Kinds of objects: which versions serve them, and where they live.

use super::Field;
use super::table::{self, Row};
use super::types::Type;

/// Where the objects of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster, outside namespaces.
    Cluster,
}

/// A kind, as one Kubernetes version has it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    minor: u8,
    row: &'static Row,
}

/// What to use instead of a kind's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The `apiVersion` to write.
    pub api_version: &'static str,
    /// The `kind` to write.
    pub kind: &'static str,
}

impl Kind {
    pub(super) fn find(minor: u8, api_version: &str, kind: &str) -> Option<Self> {
        let rows = table::rows();
        let found =
            rows.binary_search_by(|row| (row.api_version, row.kind).cmp(&(api_version, kind)));
        rows.get(found.ok()?).map(|row| Self { minor, row })
    }

    pub(super) fn all(minor: u8) -> impl Iterator<Item = Self> {
        table::rows().iter().map(move |row| Self { minor, row })
    }

    pub(super) fn is_served(self) -> bool {
        self.row.is_served(self.minor)
    }

    /// Whether earlier versions served it and this one no longer does.
    #[must_use]
    pub fn is_gone(self) -> bool {
        self.row.root.is_none() || self.row.span.last() < self.minor
    }

    /// Its API version, such as `apps/v1`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        self.row.api_version
    }

    /// Its API group, such as `apps`; empty for the core's.
    #[must_use]
    pub fn group(self) -> &'static str {
        self.row.api_version.rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// Its name, such as `StatefulSet`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row.kind
    }

    /// The name of its objects in an address, such as `statefulsets`.
    #[must_use]
    pub fn plural(self) -> &'static str {
        self.row.plural
    }

    /// Where its objects live.
    #[must_use]
    pub fn scope(self) -> Scope {
        // Of what is long gone only the name is known, and it still tells.
        let same = |row: &&Row| row.root.is_some() && row.kind == self.row.kind;
        let row = match self.row.root {
            Some(_) => self.row,
            None => table::rows().iter().find(same).unwrap_or(self.row),
        };
        if row.namespaced { Scope::Namespaced } else { Scope::Cluster }
    }

    /// Whether it comes from a CRD. The API server knows no strategic merge
    /// patch for those.
    #[must_use]
    pub fn is_custom(self) -> bool {
        self.row.custom
    }

    /// Whether its version is an alpha, which API servers serve only when told to.
    #[must_use]
    pub fn is_alpha(self) -> bool {
        !self.row.custom && self.row.api_version.contains("alpha")
    }

    /// The type of its objects. Nothing for a kind that was gone before the
    /// first version with a schema.
    #[must_use]
    pub fn object(self) -> Option<Type> {
        self.row.root.as_ref().map(|of| Type::new(self.minor, of))
    }

    /// A field of its objects, such as `spec`.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Field> {
        self.object()?.field(name)
    }

    /// Whether this version of it is deprecated already.
    #[must_use]
    pub fn is_deprecated(self) -> bool {
        self.row.deprecated.is_some_and(|minor| minor <= self.minor)
    }

    /// The Kubernetes version, such as `1.22`, that no longer serves it. Known
    /// of versions to come too, where they were announced.
    #[must_use]
    pub fn removed(self) -> Option<String> {
        let last = self.row.span.last();
        let gone = (self.row.root.is_some() && last < table::MINORS.1).then(|| last + 1);
        gone.or(self.row.removed).map(|minor| format!("1.{minor}"))
    }

    /// What to use instead of it in this Kubernetes version: what its life
    /// cycle names, if that is served, else the best other version of its kind.
    #[must_use]
    pub fn replacement(self) -> Option<Replacement> {
        let named = self.row.replacement.and_then(|text| text.rsplit_once('/'));
        let named = named.and_then(|(api_version, kind)| Self::find(self.minor, api_version, kind));
        if let Some(kind) = named {
            if kind.is_served() {
                return Some(Replacement { api_version: kind.api_version(), kind: kind.name() });
            }
            // A replacement that is gone itself may name the next.
            if kind.api_version() != self.api_version() {
                return kind.replacement();
            }
        }
        let best = Self::all(self.minor)
            .filter(|other| other.is_served() && other.api_version() != self.api_version())
            .filter(|other| other.name() == self.name() && other.group() == self.group())
            .max_by_key(|other| rank(other.api_version()))?;
        Some(Replacement { api_version: best.api_version(), kind: best.name() })
    }
}

/// Orders versions as Kubernetes does: `v2`, `v1`, `v2beta1`, `v1beta1`, `v1alpha1`.
fn rank(api_version: &str) -> (u8, u32, u32) {
    let version = api_version.rsplit('/').next().unwrap_or_default().trim_start_matches('v');
    let split = |word: &str, level| {
        let (major, minor) = version.split_once(word)?;
        Some((level, major.parse().ok()?, minor.parse().ok()?))
    };
    split("alpha", 0)
        .or_else(|| split("beta", 1))
        .unwrap_or_else(|| (2, version.parse().unwrap_or_default(), 0))
}
