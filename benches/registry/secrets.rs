//! The user and the certificate that all peers are given.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use warren::fs::{self, Access};

use super::Result;

const USER: &str = "bench";
const PASSWORD: &str = "only-for-benchmarks";

/// Files that servers are pointed to, and what clients need beside them.
pub struct Secrets {
    /// One user, bcrypt at the cost that `htpasswd -B` takes.
    pub htpasswd: PathBuf,
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    /// Trusts the certificate.
    pub trust: Arc<ClientConfig>,
}

impl Secrets {
    /// Makes them in this folder.
    pub fn make(folder: &Path) -> Result<Self> {
        let of = |name: &str| folder.join(name);
        let made = (of("htpasswd"), of("certificate.pem"), of("key.pem"));
        let hash = bcrypt::hash(PASSWORD, 5)?;
        fs::write_atomic(&made.0, format!("{USER}:{hash}\n").as_bytes(), Access::Owner)?;
        let pair = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&pair)?;
        fs::write_atomic(&made.1, certificate.pem().as_bytes(), Access::Owner)?;
        fs::write_atomic(&made.2, pair.serialize_pem().as_bytes(), Access::Owner)?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (htpasswd, certificate, key) = made;
        Ok(Self { htpasswd, certificate, key, trust: Arc::new(trust) })
    }

    /// The value of an `Authorization` header.
    pub fn basic() -> String {
        let pair = format!("{USER}:{PASSWORD}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }
}
