use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{Reloader, ServerError};

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

/// Has a reloader read its files again at each SIGHUP, for ever. The handler
/// is there when this returns: the signal no longer ends the process.
///
/// # Errors
/// [`ServerError::System`] when the handler can't be installed.
pub fn reload_on_hangup() -> Result<impl AsyncFnOnce(Arc<Reloader>), ServerError> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|source| ServerError::System { step: "install a signal handler", source })?;
    Ok(async move |reloader: Arc<Reloader>| {
        while hangup.recv().await.is_some() {
            reloader.reload_and_log("SIGHUP").await;
        }
    })
}
