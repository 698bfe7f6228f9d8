//! A Kubernetes object among manifests: what it is, and which file it goes to.

use super::schema::{Schema, Scope};
use super::yaml::Node;

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

    /// `statefulset-trow-set.yaml`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.yaml", self.kind().to_lowercase(), self.name())
    }

    fn metadata(&self, key: &str) -> &str {
        self.node
            .get("metadata")
            .and_then(|metadata| metadata.get(key))
            .and_then(Node::as_str)
            .unwrap_or_default()
    }
}
