//! The `[disruption_budget]` table: how many pods may go at the same time when
//! nodes are emptied.

use std::num::NonZeroU8;

use serde::Deserialize;

use super::text::typed_as;

/// How many pods may go at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Keys")]
pub enum DisruptionBudget {
    /// At most this many go.
    MaxUnavailable(NonZeroU8),
    /// At least this many stay.
    MinAvailable(NonZeroU8),
}

typed_as!(DisruptionBudget, Keys);

/// How many pods may go at the same time when nodes are emptied; one of the two.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Keys {
    /// How many pods may be away.
    #[serde(default)]
    max_unavailable: Option<NonZeroU8>,
    /// How many pods must stay; fewer than there are, or no node could be
    /// emptied.
    #[serde(default)]
    min_available: Option<NonZeroU8>,
}

impl TryFrom<Keys> for DisruptionBudget {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        match (keys.max_unavailable, keys.min_available) {
            (Some(most), None) => Ok(Self::MaxUnavailable(most)),
            (None, Some(least)) => Ok(Self::MinAvailable(least)),
            _ => Err("a budget says one of `max_unavailable` and `min_available`: keep one"),
        }
    }
}
