//! How many uploads run at the same time.

use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::http::Route;
use crate::registry::metrics::{Level, Metrics};

/// After how many seconds a client that was refused may try again.
const RETRY_AFTER: u8 = 2;

/// The places for requests that bring a blob or a manifest.
pub struct Uploads {
    places: Arc<Semaphore>,
    metrics: Metrics,
}

impl Uploads {
    /// So many places.
    #[must_use]
    pub fn new(places: usize, metrics: Metrics) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), metrics }
    }
}

/// A place that is taken. It travels in the request's extensions, because what
/// an upload writes goes on when its client has gone away, and so does the
/// place.
#[derive(Clone)]
struct Place {
    _taken: Arc<(OwnedSemaphorePermit, Level)>,
}

/// Lets a request with a body through if there is a place for it, and asks its
/// client to come back where there is none. It stands behind the gate: nobody
/// takes a place without having logged in.
pub async fn limit(
    State(uploads): State<Arc<Uploads>>,
    mut request: Request,
    next: Next,
) -> Response {
    // As the registry itself reads the path, which may be percent-encoded. One
    // that it refuses brings nothing.
    let brings = match Route::parse(request.method(), request.uri().path()) {
        Ok(Route::PushManifest(..) | Route::AppendUpload(..)) => true,
        // Often only a word: begin, or it is done.
        Ok(Route::StartUpload(_) | Route::FinishUpload(..)) => !request.body().is_end_stream(),
        _ => false,
    };
    if brings {
        let Ok(permit) = Arc::clone(&uploads.places).try_acquire_owned() else {
            uploads.metrics.http.upload_refused();
            return RegistryError::new(
                ErrorCode::TooManyRequests,
                "too many uploads are under way; come back in a moment",
            )
            .with_header("retry-after", RETRY_AFTER.to_string())
            .into_response();
        };
        let taken = Arc::new((permit, uploads.metrics.http.upload()));
        request.extensions_mut().insert(Place { _taken: taken });
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tokio::sync::oneshot;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_place_is_taken_until_what_was_begun_ends() {
        let uploads = Arc::new(Uploads::new(1, Metrics::default()));
        let (begun, mut requests) = tokio::sync::mpsc::unbounded_channel();
        // As the registry does it: the work is a task of its own.
        let handler = move |request: Request| async move {
            let (end, ended) = oneshot::channel::<()>();
            let work = tokio::spawn(async move {
                let _ = ended.await;
                drop(request);
            });
            begun.send((end, work.abort_handle())).unwrap();
            let _ = work.await;
        };
        let app = Router::new()
            .route("/{*path}", any(handler))
            .route_layer(from_fn_with_state(Arc::clone(&uploads), limit));
        let push =
            |path: &str| app.clone().oneshot(Request::put(path).body(Body::from("{}")).unwrap());
        let client = tokio::spawn(push("/v2/a/manifests/x"));
        let (end, work) = requests.recv().await.unwrap();
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        for path in ["/v2/a/manifests/x", "/v2/a/manifest%73/x"] {
            tokio::select! {
                answer = push(path) => assert_eq!(answer.unwrap().status(), 429, "{path}"),
                _ = requests.recv() => panic!("{path} got the place of what still runs"),
            }
        }
        end.send(()).unwrap();
        while !work.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(uploads.places.available_permits(), 1);
    }
}
