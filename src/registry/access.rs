//! What a request wants to do to a repository, and what its caller may do.

use std::fmt;
use std::ops::BitOr;
use std::sync::Arc;

use super::name::RepositoryName;

/// A set of the actions that the token scope of the distribution project
/// knows: `pull`, `push`, `delete`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actions(u8);

impl Actions {
    /// No action: asking for the version, listing what one may see.
    pub const NONE: Self = Self(0);
    /// Reading manifests, blobs, tags and referrers.
    pub const PULL: Self = Self(1);
    /// Writing manifests and blobs.
    pub const PUSH: Self = Self(2);
    /// Deleting manifests, tags and blobs.
    pub const DELETE: Self = Self(4);
    /// Everything.
    pub const ALL: Self = Self(7);

    /// Whether all of `wanted` is in this set.
    #[must_use]
    pub fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is no action in this set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The action of this name, as a token scope writes it; `*` is all of them.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "pull" => Some(Self::PULL),
            "push" => Some(Self::PUSH),
            "delete" => Some(Self::DELETE),
            "*" => Some(Self::ALL),
            _ => None,
        }
    }

    /// The names of the actions in this set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [(Self::PULL, "pull"), (Self::PUSH, "push"), (Self::DELETE, "delete")]
            .into_iter()
            .filter_map(move |(action, name)| self.contains(action).then_some(name))
    }
}

impl BitOr for Actions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The names, separated by commas: the last part of a token scope.
impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// What the caller of one request may do. The authentication layer puts it
/// into the request's extensions; handlers ask it about repositories other
/// than the one in the path: the source of a mount, the entries of a catalog.
/// A request without one comes from a registry without users and may do all.
#[derive(Clone)]
pub struct Permissions(Arc<Allows>);

/// Whether something may be done in a repository.
type Allows = dyn Fn(&RepositoryName, Actions) -> bool + Send + Sync;

impl Permissions {
    /// Permissions that ask this function.
    #[must_use]
    pub fn new(allows: impl Fn(&RepositoryName, Actions) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }

    /// Permission for everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::new(|_, _| true)
    }

    /// Whether the caller may do all of `actions` in this repository.
    #[must_use]
    pub fn allow(&self, repository: &RepositoryName, actions: Actions) -> bool {
        (self.0)(repository, actions)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permissions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_names_its_actions() {
        assert_eq!((Actions::PULL | Actions::PUSH).to_string(), "pull,push");
        assert_eq!(Actions::NONE.to_string(), "");
        assert!(Actions::ALL.contains(Actions::DELETE));
        assert!(!Actions::PULL.contains(Actions::PULL | Actions::PUSH));
    }
}
