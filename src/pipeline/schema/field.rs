//! A field of a type, with what the schema says of it.

use std::borrow::Cow;

use super::limits::Limits;
use super::list::ListType;
use super::strategy::Strategy;
use super::table::Entry;
use super::types::Type;

/// A field, as one Kubernetes version has it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    minor: u8,
    entry: &'static Entry,
}

impl Field {
    pub(super) fn new(minor: u8, entry: &'static Entry) -> Self {
        Self { minor, entry }
    }

    /// Whether the version has it.
    pub(super) fn is_there(self) -> bool {
        self.entry.is_in(self.minor)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        &self.entry.name
    }

    /// The type of its value.
    #[must_use]
    pub fn of(self) -> Type {
        Type::new(self.minor, &self.entry.of)
    }

    /// Whether an object without it is refused.
    #[must_use]
    pub fn is_required(self) -> bool {
        self.entry.required
    }

    /// Whether the schema allows null as a value of its own. Of Kubernetes' own
    /// kinds the table doesn't say it: null there is the same as no value.
    #[must_use]
    pub fn is_nullable(self) -> bool {
        self.entry.nullable
    }

    /// How a strategic merge patch treats it.
    #[must_use]
    pub fn strategy(self) -> Strategy {
        self.entry.strategy
    }

    /// The key by which a strategic merge patch finds the elements of its list
    /// (`x-kubernetes-patch-merge-key`). A merged list without one holds texts
    /// or numbers, which are their own keys.
    #[must_use]
    pub fn merge_key(self) -> Option<&'static str> {
        self.entry.merge_key
    }

    /// What the elements of its list are to each other (`x-kubernetes-list-type`).
    #[must_use]
    pub fn list_type(self) -> ListType {
        self.entry.list
    }

    /// The keys that tell the elements of its list apart
    /// (`x-kubernetes-list-map-keys`). One that an element lacks has the
    /// default of that field: `protocol` is `TCP`.
    #[must_use]
    pub fn list_keys(self) -> &'static [&'static str] {
        &self.entry.list_keys
    }

    /// Its default, where that is a number, a bool or a text that isn't empty.
    /// `*` stands for a list or a mapping.
    #[must_use]
    pub fn default(self) -> Option<&'static str> {
        self.entry.default.as_deref()
    }

    /// The only values that it, or each element of its list, may have. Empty
    /// where any value of the type will do.
    #[must_use]
    pub fn allowed(self) -> &'static [Cow<'static, str>] {
        &self.entry.values
    }

    /// What the schema says of its value beyond that. Of Kubernetes' own kinds the
    /// table doesn't say it: their documents have none of it.
    #[must_use]
    pub fn limits(self) -> &'static Limits {
        &self.entry.limits
    }
}
