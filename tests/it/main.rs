//! The one integration binary: a module per file of this folder.
mod walls;

mod registry_auth;
mod registry_server;
mod registry_settings;
mod registry_support;
