use std::collections::HashSet;

use serde_json::{Value, json};

/// What a cluster asks: `AdmissionReview`, version `v1` or `v1beta1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    version: String,
    uid: String,
    /// What the object is called in messages: `Pod default/web`.
    pub object: String,
    /// The images that come in with it, each once, in the object's order.
    pub images: Vec<String>,
}

/// Why a text is no review.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It is no JSON.
    #[error("the body is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Something in it is missing, or is something else.
    #[error("the body is no AdmissionReview: {0}")]
    Field(String),
}

impl Review {
    /// Reads the review that an API server sends.
    ///
    /// # Errors
    /// [`ReviewError`], which names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReviewError> {
        let review: Value = serde_json::from_slice(bytes)?;
        let version = match review.get("apiVersion").and_then(Value::as_str) {
            Some(version @ ("admission.k8s.io/v1" | "admission.k8s.io/v1beta1")) => version,
            Some(other) => {
                return Err(wrong(
                    "apiVersion",
                    &format!("is {other:?}, not \"admission.k8s.io/v1\""),
                ));
            }
            None => return Err(wrong("apiVersion", "is missing")),
        };
        if review.get("kind").and_then(Value::as_str) != Some("AdmissionReview") {
            return Err(wrong("kind", "is not \"AdmissionReview\""));
        }
        let request = review.get("request").ok_or_else(|| wrong("request", "is missing"))?;
        let uid = request.get("uid").and_then(Value::as_str).filter(|uid| !uid.is_empty());
        let uid = uid.ok_or_else(|| wrong("request.uid", "is missing or no text"))?;
        let object = request.get("object").filter(|object| !object.is_null());
        // What is deleted or connected to brings no image.
        let quiet = ["DELETE", "CONNECT"].map(Some);
        let operation = request.get("operation").and_then(Value::as_str);
        let images = match object {
            _ if quiet.contains(&operation) => Vec::new(),
            Some(object) => used_images(object)?,
            None => return Err(wrong("request.object", "is missing")),
        };
        let object = name(request);
        Ok(Self { version: version.to_owned(), uid: uid.to_owned(), object, images })
    }

    /// The answer: yes, or no and why.
    #[must_use]
    pub fn answer(&self, denied: Option<&str>) -> Value {
        let mut response = json!({"uid": self.uid, "allowed": denied.is_none()});
        if let (Some(why), Some(fields)) = (denied, response.as_object_mut()) {
            let status =
                json!({"status": "Failure", "reason": "Forbidden", "code": 403, "message": why});
            fields.insert("status".to_owned(), status);
        }
        json!({"apiVersion": self.version, "kind": "AdmissionReview", "response": response})
    }
}

/// Where pods stand in objects: in themselves, in the templates of
/// Deployments and their like, of `CronJob`s, and in `PodTemplate`s.
const PODS: [&str; 4] =
    ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/template/spec"];

/// How many images a review may name, each once: anybody may send one.
const MOST: usize = 1000;

/// How long the name of an image may be, in bytes.
const LONGEST: usize = 1024;

/// The images in the order in which they were found.
#[derive(Default)]
struct Images {
    found: Vec<String>,
    seen: HashSet<String>,
}

/// Where the containers of a pod stand.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The images that an object would run or mount, each once. An object without
/// a pod in it has none.
///
/// # Errors
/// Where a list of containers is no list, or an image no text.
pub fn used_images(object: &Value) -> Result<Vec<String>, ReviewError> {
    let mut images = Images::default();
    for place in PODS {
        let Some(pod) = object.pointer(place) else { continue };
        for list in CONTAINERS {
            for (index, container) in items(pod, place, list)?.iter().enumerate() {
                let field = format!("request.object{place}/{list}/{index}/image");
                collect(container.get("image"), &field, &mut images)?;
            }
        }
        // A volume can be an image, too.
        for (index, volume) in items(pod, place, "volumes")?.iter().enumerate() {
            let field = format!("request.object{place}/volumes/{index}/image/reference");
            collect(volume.pointer("/image/reference"), &field, &mut images)?;
        }
    }
    Ok(images.found)
}

fn items<'a>(pod: &'a Value, place: &str, list: &str) -> Result<&'a [Value], ReviewError> {
    match pod.get(list) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(wrong(&format!("request.object{place}/{list}"), "is no list")),
    }
}

/// A template may leave an image out, for others to fill in.
fn collect(image: Option<&Value>, field: &str, images: &mut Images) -> Result<(), ReviewError> {
    match image {
        None | Some(Value::Null) => {}
        Some(Value::String(image)) if image.is_empty() => {}
        Some(Value::String(image)) if image.len() > LONGEST => {
            return Err(wrong(field, &format!("has more than {LONGEST} bytes")));
        }
        Some(Value::String(image)) => {
            if images.seen.insert(image.clone()) {
                images.found.push(image.clone());
            }
            if images.found.len() > MOST {
                return Err(wrong(field, &format!("is one image too many: at most {MOST}")));
            }
        }
        Some(_) => return Err(wrong(field, "is no text")),
    }
    Ok(())
}

fn name(request: &Value) -> String {
    let text = |place| request.pointer(place).and_then(Value::as_str).unwrap_or("");
    let kind = text("/kind/kind");
    let name =
        [text("/name"), text("/object/metadata/name"), text("/object/metadata/generateName")]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or("");
    format!("{kind} {}/{name}", text("/namespace"))
}

fn wrong(field: &str, problem: &str) -> ReviewError {
    ReviewError::Field(format!("{field} {problem}"))
}
