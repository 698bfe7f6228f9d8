//! How many uploads run at the same time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::http::Route;
use crate::registry::http::base_url::Connection;
use crate::registry::http::client::{Client, client_address};
use crate::registry::metrics::{Level, Metrics};
use crate::registry::network::{Network, of_client};

/// After how many seconds a client that was refused may try again.
const RETRY_AFTER: u8 = 2;

/// The places for requests that bring a blob or a manifest. No client gets all
/// of them.
pub struct Uploads {
    places: Arc<Semaphore>,
    per_client: usize,
    clients: Mutex<HashMap<IpAddr, usize>>,
    /// Proxies whose word on where a request comes from is taken.
    proxies: Vec<Network>,
    metrics: Metrics,
}

impl Uploads {
    /// So many places, and so many of them for one client.
    #[must_use]
    pub fn new(places: usize, per_client: usize, proxies: Vec<Network>, metrics: Metrics) -> Self {
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self { places, per_client, clients: Mutex::default(), proxies, metrics }
    }

    /// A place for this client, or what is in its way.
    fn take(self: &Arc<Self>, client: IpAddr) -> Result<Taken, &'static str> {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err("too many uploads are under way; come back in a moment");
        };
        let mut clients = self.clients();
        let count = clients.entry(client).or_default();
        if *count >= self.per_client {
            return Err("this client has too many uploads under way; come back in a moment");
        }
        *count += 1;
        let level = self.metrics.http.upload();
        Ok(Taken { uploads: Arc::clone(self), client, _permit: permit, _level: level })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken. It travels in the request's extensions, because what
/// an upload writes goes on when its client has gone away, and so does the
/// place.
#[derive(Clone)]
struct Place {
    _taken: Arc<Taken>,
}

struct Taken {
    uploads: Arc<Uploads>,
    client: IpAddr,
    _permit: OwnedSemaphorePermit,
    _level: Level,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut clients = self.uploads.clients();
        if let Some(count) = clients.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                clients.remove(&self.client);
            }
        }
    }
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
        let connection = request.extensions().get::<Connection>();
        let client = client_address(request.headers(), connection, &uploads.proxies);
        let client = of_client(client);
        let taken = match uploads.take(client) {
            Ok(taken) => Arc::new(taken),
            Err(why) => {
                uploads.metrics.http.upload_refused();
                return RegistryError::new(ErrorCode::TooManyRequests, why)
                    .with_header("retry-after", RETRY_AFTER.to_string())
                    .into_response();
            }
        };
        request.extensions_mut().insert(Place { _taken: taken });
        request.extensions_mut().insert(Client(client));
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tokio::sync::oneshot;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn one_client_leaves_places_to_others() {
        let uploads = Arc::new(Uploads::new(3, 2, Vec::new(), Metrics::default()));
        let [one, two] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let taken: Vec<_> = (0..2).map(|_| uploads.take(one).unwrap()).collect();
        assert!(uploads.take(one).is_err_and(|why| why.contains("this client")));
        let other = uploads.take(two).unwrap();
        assert!(uploads.take(two).is_err_and(|why| !why.contains("this client")));
        drop(other);
        drop(taken);
        assert_eq!(uploads.places.available_permits(), 3);
        assert!(uploads.clients().is_empty());
    }

    #[tokio::test]
    async fn a_place_is_taken_until_what_was_begun_ends() {
        let uploads = Arc::new(Uploads::new(1, 1, Vec::new(), Metrics::default()));
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
        assert!(uploads.clients().is_empty());
    }
}
