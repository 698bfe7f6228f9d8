//! Pulling, pushing and deleting manifests.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;

use super::answer::{Answer, OCI_SUBJECT, OCI_TAG, is_known};
use super::body::{self, Collected};
use super::call::Call;
use super::{condition, warnings};
use crate::digest::Digest;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::manifest::{Descriptor, Manifest};
use crate::registry::name::RepositoryName;
use crate::registry::reference::{Reference, Tag};
use crate::registry::store::{Referral, Required, Store, StoreError, StoredManifest};

/// How often a tag is asked that moves on each time.
const TAG_LOOKS: usize = 8;

/// `GET` and `HEAD` of a manifest ("Pulling manifests"). It comes with the
/// type that it was pushed with, whatever the client would rather have: other
/// bytes would have another digest.
pub(super) async fn pull<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, RegistryError> {
    let manifest = match find(&call.registry.store, name, reference).await {
        // Who only asks pushes it again, which heals it.
        Err(StoreError::Damaged { .. }) if call.is_head() => None,
        found => found?,
    };
    let manifest = manifest.ok_or_else(|| unknown(reference))?;
    if is_known(call, &manifest.digest) {
        return Answer::new(StatusCode::NOT_MODIFIED).digest(&manifest.digest).empty();
    }
    Answer::new(StatusCode::OK)
        .digest(&manifest.digest)
        .header(CONTENT_TYPE, manifest.media_type)
        .header(CONTENT_LENGTH, manifest.bytes.len().to_string())
        .body(manifest.bytes)
}

/// The manifest that a reference leads to. A tag may move, and the manifest
/// that it pointed to may go, between the two looks: then the tag is asked again.
async fn find<S: Store>(
    store: &S,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Option<StoredManifest>, StoreError> {
    let tag = match reference {
        Reference::Digest(digest) => return store.manifest_get(name, digest).await,
        Reference::Tag(tag) => tag,
    };
    let mut before = None;
    for _ in 0..TAG_LOOKS {
        let Some(digest) = store.tag_get(name, tag).await? else { return Ok(None) };
        if let Some(manifest) = store.manifest_get(name, &digest).await? {
            return Ok(Some(manifest));
        }
        if before.as_ref() == Some(&digest) {
            break;
        }
        before = Some(digest);
    }
    Ok(None)
}

/// `PUT` of a manifest ("Pushing manifests"), by tag or by digest; by digest
/// also under any number of tags, `?tag=a&tag=b`.
pub(super) async fn push<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    reference: &Reference,
    body: Body,
) -> Result<Response, RegistryError> {
    let store = &call.registry.store;
    let parameters =
        call.parameters("tag").map(str::parse::<Tag>).collect::<Result<Vec<_>, _>>()?;
    // The room is held until all that was made of the bytes is gone again.
    let Collected { bytes, room: _room, turn: _turn } = body::manifest(call, body).await?;
    let digest = checked_digest(reference, &bytes)?;
    let (media_type, manifest) = Manifest::parse(call.header(&CONTENT_TYPE), &bytes)?;
    let warnings = warnings::of_push(call, name, reference, &media_type, &manifest).await?;
    let required = if call.registry.limits.sparse_manifests {
        Required::default()
    } else {
        Required { blobs: manifest.blobs, manifests: manifest.manifests }
    };

    let referral = manifest.subject.clone().map(|subject| Referral {
        subject,
        descriptor: Descriptor {
            media_type: media_type.clone(),
            digest: digest.to_string(),
            size: bytes.len() as u64,
            artifact_type: manifest.artifact_type,
            annotations: manifest.annotations,
        },
    });
    let stored = StoredManifest { digest: digest.clone(), media_type, bytes };
    store.manifest_put(name, &stored, referral.as_ref(), &required).await?;
    let tags = match reference {
        Reference::Tag(tag) => std::slice::from_ref(tag),
        Reference::Digest(_) => &parameters,
    };
    for tag in tags {
        let expected = condition::expected(call, name, tag).await?;
        let set = store.tag_set(name, tag, &digest, &expected).await;
        set.map_err(|error| condition::refused(&expected, tag, error))?;
    }
    tracing::info!(repository = %name, %digest, %reference, "manifest pushed");

    let mut answer = Answer::new(StatusCode::CREATED)
        .location(format!("/v2/{name}/manifests/{digest}"))
        .digest(&digest);
    if let Reference::Digest(_) = reference {
        for tag in tags {
            answer = answer.header(OCI_TAG, tag.to_string());
        }
    }
    if let Some(subject) = manifest.subject {
        answer = answer.header(OCI_SUBJECT, subject.to_string());
    }
    warnings.iter().fold(answer, |answer, text| answer.warning(text)).empty()
}

/// `DELETE` of a tag or of a manifest ("Deleting manifests"); a manifest takes
/// its tags with it.
pub(super) async fn delete<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response, RegistryError> {
    let store = &call.registry.store;
    let deleted = match reference {
        Reference::Tag(tag) => store.tag_delete(name, tag).await?,
        Reference::Digest(digest) => store.manifest_delete(name, digest).await?,
    };
    if !deleted {
        return Err(unknown(reference));
    }
    tracing::info!(repository = %name, %reference, "manifest deleted");
    Answer::new(StatusCode::ACCEPTED).empty()
}

/// The digest of the bytes, which must be that of the path if it has one.
fn checked_digest(reference: &Reference, bytes: &Bytes) -> Result<Digest, RegistryError> {
    let Reference::Digest(expected) = reference else { return Ok(Digest::sha256(bytes)) };
    let found = Digest::of(expected.algorithm(), bytes);
    if found != *expected {
        return Err(RegistryError::new(
            ErrorCode::DigestInvalid,
            format!("the manifest has the digest {found}, not {expected}"),
        ));
    }
    Ok(found)
}

fn unknown(reference: &Reference) -> RegistryError {
    RegistryError::new(ErrorCode::ManifestUnknown, "the repository has no such manifest")
        .with_detail(serde_json::json!({"reference": reference.to_string()}))
}
