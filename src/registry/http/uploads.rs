//! Pushing blobs: at once, in one stream, in chunks, or by a mount.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use axum::response::Response;

use super::answer::{Answer, UPLOAD_UUID};
use super::call::Call;
use super::range;
use crate::digest::{Algorithm, Digest};
use crate::registry::access::Actions;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::store::{Store, StoreError, UploadId, UploadWriter};

/// How often a request looks whether another one let go of an upload.
const RETRY: Duration = Duration::from_millis(25);

/// The status of a blob that is larger than one may be.
const TOO_LARGE: u16 = 413;

/// `POST /v2/<name>/blobs/uploads/`: a mount where the client names one that
/// works, the whole blob where it names its digest, else a new upload.
pub(super) async fn start<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    body: Body,
) -> Result<Response, RegistryError> {
    if let Some(digest) = call.digest_parameter("mount")?
        && mount(call, name, &digest).await?
    {
        tracing::info!(repository = %name, %digest, "blob mounted");
        return created(name, &digest);
    }
    let store = &call.registry.store;
    if let Some(digest) = call.digest_parameter("digest")? {
        let mut upload = store.upload_once(name, digest.algorithm()).await?;
        receive(call, &mut upload, body, None).await?;
        upload.finish(&digest).await?;
        tracing::info!(repository = %name, %digest, "blob pushed");
        return created(name, &digest);
    }
    let algorithm = match call.parameter("digest-algorithm") {
        None => Algorithm::Sha256,
        Some(text) => text.parse().map_err(|error: crate::digest::DigestError| {
            RegistryError::new(ErrorCode::DigestInvalid, error.to_string())
        })?,
    };
    let id = store.upload_create(name, algorithm).await?;
    progress(StatusCode::ACCEPTED, name, &id, 0).empty()
}

/// `GET` of an upload: how far it is.
pub(super) async fn status<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, RegistryError> {
    let status = call.registry.store.upload_status(name, id).await?.ok_or_else(unknown)?;
    progress(StatusCode::NO_CONTENT, name, id, status.received).empty()
}

/// `PATCH` of an upload: a chunk where there is a `Content-Range`, else as
/// many bytes as come.
pub(super) async fn append<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
    body: Body,
) -> Result<Response, RegistryError> {
    let mut upload = resume(call, name, id).await?;
    let arrived = match expect_chunk(call, name, id, upload.received()) {
        Ok(end) => receive(call, &mut upload, body, end).await,
        Err(error) => Err(error),
    };
    if let Err(error) = arrived {
        return Err(let_go(call, name, id, upload, error).await);
    }
    let received = upload.pause().await?;
    progress(StatusCode::ACCEPTED, name, id, received).empty()
}

/// `PUT` of an upload: the last bytes, if there are any, and the digest.
pub(super) async fn finish<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
    body: Body,
) -> Result<Response, RegistryError> {
    let digest = call.digest_parameter("digest")?.ok_or_else(|| {
        RegistryError::new(ErrorCode::DigestInvalid, "the parameter `digest` is missing")
    })?;
    let mut upload = resume(call, name, id).await?;
    let arrived = match expect_chunk(call, name, id, upload.received()) {
        Ok(end) => receive(call, &mut upload, body, end).await,
        Err(error) => Err(error),
    };
    if let Err(error) = arrived {
        return Err(let_go(call, name, id, upload, error).await);
    }
    upload.finish(&digest).await?;
    tracing::info!(repository = %name, %digest, "blob pushed");
    created(name, &digest)
}

/// `DELETE` of an upload.
pub(super) async fn cancel<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response, RegistryError> {
    let store = &call.registry.store;
    let cancelled = patiently(call, || store.upload_cancel(name, id)).await?;
    if cancelled { Answer::new(StatusCode::NO_CONTENT).empty() } else { Err(unknown()) }
}

/// Tries to give the repository a blob that another one has. Where that isn't
/// possible, whatever the reason, the client uploads: it isn't told whether a
/// repository that it may not read has a blob.
async fn mount<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<bool, RegistryError> {
    let (store, permissions) = (&call.registry.store, call.permissions());
    // What is there already is made sure of as if it were new.
    if store.blob_mount(name, name, digest).await? {
        return Ok(true);
    }
    let source = match call.parameter("from").map(str::parse::<RepositoryName>) {
        None => store.blob_holder(digest, &permissions).await?,
        Some(Ok(source)) if permissions.allow(&source, Actions::PULL) => Some(source),
        Some(_) => None,
    };
    match source {
        None => Ok(false),
        Some(source) => Ok(store.blob_mount(&source, name, digest).await?),
    }
}

/// Takes up an upload; where another request writes to it, maybe one whose
/// connection is just being found dead, waits a while for it.
async fn resume<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<S::Upload, RegistryError> {
    let store = &call.registry.store;
    patiently(call, || store.upload_resume(name, id)).await?.ok_or_else(unknown)
}

async fn patiently<S, T, F: Future<Output = Result<T, StoreError>>>(
    call: &Call<S>,
    attempt: impl Fn() -> F,
) -> Result<T, RegistryError> {
    let mut waited = Duration::ZERO;
    loop {
        match attempt().await {
            Err(StoreError::UploadBusy) if waited < call.registry.limits.upload_wait => {
                tokio::time::sleep(RETRY).await;
                waited += RETRY;
            }
            result => return Ok(result?),
        }
    }
}

/// The length that the upload shall have after this request, if the request
/// says so; a chunk that doesn't begin where the last one ended is refused.
fn expect_chunk<S>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
    received: u64,
) -> Result<Option<u64>, RegistryError> {
    let Some(header) = call.header(&CONTENT_RANGE) else { return Ok(None) };
    let refused = |message: String| {
        RegistryError::new(ErrorCode::RangeInvalid, message)
            .with_header("location", location(name, id))
            .with_header("range", range::received(received))
            .with_header("docker-upload-uuid", id.to_string())
    };
    let chunk = range::chunk(header).ok_or_else(|| {
        refused(format!("a Content-Range is written first-last; `{header}` is none"))
    })?;
    if chunk.start != received {
        let message = format!("the next chunk begins at byte {received}, not at {}", chunk.start);
        return Err(refused(message));
    }
    let length = call.header(&CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    if length.is_some_and(|length| length != chunk.end - chunk.start) {
        return Err(RegistryError::new(
            ErrorCode::SizeInvalid,
            "the Content-Length is not that of the Content-Range",
        ));
    }
    Ok(Some(chunk.end))
}

/// Takes in a body that must end where the upload has `end` bytes, if that is
/// known. Nothing beyond `end` is written, nor beyond what a blob may have.
async fn receive<S>(
    call: &Call<S>,
    upload: &mut impl UploadWriter,
    body: Body,
    end: Option<u64>,
) -> Result<(), RegistryError> {
    let most = call.registry.limits.blob_bytes.unwrap_or(u64::MAX);
    let length = call.header(&CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let announced = upload.received().saturating_add(length.unwrap_or_default());
    if end.unwrap_or(announced) > most {
        return Err(too_large(most));
    }
    let wrong = |message| Err(RegistryError::new(ErrorCode::SizeInvalid, message));
    let mut body = call.arriving(body);
    while let Some(bytes) = body.next().await? {
        let after = upload.received().saturating_add(bytes.len() as u64);
        if let Some(end) = end.filter(|end| after > *end) {
            return wrong(format!("the chunk goes on after byte {end}"));
        }
        if after > most {
            return Err(too_large(most));
        }
        upload.write(bytes).await?;
    }
    match end.filter(|end| upload.received() != *end) {
        None => Ok(()),
        Some(end) => wrong(format!("the chunk ends at byte {}, not at {end}", upload.received())),
    }
}

/// Lets go of an upload whose request failed, and gives what its client is told.
/// The client finds the bytes that arrived, also after a cut connection; but one
/// that is too large can't become a blob any more, and is over.
async fn let_go<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    id: &UploadId,
    upload: S::Upload,
    error: RegistryError,
) -> RegistryError {
    let paused = upload.pause().await;
    if error.status() != TOO_LARGE {
        return paused.map_or_else(RegistryError::from, |_| error);
    }
    let store = &call.registry.store;
    if let Err(failed) = patiently(call, || store.upload_cancel(name, id)).await {
        // It goes when it expires.
        tracing::warn!(repository = %name, error = %failed, "cannot throw away an upload");
    }
    error
}

/// A blob of more than `most` bytes.
fn too_large(most: u64) -> RegistryError {
    let message = format!("a blob has at most {most} bytes here");
    RegistryError::new(ErrorCode::SizeInvalid, message).with_status(TOO_LARGE)
}

fn progress(status: StatusCode, name: &RepositoryName, id: &UploadId, received: u64) -> Answer {
    Answer::new(status)
        .location(location(name, id))
        .header(RANGE, range::received(received))
        .header(UPLOAD_UUID, id.to_string())
}

fn created(name: &RepositoryName, digest: &Digest) -> Result<Response, RegistryError> {
    Answer::new(StatusCode::CREATED)
        .location(format!("/v2/{name}/blobs/{digest}"))
        .digest(digest)
        .empty()
}

fn location(name: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

fn unknown() -> RegistryError {
    RegistryError::new(ErrorCode::BlobUploadUnknown, "there is no such upload")
}
