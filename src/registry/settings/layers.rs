use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;

use super::{EnvironmentDefaults, Origin, Setting, SettingsError, env_vars};

/// The environment variables of a process, or of a test.
#[derive(Clone)]
pub struct Variables(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Never their values, of which one may be a password.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

impl Variables {
    /// Those of this process.
    #[must_use]
    pub fn process() -> Self {
        Self(Arc::new(|name| std::env::var_os(name)))
    }

    /// These and no others.
    #[must_use]
    pub fn these(pairs: &[(&str, &str)]) -> Self {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self(Arc::new(move |name| {
            pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.into())
        }))
    }

    /// The text of a variable; an empty one counts as unset.
    ///
    /// # Errors
    /// [`SettingsError::Variable`] when it is not UTF-8.
    pub fn get(&self, variable: &'static str) -> Result<Option<String>, SettingsError> {
        (self.0)(variable)
            .map(|text| text.into_string().map_err(|_| SettingsError::Variable { variable }))
            .transpose()
            .map(|text| text.filter(|text| !text.is_empty()))
    }
}

/// Where a setting may come from, above the built-in defaults.
pub(super) struct Layers<'a> {
    pub(super) variables: &'a Variables,
    pub(super) environment: Option<&'static EnvironmentDefaults>,
}

impl Layers<'_> {
    /// The text of a setting from the first layer that has it.
    pub(super) fn text(
        &self,
        setting: &'static str,
        flag: Option<Setting<String>>,
    ) -> Result<Option<Setting<String>>, SettingsError> {
        if flag.is_some() {
            return Ok(flag);
        }
        if let Some(variable) = env_vars::of(setting)
            && let Some(value) = self.variables.get(variable)?
        {
            return Ok(Some(Setting { value, origin: Origin::Variable(variable) }));
        }
        Ok(self.environment.and_then(|environment| {
            environment.get(setting).map(|value| Setting {
                value: value.to_owned(),
                origin: Origin::Environment(environment.name),
            })
        }))
    }

    /// The same, read by a function whose error says what was expected.
    pub(super) fn parsed<T>(
        &self,
        setting: &'static str,
        flag: Option<Setting<String>>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<Setting<T>>, SettingsError> {
        let Some(Setting { value, origin }) = self.text(setting, flag)? else { return Ok(None) };
        match parse(&value) {
            Ok(value) => Ok(Some(Setting { value, origin })),
            Err(problem) => Err(SettingsError::Value { setting, origin, problem }),
        }
    }
}

/// A flag as the first layer, if it was given.
pub(super) fn flag(spelling: &'static str, value: Option<&str>) -> Option<Setting<String>> {
    value.map(|value| Setting { value: value.to_owned(), origin: Origin::Flag(spelling) })
}
