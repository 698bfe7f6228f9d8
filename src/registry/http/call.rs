//! A request without its body, as handlers read it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method};

use super::body::Arriving;
use super::client::Client;
use super::handoff::Handoff;
use crate::digest::Digest;
use crate::registry::access::Permissions;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::service::Registry;

/// A request without its body, and the registry that it goes to.
pub(super) struct Call<S> {
    pub(super) registry: Arc<Registry<S>>,
    parts: Parts,
    query: Vec<(String, String)>,
}

impl<S> Call<S> {
    pub(super) fn new(registry: Arc<Registry<S>>, request: Request) -> (Self, Body) {
        let (parts, body) = request.into_parts();
        let query = Query::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default();
        (Self { registry, parts, query }, body)
    }

    pub(super) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    /// The value of a header; `None` where it isn't there or isn't ASCII.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters(name).next()
    }

    /// Every value of a query parameter.
    pub(super) fn parameters(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A query parameter that is a digest.
    pub(super) fn digest_parameter(&self, name: &str) -> Result<Option<Digest>, RegistryError> {
        let parse = |text: &str| {
            text.parse().map_err(|error: crate::digest::DigestError| {
                let message = format!("the parameter `{name}` is no digest: {error}");
                RegistryError::new(ErrorCode::DigestInvalid, message)
            })
        };
        self.parameter(name).map(parse).transpose()
    }

    /// The way to the connection for parts of files, where it has one.
    pub(super) fn handoff(&self) -> Option<Handoff> {
        self.parts.extensions.get().cloned()
    }

    /// The body as it arrives, within the limits.
    pub(super) fn arriving(&self, body: Body) -> Arriving {
        Arriving::new(body, &self.registry.limits)
    }

    /// Whom the request comes from.
    pub(super) fn client(&self) -> IpAddr {
        let unknown = Client(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.parts.extensions.get().copied().unwrap_or(unknown).0
    }

    /// What the caller may do in repositories other than that of the path.
    pub(super) fn permissions(&self) -> Permissions {
        let given = self.parts.extensions.get::<Permissions>();
        given.cloned().unwrap_or_else(Permissions::everything)
    }
}
