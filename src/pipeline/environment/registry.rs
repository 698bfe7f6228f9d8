//! The `[registry]` table: the program that serves, and its arguments.

use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use super::text::{Argument, DottedName, ImageReference, Network, PageOrigin, Quantity, UserName};

/// The program that serves, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// The program that serves: `trow`, the pinned upstream, or `warren`, our own.
    #[serde(default)]
    pub engine: Engine,
    /// Takes the place of the engine's image; with a tag other than `latest`, a
    /// digest, or both.
    #[serde(default)]
    pub image: Option<ImageReference>,
    /// How many pods serve; more than one needs our own engine and a claim that
    /// several nodes can mount.
    #[serde(default = "one")]
    pub replicas: NonZeroU8,
    /// The user who may log in; the password is in the Secret `trow-pass`.
    pub user: UserName,
    /// A Secret with more users, by its key `htpasswd`; our own engine reads it.
    #[serde(default)]
    pub users: Option<DottedName>,
    /// How much the registry logs.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Requests and limits; what is absent is the base's, one by one.
    #[serde(default)]
    pub resources: Resources,
    /// More arguments, as the registry takes them.
    #[serde(default)]
    pub extra_args: Vec<Argument>,
    /// The origins of pages that may call the registry from a browser.
    #[serde(default)]
    pub cors: Vec<PageOrigin>,
    /// The networks of the proxies whose `X-Forwarded-For` is believed; our own
    /// engine reads it.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
}

fn one() -> NonZeroU8 {
    NonZeroU8::MIN
}

/// The program that answers the clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The pinned upstream.
    #[default]
    Trow,
    /// Our own registry, with the same arguments and endpoints.
    Warren,
}

/// How much the registry logs, the value of `RUST_LOG`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// What may become a failure.
    Warn,
    /// One line for what happens.
    #[default]
    Info,
    /// What a developer wants to see.
    Debug,
    /// All.
    Trace,
}

impl LogLevel {
    /// The word as `RUST_LOG` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Requests and limits of the registry's container; what is absent is the base's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default)]
    pub requests: Amounts,
    /// What the kernel enforces.
    #[serde(default)]
    pub limits: Amounts,
}

/// Processor and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// In cores.
    #[serde(default)]
    pub cpu: Option<Quantity>,
    /// In bytes.
    #[serde(default)]
    pub memory: Option<Quantity>,
}
