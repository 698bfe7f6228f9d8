//! Uploads into a store of files, with and without the system's cache.

use std::time::Duration;

use bytes::Bytes;
use warren::digest::{Algorithm, Digest};
use warren::fs;
use warren::registry::name::RepositoryName;
use warren::registry::store::{FsOptions, FsStore, Store, StoreError, UploadId, UploadWriter as _};

/// Takes an upload up that nobody writes to. What another test starts at this moment
/// holds copies of all open files, and so their locks, until it is a program of its own.
pub async fn resumed<S: Store>(
    store: &S,
    repository: &RepositoryName,
    id: &UploadId,
) -> Result<S::Upload, StoreError> {
    for _ in 0..200 {
        match store.upload_resume(repository, id).await {
            Err(StoreError::UploadBusy) => tokio::time::sleep(Duration::from_millis(10)).await,
            upload => return upload.map(Option::unwrap),
        }
    }
    Err(StoreError::UploadBusy)
}

/// What a client sends: pieces of these lengths, over and over.
const PIECES: [&[usize]; 5] =
    [&[65_536], &[1_000_003], &[16_384, 5, 70_001], &[4096, 128 * 1024], &[524_288, 1]];

#[tokio::test]
async fn an_upload_is_what_was_sent_wherever_the_cache_ends() {
    let here = "a".parse().unwrap();
    for cached in [0, 4096, 1_000_001, u64::MAX] {
        for (round, pieces) in PIECES.into_iter().enumerate() {
            let root = tempfile::tempdir().unwrap();
            let options = FsOptions { cached, ..FsOptions::default() };
            let store = FsStore::open_with(root.path(), options).unwrap();
            // Nothing in it repeats with a block or a batch.
            let bytes: Vec<u8> =
                (0..=250).cycle().skip(round).take(4_000_000 + round * 1237).collect();
            let digest = Digest::sha256(&bytes);
            let id = store.upload_create(&here, Algorithm::Sha256).await.unwrap();
            let mut sent = 0;
            // The second time it is another writer, from wherever the first was.
            for end in [bytes.len() / 3, bytes.len()] {
                let mut upload = resumed(&store, &here, &id).await.unwrap();
                assert_eq!(upload.received(), sent as u64);
                for piece in pieces.iter().cycle() {
                    let until = (sent + piece).min(end);
                    upload.write(Bytes::copy_from_slice(&bytes[sent..until])).await.unwrap();
                    sent = until;
                    if sent == end {
                        break;
                    }
                }
                assert_eq!(upload.received(), end as u64);
                if end < bytes.len() {
                    assert_eq!(upload.pause().await.unwrap(), end as u64);
                } else {
                    assert_eq!(upload.finish(&digest).await.unwrap(), end as u64);
                }
            }
            let hex = digest.hex();
            let file = root.path().join("blobs/sha256").join(&hex[..2]).join(hex);
            assert!(fs::read(&file).unwrap() == bytes, "cached {cached}, round {round}");
        }
    }
}

#[tokio::test]
async fn a_digest_of_another_algorithm_is_found_past_the_cache_too() {
    let root = tempfile::tempdir().unwrap();
    let options = FsOptions { cached: 0, ..FsOptions::default() };
    let store = FsStore::open_with(root.path(), options).unwrap();
    let bytes = vec![7; 3 << 20];
    let mut upload = store.upload_once(&"a".parse().unwrap(), Algorithm::Sha256).await.unwrap();
    for piece in bytes.chunks(128 * 1024) {
        upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let mut hasher = warren::digest::Hasher::new(Algorithm::Sha512);
    hasher.update(&bytes);
    assert_eq!(upload.finish(&hasher.finish()).await.unwrap(), bytes.len() as u64);
}

/// In a crowd one thread hashes and writes what few threads share otherwise; who
/// is in the middle of an upload when the others come or go takes the change.
#[tokio::test]
async fn an_upload_is_what_was_sent_whoever_comes_and_goes_meanwhile() {
    let here = "a".parse().unwrap();
    for cached in [0, u64::MAX] {
        let root = tempfile::tempdir().unwrap();
        let options = FsOptions { cached, ..FsOptions::default() };
        let store = FsStore::open_with(root.path(), options).unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(9_000_000).collect();
        let digest = Digest::sha256(&bytes);
        let begin = async || store.upload_once(&here, Algorithm::Sha256).await.unwrap();
        // More than may be fast, so that some never are.
        let mut uploads = Vec::new();
        for _ in 0..6 {
            uploads.push(begin().await);
        }
        let mut crowd = Vec::new();
        for (third, pieces) in bytes.chunks(3_000_000).enumerate() {
            crowd.clear();
            if third == 1 {
                for _ in 0..100 {
                    crowd.push(begin().await);
                }
            }
            for piece in pieces.chunks(128 * 1024) {
                for upload in &mut uploads {
                    upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
                }
            }
        }
        for upload in uploads {
            assert_eq!(upload.finish(&digest).await.unwrap(), bytes.len() as u64);
        }
        let file = root.path().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex());
        assert!(fs::read(&file).unwrap() == bytes, "cached {cached}");
    }
}
