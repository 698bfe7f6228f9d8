//! Sequences of requests against both stores, held against a model: the seeds
//! of the fuzz target, and others by chance.

use proptest::prelude::*;
use warren::registry::store::{FsStore, MemoryStore};

use crate::upload_model::play;

fn play_on_both(script: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let memory = MemoryStore::new();
    runtime.block_on(play(script, &|| memory.clone()));
    let root = tempfile::tempdir().unwrap();
    runtime.block_on(play(script, &|| FsStore::open(root.path()).unwrap()));
    let left = warren::fs::list(&root.path().join("tmp")).unwrap().len();
    assert_eq!(left, 0, "a temporary file was left behind");
}

#[test]
fn the_seeds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/uploads");
    let seeds = warren::fs::list(folder.as_ref()).unwrap();
    assert!(!seeds.is_empty());
    for seed in seeds {
        play_on_both(&warren::fs::read(&seed).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn by_chance(script in "([sS][0-2]|[oO][0-2][0-9]|[pc][0-9][0-9]|C[0-9][0-9][0-9]|x[0-9][01][0-9][0-9]|g[0-9][0-2]|[fzF][0-9][0-9]|b[0-9][0-3][0-9]|k[0-9]|[mM][0-2][0-2][0-9]|d[0-2][0-9]|[ra]){0,40}") {
        play_on_both(script.as_bytes());
    }
}
