//! How an error becomes a response.

use std::error::Error as _;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::registry::error::RegistryError;

/// The JSON body of the specification, the error's own headers, and for the
/// log one line with all that the client is not told.
impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        log(&self);
        let body = self.body().to_string();
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        *response.body_mut() = Body::from(body);
        response
    }
}

/// A fault of the server is a line of its own; a client's is a detail.
fn log(error: &RegistryError) {
    let mut chain = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(if chain.is_empty() { "" } else { ": " });
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    // As fields: what they quote of a request is escaped there.
    let (status, code, cause) = (error.status(), error.code().name(), chain.as_str());
    if status >= 500 {
        tracing::error!(status, code, reason = error.message(), cause, "request failed");
    } else {
        tracing::debug!(status, code, reason = error.message(), cause, "request refused");
    }
}
