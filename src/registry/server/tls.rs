use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::TlsError;
use crate::fs;
use crate::registry::settings::Origin;

/// The TLS configuration of new connections. It can be replaced while the
/// server runs; connections keep the one they began with.
pub struct TlsSwitch(RwLock<Arc<ServerConfig>>);

impl TlsSwitch {
    /// Serves this configuration.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(RwLock::new(config))
    }

    /// What a new connection gets.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves another configuration from the next connection on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }
}

/// Reads a certificate chain and its key from PEM files. A certificate whose
/// time is over, or has not come, is served, with a line in the log: clients
/// say it better than a server that does not start.
///
/// # Errors
/// [`TlsError`], which names the file and what is wrong with it.
pub fn load(
    certificate: &Path,
    key: &Path,
    origin: &Origin,
) -> Result<Arc<ServerConfig>, TlsError> {
    let read =
        |path| fs::read(path).map_err(|source| TlsError::File { origin: origin.clone(), source });
    let chain = chain(certificate, &read(certificate)?)?;
    let private = private_key(key, &read(key)?)?;
    warn_about_validity(certificate, &chain);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Foreign { certificate: certificate.to_owned(), key: key.to_owned() }
        }
        rustls::Error::InvalidCertificate(_) => {
            TlsError::Damaged { path: certificate.to_owned(), problem: error.to_string() }
        }
        other => {
            TlsError::Unusable { certificate: certificate.to_owned(), problem: other.to_string() }
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = rustls_pemfile::certs(&mut &*pem)
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    rustls_pemfile::private_key(&mut &*pem)
        .map_err(|error| damaged(path, &error))?
        .ok_or_else(|| TlsError::NoKey { path: path.to_owned() })
}

fn damaged(path: &Path, problem: &std::io::Error) -> TlsError {
    TlsError::Damaged { path: path.to_owned(), problem: problem.to_string() }
}

fn warn_about_validity(path: &Path, chain: &[CertificateDer<'_>]) {
    let Some((_, certificate)) =
        chain.first().and_then(|der| X509Certificate::from_der(der.as_ref()).ok())
    else {
        return;
    };
    let validity = certificate.validity();
    if !validity.is_valid() {
        tracing::warn!(
            certificate = %path.display(),
            not_before = %validity.not_before,
            not_after = %validity.not_after,
            "the certificate is not valid now; clients will refuse it"
        );
    }
}
