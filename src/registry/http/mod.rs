//! The registry's protocol over HTTP. Only this room and `server` know axum.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use super::error::{ErrorCode, RegistryError};
use super::service::Registry;
use super::store::Store;

pub mod authenticate;
pub mod base_url;
mod error;
pub mod health;
mod json;
pub mod login;
pub mod pages;
pub mod route;

pub use route::Route;

/// Everything below `/v2`. Who may call it is decided by a layer around it,
/// which parses the same [`Route`] and may leave a
/// [`Permissions`](super::access::Permissions) in the request's extensions.
pub fn router<S: Store>(registry: Arc<Registry<S>>) -> Router {
    Router::new()
        .route("/v2", any(dispatch::<S>))
        .route("/v2/", any(dispatch::<S>))
        .route("/v2/{*path}", any(dispatch::<S>))
        .with_state(registry)
}

/// Finds the operation and runs it; every answer says which protocol it
/// speaks, and none to a HEAD has a body.
async fn dispatch<S: Store>(
    State(registry): State<Arc<Registry<S>>>,
    request: Request,
) -> Response {
    let head = request.method() == Method::HEAD;
    let mut response = match operate(registry, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    if head { response.map(|_| Body::empty()) } else { response }
}

async fn operate<S: Store>(
    registry: Arc<Registry<S>>,
    request: Request,
) -> Result<Response, RegistryError> {
    let _ = registry;
    match Route::parse(request.method(), request.uri().path())? {
        Route::Version => Ok(([(CONTENT_TYPE, "application/json")], "{}").into_response()),
        _ => Err(RegistryError::new(ErrorCode::Unsupported, "this operation is not there yet")),
    }
}
