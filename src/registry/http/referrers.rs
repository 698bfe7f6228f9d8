//! The list of referrers, page by page, and what came before there was one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use axum::response::Response;
use serde::Serialize;

use super::answer::{Answer, OCI_FILTERS_APPLIED};
use super::call::Call;
use crate::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::manifest::{Descriptor, Manifest};
use crate::registry::media;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::{Referrers, ReferrersPage, Store, StoreError, StoredManifest};

/// What a page has around its descriptors, rounded up.
const ENVELOPE: usize = 128;
/// How many entries of the list are looked at for one page.
const LOOKED_AT: usize = 20_000;
/// How many manifests of an index by the tag schema are read for one page, if
/// they are not more bytes than it may have.
const ADOPTED: usize = 100;

/// A page as clients get it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: &'a [Descriptor],
}

/// `GET /v2/<name>/referrers/<digest>` ("Listing referrers"): an index of the
/// manifests that name this one as their subject, empty where there is none.
/// No page is larger than a manifest may be.
pub(super) async fn list<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response, RegistryError> {
    let page = ReferrersPage {
        after: call.digest_parameter("last")?,
        artifact_type: call.parameter("artifactType").map(str::to_owned),
        bytes: call.registry.limits.referrers_bytes.saturating_sub(ENVELOPE),
        entries: LOOKED_AT,
    };
    let found = call.registry.store.referrers(name, subject, &page).await?;
    let (found, last) = adopt(&call.registry.store, name, subject, &page, found).await?;

    let mut answer = Answer::new(StatusCode::OK).header(CONTENT_TYPE, media::OCI_INDEX);
    if page.artifact_type.is_some() {
        answer = answer.header(OCI_FILTERS_APPLIED, "artifactType");
    }
    if let Some(last) = last {
        answer = answer.header(LINK, next_page(name, subject, &page, &last));
    }
    let index =
        Index { schema_version: 2, media_type: media::OCI_INDEX, manifests: &found.descriptors };
    let text = serde_json::to_vec(&index).map_err(RegistryError::internal)?;
    answer.header(CONTENT_LENGTH, text.len().to_string()).body(text)
}

/// Adds what only the tag schema lists ("Referrers Tag Schema"): manifests
/// with this subject in the index under the tag `<algorithm>-<hex>`, which
/// clients keep where a registry has no list of referrers. Gives the page,
/// and after which digest the next one begins if there is one.
async fn adopt<S: Store>(
    store: &S,
    name: &RepositoryName,
    subject: &Digest,
    page: &ReferrersPage,
    found: Referrers,
) -> Result<(Referrers, Option<Digest>), RegistryError> {
    let mut last = found.next.clone();
    let mut candidates = by_tag_schema(store, name, subject).await?;
    candidates.retain(|digest| page.after.as_ref().is_none_or(|after| digest > after));
    for listed in &found.descriptors {
        // A digest in the list is one that the store could read.
        let _ = listed.digest.parse().map(|digest: Digest| candidates.remove(&digest));
    }
    if candidates.is_empty() {
        return Ok((found, last));
    }
    // The page ends where the store's part of it does, or where enough
    // candidates were looked at, and is laid anew in the order of digests.
    let mut all = found.descriptors;
    let (mut looked_at, mut read) = (None, 0);
    for (count, candidate) in candidates.iter().enumerate() {
        if last.as_ref().is_some_and(|last| candidate > last) {
            break;
        }
        if count == ADOPTED || read > page.bytes {
            let beyond = candidate.to_string();
            all.retain(|listed| listed.digest < beyond);
            let listed = all.iter().filter_map(|listed| listed.digest.parse().ok());
            last = listed.chain(looked_at).max();
            break;
        }
        let manifest = undamaged(store, name, candidate).await?;
        read += manifest.as_ref().map_or(0, |manifest| manifest.bytes.len());
        let descriptor = manifest.and_then(|manifest| referrer(&manifest, subject));
        all.extend(descriptor.filter(|descriptor| page.wants(descriptor)));
        looked_at = Some(candidate.clone());
    }
    all.sort_by(|one, other| one.digest.cmp(&other.digest));
    let mut laid = Referrers::default();
    for descriptor in all {
        if !laid.add(descriptor, page) {
            last.clone_from(&laid.next);
            break;
        }
    }
    Ok((laid, last))
}

/// What the index under the tag of the tag schema names, if there is one.
async fn by_tag_schema<S: Store>(
    store: &S,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<BTreeSet<Digest>, RegistryError> {
    let Some(tag) = schema_tag(subject) else { return Ok(BTreeSet::new()) };
    let Some(digest) = store.tag_get(name, &tag).await? else { return Ok(BTreeSet::new()) };
    let Some(index) = undamaged(store, name, &digest).await? else { return Ok(BTreeSet::new()) };
    if media::kind(&index.media_type) != media::Kind::Index {
        return Ok(BTreeSet::new());
    }
    let parsed = Manifest::parse(Some(&index.media_type), &index.bytes);
    Ok(parsed.map(|(_, index)| index.manifests.into_iter().collect()).unwrap_or_default())
}

/// A manifest, or none where it is damaged: the list has others, and whoever asks
/// for that one itself is told.
async fn undamaged<S: Store>(
    store: &S,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Option<StoredManifest>, StoreError> {
    match store.manifest_get(name, digest).await {
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::warn!(repository = %name, %digest, %error, "a list of referrers is without what is damaged");
            Ok(None)
        }
        found => found,
    }
}

/// The tag of the tag schema: the algorithm and the digits, both cut to what
/// fits into a tag.
pub(super) fn schema_tag(subject: &Digest) -> Option<Tag> {
    let digits = subject.hex().get(..64).unwrap_or(subject.hex());
    format!("{}-{digits}", subject.algorithm()).parse().ok()
}

/// How a manifest is listed, if this is its subject.
fn referrer(stored: &StoredManifest, subject: &Digest) -> Option<Descriptor> {
    let (media_type, manifest) = Manifest::parse(Some(&stored.media_type), &stored.bytes).ok()?;
    (manifest.subject.as_ref() == Some(subject)).then(|| Descriptor {
        media_type,
        digest: stored.digest.to_string(),
        size: stored.bytes.len() as u64,
        artifact_type: manifest.artifact_type,
        annotations: manifest.annotations,
    })
}

/// Where the list goes on. An artifact type may hold what a query must not.
fn next_page(
    name: &RepositoryName,
    subject: &Digest,
    page: &ReferrersPage,
    last: &Digest,
) -> String {
    let mut filter = String::new();
    for byte in page.artifact_type.iter().flat_map(|text| text.bytes()) {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            filter.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(filter, "%{byte:02X}");
        }
    }
    if page.artifact_type.is_some() {
        filter = format!("artifactType={filter}&");
    }
    format!("</v2/{name}/referrers/{subject}?{filter}last={last}>; rel=\"next\"")
}
