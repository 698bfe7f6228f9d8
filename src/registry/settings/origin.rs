use std::fmt;
use std::path::PathBuf;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, as it was spelled.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// The config file.
    ConfigFile(PathBuf),
    /// The defaults of an environment.
    Environment(&'static str),
    /// What holds where nothing is said.
    BuiltIn,
}

impl Origin {
    /// The kind of origin as `--print-config --output json` writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Variable(_) => "variable",
            Self::ConfigFile(_) => "config file",
            Self::Environment(_) => "environment",
            Self::BuiltIn => "built-in default",
        }
    }

    /// Which flag, variable, file or environment it is.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Flag(name) | Self::Variable(name) | Self::Environment(name) => {
                Some((*name).to_owned())
            }
            Self::ConfigFile(path) => Some(path.display().to_string()),
            Self::BuiltIn => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// A resolved value, with where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value that nobody chose.
    pub fn built_in(value: T) -> Self {
        Self { value, origin: Origin::BuiltIn }
    }

    /// Another value from the same origin.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: f(self.value), origin: self.origin }
    }
}
