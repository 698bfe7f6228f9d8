//! Lists of tags and repositories.

use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::store::{Page, Store};

/// A page of tags as clients get it.
#[derive(Serialize)]
struct Tags<'a> {
    name: &'a str,
    tags: Vec<&'a str>,
}

/// A page of the catalog as clients get it.
#[derive(Serialize)]
struct Repositories<'a> {
    repositories: Vec<&'a str>,
}

/// `GET /v2/<name>/tags/list` ("Listing tags"). A registry may give fewer than
/// `n`, with a link to the rest.
pub(super) async fn tags<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
) -> Result<Response, RegistryError> {
    let page = page(call, call.registry.limits.tag_entries)?;
    let listing = call.registry.store.tags(name, &page).await?.ok_or_else(|| {
        RegistryError::new(ErrorCode::NameUnknown, "there is no such repository")
            .with_detail(json!({"name": name.as_str()}))
    })?;
    let tags: Vec<&str> = listing.entries.iter().map(AsRef::as_ref).collect();
    let next = tags.last().filter(|_| listing.more);
    let next = next.map(|last| next_page(&format!("/v2/{name}/tags/list"), &page, last));
    linked(next).json(&Tags { name: name.as_str(), tags })
}

/// `GET /v2/_catalog`: the repositories that the caller may pull from.
pub(super) async fn catalog<S: Store>(call: &Call<S>) -> Result<Response, RegistryError> {
    let page = page(call, call.registry.limits.catalog_entries)?;
    let listing = call.registry.store.repositories(&page, &call.permissions()).await?;
    let names: Vec<&str> = listing.entries.iter().map(AsRef::as_ref).collect();
    let next = names.last().filter(|_| listing.more);
    let next = next.map(|last| next_page("/v2/_catalog", &page, last));
    linked(next).json(&Repositories { repositories: names })
}

/// The parameters `n`, which is `most` at most, and `last`.
fn page<S>(call: &Call<S>, most: usize) -> Result<Page, RegistryError> {
    let count = call.parameter("n").map(|text| {
        text.parse::<usize>().map_err(|_| {
            let message = format!("`n` is a number of entries, 0 or more; `{text}` is none");
            RegistryError::new(ErrorCode::PaginationNumberInvalid, message)
        })
    });
    let count = count.transpose()?.map_or(most, |count| count.min(most));
    Ok(Page { count: Some(count), last: call.parameter("last").map(str::to_owned) })
}

/// Where the list goes on. Names and tags need no escaping in a query.
fn next_page(path: &str, page: &Page, last: &str) -> String {
    let count = page.count.map(|count| format!("n={count}&")).unwrap_or_default();
    format!("<{path}?{count}last={last}>; rel=\"next\"")
}

fn linked(next: Option<String>) -> Answer {
    let answer = Answer::new(StatusCode::OK);
    match next {
        None => answer,
        Some(link) => answer.header(LINK, link),
    }
}
