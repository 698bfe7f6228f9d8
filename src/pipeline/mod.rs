//! Lock and environment in, manifests out. `build.rs` compiles this folder
//! too, so it imports nothing of the crate but `digest` and `fs`.

pub mod document;
pub mod environment;
pub mod faults;
