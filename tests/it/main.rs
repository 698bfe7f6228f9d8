//! The one integration binary: a module per file of this folder.

mod compose;
mod check_cli;
mod environment;
mod git_server;
mod registry_auth;
mod registry_client;
mod registry_faults;
mod registry_protocol;
mod registry_server;
mod registry_settings;
mod registry_support;
mod store;
mod upstream;
mod upstream_cli;
mod upstream_fixture;
mod walls;
mod yaml;
