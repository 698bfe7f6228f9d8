//! What a push does that its client may not want, and that is no error.
//!
//! A warning is for a person at a terminal, so only what they can act on is
//! one: an image that can't be pulled whole from here, and a client that keeps
//! a list which nobody reads any more. That a tag moves is what tags are for.

use super::call::Call;
use super::referrers::schema_tag;
use crate::digest::Digest;
use crate::registry::error::RegistryError;
use crate::registry::manifest::Manifest;
use crate::registry::media;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Reference;
use crate::registry::store::Store;

/// The warnings of a manifest on its way in.
pub(super) async fn of_push<S: Store>(
    call: &Call<S>,
    name: &RepositoryName,
    reference: &Reference,
    media_type: &str,
    manifest: &Manifest,
) -> Result<Vec<String>, RegistryError> {
    let mut warnings = Vec::new();
    if manifest.elsewhere > 0 {
        let many = many(manifest.elsewhere, "layer");
        warnings.push(format!(
            "{many} of this manifest can't be pushed here and must be fetched from elsewhere"
        ));
    }
    if call.registry.limits.sparse_manifests {
        let store = &call.registry.store;
        let (mut blobs, mut manifests) = (0, 0);
        for digest in &manifest.blobs {
            blobs += usize::from(store.blob_size(name, digest).await?.is_none());
        }
        for digest in &manifest.manifests {
            manifests += usize::from(!store.manifest_exists(name, digest).await?);
        }
        if blobs + manifests > 0 {
            let (blobs, manifests) = (many(blobs, "blob"), many(manifests, "manifest"));
            warnings.push(format!(
                "the repository lacks {blobs} and {manifests} of this sparse manifest"
            ));
        }
    }
    if media::kind(media_type) == media::Kind::Index && by_tag_schema(reference) {
        warnings.push(
            "this registry lists referrers itself; an index by the tag schema is not needed"
                .to_owned(),
        );
    }
    Ok(warnings)
}

/// Whether the tag is one of the referrers tag schema.
fn by_tag_schema(reference: &Reference) -> bool {
    let Reference::Tag(tag) = reference else { return false };
    let digest = tag.as_str().replacen('-', ":", 1).parse::<Digest>();
    digest.is_ok_and(|digest| schema_tag(&digest).as_ref() == Some(tag))
}

fn many(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
