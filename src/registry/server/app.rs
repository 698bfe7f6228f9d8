use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::drain::drain;
use super::limits::{Uploads, limit};
use super::observe::{Observer, observe};
use crate::registry::http::authenticate::{Gate, authenticate};
use crate::registry::http::cors::{Cors, cors};
use crate::registry::http::{self, health, history, login, pages, validate};
use crate::registry::metrics::{self, Metrics};
use crate::registry::service::Registry;
use crate::registry::settings::MetricsAccess;
use crate::registry::store::Store;
use crate::registry::swap::Swap;

/// What stands around the registry's own routes.
pub struct Around {
    /// What looks at every request.
    pub observer: Arc<Observer>,
    /// How many uploads run at the same time.
    pub uploads: Arc<Uploads>,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
}

/// The whole surface: the registry behind its gate, and beside it the pages
/// that need no login.
pub fn app<S: Store>(
    registry: Arc<Registry<S>>,
    gate: Arc<Gate>,
    origins: Arc<Swap<Cors>>,
    around: Around,
) -> Router {
    let v2 = http::router(Arc::clone(&registry))
        .route_layer(from_fn_with_state(around.uploads, limit))
        .route_layer(from_fn_with_state(Arc::clone(&gate), authenticate));
    let metrics = Router::new().route("/metrics", get(render).with_state(registry.metrics.clone()));
    let metrics = match around.metrics {
        MetricsAccess::Open => metrics,
        MetricsAccess::Login => {
            metrics.route_layer(from_fn_with_state(Arc::clone(&gate), authenticate))
        }
        MetricsAccess::Off => Router::new(),
    };
    let behind = v2.clone();
    Router::new()
        .route("/", get(pages::welcome))
        .route("/ui/app.js", get(pages::script))
        .route("/ui/style.css", get(pages::style))
        .route("/healthz", get(health::healthz))
        .route("/readiness", get(health::readiness::<S>).with_state(Arc::clone(&registry)))
        .route("/validate-image", post(validate::validate::<S>).with_state(registry))
        .route("/login", get(login::login).with_state(gate))
        .merge(metrics)
        .merge(v2)
        .fallback(move |request| history::elsewhere(behind, request))
        .layer(from_fn_with_state(origins, cors))
        .layer(from_fn(drain))
        .layer(from_fn_with_state(around.observer, observe))
}

/// `GET /metrics`: what was counted, for Prometheus.
async fn render(State(found): State<Metrics>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], found.render())
}
