//! The one integration binary: a module per file of this folder.

mod registry_client;
mod registry_faults;
mod registry_protocol;
mod store;
