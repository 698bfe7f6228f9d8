//! The registry: protocol types without IO, the store below them, HTTP above.

pub mod access;
pub mod admission;
pub mod auth;
pub mod bodies;
pub mod error;
pub mod http;
pub mod manifest;
pub mod media;
pub mod metrics;
pub mod name;
pub mod network;
mod object;
pub mod reference;
pub mod server;
pub mod service;
pub mod settings;
pub mod store;
pub mod swap;
pub mod upkeep;
