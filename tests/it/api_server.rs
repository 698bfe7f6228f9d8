//! A Kubernetes API server in memory, as far as a delivery needs one:
//! discovery, get, list, server-side apply with dry run, create, replace and
//! delete, with faults on order. What it can't show (defaulting, validation,
//! ownership within lists) is shown by a real one: `tests/cluster`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::loopback;

/// Group and version, kind, plural, namespaced.
const KINDS: [(&str, &str, &str, bool); 19] = [
    ("v1", "Namespace", "namespaces", false),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("v1", "PersistentVolume", "persistentvolumes", false),
    ("v1", "Pod", "pods", true),
    ("v1", "Event", "events", true),
    ("v1", "Node", "nodes", false),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("coordination.k8s.io/v1", "Lease", "leases", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", false),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
    ("cert-manager.io/v1", "ClusterIssuer", "clusterissuers", false),
    ("metallb.io/v1beta1", "IPAddressPool", "ipaddresspools", true),
    ("metallb.io/v1beta1", "L2Advertisement", "l2advertisements", true),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
];

/// Answers a request wrongly.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The method that it concerns.
    pub method: &'static str,
    /// What the path and query contain.
    pub within: &'static str,
    /// What they must not contain; nothing where empty.
    pub without: &'static str,
    /// What a request that changed something contains that came since the fault
    /// was ordered; none is needed where empty.
    pub after: &'static str,
    /// The status; 0 breaks the connection off in the middle of the answer.
    pub code: u16,
    /// The reason, as in the API's `Status`.
    pub reason: &'static str,
    /// The message.
    pub message: &'static str,
    /// How many requests it still concerns.
    pub times: usize,
}

#[derive(Default)]
struct Cluster {
    objects: BTreeMap<String, Value>,
    /// What each manager applied last, by path and manager.
    applied: BTreeMap<(String, String), Value>,
    /// Fields that somebody else wrote: path, pointer, manager.
    edits: Vec<(String, String, String)>,
    version: u64,
    /// With how many requests there were when they were ordered.
    faults: Vec<(Fault, usize)>,
    requests: Vec<String>,
    unknown: Vec<&'static str>,
    token: Option<String>,
}

/// A running server; it ends with the test's process.
#[derive(Clone)]
pub struct ApiServer {
    address: SocketAddr,
    cluster: Arc<Mutex<Cluster>>,
}

impl ApiServer {
    /// A server with the namespaces that our neighbours bring.
    pub fn start() -> Self {
        let cluster = Arc::new(Mutex::new(Cluster::default()));
        let router = Router::new().fallback(answer).with_state(cluster.clone());
        let address = loopback::serve(router);
        let server = Self { address, cluster };
        for name in ["cert-manager", "metallb-system"] {
            let object =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            server.put(&format!("/api/v1/namespaces/{name}"), object);
        }
        server
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap()
    }

    /// Writes a kubeconfig with this context, and a current context that
    /// leads nowhere.
    pub fn kubeconfig(&self, path: &Path, context: &str) {
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "nowhere",
            "clusters": [
                {"name": "here", "cluster": {"server": format!("http://{}", self.address)}},
                {"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}},
            ],
            "users": [{"name": "admin", "user": {"token": "token"}}],
            "contexts": [
                {"name": context, "context": {"cluster": "here", "user": "admin"}},
                {"name": "nowhere", "context": {"cluster": "nowhere", "user": "admin"}},
            ],
        });
        let bytes = text.to_string().into_bytes();
        warren::fs::write_atomic(path, &bytes, warren::fs::Access::Owner).unwrap();
    }

    /// An object by its path.
    pub fn get(&self, path: &str) -> Option<Value> {
        self.lock().objects.get(path).cloned()
    }

    /// The paths of all objects that contain this.
    pub fn paths(&self, within: &str) -> Vec<String> {
        let cluster = self.lock();
        cluster.objects.keys().filter(|path| path.contains(within)).cloned().collect()
    }

    /// Puts an object there, as some controller does.
    pub fn put(&self, path: &str, object: Value) {
        let mut cluster = self.lock();
        let object = cluster.stamped(object);
        cluster.objects.insert(path.to_owned(), object);
    }

    /// Removes an object, as somebody else does.
    pub fn remove(&self, path: &str) {
        self.lock().objects.remove(path).unwrap();
    }

    /// Sets a field, as this manager does; null takes it away.
    pub fn edit(&self, path: &str, pointer: &str, value: Value, manager: &str) {
        let mut cluster = self.lock();
        let mut object = cluster.objects[path].clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(&key.replace("~1", "/"));
        } else {
            parent.insert(key.replace("~1", "/"), value);
            cluster.edits.push((path.to_owned(), pointer.to_owned(), manager.to_owned()));
        }
        let object = cluster.stamped(object);
        cluster.objects.insert(path.to_owned(), object);
    }

    /// Answers wrongly from now on.
    pub fn fail(&self, fault: Fault) {
        let mut cluster = self.lock();
        let since = cluster.requests.len();
        cluster.faults.push((fault, since));
    }

    /// Answers rightly again.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Does not know this kind any more.
    pub fn forget(&self, kind: &'static str) {
        self.lock().unknown.push(kind);
    }

    /// Lets in who has this token, and nobody else.
    pub fn expect_token(&self, token: &str) {
        self.lock().token = Some(token.to_owned());
    }

    /// The requests so far that change something, as `METHOD path?query`.
    pub fn writes(&self) -> Vec<String> {
        self.lock().requests.iter().filter(|line| is_write(line)).cloned().collect()
    }
}

fn is_write(line: &str) -> bool {
    !line.starts_with("GET") && !line.contains("dryRun=All")
}

impl Cluster {
    fn stamped(&mut self, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
            object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        object
    }

    /// The object as it is shown: with the fields that others own.
    fn shown(&self, path: &str, object: &Value) -> Value {
        let mut object = object.clone();
        let owned = self.edits.iter().filter(|(edited, _, _)| edited == path);
        let entries: Vec<_> = owned
            .map(|(_, pointer, manager)| {
                let mut fields = json!({});
                for key in pointer.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
                    fields = json!({format!("f:{}", key.replace("~1", "/")): fields});
                }
                json!({"manager": manager, "operation": "Update", "time": "2026-02-01T00:00:00Z",
                    "fieldsType": "FieldsV1", "fieldsV1": fields})
            })
            .collect();
        if !entries.is_empty() {
            object["metadata"]["managedFields"] = json!(entries);
        }
        object
    }

    fn apply(
        &mut self,
        path: &str,
        wanted: &Value,
        query: &BTreeMap<String, String>,
    ) -> Result<Value, Box<Response>> {
        let force = query.get("force").is_some_and(|value| value == "true");
        let manager = query["fieldManager"].clone();
        let held: Vec<_> = self
            .edits
            .iter()
            .filter(|(edited, pointer, _)| {
                let live = self.objects.get(edited).and_then(|object| object.pointer(pointer));
                edited == path && wanted.pointer(pointer).is_some_and(|new| Some(new) != live)
            })
            .cloned()
            .collect();
        if !force && !held.is_empty() {
            let causes: Vec<_> = held
                .iter()
                .map(|(_, pointer, manager)| {
                    json!({"reason": "FieldManagerConflict", "field": pointer.replace('/', "."),
                        "message": format!("conflict with \"{manager}\"")})
                })
                .collect();
            let mut body = status(409, "Conflict", "Apply failed with conflicts");
            body["details"] = json!({"causes": causes});
            return Err(Box::new(response(409, &body)));
        }
        if let Some(namespace) = wanted["metadata"]["namespace"].as_str()
            && !self.objects.contains_key(&format!("/api/v1/namespaces/{namespace}"))
        {
            let message = format!("namespaces \"{namespace}\" not found");
            return Err(Box::new(failure(404, "NotFound", &message)));
        }
        let before = self.objects.get(path).cloned();
        let mut after = before.clone().unwrap_or_else(|| json!({"metadata": {}}));
        let key = (path.to_owned(), manager);
        if let Some(previous) = self.applied.get(&key) {
            remove(&mut after, previous, wanted);
        }
        merge(&mut after, wanted);
        let changed = before.as_ref() != Some(&after);
        if query.get("dryRun").is_some() {
            return Ok(self.shown(path, &after));
        }
        self.applied.insert(key, wanted.clone());
        self.edits.retain(|edit| !held.contains(edit));
        if changed {
            after = self.stamped(after);
            self.objects.insert(path.to_owned(), after.clone());
        }
        Ok(self.shown(path, &after))
    }
}

/// Takes away what `previous` has and `wanted` has not.
fn remove(live: &mut Value, previous: &Value, wanted: &Value) {
    let (Some(live), Some(previous)) = (live.as_object_mut(), previous.as_object()) else { return };
    for (key, old) in previous {
        match (wanted.get(key), live.get_mut(key)) {
            (None, Some(_)) => {
                live.remove(key);
            }
            (Some(new), Some(there)) => remove(there, old, new),
            (_, None) => {}
        }
    }
}

fn merge(live: &mut Value, wanted: &Value) {
    match (live.as_object_mut(), wanted.as_object()) {
        (Some(live), Some(wanted)) => {
            for (key, value) in wanted {
                merge(live.entry(key).or_insert_with(|| json!({})), value);
            }
        }
        _ => *live = wanted.clone(),
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Cluster>>>,
    method: Method,
    uri: Uri,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Response {
    let mut cluster = state.lock().unwrap();
    let line = format!("{method} {uri}");
    cluster.requests.push(line.clone());
    if let Some(token) = &cluster.token
        && headers.get("authorization").is_none_or(|sent| sent != &format!("Bearer {token}"))
    {
        return failure(401, "Unauthorized", "Unauthorized");
    }
    let requests = cluster.requests.clone();
    let matching = |(fault, since): &(Fault, usize)| {
        let mut written = requests[*since..].iter().filter(|line| is_write(line));
        fault.method == method.as_str()
            && line.contains(fault.within)
            && (fault.without.is_empty() || !line.contains(fault.without))
            && (fault.after.is_empty() || written.any(|line| line.contains(fault.after)))
            && fault.times > 0
    };
    if let Some((fault, _)) = cluster.faults.iter_mut().find(|fault| matching(fault)) {
        fault.times -= 1;
        if fault.code == 0 {
            let cut = futures_util::stream::once(async {
                Err::<Bytes, _>(std::io::Error::other("cut off"))
            });
            return Response::new(Body::from_stream(cut));
        }
        return failure(fault.code, fault.reason, fault.message);
    }
    let query: BTreeMap<String, String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| {
            let value = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
            (key.to_owned(), value.into_owned())
        })
        .collect();
    let path = uri.path();
    let parsed = || serde_json::from_slice::<Value>(&body).unwrap();
    match (method.as_str(), path) {
        ("GET", "/readyz") => "ok".into_response(),
        ("GET", "/version") => response(200, &json!({"gitVersion": "v1.36.3"})),
        ("GET", _) => cluster.read(path, &query),
        ("PATCH", _) => match cluster.apply(path, &parsed(), &query) {
            Ok(object) => response(200, &object),
            Err(refusal) => *refusal,
        },
        ("POST", _) => {
            let object = parsed();
            let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
            if cluster.objects.contains_key(&path) {
                return failure(409, "AlreadyExists", &format!("{path} already exists"));
            }
            if query.contains_key("dryRun") {
                return response(201, &object);
            }
            let object = cluster.stamped(object);
            cluster.objects.insert(path, object.clone());
            response(201, &object)
        }
        ("PUT", _) => {
            let object = parsed();
            let there = cluster.objects.get(path);
            let sent = object.pointer("/metadata/resourceVersion");
            let is_old =
                |there: &Value| sent.is_some_and(|v| there["metadata"]["resourceVersion"] != *v);
            if there.is_some_and(is_old) {
                return failure(409, "Conflict", "the object has been modified");
            }
            if query.contains_key("dryRun") {
                return response(200, &object);
            }
            let object = cluster.stamped(object);
            cluster.objects.insert(path.to_owned(), object.clone());
            // What is gone is nobody's.
            let there = |(edited, pointer, _): &(String, String, String)| {
                edited != path || object.pointer(pointer).is_some()
            };
            cluster.edits.retain(there);
            response(200, &object)
        }
        ("DELETE", _) if query.contains_key("dryRun") => match cluster.objects.get(path) {
            Some(object) => response(200, object),
            None => failure(404, "NotFound", &format!("{path} not found")),
        },
        ("DELETE", _) => match cluster.objects.remove(path) {
            Some(_) => response(200, &json!({"kind": "Status", "status": "Success"})),
            None => failure(404, "NotFound", &format!("{path} not found")),
        },
        _ => failure(405, "MethodNotAllowed", "no"),
    }
}

impl Cluster {
    fn read(&self, path: &str, query: &BTreeMap<String, String>) -> Response {
        if let Some(object) = self.objects.get(path) {
            return response(200, &self.shown(path, object));
        }
        if path == "/apis" {
            let served = KINDS.iter().filter(|(_, kind, _, _)| !self.unknown.contains(kind));
            let groups = served.filter_map(|(version, _, _, _)| version.split_once('/'));
            let groups: Vec<_> = groups.map(|(group, _)| json!({"name": group})).collect();
            return response(200, &json!({"kind": "APIGroupList", "groups": groups}));
        }
        let kinds: Vec<_> = KINDS
            .iter()
            .filter(|(version, kind, _, _)| {
                let root = if version.contains('/') { "apis" } else { "api" };
                path == format!("/{root}/{version}") && !self.unknown.contains(kind)
            })
            .map(|(_, kind, plural, namespaced)| {
                json!({"name": plural, "kind": kind, "namespaced": namespaced, "verbs": []})
            })
            .collect();
        if !kinds.is_empty() {
            return response(200, &json!({"kind": "APIResourceList", "resources": kinds}));
        }
        let plural = path.rsplit('/').next().unwrap_or_default();
        if KINDS.iter().any(|(_, _, known, _)| *known == plural) {
            return response(
                200,
                &json!({"kind": "List", "items": self.list(path, plural, query)}),
            );
        }
        failure(404, "NotFound", &format!("{path} not found"))
    }

    /// The objects of a collection, or of all namespaces.
    fn list(&self, path: &str, plural: &str, query: &BTreeMap<String, String>) -> Vec<Value> {
        let selector = query.get("labelSelector").map_or("", String::as_str);
        let chosen = |object: &Value| {
            selector.split(',').filter(|term| !term.is_empty()).all(|term| {
                let label = |key: &str| object["metadata"]["labels"][key].as_str();
                match (term.split_once("!="), term.split_once('=')) {
                    (Some((key, value)), _) => label(key) != Some(value),
                    (None, Some((key, value))) => label(key) == Some(value),
                    (None, None) => label(term).is_some(),
                }
            })
        };
        let everywhere = !path.contains("/namespaces/");
        self.objects
            .iter()
            .filter(|(at, object)| {
                let parent = at.rsplit_once('/').map_or("", |(parent, _)| parent);
                let here =
                    parent == path || (everywhere && parent.ends_with(&format!("/{plural}")));
                here && chosen(object)
            })
            .map(|(at, object)| self.shown(at, object))
            .collect()
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": message})
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    response(code, &status(code, reason, message))
}

fn response(code: u16, body: &Value) -> Response {
    let code = StatusCode::from_u16(code).unwrap();
    (code, [("content-type", "application/json")], body.to_string()).into_response()
}
