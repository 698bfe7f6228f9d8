//! Pages of referrers, each bounded in bytes.

use crate::digest::Digest;
use crate::registry::manifest::Descriptor;

/// Which part of a list of referrers is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrersPage {
    /// Only those whose digest comes after this one. It need not be listed.
    pub after: Option<Digest>,
    /// Only those of this artifact type.
    pub artifact_type: Option<String>,
    /// At most so many bytes of JSON, whatever is in the list.
    pub bytes: usize,
    /// At most so many entries are looked at, of the type or not.
    pub entries: usize,
}

impl ReferrersPage {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self { after: None, artifact_type: None, bytes: usize::MAX, entries: usize::MAX }
    }

    /// Whether a descriptor is of the type that is asked for.
    #[must_use]
    pub fn wants(&self, descriptor: &Descriptor) -> bool {
        self.artifact_type.is_none() || self.artifact_type == descriptor.artifact_type
    }
}

/// A part of a list of referrers, in the order of their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referrers {
    /// The referrers of the page.
    pub descriptors: Vec<Descriptor>,
    /// After which digest the next page begins, if there is one. A page may
    /// end before it is full, even empty.
    pub next: Option<Digest>,
    used: usize,
}

impl Referrers {
    /// Adds the next one if the page has room for it; where it has none, the
    /// page is complete, and another one follows. One that no page has room for is
    /// listed without its annotations: they are in the manifest all the same.
    pub fn add(&mut self, mut descriptor: Descriptor, page: &ReferrersPage) -> bool {
        let mut length = length(&descriptor);
        if length > page.bytes {
            descriptor.annotations = None;
            length = self::length(&descriptor);
        }
        if !self.descriptors.is_empty() && self.used.saturating_add(length) > page.bytes {
            self.next = self.descriptors.last().and_then(|last| last.digest.parse().ok());
            return false;
        }
        self.used += length;
        self.descriptors.push(descriptor);
        true
    }
}

/// The bytes of a descriptor in a list, with the comma after it.
fn length(descriptor: &Descriptor) -> usize {
    serde_json::to_vec(descriptor).map_or(0, |text| text.len() + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn descriptor(note: &str) -> Descriptor {
        Descriptor {
            media_type: "a/b".to_owned(),
            digest: Digest::sha256(note.as_bytes()).to_string(),
            size: 1,
            artifact_type: None,
            annotations: Some(BTreeMap::from([("note".to_owned(), note.to_owned())])),
        }
    }

    #[test]
    fn a_page_ends_where_its_bytes_do() {
        let each = length(&descriptor("x"));
        let page = ReferrersPage { bytes: each * 2 + 1, ..ReferrersPage::all() };
        let mut found = Referrers::default();
        let added: Vec<_> =
            ["x", "y", "z"].iter().map(|note| found.add(descriptor(note), &page)).collect();
        assert_eq!(added, [true, true, false]);
        assert_eq!(found.next, Some(Digest::sha256(b"y")));
        assert_eq!(found.descriptors, [descriptor("x"), descriptor("y")]);
    }

    #[test]
    fn one_that_is_too_large_for_any_page_loses_its_annotations() {
        let page = ReferrersPage { bytes: 300, ..ReferrersPage::all() };
        let mut found = Referrers::default();
        assert!(found.add(descriptor(&"x".repeat(300)), &page));
        assert_eq!(found.descriptors[0].annotations, None);
        assert!(found.used <= page.bytes);
    }
}
