use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::registry::settings::{LogFormat, Settings};

/// Sends the log of this process to stderr. A second call changes nothing.
pub fn start(settings: &Settings) {
    let level = &settings.log_level.value;
    let mut levels: Targets = level.parse().unwrap_or_default();
    // Who changed what is no detail: it stays unless it is named.
    if !level.split(',').any(|item| item.trim().starts_with("audit=")) {
        levels = levels.with_target("audit", Level::INFO);
    }
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
    let _ = tracing_subscriber::registry().with(layer.with_filter(levels)).try_init();
}
