//! One suite for every store. A store is opened again half way where it can
//! be, as after a restart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use warren::digest::{Algorithm, Digest};
use warren::registry::access::Permissions;
use warren::registry::manifest::Descriptor;
use warren::registry::name::RepositoryName;
use warren::registry::reference::Tag;
use warren::registry::store::{
    CollectPolicy, Collected, Expected, FsOptions, FsStore, MemoryStore, Page, Referral,
    ReferrersPage, Required, Store, StoreError, StoredManifest, UploadWriter as _,
};

use crate::store_upload::resumed;

/// Something that stores are made by.
trait Stores {
    type Store: Store;
    /// The store, opened anew.
    fn open(&self) -> Self::Store;
}

impl Stores for tempfile::TempDir {
    type Store = FsStore;
    fn open(&self) -> FsStore {
        let options = FsOptions { lease: Duration::ZERO, ..FsOptions::default() };
        FsStore::open_with(self.path(), options).unwrap()
    }
}

impl Stores for MemoryStore {
    type Store = MemoryStore;
    fn open(&self) -> MemoryStore {
        self.clone()
    }
}

/// Makes a test of each function for each store.
macro_rules! suite {
    ($($test:ident)*) => {
        mod fs {
            $(#[tokio::test] async fn $test() { super::$test(tempfile::tempdir().unwrap()).await; })*
        }
        mod memory {
            $(#[tokio::test] async fn $test() { super::$test(super::MemoryStore::with_lease(std::time::Duration::ZERO)).await; })*
        }
    };
}

suite! {
    a_blob_is_kept_where_it_was_pushed
    ranges_of_a_blob
    an_upload_goes_on_after_a_restart
    an_upload_belongs_to_its_repository
    two_writers_cannot_have_one_upload
    wrong_bytes_leave_nothing
    a_mount_shares_a_blob_and_a_delete_does_not_take_it_from_others
    untouched_uploads_are_swept_out
    manifests_are_kept_byte_for_byte
    deleting_a_manifest_takes_its_tags_and_its_referral
    referrers_come_in_pages
    tags_change_by_compare_and_swap
    a_tag_s_moves_are_remembered
    tags_are_listed_in_byte_order
    repositories_are_listed_in_byte_order
    pages_begin_anywhere
    sha512_is_as_good
    a_manifest_without_its_blobs_is_refused
    what_no_manifest_mentions_is_collected
    untagged_manifests_are_collected_by_policy
    a_watch_ends_a_collection
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn page(count: Option<usize>, last: Option<&str>) -> Page {
    Page { last: last.map(str::to_owned), count }
}

async fn push(store: &impl Store, repository: &RepositoryName, bytes: &'static [u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let mut upload = store.upload_once(repository, Algorithm::Sha256).await.unwrap();
    upload.write(Bytes::from_static(bytes)).await.unwrap();
    assert_eq!(upload.finish(&digest).await.unwrap(), bytes.len() as u64);
    digest
}

async fn pull(store: &impl Store, repository: &RepositoryName, digest: &Digest) -> Option<Vec<u8>> {
    let read = store.blob_read(repository, digest, None).await.unwrap()?;
    Some(read.stream.collect().await.unwrap())
}

async fn put(store: &impl Store, repository: &RepositoryName, text: &str) -> Digest {
    let manifest = StoredManifest {
        digest: Digest::sha256(text.as_bytes()),
        media_type: "application/vnd.example+json".to_owned(),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    };
    store.manifest_put(repository, &manifest, None, &Required::default()).await.unwrap();
    manifest.digest
}

/// A manifest with this text that refers to a subject.
fn referrer(text: String, subject: &Digest, kind: Option<String>) -> (StoredManifest, Referral) {
    let manifest = StoredManifest {
        digest: Digest::sha256(text.as_bytes()),
        media_type: "application/vnd.example+json".to_owned(),
        bytes: text.into(),
    };
    let descriptor = Descriptor {
        media_type: manifest.media_type.clone(),
        digest: manifest.digest.to_string(),
        size: manifest.bytes.len() as u64,
        artifact_type: kind,
        annotations: None,
    };
    let referral = Referral { subject: subject.clone(), descriptor };
    (manifest, referral)
}

/// Everything that was touched before this is old: files have times that lag
/// behind by some milliseconds.
async fn age() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn collect(store: &impl Store, policy: CollectPolicy) -> Collected {
    store.collect(&policy, Arc::new(|_| true)).await.unwrap()
}

async fn a_blob_is_kept_where_it_was_pushed(stores: impl Stores) {
    let (here, there) = (name("a/b"), name("a"));
    let digest = push(&stores.open(), &here, b"hello").await;
    let empty = push(&stores.open(), &here, b"").await;
    let store = stores.open();
    assert_eq!(store.blob_size(&here, &digest).await.unwrap(), Some(5));
    assert_eq!(pull(&store, &here, &digest).await.unwrap(), b"hello");
    assert_eq!(pull(&store, &here, &empty).await.unwrap(), b"");
    assert_eq!(store.blob_size(&there, &digest).await.unwrap(), None);
    assert!(pull(&store, &there, &digest).await.is_none());
    store.ready().await.unwrap();
}

async fn ranges_of_a_blob(stores: impl Stores) {
    let (store, here) = (stores.open(), name("a"));
    let digest = push(&store, &here, b"0123456789").await;
    for (range, expected) in
        [(0..3, "012"), (3..10, "3456789"), (8..99, "89"), (10..11, ""), (99..100, "")]
    {
        let read = store.blob_read(&here, &digest, Some(range)).await.unwrap().unwrap();
        assert_eq!((read.size, read.stream.length()), (10, expected.len() as u64));
        assert_eq!(read.stream.collect().await.unwrap(), expected.as_bytes());
    }
}

async fn an_upload_goes_on_after_a_restart(stores: impl Stores) {
    let here = name("a");
    let big = Bytes::from(vec![7; 1_500_000]);
    let id = stores.open().upload_create(&here, Algorithm::Sha256).await.unwrap();

    let mut upload = stores.open().upload_resume(&here, &id).await.unwrap().unwrap();
    upload.write(big.clone()).await.unwrap();
    assert_eq!(upload.pause().await.unwrap(), 1_500_000);

    // This writer isn't paused: its process may have been killed.
    let mut upload = stores.open().upload_resume(&here, &id).await.unwrap().unwrap();
    assert_eq!(upload.received(), 1_500_000);
    upload.write(big.clone()).await.unwrap();
    drop(upload);
    let mut upload = resumed(&stores.open(), &here, &id).await.unwrap();
    let status = stores.open().upload_status(&here, &id).await.unwrap().unwrap();
    assert_eq!(status.received, upload.received());
    assert!((1_500_000..=3_000_000).contains(&upload.received()));

    let left = 3_000_000 - upload.received();
    upload.write(Bytes::from(vec![7; usize::try_from(left).unwrap()])).await.unwrap();
    let digest = Digest::sha256(&[&big[..], &big[..]].concat());
    assert_eq!(upload.finish(&digest).await.unwrap(), 3_000_000);
    assert_eq!(pull(&stores.open(), &here, &digest).await.unwrap().len(), 3_000_000);
    assert!(stores.open().upload_status(&here, &id).await.unwrap().is_none());
}

async fn an_upload_belongs_to_its_repository(stores: impl Stores) {
    let (store, here, there) = (stores.open(), name("a"), name("b"));
    let id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
    assert!(store.upload_status(&there, &id).await.unwrap().is_none());
    assert!(store.upload_resume(&there, &id).await.unwrap().is_none());
    assert!(!store.upload_cancel(&there, &id).await.unwrap());
    assert!(store.upload_cancel(&here, &id).await.unwrap());
    assert!(!store.upload_cancel(&here, &id).await.unwrap());
    assert!(store.upload_resume(&here, &id).await.unwrap().is_none());
}

async fn two_writers_cannot_have_one_upload(stores: impl Stores) {
    let here = name("a");
    let id = stores.open().upload_create(&here, Algorithm::Sha256).await.unwrap();
    let upload = stores.open().upload_resume(&here, &id).await.unwrap().unwrap();
    let second = stores.open().upload_resume(&here, &id).await;
    assert!(matches!(second, Err(StoreError::UploadBusy)));
    let cancel = stores.open().upload_cancel(&here, &id).await;
    assert!(matches!(cancel, Err(StoreError::UploadBusy)));
    assert_eq!(stores.open().upload_sweep(Duration::ZERO).await.unwrap(), 0);
    upload.pause().await.unwrap();
    assert!(stores.open().upload_resume(&here, &id).await.unwrap().is_some());
}

async fn wrong_bytes_leave_nothing(stores: impl Stores) {
    let (store, here) = (stores.open(), name("a"));
    let expected = Digest::sha256(b"right");
    let id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
    let mut upload = store.upload_resume(&here, &id).await.unwrap().unwrap();
    upload.write(Bytes::from_static(b"wrong")).await.unwrap();
    let error = upload.finish(&expected).await.unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { .. }), "{error}");
    assert!(store.blob_size(&here, &expected).await.unwrap().is_none());
    assert!(store.upload_status(&here, &id).await.unwrap().is_none());
}

async fn a_mount_shares_a_blob_and_a_delete_does_not_take_it_from_others(stores: impl Stores) {
    let (store, here, there) = (stores.open(), name("a"), name("b"));
    let digest = push(&store, &here, b"shared").await;
    let everyone = Permissions::everything();
    assert!(!store.blob_mount(&name("c"), &there, &digest).await.unwrap());
    assert_eq!(store.blob_holder(&digest, &everyone).await.unwrap(), Some(here.clone()));
    let nobody = Permissions::new(|_, _| false);
    assert_eq!(store.blob_holder(&digest, &nobody).await.unwrap(), None);
    assert!(store.blob_mount(&here, &there, &digest).await.unwrap());
    assert!(store.blob_delete(&here, &digest).await.unwrap());
    assert!(!store.blob_delete(&here, &digest).await.unwrap());
    assert!(pull(&store, &here, &digest).await.is_none());
    assert_eq!(pull(&stores.open(), &there, &digest).await.unwrap(), b"shared");
}

async fn untouched_uploads_are_swept_out(stores: impl Stores) {
    let (store, here) = (stores.open(), name("a"));
    let id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
    assert_eq!(store.upload_sweep(Duration::from_hours(1)).await.unwrap(), 0);
    assert!(store.upload_status(&here, &id).await.unwrap().is_some());
    assert_eq!(store.upload_sweep(Duration::ZERO).await.unwrap(), 1);
    assert!(store.upload_status(&here, &id).await.unwrap().is_none());
}

async fn manifests_are_kept_byte_for_byte(stores: impl Stores) {
    let (here, there) = (name("a"), name("b"));
    let text = "{ \"unusual\":   \"spacing\" }\n";
    let digest = put(&stores.open(), &here, text).await;
    assert_eq!(put(&stores.open(), &here, text).await, digest);
    let store = stores.open();
    let manifest = store.manifest_get(&here, &digest).await.unwrap().unwrap();
    assert_eq!(manifest.bytes, text.as_bytes());
    assert_eq!(manifest.media_type, "application/vnd.example+json");
    assert!(store.manifest_exists(&here, &digest).await.unwrap());
    assert!(!store.manifest_exists(&there, &digest).await.unwrap());
    assert!(store.manifest_get(&there, &digest).await.unwrap().is_none());
    assert!(store.blob_size(&here, &digest).await.unwrap().is_none());
}

async fn deleting_a_manifest_takes_its_tags_and_its_referral(stores: impl Stores) {
    let (store, here, there) = (stores.open(), name("a"), name("b"));
    let subject = Digest::sha256(b"subject");
    let text = format!(r#"{{"subject":{{"digest":"{subject}"}}}}"#);
    let (manifest, referral) = referrer(text, &subject, None);
    let descriptor = &referral.descriptor;
    for repository in [&here, &there] {
        store
            .manifest_put(repository, &manifest, Some(&referral), &Required::default())
            .await
            .unwrap();
        for text in ["one", "two"] {
            let digest = &manifest.digest;
            store.tag_set(repository, &tag(text), digest, &Expected::Anything).await.unwrap();
        }
    }
    let other = put(&store, &here, "other").await;
    store.tag_set(&here, &tag("other"), &other, &Expected::Anything).await.unwrap();
    assert_eq!(
        store.referrers(&here, &subject, &ReferrersPage::all()).await.unwrap().descriptors,
        std::slice::from_ref(descriptor)
    );

    assert!(store.manifest_delete(&here, &manifest.digest).await.unwrap());
    assert!(!store.manifest_delete(&here, &manifest.digest).await.unwrap());
    assert!(
        store
            .referrers(&here, &subject, &ReferrersPage::all())
            .await
            .unwrap()
            .descriptors
            .is_empty()
    );
    let tags = store.tags(&here, &Page::default()).await.unwrap().unwrap();
    assert_eq!(tags.entries, [tag("other")]);

    let store = stores.open();
    assert_eq!(
        store.referrers(&there, &subject, &ReferrersPage::all()).await.unwrap().descriptors,
        std::slice::from_ref(descriptor)
    );
    assert_eq!(store.tag_get(&there, &tag("one")).await.unwrap().unwrap(), manifest.digest);
    assert!(store.manifest_get(&there, &manifest.digest).await.unwrap().is_some());
}

async fn tags_change_by_compare_and_swap(stores: impl Stores) {
    let (store, here, latest) = (stores.open(), name("a"), tag("latest"));
    let nothing = Digest::sha256(b"nothing");
    let error = store.tag_set(&here, &latest, &nothing, &Expected::Anything).await.unwrap_err();
    assert!(matches!(error, StoreError::NoManifest { .. }));
    let (one, two) = (put(&store, &here, "one").await, put(&store, &here, "two").await);
    let error = store.tag_set(&here, &latest, &nothing, &Expected::Anything).await.unwrap_err();
    assert!(matches!(error, StoreError::NoManifest { .. }));
    store.tag_set(&here, &latest, &one, &Expected::Absent).await.unwrap();
    for expected in [Expected::Absent, Expected::Digest(two.clone())] {
        let error = store.tag_set(&here, &latest, &two, &expected).await.unwrap_err();
        assert!(matches!(error, StoreError::TagMoved));
    }
    store.tag_set(&here, &latest, &two, &Expected::Digest(one)).await.unwrap();
    assert_eq!(stores.open().tag_get(&here, &latest).await.unwrap(), Some(two.clone()));
    assert!(store.tag_delete(&here, &latest).await.unwrap());
    assert!(!store.tag_delete(&here, &latest).await.unwrap());
    assert_eq!(store.tag_get(&here, &latest).await.unwrap(), None);
    assert!(store.manifest_exists(&here, &two).await.unwrap());
}

async fn a_tag_s_moves_are_remembered(stores: impl Stores) {
    let (store, here, latest) = (stores.open(), name("a"), tag("latest"));
    assert!(store.tag_history(&here, &latest).await.unwrap().is_empty());
    let (one, two) = (put(&store, &here, "one").await, put(&store, &here, "two").await);
    for digest in [&one, &two, &two, &one] {
        let store = stores.open();
        store.tag_set(&here, &latest, digest, &Expected::Anything).await.unwrap();
    }
    let moves = stores.open().tag_history(&here, &latest).await.unwrap();
    let digests: Vec<_> = moves.iter().map(|found| found.digest.clone()).collect();
    assert_eq!(digests, [one.clone(), two.clone(), one.clone()]);
    assert!(moves.is_sorted_by(|newer, older| newer.at >= older.at));
    assert!(store.tag_history(&here, &tag("other")).await.unwrap().is_empty());
    assert!(store.tag_history(&name("b"), &latest).await.unwrap().is_empty());

    store.tag_delete(&here, &latest).await.unwrap();
    assert_eq!(store.tag_history(&here, &latest).await.unwrap(), moves);
}

/// What the history of a tag is worth is no reason to lose the tag.
#[tokio::test]
async fn a_history_that_is_long_or_torn_or_missing_harms_nobody() {
    let root = tempfile::tempdir().unwrap();
    let (store, here, latest) = (root.open(), name("a"), tag("latest"));
    let (one, two) = (put(&store, &here, "one").await, put(&store, &here, "two").await);
    let file = root.path().join("repositories/a/_history/latest");
    let write = |text: String| {
        warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Owner).unwrap();
    };
    let set = async |digest: &Digest| {
        store.tag_set(&here, &latest, digest, &Expected::Anything).await.unwrap();
        let moves = store.tag_history(&here, &latest).await.unwrap();
        assert_eq!(moves[0].digest, *digest);
        moves
    };
    set(&one).await;
    // Lost with the power, cut off, or older than this file.
    write(String::new());
    assert_eq!(store.tag_history(&here, &latest).await.unwrap().len(), 1);
    let moves = set(&two).await;
    assert_eq!((moves.len(), &moves[1].digest), (2, &one));
    write(format!("nonsense\n{one} x\n{two} 17\n{}", &one.to_string()[..20]));
    let moves = set(&one).await;
    assert_eq!((moves.len(), &moves[1].digest), (2, &two));
    write(format!("{one} 1\n{two} 2\n").repeat(1000) + &format!("{one} 3\n"));
    let moves = set(&two).await;
    assert_eq!((moves.len(), &moves[1].digest), (1000, &one));
    assert_eq!(warren::fs::read_to_string(&file).unwrap().lines().count(), 1001);
    // Not even a folder in its place.
    warren::fs::remove_dir_all_if_there(file.parent().unwrap()).unwrap();
    warren::fs::write_atomic(file.parent().unwrap(), b"", warren::fs::Access::Owner).unwrap();
    store.tag_set(&here, &latest, &one, &Expected::Anything).await.unwrap();
    assert_eq!(store.tag_get(&here, &latest).await.unwrap(), Some(one));
}

async fn tags_are_listed_in_byte_order(stores: impl Stores) {
    let (store, here) = (stores.open(), name("a"));
    assert!(store.tags(&here, &Page::default()).await.unwrap().is_none());
    let digest = put(&store, &here, "x").await;
    for text in ["b", "B", "a.1", "_", "a-1", "a"] {
        store.tag_set(&here, &tag(text), &digest, &Expected::Anything).await.unwrap();
    }
    let all = store.tags(&here, &Page::default()).await.unwrap().unwrap();
    let texts: Vec<_> = all.entries.iter().map(Tag::as_str).collect();
    assert_eq!((texts, all.more), (vec!["B", "_", "a", "a-1", "a.1", "b"], false));
    let some = store.tags(&here, &page(Some(2), Some("a"))).await.unwrap().unwrap();
    assert_eq!((some.entries, some.more), (vec![tag("a-1"), tag("a.1")], true));
}

async fn repositories_are_listed_in_byte_order(stores: impl Stores) {
    let store = stores.open();
    let sorted = ["a", "a-b", "a-b/c", "a.b", "a/b", "a/b/c/d", "a/bc", "a0", "a_b", "b/x/y", "c"];
    for text in ["c", "a0", "a/b/c/d", "a-b/c", "a", "a_b", "a.b", "a/bc", "a-b", "b/x/y", "a/b"] {
        put(&store, &name(text), text).await;
    }
    let everyone = Permissions::everything();
    let all = store.repositories(&Page::default(), &everyone).await.unwrap();
    let texts: Vec<_> = all.entries.iter().map(RepositoryName::as_str).collect();
    assert_eq!(texts, sorted);
    for count in 1..=sorted.len() {
        let (mut last, mut seen) = (None, Vec::new());
        loop {
            let listing = store.repositories(&page(Some(count), last.as_deref()), &everyone).await;
            let listing = listing.unwrap();
            seen.extend(listing.entries.iter().map(RepositoryName::to_string));
            if !listing.more {
                break;
            }
            assert_eq!(listing.entries.len(), count);
            last = seen.last().cloned();
        }
        assert_eq!(seen, sorted, "pages of {count}");
    }
    let some = Permissions::new(|name, _| name.as_str().starts_with("a/"));
    let listed = store.repositories(&page(Some(2), Some("a.zzz")), &some).await.unwrap();
    assert_eq!((listed.entries, listed.more), (vec![name("a/b"), name("a/b/c/d")], true));
}

async fn sha512_is_as_good(stores: impl Stores) {
    let (store, here) = (stores.open(), name("a"));
    let digest = Digest::of(Algorithm::Sha512, b"hello");
    // Begun for one algorithm, finished with the other.
    for algorithm in Algorithm::ALL {
        let id = store.upload_create(&here, algorithm).await.unwrap();
        let mut upload = store.upload_resume(&here, &id).await.unwrap().unwrap();
        upload.write(Bytes::from_static(b"hello")).await.unwrap();
        upload.finish(&digest).await.unwrap();
        assert_eq!(pull(&store, &here, &digest).await.unwrap(), b"hello");
    }
}

async fn referrers_come_in_pages(stores: impl Stores) {
    let (store, here) = (stores.open(), name("a"));
    let subject = Digest::sha256(b"subject");
    let mut expected = Vec::new();
    for count in 0..10 {
        let text = format!(r#"{{"subject":{{"digest":"{subject}"}},"note":{count}}}"#);
        let kind = Some(format!("a/{}", count % 2));
        let (manifest, referral) = referrer(text, &subject, kind);
        store.manifest_put(&here, &manifest, Some(&referral), &Required::default()).await.unwrap();
        expected.push(referral.descriptor);
    }
    expected.sort_by(|one, other| one.digest.cmp(&other.digest));
    let whole = ReferrersPage::all();
    let few = ReferrersPage { entries: 3, ..whole.clone() };
    let small = ReferrersPage { bytes: 600, ..whole.clone() };
    for (page, least) in [(whole, 1), (few, 4), (small, 3)] {
        for artifact_type in [None, Some("a/0".to_owned()), Some("a/none".to_owned())] {
            let mut page = ReferrersPage { artifact_type, ..page.clone() };
            let (mut found, mut pages) = (Vec::new(), 0);
            loop {
                let part = store.referrers(&here, &subject, &page).await.unwrap();
                found.extend(part.descriptors);
                pages += 1;
                page.after = part.next;
                if page.after.is_none() {
                    break;
                }
            }
            let wanted = expected.iter().filter(|descriptor| page.wants(descriptor));
            assert_eq!(found, wanted.cloned().collect::<Vec<_>>());
            assert!(page.artifact_type.is_some() || pages >= least, "{pages} pages");
        }
    }
}

async fn pages_begin_anywhere(stores: impl Stores) {
    let store = stores.open();
    let mut names = vec![
        "a",
        "a-b",
        "a-b/c",
        "a.b",
        "a.b/a",
        "a/b",
        "a/b-c",
        "a/b-c/d",
        "a/b/c",
        "a0",
        "a_b",
        "ab",
        "ab/a-b/a-b",
        "ab/a-b/a/b",
        "b-a/b",
        "b--c/d",
        "b/c",
        "c",
    ];
    for text in &names {
        put(&store, &name(text), "{}").await;
        for letter in ["x", "x-y", "y"] {
            let tagged = Digest::sha256(b"{}");
            store.tag_set(&name(text), &tag(letter), &tagged, &Expected::Anything).await.unwrap();
        }
    }
    names.sort_unstable();
    let more = ["", "0", "a-", "a/", "a/b-", "a/b-c/", "ab/a", "ab/a-b/a.", "b", "b-", "b-a", "d"];
    let everyone = Permissions::everything();
    // The second time round the folders are known.
    for last in names.iter().chain(&more).chain(&names) {
        let after: Vec<_> = names.iter().filter(|name| *name > last).copied().collect();
        for count in [0, 1, 2, 5, 100] {
            let listed =
                store.repositories(&page(Some(count), Some(last)), &everyone).await.unwrap();
            let entries: Vec<_> = listed.entries.iter().map(AsRef::as_ref).collect();
            assert_eq!(entries, after[..count.min(after.len())], "after {last:?}");
            assert_eq!(listed.more, after.len() > count, "after {last:?}");
        }
    }
    for (last, expected) in
        [("", "x x-y y"), ("w", "x x-y y"), ("x", "x-y y"), ("x-", "x-y y"), ("y", "")]
    {
        let listed = store.tags(&name("a"), &page(None, Some(last))).await.unwrap().unwrap();
        let entries: Vec<_> = listed.entries.iter().map(AsRef::as_ref).collect();
        assert_eq!(entries.join(" "), expected);
    }
}

async fn a_manifest_without_its_blobs_is_refused(stores: impl Stores) {
    let (store, here) = (stores.open(), name("here"));
    let blob = push(&store, &here, b"layer").await;
    let child = put(&store, &here, "{}").await;
    let text = "an image";
    let manifest = StoredManifest {
        digest: Digest::sha256(text.as_bytes()),
        media_type: "application/vnd.example+json".to_owned(),
        bytes: text.into(),
    };
    let absent = Digest::sha256(b"absent");
    for (blobs, manifests, what) in [
        (vec![blob.clone(), absent.clone()], vec![], "blob"),
        (vec![], vec![child.clone(), absent.clone()], "manifest"),
    ] {
        let required = Required { blobs, manifests };
        let error = store.manifest_put(&here, &manifest, None, &required).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Missing { what: found, digest } if *found == what && *digest == absent),
            "{error}"
        );
        assert_eq!(store.manifest_get(&here, &manifest.digest).await.unwrap(), None);
    }
    let required = Required { blobs: vec![blob], manifests: vec![child] };
    store.manifest_put(&here, &manifest, None, &required).await.unwrap();
}

async fn what_no_manifest_mentions_is_collected(stores: impl Stores) {
    let (store, here, there) = (stores.open(), name("here"), name("here/there"));
    let (used, unused, shared) = (
        push(&store, &here, b"used").await,
        push(&store, &here, b"unused").await,
        push(&store, &here, b"shared").await,
    );
    assert!(store.blob_mount(&here, &there, &shared).await.unwrap());
    let manifest = put(&store, &here, &format!("mentions {used}")).await;
    put(&store, &there, &format!("mentions {shared}")).await;
    age().await;
    let dry = collect(&store, CollectPolicy { dry_run: true, ..CollectPolicy::default() }).await;
    assert_eq!(pull(&store, &here, &unused).await.unwrap(), b"unused", "a dry run takes nothing");
    age().await;
    let done = collect(&store, CollectPolicy::default()).await;
    assert_eq!((dry.links, dry.bytes, dry.removed), (done.links, done.bytes, done.removed));
    assert_eq!((done.repositories, done.links, done.manifests, done.skipped), (2, 2, 0, 0));
    assert_eq!(pull(&store, &here, &unused).await, None);
    assert_eq!(pull(&store, &here, &shared).await, None);
    assert_eq!(pull(&store, &there, &shared).await.unwrap(), b"shared");
    assert_eq!(pull(&store, &here, &used).await.unwrap(), b"used");
    assert!(store.manifest_get(&here, &manifest).await.unwrap().is_some());
    let again = push(&store, &here, b"unused").await;
    assert_eq!(pull(&store, &here, &again).await.unwrap(), b"unused");
}

async fn untagged_manifests_are_collected_by_policy(stores: impl Stores) {
    let (store, here) = (stores.open(), name("here"));
    let layer = push(&store, &here, b"layer").await;
    let image = put(&store, &here, &format!("an image of {layer}")).await;
    let index = put(&store, &here, &format!("an index of {image}")).await;
    let old = put(&store, &here, "an old image").await;
    store.tag_set(&here, &tag("latest"), &old, &Expected::Anything).await.unwrap();
    store.tag_set(&here, &tag("latest"), &index, &Expected::Anything).await.unwrap();
    age().await;
    assert_eq!(collect(&store, CollectPolicy::default()).await.manifests, 0, "kept unless said");
    let hour =
        CollectPolicy { untagged: Some(Duration::from_hours(1)), ..CollectPolicy::default() };
    assert_eq!(collect(&store, hour).await.manifests, 0, "not old enough");
    let now = CollectPolicy { untagged: Some(Duration::ZERO), ..CollectPolicy::default() };
    assert_eq!(collect(&store, now).await.manifests, 1);
    assert_eq!(store.manifest_get(&here, &old).await.unwrap(), None);
    for digest in [&image, &index] {
        assert!(store.manifest_get(&here, digest).await.unwrap().is_some());
    }
    assert_eq!(pull(&store, &here, &layer).await.unwrap(), b"layer");
    assert!(store.tag_delete(&here, &tag("latest")).await.unwrap());
    age().await;
    let done = collect(&store, now).await;
    assert_eq!((done.manifests, done.links), (2, 1), "with the tag all of it goes");
    assert_eq!(pull(&store, &here, &layer).await, None);
}

async fn a_watch_ends_a_collection(stores: impl Stores) {
    let store = stores.open();
    for text in ["a", "b", "c"] {
        push(&store, &name(text), b"unused").await;
    }
    age().await;
    let watch = |done: &Collected| done.repositories < 2;
    let done = store.collect(&CollectPolicy::default(), Arc::new(watch)).await.unwrap();
    assert_eq!((done.repositories, done.removed), (2, 0));
    assert!(pull(&store, &name("c"), &Digest::sha256(b"unused")).await.is_some());
}
