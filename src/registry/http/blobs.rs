//! Pulling and deleting blobs.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE,
};
use axum::response::Response;

use super::answer::{Answer, etag, is_known};
use super::body::BlobBody;
use super::call::Call;
use super::range::{self, Wanted};
use crate::digest::Digest;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::store::Store;

/// `GET` and `HEAD` of a blob ("Pulling blobs").
pub(super) async fn pull<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, RegistryError> {
    let store = &call.registry.store;
    if call.is_head() {
        let size = store.blob_size(name, digest).await?.ok_or_else(|| unknown(digest))?;
        return if is_known(call, digest) {
            Answer::new(StatusCode::NOT_MODIFIED).digest(digest).empty()
        } else {
            found(StatusCode::OK, digest, size).body(Body::empty())
        };
    }
    if is_known(call, digest) {
        store.blob_size(name, digest).await?.ok_or_else(|| unknown(digest))?;
        return Answer::new(StatusCode::NOT_MODIFIED).digest(digest).empty();
    }
    let Some(header) = call.header(&RANGE).filter(|_| range_applies(call, digest)) else {
        let read = store.blob_read(name, digest, None).await?.ok_or_else(|| unknown(digest))?;
        return found(StatusCode::OK, digest, read.size)
            .body(Body::new(BlobBody::new(read.stream, call.handoff())));
    };
    let size = store.blob_size(name, digest).await?.ok_or_else(|| unknown(digest))?;
    let part = match range::wanted(Some(header), size) {
        Wanted::Everything => None,
        Wanted::Part(part) => Some(part),
        Wanted::Nothing => {
            let message = format!("the blob has {size} bytes; none of them is in the range");
            return Err(RegistryError::new(ErrorCode::RangeInvalid, message)
                .with_header("content-range", format!("bytes */{size}")));
        }
    };
    let read = store.blob_read(name, digest, part.clone()).await?;
    let stream = read.ok_or_else(|| unknown(digest))?.stream;
    let answer = match part {
        None => found(StatusCode::OK, digest, size),
        Some(part) => found(StatusCode::PARTIAL_CONTENT, digest, stream.length())
            .header(CONTENT_RANGE, format!("bytes {}-{}/{size}", part.start, part.end - 1)),
    };
    answer.body(Body::new(BlobBody::new(stream, call.handoff())))
}

/// `DELETE` of a blob ("Deleting blobs"): out of this repository, not out of
/// others.
pub(super) async fn delete<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response, RegistryError> {
    if !call.registry.store.blob_delete(name, digest).await? {
        return Err(unknown(digest));
    }
    tracing::info!(repository = %name, %digest, "blob deleted");
    Answer::new(StatusCode::ACCEPTED).empty()
}

fn found(status: StatusCode, digest: &Digest, length: u64) -> Answer {
    Answer::new(status)
        .digest(digest)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, length.to_string())
        .header(ACCEPT_RANGES, "bytes")
}

/// With `If-Range` a range counts only for the very same content.
fn range_applies<S>(call: &Call<S>, digest: &Digest) -> bool {
    call.header(&IF_RANGE).is_none_or(|condition| condition.trim() == etag(digest))
}

fn unknown(digest: &Digest) -> RegistryError {
    RegistryError::new(ErrorCode::BlobUnknown, "the repository has no such blob")
        .with_detail(serde_json::json!({"digest": digest.to_string()}))
}
