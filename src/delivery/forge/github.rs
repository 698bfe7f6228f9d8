//! GitHub's REST API, version 3: pull requests.

use serde_json::json;
use ureq::http::Method;

use super::http::{ForgeError, Http};
use super::{Pull, Request};
use crate::delivery::url::escaped;

/// The number, the page and the description, as an answer names them.
pub(super) const FIELDS: [&str; 3] = ["number", "html_url", "body"];

pub(super) fn find(
    http: &Http,
    repository: &str,
    request: &Request,
) -> Result<Option<Pull>, ForgeError> {
    let owner = repository.split('/').next().unwrap_or_default();
    let path = format!(
        "/repos/{repository}/pulls?state=open&head={}&base={}",
        escaped(&format!("{owner}:{}", request.head)),
        escaped(&request.base)
    );
    let answer = http.get(&path)?;
    // A forge that does not know the filter answers with everything.
    let ours = |pull: &&serde_json::Value| pull["head"]["ref"] == json!(request.head);
    let found = http.list(&path, &answer)?.iter().find(ours);
    found.map(|pull| http.pull(&path, pull, FIELDS)).transpose()
}

pub(super) fn open(http: &Http, repository: &str, request: &Request) -> Result<Pull, ForgeError> {
    let path = format!("/repos/{repository}/pulls");
    let body = json!({
        "title": request.title, "body": request.body, "head": request.head, "base": request.base,
    });
    let answer = http.send(&Method::POST, &path, Some(&body))?;
    http.pull(&path, &answer, FIELDS)
}

pub(super) fn update(
    http: &Http,
    repository: &str,
    number: u64,
    request: &Request,
) -> Result<(), ForgeError> {
    let path = format!("/repos/{repository}/pulls/{number}");
    let body = json!({"title": request.title, "body": request.body});
    http.send(&Method::PATCH, &path, Some(&body)).map(|_| ())
}

pub(super) fn close(http: &Http, repository: &str, number: u64) -> Result<(), ForgeError> {
    let path = format!("/repos/{repository}/pulls/{number}");
    http.send(&Method::PATCH, &path, Some(&json!({"state": "closed"}))).map(|_| ())
}
