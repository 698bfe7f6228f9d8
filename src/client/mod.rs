//! A client of the OCI distribution API (specification 1.1), as podman and
//! docker are: it logs in by the challenge's rules, pushes, pulls, verifies.

mod challenge;
pub mod proof;
mod session;

pub use session::{Client, ClientError, Credentials, Manifest, Trust};
