//! The REST API of Gitea and Forgejo, version 1: pull requests. Opening, changing
//! and closing them is as on GitHub.

use serde_json::{Value, json};

use super::github::FIELDS;
pub(super) use super::github::{close, open, update};
use super::http::{ForgeError, Http};
use super::{Pull, Request};

/// What the server gives at most on a page, unless it was set lower.
const PAGE: usize = 50;
/// How many pages of open pull requests are looked through.
const PAGES: usize = 40;

/// The list has no filter by branch, so that it is looked through.
pub(super) fn find(
    http: &Http,
    repository: &str,
    request: &Request,
) -> Result<Option<Pull>, ForgeError> {
    let is = |pull: &Value, side: &str, branch: &str| pull[side]["ref"] == json!(branch);
    for page in 1..=PAGES {
        let path = format!("/repos/{repository}/pulls?state=open&limit={PAGE}&page={page}");
        let answer = http.get(&path)?;
        let list = http.list(&path, &answer)?;
        let own = |pull: &Value| pull["head"]["repo_id"] == pull["base"]["repo_id"];
        let mut ours = list.iter().filter(|pull| {
            own(pull) && is(pull, "head", &request.head) && is(pull, "base", &request.base)
        });
        if let Some(pull) = ours.next() {
            return http.pull(&path, pull, FIELDS).map(Some);
        }
        if list.is_empty() {
            break;
        }
    }
    Ok(None)
}
