//! Who may call: the layer around the registry's routes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::base_url::{Connection, base_url};
use super::route::Route;
use crate::registry::access::{Actions, Permissions};
use crate::registry::auth::{Authenticator, Credentials, Identity, SERVICE, Scope};
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;

/// What stands between the clients and everything below `/v2/`.
pub struct Gate {
    /// Who is who.
    pub authenticator: Authenticator,
    /// The host to name to clients that name none.
    pub hostname: Option<String>,
}

/// Lets a request through to the registry if its credentials suffice, and
/// answers with a challenge if they don't. What the caller may do goes with
/// the request, who it is goes back with the response, for the log.
pub async fn authenticate(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = Route::parse(request.method(), request.uri().path()).ok();
    let wanted = route.as_ref().and_then(wanted);
    let source = route.as_ref().and_then(|route| source(route, request.uri()));
    let scopes: Vec<&Scope> = wanted.iter().chain(&source).collect();
    let identity = match identify(&gate, request.headers()).await {
        Found::Identity(identity) => identity,
        Found::Nothing => return gate.challenge(&request, &scopes, None),
        Found::Wrong { token } => {
            return gate.challenge(&request, &scopes, token.then_some("invalid_token"));
        }
    };
    if let Some(wanted) = &wanted
        && !identity.may(wanted)
    {
        return gate.challenge(&request, &scopes, Some("insufficient_scope"));
    }
    request.extensions_mut().insert(permissions(route.as_ref(), &identity));
    let mut response = next.run(request).await;
    response.extensions_mut().insert(identity);
    response
}

/// What the credentials of a request say.
pub(super) enum Found {
    /// There are none.
    Nothing,
    /// They are wrong; whether they were a token.
    Wrong {
        /// A token, or something else.
        token: bool,
    },
    /// They are right, or nobody asks for any.
    Identity(Identity),
}

/// Looks at the `Authorization` header.
pub(super) async fn identify(gate: &Gate, headers: &HeaderMap) -> Found {
    if gate.authenticator.is_open() {
        return Found::Identity(Identity::ANYONE);
    }
    let Some(value) = headers.get(AUTHORIZATION) else { return Found::Nothing };
    let Some(credentials) = Credentials::parse(value.as_bytes()) else {
        return Found::Wrong { token: false };
    };
    let token = matches!(credentials, Credentials::Bearer(_));
    match gate.authenticator.identify(credentials, now()).await {
        Some(identity) => Found::Identity(identity),
        None => Found::Wrong { token },
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Gate {
    /// The registry's URL as the client of this request sees it.
    pub(super) fn base_url(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        connection: Option<&Connection>,
    ) -> String {
        base_url(headers, uri, connection, self.hostname.as_deref())
    }

    /// 401 with the challenge of the distribution token specification.
    fn challenge(
        &self,
        request: &Request,
        scopes: &[&Scope],
        error: Option<&'static str>,
    ) -> Response {
        let connection = request.extensions().get::<Connection>();
        let base = self.base_url(request.headers(), request.uri(), connection);
        let mut challenge = format!("Bearer realm=\"{base}/login\",service=\"{SERVICE}\"");
        // Writing to a string does not fail.
        for (index, scope) in scopes.iter().enumerate() {
            let _ = write!(challenge, "{}{scope}", if index == 0 { ",scope=\"" } else { " " });
        }
        if !scopes.is_empty() {
            challenge.push('"');
        }
        if let Some(error) = error {
            let _ = write!(challenge, ",error=\"{error}\"");
        }
        let message = match error {
            Some("insufficient_scope") => "the token is not good for this",
            Some(_) => "the token is not valid, or no longer",
            None => "this needs the right user and password, or a token",
        };
        RegistryError::new(ErrorCode::Unauthorized, message)
            .with_header("www-authenticate", challenge)
            .with_header("docker-distribution-api-version", "registry/2.0")
            .into_response()
    }
}

/// What a request needs, as a token scope.
fn wanted(route: &Route) -> Option<Scope> {
    match (route, route.access()) {
        (Route::Catalog, _) => Some(Scope::catalog()),
        (_, (Some(name), actions)) => Some(scope(name, actions)),
        (_, (None, _)) => None,
    }
}

fn scope(name: &RepositoryName, actions: Actions) -> Scope {
    Scope::repository(name.as_str(), &actions.names().collect::<Vec<_>>())
}

/// What a mount needs in the repository that it names as its source. That the
/// challenge says so is how clients come to ask for it.
fn source(route: &Route, uri: &Uri) -> Option<Scope> {
    let Route::StartUpload(_) = route else { return None };
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let value = |name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    value("mount")?;
    Some(scope(&value("from")?.parse().ok()?, Actions::PULL))
}

/// What a handler may do beyond the path of its request. A catalog, and a
/// mount from wherever the blob is, are about repositories that no client can
/// name when it asks for a token; and clients that keep a token for each
/// repository name no source either. There the user's rights hold, not the
/// token's.
fn permissions(route: Option<&Route>, identity: &Identity) -> Permissions {
    if identity.access.is_none() || matches!(route, Some(Route::Catalog | Route::StartUpload(_))) {
        return Permissions::everything();
    }
    let identity = identity.clone();
    Permissions::new(move |name, actions| identity.may(&scope(name, actions)))
}
