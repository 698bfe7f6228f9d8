//! The registry: protocol types without IO, the store below them, HTTP above.

pub mod auth;
pub mod settings;
