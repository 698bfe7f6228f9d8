//! What probes ask.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::json::json;
use crate::registry::service::Registry;
use crate::registry::store::Store;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Response {
    json(StatusCode::OK, &serde_json::json!({"is_healthy": true, "message": ""}))
}

/// `GET /readiness`: the store takes writes. Where it does not, 503; the log
/// gets the reason, with paths that are no business of the client.
pub async fn readiness<S: Store>(State(registry): State<Arc<Registry<S>>>) -> Response {
    match registry.store.ready().await {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({"is_ready": true, "message": ""})),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            let message =
                if error.is_full() { "the disk is full" } else { "the store can't be written to" };
            json(
                StatusCode::SERVICE_UNAVAILABLE,
                &serde_json::json!({"is_ready": false, "message": message}),
            )
        }
    }
}
