//! How a strategic merge patch treats a field.

/// The value of `x-kubernetes-patch-strategy`. A field without one is replaced
/// as a whole when it is a list, and merged key by key when it is a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// A list is merged with what is there, element by element.
    pub merge: bool,
    /// The keys that the patch lists under `$retainKeys` are the only ones to stay.
    pub retain_keys: bool,
    /// The value is replaced as a whole, although it is a mapping.
    pub replace: bool,
}

impl Strategy {
    /// From the table's form, which is the schema's: `merge,retainKeys`.
    pub(super) fn parse(text: &str) -> Self {
        let has = |word| text.split(',').any(|part| part == word);
        Self { merge: has("merge"), retain_keys: has("retainKeys"), replace: has("replace") }
    }
}
