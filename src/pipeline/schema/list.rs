//! What the elements of a list are to each other.

/// The value of `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// The list is one value. So is a list of which the schema says nothing.
    #[default]
    Atomic,
    /// Each element is there once.
    Set,
    /// Each element is known by the values of some of its keys.
    Map,
}

impl ListType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "atomic" => Some(Self::Atomic),
            "set" => Some(Self::Set),
            "map" => Some(Self::Map),
            _ => None,
        }
    }
}
