//! GitLab's REST API, version 4: merge requests.

use serde_json::json;
use ureq::http::Method;

use super::http::{ForgeError, Http};
use super::{Pull, Request};
use crate::delivery::url::escaped;

const FIELDS: [&str; 3] = ["iid", "web_url", "description"];

pub(super) fn find(
    http: &Http,
    repository: &str,
    request: &Request,
) -> Result<Option<Pull>, ForgeError> {
    let path = format!(
        "/projects/{}/merge_requests?state=opened&source_branch={}&target_branch={}",
        escaped(repository),
        escaped(&request.head),
        escaped(&request.base)
    );
    let answer = http.get(&path)?;
    // A fork's branch may have the same name.
    let own = |pull: &&serde_json::Value| pull["source_project_id"] == pull["target_project_id"];
    let found = http.list(&path, &answer)?.iter().find(own);
    found.map(|pull| http.pull(&path, pull, FIELDS)).transpose()
}

pub(super) fn open(http: &Http, repository: &str, request: &Request) -> Result<Pull, ForgeError> {
    let path = format!("/projects/{}/merge_requests", escaped(repository));
    let body = json!({
        "title": request.title,
        "description": request.body,
        "source_branch": request.head,
        "target_branch": request.base,
        "remove_source_branch": true,
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
    let path = format!("/projects/{}/merge_requests/{number}", escaped(repository));
    let body = json!({"title": request.title, "description": request.body});
    http.send(&Method::PUT, &path, Some(&body)).map(|_| ())
}

pub(super) fn close(http: &Http, repository: &str, number: u64) -> Result<(), ForgeError> {
    let path = format!("/projects/{}/merge_requests/{number}", escaped(repository));
    http.send(&Method::PUT, &path, Some(&json!({"state_event": "close"}))).map(|_| ())
}
