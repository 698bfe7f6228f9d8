//! Who may call: the layer around the registry's routes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
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
    let identity = match identify(&gate, request.headers()).await {
        Found::Identity(identity) => identity,
        Found::Nothing => return gate.challenge(&request, wanted.as_ref(), None),
        Found::Wrong { token } => {
            return gate.challenge(&request, wanted.as_ref(), token.then_some("invalid_token"));
        }
    };
    if let Some(wanted) = &wanted
        && !identity.may(wanted)
    {
        return gate.challenge(&request, Some(wanted), Some("insufficient_scope"));
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
        scope: Option<&Scope>,
        error: Option<&'static str>,
    ) -> Response {
        let connection = request.extensions().get::<Connection>();
        let base = self.base_url(request.headers(), request.uri(), connection);
        let mut challenge = format!("Bearer realm=\"{base}/login\",service=\"{SERVICE}\"");
        // Writing to a string does not fail.
        if let Some(scope) = scope {
            let _ = write!(challenge, ",scope=\"{scope}\"");
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

/// What a handler may do beyond the path of its request. A catalog is asked
/// for as a whole: a token for it names no repository.
fn permissions(route: Option<&Route>, identity: &Identity) -> Permissions {
    if identity.access.is_none() || matches!(route, Some(Route::Catalog)) {
        return Permissions::everything();
    }
    let identity = identity.clone();
    Permissions::new(move |name, actions| identity.may(&scope(name, actions)))
}
