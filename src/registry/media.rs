//! The media types that the registry itself has to tell apart.

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index: several manifests under one digest.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker manifest, version 2 schema 1: without digests of its own layers'
/// content, and gone from every client since 2023.
pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// The same, signed.
pub const DOCKER_SCHEMA_1_SIGNED: &str =
    "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The shapes of manifest that the registry looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A config and layers.
    Image,
    /// A list of manifests.
    Index,
    /// Anything else: kept as it is.
    Other,
}

/// Which shape a media type stands for.
#[must_use]
pub fn kind(media_type: &str) -> Kind {
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => Kind::Image,
        OCI_INDEX | DOCKER_LIST => Kind::Index,
        _ => Kind::Other,
    }
}

/// The media type without parameters, in the letters it came in; `None` where
/// the text is none.
#[must_use]
pub fn essence(text: &str) -> Option<String> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = essence.split_once('/')?;
    let token = |part: &str| {
        !part.is_empty()
            && part.len() <= 127
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    (token(kind) && token(subtype)).then(|| essence.to_owned())
}

/// Whether a layer of this media type may live elsewhere: such layers are
/// named in a manifest but never pushed.
#[must_use]
pub fn is_distributed(media_type: &str) -> bool {
    !media_type.contains(".nondistributable.") && !media_type.contains(".foreign.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_essence_of_a_media_type() {
        assert_eq!(essence(" application/X; charset=utf-8").unwrap(), "application/X");
        for bad in ["", "json", "a/", "/b", "a/b c", "a/b\nc"] {
            assert_eq!(essence(bad), None, "{bad:?}");
        }
        assert_eq!(kind(DOCKER_LIST), Kind::Index);
        assert!(!is_distributed("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
        assert!(is_distributed("application/vnd.oci.image.layer.v1.tar+gzip"));
    }
}
