//! Putting responses together.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, WARNING};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use crate::digest::Digest;
use crate::registry::error::RegistryError;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(super) const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub(super) const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(super) const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
pub(super) const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// A response under construction.
pub(super) struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
}

impl Answer {
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, headers: Vec::new() }
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn location(self, path: impl Into<String>) -> Self {
        self.header(LOCATION, path)
    }

    /// The headers by which clients recognise content.
    pub(super) fn digest(self, digest: &Digest) -> Self {
        self.header(CONTENT_DIGEST, digest.to_string()).header(ETAG, etag(digest))
    }

    /// A line that clients show to their users ("Warnings"): code 299, no agent,
    /// and a text without quotes or line breaks.
    pub(super) fn warning(self, text: &str) -> Self {
        self.header(WARNING, format!("299 - \"{text}\""))
    }

    pub(super) fn body(self, body: impl Into<Body>) -> Result<Response, RegistryError> {
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).map_err(RegistryError::internal)?;
            response.headers_mut().append(name, value);
        }
        Ok(response)
    }

    pub(super) fn json(self, value: &impl Serialize) -> Result<Response, RegistryError> {
        let text = serde_json::to_string(value).map_err(RegistryError::internal)?;
        let typed = self.headers.iter().any(|(name, _)| name == CONTENT_TYPE);
        let answer = if typed { self } else { self.header(CONTENT_TYPE, "application/json") };
        answer.header(CONTENT_LENGTH, text.len().to_string()).body(text)
    }

    /// No body, and saying so where a client might wait for one.
    pub(super) fn empty(self) -> Result<Response, RegistryError> {
        let bodiless = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let answer = if bodiless { self } else { self.header(CONTENT_LENGTH, "0") };
        answer.body(Body::empty())
    }
}

/// Content never changes under its digest, so that is its strong entity tag.
pub(super) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether the client has this content already (RFC 9110, `If-None-Match`).
pub(super) fn is_known<S>(call: &Call<S>, digest: &Digest) -> bool {
    let etag = etag(digest);
    call.header(&IF_NONE_MATCH).is_some_and(|tags| {
        tags.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}
