//! What happens to a rendering after it is made: what it changes, which
//! Secrets it needs, and the cluster that it is applied to.

pub mod agent;
pub mod changes;
pub mod clients;
pub mod cluster;
pub mod difference;
pub mod folder;
pub mod forge;
pub mod git;
pub mod import;
pub mod password;
pub mod prerequisites;
pub mod references;
pub mod revision;
pub mod secret;
pub mod url;
