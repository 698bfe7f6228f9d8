use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;

use super::drain::drain;
use super::request_log::request_log;
use crate::registry::http::authenticate::{Gate, authenticate};
use crate::registry::http::{self, health, login, pages};
use crate::registry::service::Registry;
use crate::registry::store::Store;

/// The whole surface: the registry behind its gate, and beside it the pages
/// that need no login.
pub fn app<S: Store>(registry: Arc<Registry<S>>, gate: Arc<Gate>) -> Router {
    let v2 = http::router(Arc::clone(&registry))
        .route_layer(from_fn_with_state(Arc::clone(&gate), authenticate));
    Router::new()
        .route("/", get(pages::welcome))
        .route("/healthz", get(health::healthz))
        .route("/readiness", get(health::readiness::<S>).with_state(registry))
        .route("/login", get(login::login).with_state(gate))
        .merge(v2)
        .layer(from_fn(drain))
        .layer(from_fn(request_log))
}
