//! What to type to use the registry that runs here.

use std::net::SocketAddr;
use std::path::Path;

use super::REPOSITORY;
use super::home::Home;
use crate::cli::printer::quoted;
use crate::client::proof::TAG;

/// The commands for podman, docker and curl, ready to copy. `address` is where
/// the registry listens; the certificate covers localhost and that address.
#[must_use]
pub fn guide(home: &Home, domain: &str, address: SocketAddr) -> String {
    let port = address.port();
    let host = if address.ip().is_loopback() || address.ip().is_unspecified() {
        format!("localhost:{port}")
    } else {
        address.to_string()
    };
    let ip = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { bare(address) };
    let shown = |path: &Path| quoted(&path.display().to_string());
    let (trust, password) = (shown(&home.trust), shown(&home.password_file));
    let (ca, curl) = (shown(&home.trust.join("ca.crt")), shown(&home.curl));
    let user = quoted(&home.user);
    let resolve = quoted(&format!("{domain}:{port}:{ip}"));
    format!(
        "\
podman
  podman login --cert-dir {trust} -u {user} --password-stdin {host} < {password}
  podman pull --cert-dir {trust} {host}/{REPOSITORY}:{TAG}
docker (it trusts localhost; elsewhere put the CA into /etc/docker/certs.d/{host}/ca.crt)
  docker login -u {user} --password-stdin {host} < {password}
  docker pull {host}/{REPOSITORY}:{TAG}
curl
  curl --cacert {ca} -K {curl} https://{host}/v2/_catalog
  curl --cacert {ca} --resolve {resolve} https://{domain}:{port}/
"
    )
}

/// The address without its port, in brackets where it is an IPv6 one.
fn bare(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}
