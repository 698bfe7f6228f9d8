use std::fmt;
use std::path::PathBuf;

use super::flags::Flags;
use super::layers::{Layers, flag};
use super::{Origin, Setting, SettingsError};

const CERTIFICATE: &str = "./certs/domain.crt";
const KEY: &str = "./certs/domain.key";

/// Whether connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP.
    Off,
    /// TLS with these PEM files.
    On {
        /// The certificate and what chains it to its CA.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

impl Tls {
    /// Reads `off`, `on` (Trow's default files), or `cert,key`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "" | "on" => Ok(Self::files(None, None)),
            _ => match text.split_once(',') {
                Some((certificate, key))
                    if !certificate.is_empty() && !key.is_empty() && !key.contains(',') =>
                {
                    Ok(Self::files(Some(certificate), Some(key)))
                }
                _ => Err(format!("{text:?} is not two paths: write CERT,KEY")),
            },
        }
    }

    fn files(certificate: Option<&str>, key: Option<&str>) -> Self {
        Self::On {
            certificate: certificate.unwrap_or(CERTIFICATE).into(),
            key: key.unwrap_or(KEY).into(),
        }
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::On { certificate, key } => {
                write!(f, "{},{}", certificate.display(), key.display())
            }
        }
    }
}

/// Resolves the setting. Trow before 0.6 serves TLS unless told otherwise,
/// later ones serve plain HTTP unless told otherwise. A line that is between the
/// two is a warning.
pub(super) fn resolve(
    flags: &Flags,
    layers: &Layers,
    warnings: &mut Vec<String>,
) -> Result<Setting<Tls>, SettingsError> {
    let old = &flags.old;
    if old.no_tls {
        return Ok(Setting { value: Tls::Off, origin: Origin::Flag("--no-tls") });
    }
    if old.cert.is_some() || old.key.is_some() {
        let origin = Origin::Flag(if old.cert.is_some() { "--cert" } else { "--key" });
        return Ok(Setting { value: Tls::files(old.cert.as_deref(), old.key.as_deref()), origin });
    }
    let given = layers.parsed("tls", flag("--tls", flags.tls.as_deref()), Tls::parse)?;
    if given.is_none()
        && let Some(newer) = flags.ends_old_defaults()
    {
        warnings.push(format!(
            "TLS is off: {newer} is newer than the flags of Trow 0.2 to 0.5 that are there, with which it is on; say which with --tls or --no-tls"
        ));
    }
    Ok(given.unwrap_or_else(|| {
        Setting::built_in(if flags.is_old() { Tls::files(None, None) } else { Tls::Off })
    }))
}
