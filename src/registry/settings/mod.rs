//! What the server runs with: arguments as typed ([`Flags`]), resolved in one
//! place into [`Settings`], each value with its [`Origin`].

mod bind;
mod config_file;
pub mod env_vars;
mod environments;
mod error;
mod flags;
mod layers;
mod operating;
mod origin;
mod print;
mod resolve;
mod tls;
mod upkeep;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::network::Network;
pub use config_file::{
    ByteSize, ConfigFile, ImageValidation, ProxiedRegistry, RegistryProxies, Verdict,
};
pub use environments::{ENVIRONMENTS, EnvironmentDefaults};
pub use error::SettingsError;
pub use flags::{Flags, OldFlags, Output, RedactedArg};
pub use layers::Variables;
pub use operating::Operating;
pub use origin::{Origin, Setting};
pub use tls::Tls;
pub use upkeep::{Upkeep, UpkeepFlags};
pub use values::{LogFormat, MetricsAccess, PasswordSource, Validation, web_origin};

/// The settings of one server. The file-backed ones (passwords, certificates)
/// name their files; the server reads them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The environment whose defaults hold.
    pub environment: Setting<Option<&'static str>>,
    /// Addresses to listen on.
    pub bind: Setting<Vec<SocketAddr>>,
    /// Plain HTTP, or TLS with which files.
    pub tls: Setting<Tls>,
    /// Names of the registry, the first one stands in for a request that says
    /// no host.
    pub hostnames: Setting<Vec<String>>,
    /// The URL that clients reach the registry by, whatever a request says:
    /// `https://registry.example`, without a slash at the end.
    pub external_url: Setting<Option<String>>,
    /// The folder of all state.
    pub data_dir: Setting<PathBuf>,
    /// The user of flag, variable or environment.
    pub user: Setting<Option<String>>,
    /// Their password.
    pub password: Setting<Option<PasswordSource>>,
    /// The file of further users.
    pub htpasswd: Setting<Option<PathBuf>>,
    /// The file of who may do what where.
    pub policy: Setting<Option<PathBuf>>,
    /// The file of the key of tokens, where it isn't in the data folder.
    pub token_key_file: Setting<Option<PathBuf>>,
    /// Proxies whose word on where a request comes from is taken.
    pub trusted_proxies: Setting<Vec<Network>>,
    /// How often the files are looked at for changes; none for never.
    pub reload_interval: Setting<Option<Duration>>,
    /// Trow's YAML file.
    pub config_file: Setting<Option<PathBuf>>,
    /// What stands in it.
    pub config: Option<ConfigFile>,
    /// Rules for images, from Trow's older flags.
    pub validation: Setting<Option<Validation>>,
    /// Hosts that a pull-through proxy was asked for.
    pub proxied: Setting<Vec<String>>,
    /// Origins that browsers may call from.
    pub cors: Setting<Vec<String>>,
    /// Largest manifest, in bytes.
    pub max_manifest_size: Setting<u64>,
    /// Largest blob, in bytes; none for no limit.
    pub max_blob_size: Setting<Option<u64>>,
    /// Levels of the log, as `tracing` targets.
    pub log_level: Setting<String>,
    /// How the log is written.
    pub log_format: Setting<LogFormat>,
    /// Connections at the same time.
    pub max_connections: Setting<usize>,
    /// What requests in flight get to finish when the server stops.
    pub stop_timeout: Setting<Duration>,
    /// Whether manifests are taken whose blobs or child manifests are missing.
    pub allow_sparse_manifests: Setting<bool>,
    /// What is too much, and how the server is watched.
    pub operating: Operating,
    /// What is done for the store without being asked.
    pub upkeep: Upkeep,
    /// What was accepted and has a flaw worth a line in the log.
    pub warnings: Vec<String>,
    /// What all this was resolved from.
    source: Arc<Source>,
}

/// What settings are resolved from, to do it again when a file has changed.
#[derive(Clone, Debug)]
struct Source {
    flags: Flags,
    variables: Variables,
}

impl Settings {
    /// Resolves the same arguments and variables again: what comes from a file
    /// may be another value now.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn again(&self) -> Result<Self, SettingsError> {
        Self::resolve(&self.source.flags, &self.source.variables)
    }

    /// Resolves a whole command line, for callers that embed a server; the
    /// first argument is the program's name. Variables of the process count.
    ///
    /// # Errors
    /// What [`Flags::parse_line`] and [`Settings::resolve`] find wrong.
    pub fn from_line(line: &[&str]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let flags = Flags::parse_line(line)?;
        Ok(Self::resolve(&flags, &Variables::process())?)
    }
}
