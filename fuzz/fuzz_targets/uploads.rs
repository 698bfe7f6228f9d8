//! Any sequence of uploads, mounts, deletes and restarts is answered as a
//! simple model says, by the router over memory and over a folder.
#![no_main]

use std::sync::LazyLock;

use tokio::runtime::Runtime;
use warren::registry::store::{FsStore, MemoryStore};

#[path = "../../tests/it/upload_model.rs"]
mod model;

/// One for all runs: threads are not begun anew each time.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let memory = MemoryStore::new();
    RUNTIME.block_on(model::play(script, &|| memory.clone()));
    // Memory where there is such a folder: syncs would take all the time.
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    RUNTIME.block_on(model::play(script, &|| FsStore::open(root.path()).unwrap()));
    assert_eq!(warren::fs::list(&root.path().join("tmp")).unwrap().len(), 0, "something is left");
});
