//! What to type to use the registry that runs here.

use super::home::Home;
use super::proof::{REPOSITORY, TAG};

/// The commands for podman, docker and curl, ready to copy. `host` is
/// `localhost:PORT`, which the certificate covers.
#[must_use]
pub fn guide(home: &Home, domain: &str, host: &str) -> String {
    let port = host.rsplit_once(':').map_or("8443", |(_, port)| port);
    let ca = home.authority.certificate_path();
    let ca_folder = ca.parent().unwrap_or(ca).display().to_string();
    let (ca, password) = (ca.display(), home.password_file.display());
    let user = &home.user;
    format!(
        "\
podman
  podman login --cert-dir {ca_folder} -u {user} --password-stdin {host} < {password}
  podman pull --cert-dir {ca_folder} {host}/{REPOSITORY}:{TAG}
docker (it trusts localhost; elsewhere put the CA into /etc/docker/certs.d/{host}/ca.crt)
  docker login -u {user} --password-stdin {host} < {password}
  docker pull {host}/{REPOSITORY}:{TAG}
curl
  curl --cacert {ca} -u \"{user}:$(cat {password})\" https://{host}/v2/_catalog
  curl --cacert {ca} --resolve {domain}:{port}:127.0.0.1 https://{domain}:{port}/
"
    )
}
