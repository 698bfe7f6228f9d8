//! What a collection is asked to do, and what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::digest::Digest;
use crate::registry::manifest::Manifest;

/// What a collection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectPolicy {
    /// Manifests that no tag leads to go when nobody pushed, pulled or asked
    /// for them for this long; `None` keeps them all.
    pub untagged: Option<Duration>,
    /// Only count what would go.
    pub dry_run: bool,
    /// How much of a core the collection may have, in percent; of the disk's time
    /// it takes a quarter, or more where this is more. Else it sleeps, so that pulls
    /// don't feel it.
    pub share: u32,
}

impl Default for CollectPolicy {
    fn default() -> Self {
        Self { untagged: None, dry_run: false, share: 10 }
    }
}

/// What a collection has done so far. In a dry run, what it would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Repositories looked at.
    pub repositories: u64,
    /// Repositories where something that can't be read made it keep everything.
    pub skipped: u64,
    /// Manifests taken out of repositories.
    pub manifests: u64,
    /// Blobs taken out of repositories.
    pub links: u64,
    /// Contents looked at.
    pub contents: u64,
    /// Contents removed from the disk.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What nothing refers to and what was kept because someone touched it
    /// not long ago, in repositories and among the contents.
    pub leased: u64,
}

/// Told from time to time how far a job is; answers whether it shall go on.
pub type Watch<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// A digest in sixteen bytes: a collection remembers many. Two that share one
/// keep each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(u128);

impl From<&Digest> for Key {
    fn from(digest: &Digest) -> Self {
        let start = digest.hex().get(..32).unwrap_or_default();
        Self(u128::from_str_radix(start, 16).unwrap_or_default())
    }
}

/// A manifest as retention sees it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Every digest that its bytes mention, but not its subject.
    pub(super) mentions: Box<[Key]>,
    /// What it refers to.
    pub(super) subject: Option<Key>,
    /// Whether a tag points to it, or it is too young to go.
    pub(super) rooted: bool,
}

impl Candidate {
    /// What these bytes mention. Every text in them that is a digest counts,
    /// whatever the media type: who can't read a manifest must not guess that
    /// it refers to nothing.
    pub(super) fn read(media_type: &str, bytes: &[u8], rooted: bool) -> Self {
        let (mentions, subject) = mentions(media_type, bytes);
        let mentions = mentions.iter().map(Key::from).collect();
        Self { mentions, subject: subject.as_ref().map(Key::from), rooted }
    }
}

/// The digests that a manifest mentions, without its subject, and its subject.
pub(super) fn mentions(media_type: &str, bytes: &[u8]) -> (BTreeSet<Digest>, Option<Digest>) {
    let mut mentions: BTreeSet<Digest> = digests_in(bytes).collect();
    let parsed = Manifest::parse(Some(media_type), bytes).map(|(_, manifest)| manifest);
    let Manifest { blobs, manifests, subject, .. } = parsed.unwrap_or_default();
    if let Some(subject) = &subject {
        mentions.remove(subject);
    }
    mentions.extend(blobs);
    mentions.extend(manifests);
    (mentions, subject)
}

/// Which manifests stay: those that are rooted, what they are made of, and
/// what refers to one that stays, such as its signatures.
pub(super) fn living(manifests: &BTreeMap<Key, Candidate>) -> BTreeSet<Key> {
    let below = below(manifests);
    let mut living = BTreeSet::new();
    let rooted = manifests.iter().filter(|(_, found)| found.rooted);
    let mut reached: Vec<Key> = rooted.map(|(key, _)| *key).collect();
    while let Some(key) = reached.pop() {
        if manifests.contains_key(&key) && living.insert(key) {
            reached.extend(below.get(&key).into_iter().flatten());
        }
    }
    living
}

/// The manifests that don't stay, each before what hangs on it: as long as one
/// is there, and so can be tagged again, it is whole.
pub(super) fn doomed(manifests: &BTreeMap<Key, Candidate>, living: &BTreeSet<Key>) -> Vec<Key> {
    let below = below(manifests);
    let mut above: BTreeMap<Key, usize> =
        manifests.keys().filter(|key| !living.contains(key)).map(|key| (*key, 0)).collect();
    for key in below.iter().filter(|(key, _)| !living.contains(key)).flat_map(|(_, below)| below) {
        if let Some(count) = above.get_mut(key) {
            *count += 1;
        }
    }
    let mut free: Vec<Key> =
        above.iter().filter(|(_, count)| **count == 0).map(|(key, _)| *key).collect();
    let mut ordered = Vec::new();
    while let Some(key) = free.pop() {
        above.remove(&key);
        ordered.push(key);
        for key in below.get(&key).into_iter().flatten() {
            if let Some(count) = above.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    free.push(*key);
                }
            }
        }
    }
    // What mentions itself in a circle has no order.
    ordered.extend(above.into_keys());
    ordered
}

/// What hangs on each manifest: the manifests that it mentions, and those that
/// refer to it.
fn below(manifests: &BTreeMap<Key, Candidate>) -> BTreeMap<Key, BTreeSet<Key>> {
    let mut below: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    for (key, candidate) in manifests {
        for mention in candidate.mentions.iter().filter(|mention| manifests.contains_key(mention)) {
            below.entry(*key).or_default().insert(*mention);
        }
        if let Some(subject) = candidate.subject.filter(|subject| manifests.contains_key(subject)) {
            below.entry(subject).or_default().insert(*key);
        }
    }
    below
}

/// Every `algorithm:hex` in a text that is a well-formed digest.
fn digests_in(bytes: &[u8]) -> impl Iterator<Item = Digest> + '_ {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b':';
    bytes
        .split(move |byte| !word(byte))
        .filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    fn key(text: &str) -> Key {
        Key::from(&digest(text))
    }

    fn candidate(mentions: &[&str], subject: Option<&str>, rooted: bool) -> Candidate {
        Candidate {
            mentions: mentions.iter().map(|text| key(text)).collect(),
            subject: subject.map(key),
            rooted,
        }
    }

    #[test]
    fn what_a_living_manifest_needs_and_what_refers_to_it_lives() {
        let manifests = BTreeMap::from([
            (key("index"), candidate(&["image", "gone"], None, true)),
            (key("image"), candidate(&["layer"], None, false)),
            (key("signature"), candidate(&[], Some("image"), false)),
            (key("of the signature"), candidate(&[], Some("signature"), false)),
            (key("old"), candidate(&["image"], None, false)),
            (key("of the old one"), candidate(&[], Some("old"), false)),
            (key("tagged, of the old one"), candidate(&[], Some("old"), true)),
        ]);
        let living = living(&manifests);
        let expected =
            ["index", "image", "signature", "of the signature", "tagged, of the old one"];
        assert_eq!(living, expected.into_iter().map(key).collect());
        assert_eq!(doomed(&manifests, &living), [key("old"), key("of the old one")]);
    }

    #[test]
    fn what_hangs_on_another_goes_after_it_and_a_circle_goes_too() {
        let manifests = BTreeMap::from([
            (key("a"), candidate(&["b", "c"], None, false)),
            (key("b"), candidate(&["c"], None, false)),
            (key("c"), candidate(&[], None, false)),
            (key("of c"), candidate(&["circle"], Some("c"), false)),
            (key("circle"), candidate(&["elcric"], None, false)),
            (key("elcric"), candidate(&["circle"], None, false)),
        ]);
        let order = doomed(&manifests, &BTreeSet::new());
        assert_eq!(order.get(..4).unwrap(), ["a", "b", "c", "of c"].map(key));
        assert_eq!(order.len(), 6);
    }

    #[test]
    fn whatever_looks_like_a_digest_counts_but_the_subject() {
        let (layer, subject) = (digest("layer"), digest("subject"));
        let text = format!(r#"{{"x":["{layer}"],"y":"see {layer}, sha256:12"}}"#);
        let found = mentions("application/vnd.unknown+json", text.as_bytes());
        assert_eq!(found, (BTreeSet::from([layer.clone()]), None));
        let index = "application/vnd.oci.image.index.v1+json";
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[],"subject":{{"mediaType":"{index}","digest":"{subject}","size":1}},"annotations":{{"a":"{layer}"}}}}"#
        );
        let found = mentions(index, text.as_bytes());
        assert_eq!(found, (BTreeSet::from([layer]), Some(subject)));
    }
}
