//! What people see.

use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse as _, Response};

/// Nothing but the page's own two files, and nobody around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const HTML: &str = include_str!("ui/index.html");
const SCRIPT: &str = include_str!("ui/app.js");
const STYLE: &str = include_str!("ui/style.css");

/// `GET /`: browsers get the page, everyone else Trow's welcome, word for
/// word, because people grep for it.
pub async fn welcome(headers: HeaderMap) -> Response {
    let mut response = if wants_html(&headers) {
        guarded("text/html; charset=utf-8", HTML)
    } else {
        Html(
            "<!DOCTYPE html><html><body>\n<h1>Welcome to Trow, the cluster registry</h1>\n</body></html>\n",
        )
        .into_response()
    };
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response
}

/// `GET /ui/app.js`.
pub async fn script() -> Response {
    guarded("text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /ui/style.css`.
pub async fn style() -> Response {
    guarded("text/css; charset=utf-8", STYLE)
}

/// Browsers name the type; curl and its like take anything.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|range| {
        let kind = range.split(';').next().unwrap_or(range);
        kind.trim().eq_ignore_ascii_case("text/html")
    })
}

fn guarded(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // A new version of the registry must not meet an old page.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
