//! The one integration binary: a module per file of this folder.

mod check_cli;
mod compose;
mod deploy;
mod environment;
mod git_server;
mod registry_auth;
mod registry_blobs;
mod registry_client;
mod registry_faults;
mod registry_lists;
mod registry_manifests;
mod registry_protocol;
mod registry_pull;
mod registry_referrers;
mod registry_server;
mod registry_settings;
mod registry_support;
mod registry_uploads;
mod secret;
mod store;
mod up;
mod upstream;
mod upstream_cli;
mod upstream_fixture;
mod walls;
mod yaml;
