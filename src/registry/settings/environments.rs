use super::SettingsError;

/// The defaults of one environment, baked in by the build from
/// `environments/*.toml`.
#[derive(Debug, PartialEq, Eq)]
pub struct EnvironmentDefaults {
    /// The environment's name.
    pub name: &'static str,
    /// Setting and value, written as the flag of that name takes it.
    pub settings: &'static [(&'static str, &'static str)],
}

/// Every environment of this build.
pub static ENVIRONMENTS: &[EnvironmentDefaults] =
    include!(concat!(env!("OUT_DIR"), "/environments.rs"));

impl EnvironmentDefaults {
    /// The environment of that name.
    ///
    /// # Errors
    /// [`SettingsError::Environment`], which lists those there are.
    pub fn find(name: &str) -> Result<&'static Self, SettingsError> {
        ENVIRONMENTS.iter().find(|environment| environment.name == name).ok_or_else(|| {
            SettingsError::Environment {
                name: name.to_owned(),
                known: ENVIRONMENTS
                    .iter()
                    .map(|environment| environment.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            }
        })
    }

    /// What the environment says about a setting.
    #[must_use]
    pub fn get(&self, setting: &str) -> Option<&'static str> {
        self.settings.iter().find(|(name, _)| *name == setting).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::env_vars;
    use super::*;

    #[test]
    fn every_baked_setting_is_one_of_ours() {
        for environment in ENVIRONMENTS {
            for (name, _) in environment.settings {
                assert!(env_vars::of(name).is_some(), "{}: {name}", environment.name);
            }
        }
    }
}
