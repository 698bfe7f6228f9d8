use tokio::signal::unix::{SignalKind, signal};

use super::ServerError;

/// Is ready at the first SIGINT or SIGTERM. The handlers are there when this
/// returns, so that no signal between start and wait ends the process.
///
/// # Errors
/// [`ServerError::System`] when a handler can't be installed.
pub fn stop_signal() -> Result<impl Future<Output = ()>, ServerError> {
    let install = |kind| {
        signal(kind)
            .map_err(|source| ServerError::System { step: "install a signal handler", source })
    };
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "told to stop"),
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "told to stop"),
        }
    })
}
