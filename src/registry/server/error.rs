use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::fs::FsError;
use crate::registry::auth::AuthError;
use crate::registry::settings::{Origin, SettingsError};
use crate::registry::store::StoreError;

/// Why a server can't start, or takes no new files.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The settings don't hold together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The users or the token key.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A password or users file.
    #[error("{setting} ({origin}): {source}; name a file that this process can read with --{setting}{}",
        if *setting == "password" { "=file://PATH" } else { "=FILE" })]
    UsersFile {
        /// The setting that names the file.
        setting: &'static str,
        /// Where its value comes from.
        origin: Origin,
        /// What happened.
        source: FsError,
    },
    /// A password file with nothing in it.
    #[error("password ({origin}): {} holds no password", path.display())]
    EmptyPassword {
        /// The file.
        path: PathBuf,
        /// Where the setting comes from.
        origin: Origin,
    },
    /// A users file without a user, where no other user is named either.
    #[error(
        "htpasswd ({origin}): {} holds no user, which would open the registry to everyone; add one \
         with `htpasswd -B FILE NAME`, or leave --htpasswd out if that is meant",
        path.display()
    )]
    NoUsers {
        /// The file.
        path: PathBuf,
        /// Where the setting comes from.
        origin: Origin,
    },
    /// The data folder.
    #[error(
        "the data folder {} can't be used ({origin}): {problem}; choose another with --data-dir, or give this process the right to write there",
        path.display()
    )]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Where the setting comes from.
        origin: Origin,
        /// What happened.
        problem: String,
    },
    /// A collection or a scrub that was asked for.
    #[error("no upkeep of {}: {problem}", path.display())]
    Upkeep {
        /// The data folder.
        path: PathBuf,
        /// What is in the way.
        problem: String,
    },
    /// The store in the data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address that can't be listened on.
    #[error("cannot listen on {address} ({origin}): {problem}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Where the setting comes from.
        origin: Origin,
        /// What happened, and the way out.
        problem: String,
    },
    /// Files that change each time that they are read.
    #[error(
        "the files changed each of the {times} times that they were read, so they may not belong together; write new ones beside them and rename them into place"
    )]
    Unsettled {
        /// How often they were read.
        times: u32,
    },
    /// The runtime or a signal handler.
    #[error("cannot {step}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the system answered.
        source: io::Error,
    },
}

impl ServerError {
    /// Whether what the operator typed is wrong, rather than the world.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Settings(
                SettingsError::Environment { .. }
                    | SettingsError::Value { .. }
                    | SettingsError::Variable { .. }
                    | SettingsError::Half { .. }
                    | SettingsError::ConfigFile { .. }
            )
        )
    }
}

/// Why a certificate and key can't be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error(
        "TLS is on ({origin}): {source}; give both files with --tls=CERT,KEY, or serve plain HTTP with --no-tls"
    )]
    File {
        /// Where the setting comes from.
        origin: Origin,
        /// What happened.
        source: FsError,
    },
    /// The file holds no PEM certificate.
    #[error("{} holds no certificate (a PEM block `BEGIN CERTIFICATE`)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no key.
    #[error(
        "{} holds no private key (a PEM block `BEGIN … PRIVATE KEY`, not encrypted)",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Certificate and key belong to different pairs.
    #[error(
        "the key {} is not that of the certificate {}: give the two files of one pair",
        key.display(),
        certificate.display()
    )]
    Foreign {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The pair is whole but can't be used.
    #[error("the certificate {} can't be served: {problem}", certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// What rustls says.
        problem: String,
    },
}
