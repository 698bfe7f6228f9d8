use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use crate::registry::settings::{LogFormat, Settings};

/// The levels of this process' log.
static LEVELS: OnceLock<Handle<Targets, Registry>> = OnceLock::new();

/// Sends the log of this process to stderr. A second call changes nothing.
pub fn start(settings: &Settings) {
    let (levels, handle) = reload::Layer::new(levels(settings));
    let layer = match settings.log_format.value {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .boxed(),
        LogFormat::Json => {
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
        }
    };
    // An embedding program may have its own subscriber, which stays.
    if tracing_subscriber::registry().with(layer.with_filter(levels)).try_init().is_ok() {
        let _ = LEVELS.set(handle);
    }
}

/// Logs with the levels of these settings from now on, where the log is ours.
pub fn set_levels(settings: &Settings) {
    if let Some(handle) = LEVELS.get() {
        // It fails only where there is no subscriber any more.
        let _ = handle.reload(levels(settings));
    }
}

fn levels(settings: &Settings) -> Targets {
    let level = &settings.log_level.value;
    let levels: Targets = level.parse().unwrap_or_default();
    // Who changed what is no detail: it stays unless it is named.
    if level.split(',').any(|item| item.trim().starts_with("audit=")) {
        return levels;
    }
    levels.with_target("audit", Level::INFO)
}
