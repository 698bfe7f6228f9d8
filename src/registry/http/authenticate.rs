//! Who may call: the layer around the registry's routes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::base_url::{Connection, base_url};
use super::client::client_address;
use super::route::Route;
use super::witness::Witness;
use crate::registry::access::{Actions, Permissions};
use crate::registry::auth::{
    AccessList, Authenticator, Credentials, Identity, Refused, SERVICE, Scope,
};
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::network::Network;

/// After how many seconds a client may try again whose password there was no
/// time to look at.
const RETRY_AFTER: &str = "2";

/// What stands between the clients and everything below `/v2/`.
pub struct Gate {
    /// Who is who, and who may do what.
    pub authenticator: Authenticator,
    /// The registry's URL, whatever a request says.
    pub external_url: Option<String>,
    /// The host to name to clients that name none.
    pub hostname: Option<String>,
    /// Proxies whose word on where a request comes from is taken.
    pub proxies: Vec<Network>,
}

/// Lets a request through to the registry if its credentials suffice, and
/// answers with a challenge if they don't. What the caller may do goes with
/// the request, who it is goes back with the response, for the log, and with a
/// write goes there as well.
pub async fn authenticate(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let list = gate.authenticator.list();
    let route = Route::parse(request.method(), request.uri().path()).ok();
    let wanted = route.as_ref().and_then(wanted);
    let source = route.as_ref().and_then(|route| source(route, request.uri()));
    let scopes: Vec<&Scope> = wanted.iter().chain(&source).collect();
    let connection = request.extensions().get::<Connection>().copied();
    let identity = match identify(&gate, &list, request.headers(), connection.as_ref()).await {
        Found::Identity(identity) => identity,
        // Who says nothing may do what needs no login; but the version check
        // is where clients learn how to log in.
        Found::Nothing if wanted.is_some() && list.is_for_anyone() => Identity::ANYONE,
        Found::Nothing => return gate.challenge(&request, &scopes, None),
        Found::Wrong { token } => {
            return gate.challenge(&request, &scopes, token.then_some("invalid_token"));
        }
        Found::TooSoon(left) => return too_soon(left),
        Found::Busy => return busy(),
    };
    let mut response = match refusal(&list, route.as_ref(), wanted.as_ref(), &identity) {
        Some(Refusal::Scope) => gate.challenge(&request, &scopes, Some("insufficient_scope")),
        Some(Refusal::Login) => gate.challenge(&request, &scopes, None),
        Some(Refusal::Policy(error)) => error.into_response(),
        None => {
            // What a write does is written down under its user also when the
            // answer below finds nobody any more.
            if request.extensions().get::<Witness>().is_some() {
                request.extensions_mut().insert(identity.clone());
            }
            request.extensions_mut().insert(permissions(list, route.as_ref(), &identity));
            next.run(request).await
        }
    };
    response.extensions_mut().insert(identity);
    response
}

/// Why somebody who is known may not do something.
enum Refusal {
    /// The token is not good for it.
    Scope,
    /// It needs a login.
    Login,
    /// The policy doesn't let this user.
    Policy(RegistryError),
}

fn refusal(
    list: &AccessList,
    route: Option<&Route>,
    wanted: Option<&Scope>,
    identity: &Identity,
) -> Option<Refusal> {
    let user = identity.user.as_deref();
    let allowed = match (route, route.map(Route::access)) {
        (Some(Route::Catalog), _) => list.may_list(user),
        (_, Some((Some(name), actions))) => list.granted(user, name.as_str()).contains(actions),
        (Some(_), _) => true,
        // What is no operation of the registry, such as the metrics: a token
        // of nobody in particular is no login.
        (None, _) => user.is_some() || list.is_open(),
    };
    match (allowed, user, wanted) {
        (true, _, Some(wanted)) if !identity.may(wanted) => Some(Refusal::Scope),
        (true, ..) => None,
        (false, None, _) if identity.access.is_some() => Some(Refusal::Scope),
        (false, None, _) => Some(Refusal::Login),
        (false, Some(user), _) => {
            let what = wanted.map_or_else(String::new, ToString::to_string);
            let message = format!("the policy does not let {user} do this: {what}");
            Some(Refusal::Policy(RegistryError::new(ErrorCode::Denied, message)))
        }
    }
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
    /// Nobody looked at them: too many wrong ones came before.
    TooSoon(Duration),
    /// Nobody looked at them: too many others are being looked at.
    Busy,
    /// They are right, or nobody asks for any.
    Identity(Identity),
}

/// Looks at the `Authorization` header.
pub(super) async fn identify(
    gate: &Gate,
    list: &Arc<AccessList>,
    headers: &HeaderMap,
    connection: Option<&Connection>,
) -> Found {
    if list.is_open() {
        return Found::Identity(Identity::ANYONE);
    }
    let Some(value) = headers.get(AUTHORIZATION) else { return Found::Nothing };
    let Some(credentials) = Credentials::parse(value.as_bytes()) else {
        return Found::Wrong { token: false };
    };
    let token = matches!(credentials, Credentials::Bearer(_));
    let client = client_address(headers, connection, &gate.proxies);
    match gate.authenticator.identify(list, credentials, client, now()).await {
        Ok(identity) => Found::Identity(identity),
        Err(Refused::Wrong) => Found::Wrong { token },
        Err(Refused::TooSoon(left)) => Found::TooSoon(left),
        Err(Refused::Busy) => Found::Busy,
    }
}

/// 429: the client has guessed often enough for a while.
pub(super) fn too_soon(left: Duration) -> Response {
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    RegistryError::new(
        ErrorCode::TooManyRequests,
        "too many wrong passwords came from this client; wait and try again",
    )
    .with_header("retry-after", seconds.to_string())
    .into_response()
}

/// 429: the client, or all of them together, have too many passwords to look at.
pub(super) fn busy() -> Response {
    RegistryError::new(
        ErrorCode::TooManyRequests,
        "too many passwords are being checked; come back in a moment",
    )
    .with_header("retry-after", RETRY_AFTER)
    .into_response()
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Gate {
    /// The registry's URL, or that by which the client of this request sees it.
    pub(super) fn base_url(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
        connection: Option<&Connection>,
    ) -> String {
        let seen = || base_url(headers, uri, connection, self.hostname.as_deref());
        self.external_url.clone().unwrap_or_else(seen)
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
fn permissions(list: Arc<AccessList>, route: Option<&Route>, identity: &Identity) -> Permissions {
    let unnamed = matches!(route, Some(Route::Catalog | Route::StartUpload(_)));
    let Identity { user, access } = identity.clone();
    let token = Identity { user: None, access: if unnamed { None } else { access } };
    Permissions::new(move |name, actions| {
        list.granted(user.as_deref(), name.as_str()).contains(actions)
            && token.may(&scope(name, actions))
    })
}
