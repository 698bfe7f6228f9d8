//! Lock and environment in, manifests out. `build.rs` compiles this folder
//! too, so it imports nothing of the crate but `digest` and `fs`.

pub mod address;
pub mod check;
pub mod compose;
pub mod document;
pub mod environment;
pub mod explain;
pub mod faults;
pub mod fetch;
pub mod field;
pub mod manifest;
pub mod origins;
pub mod patch;
pub mod provenance;
pub mod schema;
pub mod strict;
pub mod upstream;
pub mod yaml;
