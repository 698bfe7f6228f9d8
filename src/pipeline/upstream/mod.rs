//! The pin of the upstream: what it is, how it is checked, how it moves.
//! `docs/upstream.md` describes it from the operator's side.

mod baked;
mod cache;
mod check;
mod commit;
mod contract;
mod facts;
mod id;
mod listing;
mod lock;
mod lookup;
mod mismatch;
mod mode;
mod pin;
mod signature;
mod snapshot;
mod toml_file;
mod vendored;
mod verify;

pub use baked::{Baked, Build, error_directives};
pub use check::check_lock;
pub use contract::{Contract, Place, Row};
pub use facts::{Image, Upstream};
pub use id::GitId;
pub use listing::{Entry, Listing, Mode as EntryMode};
pub use lock::{Lock, LockedFile, LockedRow};
pub use mismatch::Mismatch;
pub use mode::{Mode, UnknownMode};
pub use pin::{PinError, Pinned, Pinning, changes};
pub use snapshot::{Snapshot, SnapshotError};
pub use toml_file::{FileError, load as load_toml};
pub use vendored::write_copy;
pub use verify::{
    Inputs, MIRROR_VARIABLE, Outcome, Pin, REPIN_VARIABLE, VENDORED, Verified, VerifyError,
    fetch_tag, obtain, verify, verify_folder,
};
