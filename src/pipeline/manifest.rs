//! A Kubernetes object among manifests: what it is, and which file it goes to.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::schema::{Schema, Scope};
use super::yaml::Node;
use crate::digest::Digest;

/// How long the name of a file may be, without its end: file systems take 255 bytes.
const NAME: usize = 240;

/// A text as a part of a file's name: what is neither a letter, a digit, `-`, `.` nor
/// `:` is written as `_` and its number, so that no part leads out of the folder, and
/// none looks like two.
fn part(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    if text.bytes().all(plain) {
        return text.into();
    }
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            part.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _ = write!(part, "_{byte:02x}");
        }
    }
    part.into()
}

/// The name of a file. One that is too long ends with a digest of itself.
fn file(name: &str) -> String {
    if name.len() <= NAME {
        return format!("{name}.yaml");
    }
    // Only ASCII stands in it.
    let start = name.get(..NAME - 20).unwrap_or_default();
    let digest = Digest::sha256(name.as_bytes());
    format!("{start}_x{}.yaml", digest.hex().get(..16).unwrap_or_default())
}

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The whole manifest.
    pub node: Node,
    /// The file it was read from, relative to the repository.
    pub source: String,
}

impl Object {
    /// Its kind, such as `StatefulSet`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.node.get("kind").and_then(Node::as_str).unwrap_or_default()
    }

    /// Its group and version, such as `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.node.get("apiVersion").and_then(Node::as_str).unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata("name")
    }

    /// Its namespace; empty where it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata("namespace")
    }

    /// Whether objects of its kind live in a namespace. So does a kind that no
    /// schema has, until somebody says otherwise.
    #[must_use]
    pub fn is_namespaced(&self) -> bool {
        let kind = Schema::newest().kind_of_any_version(self.api_version(), self.kind());
        kind.is_none_or(|kind| kind.scope() == Scope::Namespaced)
    }

    /// `statefulset/trow-set`, as kubectl prints it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind().to_lowercase(), self.name())
    }

    /// Its API group; empty for the core's.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version().rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// What no other object of a cluster shares with it: group, kind, namespace and
    /// name.
    #[must_use]
    pub fn identity(&self) -> (&str, &str, &str, &str) {
        (self.group(), self.kind(), self.namespace(), self.name())
    }

    /// `statefulset-trow-set.yaml`.
    #[must_use]
    pub fn file_name(&self) -> String {
        file(&format!("{}-{}", part(&self.kind().to_lowercase()), part(self.name())))
    }

    /// `configmap-settings_in_kube-system.yaml`, or
    /// `event-started_in_trow_of_events.k8s.io.yaml`: for one of several that would
    /// have the same [`Self::file_name`].
    #[must_use]
    pub fn long_file_name(&self) -> String {
        let mut name = format!("{}-{}", part(&self.kind().to_lowercase()), part(self.name()));
        for (word, text) in [("in", self.namespace()), ("of", self.group())] {
            if !text.is_empty() {
                name = format!("{name}_{word}_{}", part(text));
            }
        }
        file(&name)
    }

    fn metadata(&self, key: &str) -> &str {
        self.node
            .get("metadata")
            .and_then(|metadata| metadata.get(key))
            .and_then(Node::as_str)
            .unwrap_or_default()
    }
}
