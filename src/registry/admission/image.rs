//! Names of images as they stand in a pod, read as Docker reads them.

use std::fmt;
use std::net::Ipv6Addr;

use crate::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::reference::{Reference, Tag};

/// The host that a name without one means.
const HUB: &str = "docker.io";

/// The name of an image, in full: `ubuntu` is `docker.io/library/ubuntu:latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// The registry, in lower case, without the port 443.
    pub host: String,
    /// The repository there.
    pub repository: RepositoryName,
    /// The tag; `latest` where the name has neither tag nor digest.
    pub tag: Option<Tag>,
    /// The digest, which is what counts where there is one.
    pub digest: Option<Digest>,
}

impl ImageName {
    /// Reads a name. `None` where it is none: such a name can't be pulled.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().ok()?)),
            None => (text, None),
        };
        let (host, path) = split_host(rest)?;
        let (path, tag) = match path.split_once(':') {
            Some((path, tag)) => (path, Some(tag.parse().ok()?)),
            None => (path, None),
        };
        let path = if host == HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        let tag = if digest.is_none() && tag.is_none() { "latest".parse().ok() } else { tag };
        Some(Self { host, repository: path.parse().ok()?, tag, digest })
    }

    /// Which of the repository's manifests is meant.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        let digest = self.digest.clone().map(Reference::Digest);
        digest.or_else(|| self.tag.clone().map(Reference::Tag))
    }

    /// The name without its digest, and without its host: what a list of local
    /// images holds.
    #[must_use]
    pub fn local(&self) -> String {
        self.tag
            .as_ref()
            .map_or_else(|| self.repository.to_string(), |tag| format!("{}:{tag}", self.repository))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.local())?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

/// Where the host ends. The first part is one if it looks like one: it has a
/// dot, a colon or a capital letter, or is `localhost`.
fn split_host(text: &str) -> Option<(String, &str)> {
    match text.split_once('/') {
        Some((first, rest)) if looks_like_host(first) => Some((host(first)?, rest)),
        _ => Some((HUB.to_owned(), text)),
    }
}

/// Whether the first part of a name is a host.
pub(super) fn looks_like_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase)
}

/// A host as it is compared: names have no case, and 443 is the port anyway.
/// `None` where it is no host.
pub(super) fn host(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            address.parse::<Ipv6Addr>().ok()?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (text.get(..address.len() + 2)?, port)
        }
        None => match text.split_once(':') {
            Some((name, port)) => (is_name(name).then_some(name)?, Some(port)),
            None => (is_name(&text).then_some(text.as_str())?, None),
        },
    };
    let name = if name == "index.docker.io" { HUB } else { name };
    match port {
        None => Some(name.to_owned()),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number = port.parse::<u16>().ok()?;
            Some(if number == 443 { name.to_owned() } else { format!("{name}:{number}") })
        }
        Some(_) => None,
    }
}

fn is_name(name: &str) -> bool {
    name.split('.').all(|label| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(plain)
            && bytes.last().copied().is_some_and(plain)
            && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_up_as_docker_does() {
        let digest = Digest::sha256(b"");
        for (text, full) in [
            ("ubuntu", "docker.io/library/ubuntu:latest"),
            ("ubuntu:24.04", "docker.io/library/ubuntu:24.04"),
            ("me/app", "docker.io/me/app:latest"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
            ("index.docker.io/ubuntu", "docker.io/library/ubuntu:latest"),
            ("Docker.IO:443/ubuntu", "docker.io/library/ubuntu:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:8000/a/b:v1", "localhost:8000/a/b:v1"),
            ("[::1]:8000/a", "[::1]:8000/a:latest"),
            ("10.0.0.1/a", "10.0.0.1/a:latest"),
            ("quay.io/a/b/c:x", "quay.io/a/b/c:x"),
            (&format!("ubuntu@{digest}"), &format!("docker.io/library/ubuntu@{digest}")),
            (&format!("quay.io/a:v1@{digest}"), &format!("quay.io/a:v1@{digest}")),
        ] {
            assert_eq!(ImageName::parse(text).unwrap().to_string(), full, "{text}");
        }
    }

    #[test]
    fn what_can_t_be_pulled_is_no_name() {
        for text in [
            "",
            " ",
            "hello human",
            "quay.io/",
            "quay.io/A",
            "a:",
            "a:b:c",
            "a@",
            "a@jasper-byrne",
            "a@sha256:00",
            "quay.io./a",
            "-a.io/b",
            "quay.io:x/a",
            "quay.io:99999/a",
            "[::1/a",
            "[x]/a",
            "quay.io/../a",
            "docker.io/",
            "/a",
            "http://quay.io/a",
            "a\n",
            "é",
        ] {
            assert_eq!(ImageName::parse(text), None, "{text:?}");
        }
    }
}
