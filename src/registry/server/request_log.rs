use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::registry::auth::Identity;
use crate::registry::http::base_url::Connection;

/// One line for each request when its answer begins. It holds no header and
/// no query, so no credential gets in.
pub async fn request_log(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Connection>().map(|connection| connection.peer);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let user = response.extensions().get::<Identity>().and_then(|found| found.user.as_deref());
    let peer = peer.map(tracing::field::display);
    // Probes come every few seconds for ever.
    if matches!(path.as_str(), "/healthz" | "/readiness") {
        tracing::debug!(%method, path, status, milliseconds, peer, "request");
    } else {
        tracing::info!(%method, path, status, milliseconds, user, peer, "request");
    }
    response
}
