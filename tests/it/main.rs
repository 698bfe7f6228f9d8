//! The one integration binary: a module per file of this folder.

mod environment;
mod registry_auth;
mod registry_client;
mod registry_faults;
mod registry_protocol;
mod registry_server;
mod registry_settings;
mod registry_support;
mod store;
mod deploy;
mod secret;
mod walls;
