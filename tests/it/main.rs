//! The one integration binary: a module per file of this folder.

mod check_cli;
mod compose;
mod deploy;
mod environment;
mod git_server;
mod registry_auth;
mod registry_client;
mod registry_faults;
mod registry_protocol;
mod registry_server;
mod registry_settings;
mod registry_support;
mod secret;
mod store;
mod up;
mod upstream;
mod upstream_cli;
mod upstream_fixture;
mod walls;
mod yaml;
