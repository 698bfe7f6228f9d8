//! Conditions on a push: what a tag has to point to for it to move.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

use super::call::Call;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::{Expected, Store, StoreError};

/// What the request wants a tag to be now (RFC 9110, 13.1): new with
/// `If-None-Match: *`, some manifest with `If-Match: "<digest>"`, any with
/// `If-Match: *`, and whatever it is without either.
///
/// # Errors
/// 412 where the tag can't be that, 400 for a condition that isn't one.
pub(super) async fn expected<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    tag: &Tag,
) -> Result<Expected, RegistryError> {
    let none_match = call.header(&IF_NONE_MATCH).map(str::trim);
    let matching = call.header(&IF_MATCH).map(str::trim);
    match (matching, none_match) {
        (None, None) => Ok(Expected::Anything),
        (None, Some("*")) => Ok(Expected::Absent),
        (Some("*"), None) => {
            let now = call.registry.store.tag_get(name, tag).await?;
            now.map(Expected::Digest).ok_or_else(|| failed(tag))
        }
        (Some(etag), None) => {
            let digest = etag.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            let digest = digest.and_then(|text| text.parse().ok());
            digest.map(Expected::Digest).ok_or_else(not_understood)
        }
        _ => Err(not_understood()),
    }
}

/// The error of a tag that couldn't be set: a condition that doesn't hold is
/// told as one.
pub(super) fn refused(expected: &Expected, tag: &Tag, error: StoreError) -> RegistryError {
    match error {
        StoreError::TagMoved if *expected != Expected::Anything => failed(tag),
        error => error.into(),
    }
}

fn failed(tag: &Tag) -> RegistryError {
    let message = format!("the tag {tag} is not what the request expects it to be; look again");
    RegistryError::new(ErrorCode::Denied, message).with_status(412)
}

fn not_understood() -> RegistryError {
    let message =
        "a push takes one of: If-None-Match: *, If-Match: *, If-Match: with one digest in quotes";
    RegistryError::new(ErrorCode::Unsupported, message).with_status(400)
}
