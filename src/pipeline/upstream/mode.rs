//! How much a build may rely on the network.

use std::str::FromStr;

/// How much a build may rely on the network: `WARREN_UPSTREAM`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Try for a few seconds; an upstream that can't be reached is a warning.
    #[default]
    Auto,
    /// An upstream that can't be reached is an error.
    Require,
    /// Touch no network.
    Offline,
}

impl Mode {
    /// The environment variable that sets it.
    pub const VARIABLE: &'static str = "WARREN_UPSTREAM";

    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Require, Self::Offline];

    /// The name, as the variable holds it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Require => "require",
            Self::Offline => "offline",
        }
    }
}

/// A value of `WARREN_UPSTREAM` that is no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("WARREN_UPSTREAM is `{0}`; it can be auto, require or offline")]
pub struct UnknownMode(pub String);

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        let mode = Self::ALL.into_iter().find(|mode| mode.name() == text);
        mode.ok_or_else(|| UnknownMode(text.to_owned()))
    }
}
