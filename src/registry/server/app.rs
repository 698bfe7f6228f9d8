use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use super::drain::drain;
use super::request_log::request_log;
use crate::registry::http::authenticate::{Gate, authenticate};
use crate::registry::http::cors::{Cors, cors};
use crate::registry::http::{self, health, history, login, pages, validate};
use crate::registry::service::Registry;
use crate::registry::store::Store;
use crate::registry::swap::Swap;

/// The whole surface: the registry behind its gate, and beside it the pages
/// that need no login.
pub fn app<S: Store>(
    registry: Arc<Registry<S>>,
    gate: Arc<Gate>,
    origins: Arc<Swap<Cors>>,
) -> Router {
    let v2 = http::router(Arc::clone(&registry))
        .route_layer(from_fn_with_state(Arc::clone(&gate), authenticate));
    let behind = v2.clone();
    Router::new()
        .route("/", get(pages::welcome))
        .route("/ui/app.js", get(pages::script))
        .route("/ui/style.css", get(pages::style))
        .route("/healthz", get(health::healthz))
        .route("/readiness", get(health::readiness::<S>).with_state(Arc::clone(&registry)))
        .route("/validate-image", post(validate::validate::<S>).with_state(registry))
        .route("/login", get(login::login).with_state(gate))
        .merge(v2)
        .fallback(move |request| history::elsewhere(behind, request))
        .layer(from_fn_with_state(origins, cors))
        .layer(from_fn(drain))
        .layer(from_fn(request_log))
}
