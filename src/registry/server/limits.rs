//! How many uploads run at the same time.

use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::operation::operation;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::metrics::{Metrics, Operation};

/// After how many seconds a client that was refused may try again.
const RETRY_AFTER: u8 = 2;

/// The places for requests that bring a blob or a manifest.
pub struct Uploads {
    places: Semaphore,
    metrics: Metrics,
}

impl Uploads {
    /// So many places.
    #[must_use]
    pub fn new(places: usize, metrics: Metrics) -> Self {
        Self { places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)), metrics }
    }
}

/// Lets a request with a body through if there is a place for it, and asks its
/// client to come back where there is none. It stands behind the gate: nobody
/// takes a place without having logged in.
pub async fn limit(State(uploads): State<Arc<Uploads>>, request: Request, next: Next) -> Response {
    let brings = match operation(request.method(), request.uri().path()) {
        Operation::PushManifest | Operation::AppendUpload => true,
        // Often only a word: begin, or it is done.
        Operation::StartUpload | Operation::FinishUpload => !request.body().is_end_stream(),
        _ => false,
    };
    if !brings {
        return next.run(request).await;
    }
    let Ok(_place) = uploads.places.try_acquire() else {
        uploads.metrics.http.upload_refused();
        return RegistryError::new(
            ErrorCode::TooManyRequests,
            "too many uploads are under way; come back in a moment",
        )
        .with_header("retry-after", RETRY_AFTER.to_string())
        .into_response();
    };
    let _during = uploads.metrics.http.upload();
    next.run(request).await
}
