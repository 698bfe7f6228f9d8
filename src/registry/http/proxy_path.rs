//! What Trow pulls from elsewhere. This registry never does: no request makes
//! it dial out.

use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::{HeaderName, Uri};

use super::route::Route;
use crate::registry::error::{ErrorCode, RegistryError};

/// Refuses what is meant for a registry elsewhere: repositories below `f/`, as
/// Trow names them, and requests whose `ns` says that the client speaks to us
/// in the place of another registry.
///
/// # Errors
/// `UNSUPPORTED` (501).
pub(super) fn refuse_elsewhere(
    route: &Route,
    request: &Request,
    hostnames: &[String],
) -> Result<(), RegistryError> {
    let (Some(name), _) = route.access() else { return Ok(()) };
    if let Some(rest) = name.as_str().strip_prefix("f/") {
        let host = rest.split('/').next().unwrap_or(rest);
        return Err(elsewhere(&format!(
            "{name} would be pulled through from {host}, and this registry does not do that"
        )));
    }
    match namespace(request.uri()) {
        Some(namespace) if !is_ours(&namespace, request, hostnames) => Err(elsewhere(&format!(
            "this registry does not pull through from {namespace:?}; if that is a name of its own, set it with --hostname"
        ))),
        _ => Ok(()),
    }
}

fn elsewhere(message: &str) -> RegistryError {
    RegistryError::new(ErrorCode::Unsupported, message).with_status(501)
}

/// The first parameter `ns`, as containerd sends it to mirrors.
fn namespace(uri: &Uri) -> Option<String> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?.0;
    query.into_iter().find(|(name, value)| name == "ns" && !value.is_empty()).map(|(_, ns)| ns)
}

/// Whether this registry goes by that name: it is configured, or the client
/// reached us by it.
fn is_ours(namespace: &str, request: &Request, hostnames: &[String]) -> bool {
    let headers = request.headers();
    let said = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let forwarded = said(HeaderName::from_static("x-forwarded-host"));
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    [said(HOST), forwarded, authority]
        .into_iter()
        .flatten()
        .chain(hostnames.iter().map(String::as_str))
        .any(|name| name.eq_ignore_ascii_case(namespace))
}
