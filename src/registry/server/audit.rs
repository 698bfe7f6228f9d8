//! Who changed what: one line under the target `audit` for each push, each
//! deletion and each login, whatever came of it.

use axum::extract::{Query, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;

use crate::registry::auth::Identity;
use crate::registry::http::Route;
use crate::registry::http::base_url::Connection;
use crate::registry::reference::{Reference, Tag};

/// The longest list of forwarders that is written down.
const MAX_FORWARDED: usize = 200;

/// What a request is about to do, as far as that is worth a line.
pub struct Deed {
    action: &'static str,
    repository: Option<String>,
    reference: Option<String>,
    /// The tags that a manifest pushed by its digest is given.
    tags: Option<String>,
    forwarded: Option<String>,
    authorized: bool,
}

impl Deed {
    /// What a request is about to do; `None` where nothing changes by it.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        let path = request.uri().path();
        let mut tags = None;
        let (action, repository, reference) = if path == "/login" {
            ("login", None, None)
        } else {
            if matches!(*request.method(), Method::GET | Method::HEAD | Method::PATCH) {
                return None;
            }
            match Route::parse(request.method(), path).ok()? {
                Route::PushManifest(name, reference) => {
                    if let Reference::Digest(_) = reference {
                        tags = tags_of(request.uri());
                    }
                    ("push_manifest", Some(name), Some(reference.to_string()))
                }
                Route::DeleteManifest(name, reference) => {
                    ("delete_manifest", Some(name), Some(reference.to_string()))
                }
                Route::DeleteBlob(name, digest) => {
                    ("delete_blob", Some(name), Some(digest.to_string()))
                }
                Route::FinishUpload(name, _) => ("push_blob", Some(name), None),
                Route::StartUpload(name) => {
                    let query = request.uri().query().unwrap_or_default();
                    let mounts = query.split('&').any(|pair| pair.starts_with("mount="));
                    (if mounts { "mount_blob" } else { "push_blob" }, Some(name), None)
                }
                _ => return None,
            }
        };
        Some(Self {
            action,
            repository: repository.map(|name| name.to_string()),
            reference,
            tags,
            forwarded: forwarded(request.headers()),
            authorized: request.headers().contains_key(AUTHORIZATION),
        })
    }

    /// Writes the line once the answer is there. `claimed` is whom wrong
    /// credentials named.
    pub fn write(
        &self,
        response: &Response,
        connection: Option<&Connection>,
        claimed: Option<&str>,
        request_id: &str,
    ) {
        let status = response.status();
        // A client's first try brings nothing, and is asked to log in. An upload
        // that begins has pushed nothing yet.
        if (status == StatusCode::UNAUTHORIZED && !self.authorized)
            || (self.action.ends_with("_blob") && status == StatusCode::ACCEPTED && !self.deletes())
        {
            return;
        }
        let outcome = match status.as_u16() {
            200..=399 => "ok",
            400..=499 => "refused",
            _ => "failed",
        };
        let identity = response.extensions().get::<Identity>();
        let user = identity.and_then(|identity| identity.user.as_deref()).or(claimed);
        let digest = response.headers().get("docker-content-digest");
        let digest = digest.and_then(|digest| digest.to_str().ok());
        tracing::info!(
            target: "audit",
            action = self.action,
            user,
            repository = self.repository,
            reference = self.reference,
            tags = self.tags,
            digest,
            peer = connection.map(|connection| tracing::field::display(connection.peer)),
            forwarded_for = self.forwarded,
            request_id,
            status = status.as_u16(),
            outcome,
            "audit"
        );
    }

    fn deletes(&self) -> bool {
        self.action.starts_with("delete")
    }
}

/// The tags of `?tag=a&tag=b`, as `a,b`. One that is none has the whole refused.
fn tags_of(uri: &Uri) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let named = pairs.iter().filter(|(key, _)| key == "tag");
    let tags: Vec<&str> =
        named.filter(|(_, tag)| tag.parse::<Tag>().is_ok()).map(|(_, tag)| tag.as_str()).collect();
    (!tags.is_empty()).then(|| tags.join(","))
}

/// Writes the line of a request that changes nothing and whose credentials
/// were wrong: a login as well, by `docker` before it asks for a token.
pub fn refused_login(connection: Option<&Connection>, claimed: Option<&str>, request_id: &str) {
    tracing::info!(
        target: "audit",
        action = "login",
        user = claimed,
        peer = connection.map(|connection| tracing::field::display(connection.peer)),
        request_id,
        status = 401,
        outcome = "refused",
        "audit"
    );
}

/// Whom proxies say they spoke for: whoever reaches the registry directly can
/// write this as well, so it stands beside the peer and not in its place.
fn forwarded(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-forwarded-for")?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:,[]_- %".contains(&byte);
    (text.len() <= MAX_FORWARDED && text.bytes().all(plain)).then(|| text.to_owned())
}
