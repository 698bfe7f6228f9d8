//! The registry's protocol over HTTP. Only this room and `server` know axum.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use tracing::Instrument as _;

use self::answer::Answer;
use self::call::Call;
use self::witness::Witness;
use super::auth::Identity;
use super::error::RegistryError;
use super::service::Registry;
use super::store::Store;

mod answer;
pub mod authenticate;
pub mod base_url;
mod blobs;
mod body;
mod call;
pub mod client;
mod condition;
pub mod cors;
mod error;
pub mod handoff;
pub mod health;
pub mod history;
mod json;
mod lists;
pub mod login;
mod manifests;
pub mod pages;
mod proxy_path;
mod range;
mod referrers;
pub mod route;
mod uploads;
pub mod validate;
pub mod waiting;
mod warnings;
pub mod witness;

pub use route::Route;

/// What every answer says: the protocol, and to a browser that shows it that
/// it is what its type says and may do nothing. Whoever may push chooses both
/// the bytes and the type of a manifest.
const ALWAYS: [(&str, &str); 3] = [
    ("docker-distribution-api-version", "registry/2.0"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "sandbox; default-src 'none'"),
];

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
    for (name, value) in ALWAYS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if head { response.map(|_| Body::empty()) } else { response }
}

/// Whether a request of this method changes nothing, and may end with its
/// connection.
#[must_use]
pub fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Reads die with their connection. Writes don't: what was begun ends in a
/// state that the next request can rely on, and a connection that is cut is
/// something that the handler sees, not something that it is dropped for.
async fn operate<S: Store>(
    registry: Arc<Registry<S>>,
    mut request: Request,
) -> Result<Response, RegistryError> {
    let route = Route::parse(request.method(), request.uri().path())?;
    proxy_path::refuse_elsewhere(&route)?;
    if reads(request.method()) {
        let (call, _body) = Call::new(registry, request);
        return read(call, route).await;
    }
    let witness = request.extensions_mut().remove::<Witness>();
    let identity = request.extensions_mut().remove::<Identity>();
    let (call, body) = Call::new(registry, request);
    let work = async move {
        let answer = write(call, route, body).await;
        let mut answer = answer.unwrap_or_else(RegistryError::into_response);
        if let Some(identity) = identity {
            answer.extensions_mut().insert(identity);
        }
        if let Some(witness) = witness {
            witness.tell(&answer);
        }
        answer
    };
    tokio::spawn(work.in_current_span()).await.map_err(RegistryError::internal)
}

async fn read<S: Store>(call: Call<S>, route: Route) -> Result<Response, RegistryError> {
    match route {
        Route::Version => {
            Answer::new(StatusCode::OK).header(CONTENT_TYPE, "application/json").body("{}")
        }
        Route::Catalog => lists::catalog(&call).await,
        Route::Tags(name) => lists::tags(&call, &name).await,
        Route::TagHistory(name, tag) => history::history(&call, &name, &tag).await,
        Route::Referrers(name, digest) => referrers::list(&call, &name, &digest).await,
        Route::PullManifest(name, reference) => manifests::pull(&call, &name, &reference).await,
        Route::PullBlob(name, digest) => blobs::pull(&call, &name, &digest).await,
        Route::UploadStatus(name, id) => uploads::status(&call, &name, &id).await,
        Route::PushManifest(..)
        | Route::DeleteManifest(..)
        | Route::DeleteBlob(..)
        | Route::StartUpload(..)
        | Route::AppendUpload(..)
        | Route::FinishUpload(..)
        | Route::CancelUpload(..) => Err(RegistryError::internal("a read is no write")),
    }
}

async fn write<S: Store>(
    call: Call<S>,
    route: Route,
    body: Body,
) -> Result<Response, RegistryError> {
    match route {
        Route::PushManifest(name, reference) => {
            manifests::push(&call, &name, &reference, body).await
        }
        Route::DeleteManifest(name, reference) => manifests::delete(&call, &name, &reference).await,
        Route::DeleteBlob(name, digest) => blobs::delete(&call, &name, &digest).await,
        Route::StartUpload(name) => uploads::start(&call, &name, body).await,
        Route::AppendUpload(name, id) => uploads::append(&call, &name, &id, body).await,
        Route::FinishUpload(name, id) => uploads::finish(&call, &name, &id, body).await,
        Route::CancelUpload(name, id) => uploads::cancel(&call, &name, &id).await,
        Route::Version
        | Route::Catalog
        | Route::Tags(..)
        | Route::TagHistory(..)
        | Route::Referrers(..)
        | Route::PullManifest(..)
        | Route::PullBlob(..)
        | Route::UploadStatus(..) => Err(RegistryError::internal("a write is no read")),
    }
}
