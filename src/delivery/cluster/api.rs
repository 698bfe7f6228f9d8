//! Requests to the API server: one function per verb, on plain JSON.

use std::cell::RefCell;
use std::collections::BTreeMap;

use http::{Method, Request};
use kube::Client;
use serde::Serialize;
use serde_json::Value;

use super::error::{ClusterError, Refusal};
use super::manifest::{Identity, Manifest, deletion, text};
use crate::delivery::url::escaped;

/// Who owns the fields that we apply.
pub const FIELD_MANAGER: &str = "warren";

/// What server-side apply is sent as.
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// The API server.
pub(super) struct Api {
    client: Client,
    /// What the server has in each group and version that was asked for;
    /// `None` where it has no such group.
    known: RefCell<BTreeMap<String, Option<Vec<Resource>>>>,
}

/// A kind, as the server has it.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    kind: String,
    plural: String,
    namespaced: bool,
}

/// What became of an object that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// It was not there.
    Before,
    /// It is there until what keeps it lets go.
    Begun,
    /// It is gone.
    Now,
}

/// Whether the server only says what it would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DryRun {
    Yes,
    No,
}

impl DryRun {
    /// What is added to a query.
    fn parameter(self) -> &'static str {
        match self {
            Self::Yes => "&dryRun=All",
            Self::No => "",
        }
    }
}

/// What became of an object that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The object, such as `statefulset/trow-set`.
    pub object: String,
    /// What happened to it.
    pub result: Change,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not there.
    Created,
    /// It differed.
    Configured,
    /// It was as it should be.
    Unchanged,
    /// It no longer renders and was deleted.
    Pruned,
    /// It no longer renders, and its deletion has begun.
    Deleting,
    /// It no longer renders and was left.
    Kept,
}

impl Change {
    /// The words of reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Pruned => "pruned",
            Self::Deleting => "is being deleted",
            Self::Kept => "kept",
        }
    }
}

impl std::fmt::Display for Applied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.object, self.result.as_str())
    }
}

impl Api {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: RefCell::default() }
    }

    /// Asks whether the server is ready.
    pub(super) async fn ready(&self) -> Result<(), ClusterError> {
        let request = request(Method::GET, "/readyz", None, Vec::new())?;
        let answer = self.client.request_text(request).await;
        answer.map(|_| ()).map_err(|error| ClusterError::of("/readyz", error))
    }

    /// The server's version without its `v`.
    pub(super) async fn version(&self) -> Result<String, ClusterError> {
        let answer: Value =
            self.send("/version", Method::GET, "/version", None, Vec::new()).await?;
        Ok(text(&answer, "/gitVersion").trim_start_matches('v').to_owned())
    }

    /// Whether the server has any version of this group.
    pub(super) async fn has_group(&self, group: &str) -> Result<bool, ClusterError> {
        let answer: Value = self.send("/apis", Method::GET, "/apis", None, Vec::new()).await?;
        let groups = answer.get("groups").and_then(Value::as_array);
        Ok(groups.into_iter().flatten().any(|one| text(one, "/name") == group))
    }

    /// How the server calls this kind; `None` where it does not know it.
    pub(super) async fn resource(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Resource>, ClusterError> {
        let known = self.known.borrow().get(api_version).cloned();
        let list = if let Some(list) = known {
            list
        } else {
            let list = self.discover(api_version).await?;
            self.known.borrow_mut().insert(api_version.to_owned(), list.clone());
            list
        };
        Ok(list.and_then(|list| list.into_iter().find(|resource| resource.kind == kind)))
    }

    /// Forgets which kinds there are: definitions were applied.
    pub(super) fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    async fn discover(&self, api_version: &str) -> Result<Option<Vec<Resource>>, ClusterError> {
        let path = group_path(api_version);
        let answer: Value = match self.send(api_version, Method::GET, &path, None, Vec::new()).await
        {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let list = answer.get("resources").and_then(Value::as_array);
        let resources = list.into_iter().flatten().filter_map(|one| {
            let plural = text(one, "/name");
            // `statefulsets/scale` and its like are no kinds of their own.
            (!plural.contains('/')).then(|| Resource {
                kind: text(one, "/kind").to_owned(),
                plural: plural.to_owned(),
                namespaced: one.get("namespaced").and_then(Value::as_bool).unwrap_or(false),
            })
        });
        Ok(Some(resources.collect()))
    }

    /// The object, as it is; `None` when it, or its kind, is not there.
    pub(super) async fn get(&self, identity: &Identity) -> Result<Option<Value>, ClusterError> {
        let Some(path) = self.path(identity).await? else { return Ok(None) };
        match self.send(&identity.id(), Method::GET, &path, None, Vec::new()).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The objects of a kind in a namespace, or in all for an empty one.
    pub(super) async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Value>, ClusterError> {
        let Some(resource) = self.resource(api_version, kind).await? else { return Ok(Vec::new()) };
        let path = collection(api_version, &resource, namespace);
        let about = format!("the {} of {}", resource.plural, or_all(namespace));
        let (mut found, mut next) = (Vec::new(), String::new());
        loop {
            let query =
                format!("{path}?limit=500&labelSelector={}&continue={next}", escaped(labels));
            let mut page: Value = self.send(&about, Method::GET, &query, None, Vec::new()).await?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                found.extend(items);
            }
            next = escaped(text(&page, "/metadata/continue"));
            if next.is_empty() {
                return Ok(found);
            }
        }
    }

    /// What applying the object would make of it; nothing is changed.
    pub(super) async fn dry_run(
        &self,
        manifest: &Manifest,
        force: bool,
    ) -> Result<Value, ClusterError> {
        self.patch(manifest, force, DryRun::Yes).await
    }

    /// Applies the object, server-side.
    pub(super) async fn apply(
        &self,
        manifest: &Manifest,
        force: bool,
    ) -> Result<Applied, ClusterError> {
        let identity = manifest.identity();
        let before = self.get(&identity).await?;
        let after = self.patch(manifest, force, DryRun::No).await?;
        let version = |object: &Value| text(object, "/metadata/resourceVersion").to_owned();
        let result = match before {
            None => Change::Created,
            Some(before) if version(&before) == version(&after) => Change::Unchanged,
            Some(_) => Change::Configured,
        };
        Ok(Applied { object: identity.id(), result })
    }

    async fn patch(
        &self,
        manifest: &Manifest,
        force: bool,
        dry_run: DryRun,
    ) -> Result<Value, ClusterError> {
        let identity = manifest.identity();
        let path = self.known_path(&identity).await?;
        let query = format!(
            "{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict&force={force}{}",
            dry_run.parameter()
        );
        let body = manifest.value.to_string().into_bytes();
        self.send(&identity.id(), Method::PATCH, &query, Some(APPLY), body).await
    }

    /// Makes an object that is not there.
    pub(super) async fn create(&self, object: &Value) -> Result<Value, ClusterError> {
        self.post(object, DryRun::No).await
    }

    async fn post(&self, object: &Value, dry_run: DryRun) -> Result<Value, ClusterError> {
        let identity = super::manifest::identity(object);
        let path = self.known_path(&identity).await?;
        let Some((path, _)) = path.rsplit_once('/') else { return Err(unknown(&identity)) };
        let query = format!("{path}?fieldManager={FIELD_MANAGER}{}", dry_run.parameter());
        let body = object.to_string().into_bytes();
        self.send(&identity.id(), Method::POST, &query, Some(JSON), body).await
    }

    /// What the server would make of the object if it were new; nothing is made.
    pub(super) async fn fresh(&self, manifest: &Manifest) -> Result<Value, ClusterError> {
        let mut object = manifest.value.clone();
        // One of its name is there.
        object["metadata"]["name"] = format!("{}-fresh", manifest.text("/metadata/name")).into();
        self.post(&object, DryRun::Yes).await
    }

    /// Replaces an object; its `resourceVersion` says which state of it.
    pub(super) async fn replace(
        &self,
        object: &Value,
        dry_run: DryRun,
    ) -> Result<Value, ClusterError> {
        let identity = super::manifest::identity(object);
        let path = self.known_path(&identity).await?;
        let query = format!("{path}?fieldManager={FIELD_MANAGER}{}", dry_run.parameter());
        let body = object.to_string().into_bytes();
        self.send(&identity.id(), Method::PUT, &query, Some(JSON), body).await
    }

    /// Deletes an object, what it owns in the background.
    pub(super) async fn delete(
        &self,
        identity: &Identity,
        dry_run: DryRun,
    ) -> Result<Deleted, ClusterError> {
        let Some(path) = self.path(identity).await? else { return Ok(Deleted::Before) };
        let query = format!("{path}?propagationPolicy=Background{}", dry_run.parameter());
        let answer: Result<Value, _> =
            self.send(&identity.id(), Method::DELETE, &query, None, Vec::new()).await;
        match answer {
            // A finalizer, or a pod's grace, keeps it for now.
            Ok(left) if deletion(&left).is_some() => Ok(Deleted::Begun),
            Ok(_) => Ok(Deleted::Now),
            Err(error) if error.is_not_found() => Ok(Deleted::Before),
            Err(error) => Err(error),
        }
    }

    async fn known_path(&self, identity: &Identity) -> Result<String, ClusterError> {
        self.path(identity).await?.ok_or_else(|| unknown(identity))
    }

    /// Where the object is; `None` where the server does not know its kind.
    async fn path(&self, identity: &Identity) -> Result<Option<String>, ClusterError> {
        let Some(resource) = self.resource(&identity.api_version, &identity.kind).await? else {
            return Ok(None);
        };
        let collection = collection(&identity.api_version, &resource, &identity.namespace);
        Ok(Some(format!("{collection}/{}", escaped(&identity.name))))
    }

    async fn send(
        &self,
        about: &str,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Value, ClusterError> {
        let request = request(method, path, content_type, body)?;
        self.client.request(request).await.map_err(|error| ClusterError::of(about, error))
    }
}

fn request(
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, ClusterError> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(content_type) = content_type {
        request = request.header(http::header::CONTENT_TYPE, content_type);
    }
    request.body(body).map_err(|error| ClusterError::new(path, Refusal::Other, error.to_string()))
}

fn unknown(identity: &Identity) -> ClusterError {
    ClusterError::new(
        identity.id(),
        Refusal::UnknownKind,
        format!("the cluster has no kind {} in {}", identity.kind, identity.api_version),
    )
}

fn group_path(api_version: &str) -> String {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let parts: Vec<_> = api_version.split('/').map(escaped).collect();
    format!("/{root}/{}", parts.join("/"))
}

fn collection(api_version: &str, resource: &Resource, namespace: &str) -> String {
    let group = group_path(api_version);
    if resource.namespaced && !namespace.is_empty() {
        format!("{group}/namespaces/{}/{}", escaped(namespace), resource.plural)
    } else {
        format!("{group}/{}", resource.plural)
    }
}

fn or_all(namespace: &str) -> &str {
    if namespace.is_empty() { "all namespaces" } else { namespace }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api_server() {
        let resource =
            |namespaced| Resource { kind: "X".to_owned(), plural: "xs".to_owned(), namespaced };
        assert_eq!(collection("v1", &resource(true), "trow"), "/api/v1/namespaces/trow/xs");
        assert_eq!(collection("v1", &resource(true), ""), "/api/v1/xs");
        assert_eq!(collection("a.b/v1", &resource(false), "trow"), "/apis/a.b/v1/xs");
    }
}
