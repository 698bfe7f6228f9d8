//! Whom clients trust: the private certificate authority and what it issues.

pub mod authority;

pub use authority::{Authority, Issued, TrustError, expiry, is_authority};
