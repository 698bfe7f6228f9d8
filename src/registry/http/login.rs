//! Tokens for passwords.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::authenticate::{Found, Gate, busy, identify, now, too_soon};
use super::base_url::Connection;
use super::json::json;
use crate::registry::auth::{AccessList, Credentials, Identity, Scope, SignError, TOKEN_LIFETIME};
use crate::registry::error::{ErrorCode, RegistryError};

/// `GET /login`: Basic credentials in, a token out, as the distribution token
/// specification describes it. Only GET is routed: the 405 for a POST is what
/// makes clients that try `OAuth2` first fall back to this.
pub async fn login(
    State(gate): State<Arc<Gate>>,
    connection: Option<Extension<Connection>>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let list = gate.authenticator.list();
    let connection = connection.map(|Extension(connection)| connection);
    // A token does not renew itself: that takes the password.
    let identity = match identify(&gate, &list, &headers, connection.as_ref()).await {
        Found::Identity(identity) if identity.access.is_none() && !is_bearer(&headers) => identity,
        Found::TooSoon(left) => return too_soon(left),
        Found::Busy => return busy(),
        // A client without a password gets a token for what needs none.
        Found::Nothing if list.is_for_anyone() => Identity::ANYONE,
        _ if list.is_open() => Identity::ANYONE,
        _ => {
            let base = gate.base_url(&headers, &uri, connection.as_ref());
            return RegistryError::new(
                ErrorCode::Unauthorized,
                "the user or the password is wrong",
            )
            .with_header("www-authenticate", format!("Basic realm=\"{base}/login\""))
            .into_response();
        }
    };
    let parameters = query.map(|Query(parameters)| parameters).unwrap_or_default();
    match token(&list, &identity, &parameters) {
        Ok(body) => {
            let mut response = json(StatusCode::OK, &body);
            let no_store = axum::http::HeaderValue::from_static("no-store");
            response.headers_mut().insert(CACHE_CONTROL, no_store);
            response.extensions_mut().insert(identity);
            response
        }
        Err(error) => error.into_response(),
    }
}

fn token(
    list: &AccessList,
    identity: &Identity,
    parameters: &[(String, String)],
) -> Result<serde_json::Value, RegistryError> {
    let now = now();
    let mut scopes = parameters.iter().filter(|(name, _)| name == "scope").peekable();
    // A client that asks for nothing in particular gets a token for all that
    // the user may do, as Trow gives it. None is good for more than that.
    let user = identity.user.as_deref();
    let asked = scopes.peek().is_some();
    let access =
        asked.then(|| list.narrow(user, scopes.flat_map(|(_, text)| Scope::parse_list(text))));
    let token = list.issue(user, access, now)?;
    let issued = i64::try_from(now)
        .ok()
        .and_then(|now| OffsetDateTime::from_unix_timestamp(now).ok())
        .and_then(|time| time.format(&Rfc3339).ok());
    Ok(serde_json::json!({
        "token": token,
        "access_token": token,
        "expires_in": TOKEN_LIFETIME,
        "issued_at": issued,
    }))
}

/// 400 for a client that asks for more than a token can hold.
impl From<SignError> for RegistryError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::TooLong => {
                Self::new(ErrorCode::Unsupported, error.to_string()).with_status(400)
            }
            SignError::Claims(error) => Self::internal(error),
        }
    }
}

fn is_bearer(headers: &HeaderMap) -> bool {
    // The same reading as the one that lets in: a token must not renew itself.
    headers
        .get(axum::http::header::AUTHORIZATION)
        .and_then(|value| Credentials::parse(value.as_bytes()))
        .is_some_and(|credentials| matches!(credentials, Credentials::Bearer(_)))
}
