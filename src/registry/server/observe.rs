//! What is written down about each request: its line in the log, its place in
//! the metrics, in the audit and in a trace, all under one id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use super::audit::{self, Deed};
use super::operation;
use super::request_id::{RequestId, RequestIds, X_REQUEST_ID};
use super::trace::{Span, Tracer};
use crate::registry::auth::{Credentials, Identity};
use crate::registry::http;
use crate::registry::http::authenticate::Gate;
use crate::registry::http::base_url::Connection;
use crate::registry::http::witness::Witness;
use crate::registry::metrics::{AuthFailure, Metrics, Operation};

/// What stands in the place of a user whom nobody knows: it may be a password
/// that was typed into the wrong field.
const NOBODY: &str = "(unknown)";

/// What looks at every request.
pub struct Observer {
    /// What is counted.
    pub metrics: Metrics,
    /// Names requests.
    pub ids: RequestIds,
    /// Knows the users.
    pub gate: Arc<Gate>,
    /// The largest head of a request, in bytes. It is looked at here, so that
    /// what is refused for it is written down as well.
    pub max_head: usize,
    /// Makes traces, where a collector is named.
    pub tracer: Option<Arc<Tracer>>,
}

/// What of a request is still needed when its answer is there.
struct Seen {
    id: RequestId,
    operation: Operation,
    method: Method,
    path: String,
    connection: Option<Connection>,
    credentials: Option<HeaderValue>,
    deed: Option<Deed>,
    start: Instant,
    /// Whether the answer was written down.
    written: AtomicBool,
}

/// Looks at a request and at its answer. Everything that is logged in between
/// carries the request's id. Where the client goes away this ends with it; what
/// a write came to is then written down by the task that goes on with it.
pub async fn observe(
    State(observer): State<Arc<Observer>>,
    mut request: Request,
    next: Next,
) -> Response {
    let seen = Arc::new(Seen {
        id: observer.ids.of(request.headers()),
        operation: operation::operation(request.method(), request.uri().path()),
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        connection: request.extensions().get().copied(),
        credentials: request.headers().get(AUTHORIZATION).cloned(),
        deed: Deed::of(&request),
        start: Instant::now(),
        written: AtomicBool::new(false),
    });
    let trace = observer.tracer.as_ref().and_then(|_| Tracer::begin(request.headers()));
    let begun = SystemTime::now();
    let span = tracing::error_span!(
        "request",
        request_id = seen.id.as_str(),
        trace_id =
            trace.map(|(context, _)| tracing::field::display(format!("{:032x}", context.trace)))
    );
    request.extensions_mut().insert(seen.id.clone());
    if !http::reads(&seen.method) {
        let (observer, seen) = (Arc::clone(&observer), Arc::clone(&seen));
        let witness = Witness::new(move |answer| observer.write_down(&seen, answer));
        request.extensions_mut().insert(witness);
    }
    let mut response = if head_size(request.uri(), request.headers()) > observer.max_head {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response()
    } else {
        next.run(request).instrument(span.clone()).await
    };
    span.in_scope(|| observer.write_down(&seen, &response));
    if let (Some(tracer), Some((context, id))) = (&observer.tracer, trace) {
        let span = Span {
            context,
            id,
            method: operation::method(&seen.method),
            operation: seen.operation,
            path: Span::path(&seen.path),
            request_id: seen.id.as_str().to_owned(),
            peer: seen.connection.map(|connection| connection.peer.ip().to_string()),
            user: user(&response).map(str::to_owned),
            status: response.status().as_u16(),
            start: begun,
            end: begun,
        };
        response.extensions_mut().insert(tracer.open(span));
    }
    if let Some(id) = seen.id.header() {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

impl Observer {
    /// Counts and logs the answer to a request, the first time that it is told.
    fn write_down(&self, seen: &Seen, response: &Response) {
        if seen.written.swap(true, Ordering::AcqRel) {
            return;
        }
        let status = response.status();
        let after = seen.start.elapsed();
        let method = operation::method(&seen.method);
        self.metrics.http.answered(seen.operation, method, status.as_u16(), after);
        let mut claimed = None;
        if let Some(reason) = failure(seen.credentials.as_ref(), response) {
            self.metrics.http.auth_failure(reason);
            claimed = self.claimed(seen.credentials.as_ref());
        }
        log(seen, response, u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let connection = seen.connection.as_ref();
        let claimed = claimed.as_deref();
        match &seen.deed {
            Some(deed) => deed.write(response, connection, claimed, seen.id.as_str()),
            None if status == StatusCode::UNAUTHORIZED && claimed.is_some() => {
                audit::refused_login(connection, claimed, seen.id.as_str());
            }
            None => {}
        }
    }

    /// Whom wrong Basic credentials name, if that is one of the users.
    fn claimed(&self, credentials: Option<&HeaderValue>) -> Option<String> {
        match Credentials::parse(credentials?.as_bytes())? {
            Credentials::Basic { user, .. } if self.gate.authenticator.knows(&user) => Some(user),
            Credentials::Basic { .. } => Some(NOBODY.to_owned()),
            Credentials::Bearer(_) => None,
        }
    }
}

/// What HTTP/2 counts (RFC 9113, section 10.5.1), also over HTTP/1.
fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    path + fields.sum::<usize>()
}

fn user(response: &Response) -> Option<&str> {
    response.extensions().get::<Identity>().and_then(|found| found.user.as_deref())
}

/// Why a request was not let in, if it wasn't. A challenge to one that brings
/// no credentials is no failure.
fn failure(credentials: Option<&HeaderValue>, response: &Response) -> Option<AuthFailure> {
    match response.status() {
        StatusCode::UNAUTHORIZED => match Credentials::parse(credentials?.as_bytes()) {
            Some(Credentials::Basic { .. }) => Some(AuthFailure::Password),
            Some(Credentials::Bearer(_)) => Some(AuthFailure::Token),
            None => Some(AuthFailure::Malformed),
        },
        StatusCode::FORBIDDEN => Some(AuthFailure::Denied),
        StatusCode::TOO_MANY_REQUESTS if user(response).is_none() && credentials.is_some() => {
            Some(AuthFailure::Throttled)
        }
        _ => None,
    }
}

/// One line for each request when its answer begins. It holds no header and
/// no query, so no credential gets in.
fn log(seen: &Seen, response: &Response, milliseconds: u64) {
    let Seen { method, path, .. } = seen;
    let status = response.status().as_u16();
    let user = user(response);
    let peer = seen.connection.map(|connection| tracing::field::display(connection.peer));
    // Probes and scrapes come every few seconds for ever.
    if matches!(seen.operation, Operation::Probe | Operation::Metrics) {
        tracing::debug!(%method, path, status, milliseconds, peer, "request");
    } else {
        tracing::info!(%method, path, status, milliseconds, user, peer, "request");
    }
}
