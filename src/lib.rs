//! Warren's rooms. `ARCHITECTURE.md` says what each holds and who may import whom.

pub mod cli;
pub mod client;
pub mod delivery;
pub mod digest;
pub mod fs;
pub mod image;
pub mod pipeline;
pub mod registry;
pub mod trust;
