//! What browsers may do from pages of other origins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::registry::settings::web_origin;
use crate::registry::swap::Swap;

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What a page may send: what registry UIs do, and what pushing takes.
const HEADERS: &str = "Authorization, Accept, Cache-Control, Content-Type, Content-Range, Range, If-Range, If-None-Match, X-Requested-With";

/// What a page may read of an answer beyond what it always may.
const EXPOSED: &str = "Docker-Content-Digest, Docker-Distribution-API-Version, Docker-Upload-UUID, Content-Length, Content-Range, Accept-Ranges, Range, ETag, Link, Location, Retry-After, Warning, WWW-Authenticate, OCI-Subject, OCI-Tag, OCI-Filters-Applied, X-Request-Id";

/// How long a browser may remember what it was told, in seconds.
const MAX_AGE: &str = "600";

/// The origins whose pages may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    anyone: bool,
    origins: Vec<String>,
}

impl Cors {
    /// The origins of the settings; `*` is every one.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self {
            anyone: origins.iter().any(|origin| origin == "*"),
            origins: origins.iter().filter_map(|origin| web_origin(origin)).collect(),
        }
    }

    fn is_off(&self) -> bool {
        !self.anyone && self.origins.is_empty()
    }

    /// Says what the page of this origin may do. Only a page that is named may
    /// use what the browser remembers of the user: with every page allowed to,
    /// any page that a user visits could read and delete images in their name.
    fn admit(&self, origin: &HeaderValue, headers: &mut HeaderMap) -> bool {
        if self.origins.iter().any(|named| named.as_bytes() == origin.as_bytes()) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        } else if self.anyone {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            return false;
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        true
    }
}

/// Answers the question that a browser asks before it sends what a page wants
/// to, without a login: browsers send none with it. Other requests go on, and
/// their answers say which pages may read them.
pub async fn cors(State(cors): State<Arc<Swap<Cors>>>, request: Request, next: Next) -> Response {
    let cors = cors.current();
    if cors.is_off() {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN).cloned();
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if asks => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    // The answer is another one for another page, also for caches.
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let admitted = origin.is_some_and(|origin| cors.admit(&origin, headers));
    if asks && admitted {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    }
    response
}
