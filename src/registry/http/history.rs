//! What a tag pointed to, as Trow once told it.

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::json;
use time::OffsetDateTime;
use tower::ServiceExt as _;

use super::answer::Answer;
use super::call::Call;
use super::json::json as answer;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::{Store, TagMove};

/// `GET /<name>/manifest_history/<tag>`: the digests that a tag pointed to,
/// the newest first, with the times of the moves. `n` (or `limit`) is how many,
/// `last` (or `last-digest`) the digest after which to go on. The `Link` adds
/// `at`, since a tag may have pointed to one digest several times.
pub(super) async fn history<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    tag: &Tag,
) -> Result<Response, RegistryError> {
    let moves = call.registry.store.tag_history(name, tag).await?;
    if moves.is_empty() {
        return Err(RegistryError::new(
            ErrorCode::ManifestUnknown,
            "the repository has no such tag",
        )
        .with_detail(json!({"name": name.as_str(), "tag": tag.as_str()})));
    }
    let count = number(call, &["n", "limit"])?.unwrap_or(u64::MAX);
    let at = number(call, &["at"])?;
    let last = call.parameter("last").or(call.parameter("last-digest"));
    let begin = match last.filter(|last| !last.is_empty()) {
        None => 0,
        Some(last) => {
            let is_last = |found: &TagMove| {
                found.digest.to_string() == last && at.is_none_or(|at| at == milliseconds(found))
            };
            moves.iter().position(is_last).map_or(moves.len(), |position| position + 1)
        }
    };
    let rest = moves.get(begin..).unwrap_or_default();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let page = rest.get(..count).unwrap_or(rest);
    let history: Vec<_> = page
        .iter()
        .map(|found| json!({"digest": found.digest.to_string(), "date": date(found)}))
        .collect();
    let mut answer = Answer::new(StatusCode::OK);
    if let Some(last) = page.last().filter(|_| page.len() < rest.len()) {
        let next = format!(
            "</{name}/manifest_history/{tag}?n={count}&last={}&at={}>; rel=\"next\"",
            last.digest,
            milliseconds(last)
        );
        answer = answer.header(axum::http::header::LINK, next);
    }
    answer.json(&json!({"image": format!("{name}:{tag}"), "history": history}))
}

/// What no route has: Trow had the history beside `/v2/`, not below it. It is
/// asked for there, behind the same gate as everything else of a repository.
pub async fn elsewhere(v2: Router, mut request: Request) -> Response {
    let asked = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let history = request.uri().path().contains("/manifest_history/");
    if history
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && let Ok(uri) = format!("/v2{asked}").parse::<Uri>()
    {
        *request.uri_mut() = uri;
        let Ok(response) = v2.oneshot(request).await;
        return response;
    }
    answer(
        StatusCode::NOT_FOUND,
        &RegistryError::new(ErrorCode::NameUnknown, "the registry has no such path").body(),
    )
}

fn number<S>(call: &Call<S>, names: &[&str]) -> Result<Option<u64>, RegistryError> {
    let found = names.iter().find_map(|name| Some((name, call.parameter(name)?)));
    found
        .map(|(name, text)| {
            text.parse().map_err(|_| {
                let message = format!("`{name}` is a number, 0 or more; `{text}` is none");
                RegistryError::new(ErrorCode::PaginationNumberInvalid, message)
            })
        })
        .transpose()
}

fn time_of(found: &TagMove) -> OffsetDateTime {
    OffsetDateTime::from(found.at)
}

fn milliseconds(found: &TagMove) -> u64 {
    u64::try_from(time_of(found).unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}

/// As Trow wrote it: `2020-05-27 10:11:12.345 UTC`.
fn date(found: &TagMove) -> String {
    let at = time_of(found);
    format!(
        "{} {:02}:{:02}:{:02}.{:03} UTC",
        at.date(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}
