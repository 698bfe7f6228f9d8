//! Where a request comes from, also through a proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

use super::base_url::Connection;
use crate::registry::network::Network;

/// Whom a request with a body comes from, as far as it can't choose that. It is
/// among the extensions of those that bring a blob or a manifest.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub IpAddr);

/// The address of the client: the connection's, or, where that is a proxy
/// that the operator trusts, the one that the proxy wrote to the end of
/// `X-Forwarded-For`. What stands before it anybody may have written.
#[must_use]
pub fn client_address(
    headers: &HeaderMap,
    connection: Option<&Connection>,
    proxies: &[Network],
) -> IpAddr {
    let trusted = |address| proxies.iter().any(|network| network.contains(address));
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut client = connection.map_or(unknown, |connection| connection.peer.ip());
    let forwarded: Vec<&str> = headers
        .get_all(HeaderName::from_static("x-forwarded-for"))
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for text in forwarded.into_iter().rev() {
        if !trusted(client) {
            break;
        }
        match address(text) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// An address, which some proxies write with a port.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", axum::http::HeaderValue::from_static(value));
        }
        let end = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 1);
        let connection = Connection { tls: false, local: end("10.0.0.9"), peer: end(peer) };
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        client_address(&headers, Some(&connection), &proxies).to_string()
    }

    #[test]
    fn only_what_a_trusted_proxy_wrote_counts() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.7, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.7", "198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.7, 198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["192.0.2.7, unknown"]), "10.0.0.1");
    }
}
