//! The registry's own URL, as each client sees it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName, Uri};

/// What the server knows of the connection a request came over. It is among
/// the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Whether the connection itself is encrypted.
    pub tls: bool,
    /// The server's end.
    pub local: SocketAddr,
    /// The client's end.
    pub peer: SocketAddr,
}

/// The absolute URL of the registry as the client sees it, without a slash at
/// the end: `https://registry.example`.
///
/// The scheme is that of `X-Forwarded-Proto`, or the connection's. The host is
/// that of `X-Forwarded-Host`, of HTTP/2's `:authority` or HTTP/1's `Host`,
/// then the configured one, then the server's own address, so that it is never
/// relative. Whatever is no host and port is passed over: the result goes into
/// a header, and nothing else may get there with it.
#[must_use]
pub fn base_url(
    headers: &HeaderMap,
    uri: &Uri,
    connection: Option<&Connection>,
    configured: Option<&str>,
) -> String {
    let forwarded = |name| headers.get(HeaderName::from_static(name)).and_then(first);
    let scheme = match forwarded("x-forwarded-proto") {
        Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
        Some(proto) if proto.eq_ignore_ascii_case("http") => "http",
        _ if connection.is_some_and(|connection| connection.tls) => "https",
        _ => "http",
    };
    let port = forwarded("x-forwarded-port").and_then(|port| port.parse::<u16>().ok());
    let host = forwarded("x-forwarded-host")
        .filter(|host| is_authority(host))
        .map(|host| with_port(host, port, scheme))
        .or_else(|| uri.authority().map(|authority| authority.as_str().to_owned()))
        .filter(|host| is_authority(host))
        .or_else(|| headers.get(HOST).and_then(first).map(str::to_owned))
        .filter(|host| is_authority(host))
        .or_else(|| configured.map(str::to_owned))
        .or_else(|| connection.map(|connection| connection.local.to_string()))
        .unwrap_or_else(|| "localhost".to_owned());
    format!("{scheme}://{host}")
}

/// The first item of a comma list: what the proxy nearest to the client wrote.
fn first(value: &axum::http::HeaderValue) -> Option<&str> {
    let first = value.to_str().ok()?.split(',').next()?.trim();
    (!first.is_empty()).then_some(first)
}

/// A forwarded host that lacks its port gets the forwarded one, unless that
/// is what the scheme means anyway.
fn with_port(host: &str, port: Option<u16>, scheme: &str) -> String {
    let default = if scheme == "https" { 443 } else { 80 };
    match port {
        Some(port) if port != default && !has_port(host) => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(in crate::registry) fn is_authority(text: &str) -> bool {
    if text.is_empty() || text.len() > 255 + 6 {
        return false;
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => {
            if v6.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let name = |host: &str| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    (host.parse::<IpAddr>().is_ok() || name(host)) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Connection = Connection {
        tls: false,
        local: SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 8000),
        peer: SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 1),
    };

    fn url(headers: &[(&'static str, &'static str)], uri: &'static str, tls: bool) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, axum::http::HeaderValue::from_static(value));
        }
        let connection = Connection { tls, ..PLAIN };
        base_url(&map, &Uri::from_static(uri), Some(&connection), None)
    }

    #[test]
    fn follows_the_client_s_view() {
        assert_eq!(url(&[("host", "r.example:8000")], "/v2/", false), "http://r.example:8000");
        assert_eq!(url(&[("host", "r.example")], "/v2/", true), "https://r.example");
        assert_eq!(url(&[], "https://r.example:8443/v2/", true), "https://r.example:8443");
        assert_eq!(url(&[], "/v2/", false), "http://[::1]:8000");
        let forwarded = [("host", "10.0.0.1:8000"), ("x-forwarded-proto", "https")];
        assert_eq!(url(&forwarded, "/v2/", false), "https://10.0.0.1:8000");
        let all = [
            ("host", "10.0.0.1"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "r.example, inner"),
            ("x-forwarded-port", "8443"),
        ];
        assert_eq!(url(&all, "/v2/", false), "https://r.example:8443");
        let default = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "r.example"),
            ("x-forwarded-port", "443"),
        ];
        assert_eq!(url(&default, "/v2/", false), "https://r.example");
    }

    #[test]
    fn nothing_but_a_host_gets_through() {
        for host in [
            "a\",service=\"evil",
            "a b",
            "a/b",
            "user@host",
            "a:b:c",
            "a:",
            "a:99999",
            "a:+1",
            "[::1",
            "[x]:1",
            "[::1]x",
            "é",
            "",
        ] {
            let headers = [("x-forwarded-host", host), ("host", host)];
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                map.insert(name, value);
            }
            let url = base_url(&map, &Uri::from_static("/"), Some(&PLAIN), Some("r.example"));
            assert_eq!(url, "http://r.example", "{host:?}");
        }
        let proto = [("x-forwarded-proto", "javascript"), ("host", "[::1]:5000")];
        assert_eq!(url(&proto, "/", true), "https://[::1]:5000");
    }
}
