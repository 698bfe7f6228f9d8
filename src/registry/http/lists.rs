//! Lists of tags and repositories.

use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::Response;
use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::store::{Page, Store};

/// `GET /v2/<name>/tags/list` ("Listing tags").
pub(super) async fn tags<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
) -> Result<Response, RegistryError> {
    let page = page(call)?;
    let listing = call.registry.store.tags(name, &page).await?.ok_or_else(|| {
        RegistryError::new(ErrorCode::NameUnknown, "there is no such repository")
            .with_detail(json!({"name": name.as_str()}))
    })?;
    let tags: Vec<&str> = listing.entries.iter().map(AsRef::as_ref).collect();
    let next = tags.last().filter(|_| listing.more);
    let next = next.map(|last| next_page(&format!("/v2/{name}/tags/list"), &page, last));
    linked(next).json(&json!({"name": name.as_str(), "tags": tags}))
}

/// `GET /v2/_catalog`: the repositories that the caller may pull from.
pub(super) async fn catalog<S: Store>(call: &Call<S>) -> Result<Response, RegistryError> {
    let mut page = page(call)?;
    let most = call.registry.limits.catalog_entries;
    page.count = Some(page.count.map_or(most, |count| count.min(most)));
    let listing = call.registry.store.repositories(&page, &call.permissions()).await?;
    let names: Vec<&str> = listing.entries.iter().map(AsRef::as_ref).collect();
    let next = names.last().filter(|_| listing.more);
    let next = next.map(|last| next_page("/v2/_catalog", &page, last));
    linked(next).json(&json!({"repositories": names}))
}

/// The parameters `n` and `last`.
fn page<S>(call: &Call<S>) -> Result<Page, RegistryError> {
    let count = call.parameter("n").map(|text| {
        text.parse().map_err(|_| {
            let message = format!("`n` is a number of entries, 0 or more; `{text}` is none");
            RegistryError::new(ErrorCode::PaginationNumberInvalid, message)
        })
    });
    Ok(Page { count: count.transpose()?, last: call.parameter("last").map(str::to_owned) })
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
