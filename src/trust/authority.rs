//! A private certificate authority in a folder: `ca.crt` and `ca.key`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::{Duration, OffsetDateTime};

use crate::fs::{self, Access, FsError};

/// How long an authority lasts.
const AUTHORITY_DAYS: i64 = 3650;
/// How long an issued certificate lasts: what clients accept at the most.
const LEAF_DAYS: i64 = 397;
/// Where the authority is that is to follow, within the folder.
const NEXT: &str = "next";
/// Where the authority is kept that went before.
const OLD: &str = "old";
/// The certificates that clients are to trust during a rotation.
const BUNDLE: &str = "bundle.crt";
/// Clocks differ: what is issued is valid from a little before now.
const BACKDATE: Duration = Duration::hours(1);

/// Why an authority could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file could not be read or written.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// One of the two files is there and the other is not.
    #[error(
        "{} is there but {} is not: put the missing one back, or remove both to have a new \
         authority made (clients must then trust the new one)",
        found.display(), missing.display()
    )]
    Half {
        /// The file that is there.
        found: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A file holds something else.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What the key signs does not verify under the certificate.
    #[error(
        "{} does not vouch for what {} signs ({reason}): the two are not a pair, or the authority \
         has expired; remove both to have a new one made",
        certificate.display(), key.display()
    )]
    Foreign {
        /// The authority's certificate.
        certificate: PathBuf,
        /// The authority's key.
        key: PathBuf,
        /// What the verification said.
        reason: String,
    },
    /// A key or certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// A private certificate authority. ECDSA P-256, ten years; its key is in a
/// file of mode 0600.
pub struct Authority {
    certificate: PathBuf,
    key_path: PathBuf,
    certificate_pem: String,
    key_pem: String,
    new: bool,
}

/// A certificate with its chain, and its key.
pub struct Issued {
    /// The certificate, then the authority's: PEM.
    pub chain_pem: String,
    /// PKCS#8 PEM.
    pub key_pem: String,
}

impl Authority {
    /// Opens the authority in this folder, or makes one where there is none.
    ///
    /// # Errors
    /// When the folder can't be written, holds half an authority, or a pair
    /// that does not match.
    pub fn open_or_make(folder: &Path) -> Result<Self, TrustError> {
        match Self::open(folder)? {
            Some(found) => Ok(found),
            None => Self::make(folder, folder.join("ca.crt"), folder.join("ca.key")),
        }
    }

    /// Opens the authority in this folder; `None` where there is none.
    ///
    /// # Errors
    /// When the folder holds half an authority, a pair that does not match, or
    /// what a rotation left without one.
    pub fn open(folder: &Path) -> Result<Option<Self>, TrustError> {
        let certificate = folder.join("ca.crt");
        let key_path = folder.join("ca.key");
        let text = |path: &Path| -> Result<Option<String>, TrustError> {
            let Some(bytes) = fs::read_if_there(path)? else { return Ok(None) };
            String::from_utf8(bytes).map(Some).map_err(|_| TrustError::Content {
                path: path.to_owned(),
                reason: "not a PEM file: it is not even text".to_owned(),
            })
        };
        match (text(&certificate)?, text(&key_path)?) {
            (Some(certificate_pem), Some(key_pem)) => {
                let found = Self { certificate, key_path, certificate_pem, key_pem, new: false };
                // A pair that is none would be noticed by the first client otherwise.
                found.issue(&["localhost".to_owned()])?;
                Ok(Some(found))
            }
            (None, None) if folder.join(NEXT).exists() || folder.join(OLD).exists() => {
                Err(TrustError::Content {
                    path: certificate,
                    reason: "is not there, while a rotation's other authorities are: put it and \
                             its key back"
                        .to_owned(),
                })
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(TrustError::Half { found: certificate, missing: key_path }),
            (None, Some(_)) => Err(TrustError::Half { found: key_path, missing: certificate }),
        }
    }

    fn make(folder: &Path, certificate: PathBuf, key_path: PathBuf) -> Result<Self, TrustError> {
        let key = KeyPair::generate()?;
        let mut params = authority_params();
        params.not_before = OffsetDateTime::now_utc() - BACKDATE;
        params.not_after = OffsetDateTime::now_utc() + Duration::days(AUTHORITY_DAYS);
        let certificate_pem = params.self_signed(&key)?.pem();
        let key_pem = key.serialize_pem();
        fs::create_dir_all(folder)?;
        fs::write_atomic(&key_path, key_pem.as_bytes(), Access::Owner)?;
        // A crash between the two would leave half an authority: nothing was
        // signed by it yet, so the first file may go again.
        if let Err(error) =
            fs::write_atomic(&certificate, certificate_pem.as_bytes(), Access::Everyone)
        {
            fs::remove_if_there(&key_path)?;
            return Err(error.into());
        }
        Ok(Self { certificate, key_path, certificate_pem, key_pem, new: true })
    }

    /// When it expires, in seconds since 1970.
    ///
    /// # Errors
    /// When its file holds no certificate.
    pub fn expires(&self) -> Result<i64, TrustError> {
        expiry(&self.certificate_pem)
            .map_err(|reason| TrustError::Content { path: self.certificate.clone(), reason })
    }

    /// Whether this call made it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// The file that clients are to trust.
    #[must_use]
    pub fn certificate_path(&self) -> &Path {
        &self.certificate
    }

    /// The authority's certificate: PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key: PKCS#8 PEM. Never print it.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Makes the authority that is to follow the one in this folder, beside it,
    /// or finds it there; and writes `bundle.crt` with both certificates, for
    /// clients to trust until nothing is signed by the old one any more.
    ///
    /// # Errors
    /// When there is none to follow, and as [`Authority::open_or_make`].
    pub fn prepare_next(folder: &Path) -> Result<(Self, PathBuf), TrustError> {
        let now = Self::open(folder)?.ok_or_else(|| TrustError::Content {
            path: folder.to_owned(),
            reason: "holds no authority that another could follow".to_owned(),
        })?;
        let next = Self::open_or_make(&folder.join(NEXT))?;
        let bundle = folder.join(BUNDLE);
        let text = format!("{}{}", now.certificate_pem, next.certificate_pem);
        fs::write_atomic(&bundle, text.as_bytes(), Access::Everyone)?;
        Ok((next, bundle))
    }

    /// Puts the prepared authority in the place of the one in this folder,
    /// which is kept beside it. The bundle still holds both.
    ///
    /// # Errors
    /// When none was prepared, and when a file can't be written.
    pub fn switch_to_next(folder: &Path) -> Result<Self, TrustError> {
        let next = folder.join(NEXT);
        let (key, certificate) = (next.join("ca.key"), next.join("ca.crt"));
        if !certificate.exists() {
            return Err(TrustError::Content {
                path: next,
                reason: "no authority was prepared to follow".to_owned(),
            });
        }
        // Where only the certificate is left, a call before this one was cut
        // off after the key.
        if key.exists() {
            Self::open(&next)?;
            keep_old(folder)?;
            fs::rename(&key, &folder.join("ca.key"))?;
        }
        fs::rename(&certificate, &folder.join("ca.crt"))?;
        fs::remove_dir_all_if_there(&next)?;
        fs::sync_dir(folder)?;
        Self::open_or_make(folder)
    }

    /// The certificate of the authority that the last rotation replaced: PEM.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn replaced(folder: &Path) -> Result<Option<String>, TrustError> {
        let mut newest = None;
        for (_, old) in olds(folder).take_while(|(there, _)| *there) {
            newest = fs::read_if_there(&old.join("ca.crt"))?;
        }
        Ok(newest.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// What clients are to trust: the bundle while a rotation is under way,
    /// else the certificate. PEM.
    ///
    /// # Errors
    /// When the bundle can't be read.
    pub fn trusted_pem(&self) -> Result<String, TrustError> {
        let bundle = self.certificate.with_file_name(BUNDLE);
        let Some(bytes) = fs::read_if_there(&bundle)? else {
            return Ok(self.certificate_pem.clone());
        };
        String::from_utf8(bytes).map_err(|_| TrustError::Content {
            path: bundle,
            reason: "not a PEM file: it is not even text".to_owned(),
        })
    }

    /// Issues a server certificate for these host names and IP addresses.
    /// It is verified under the authority's certificate before it is given out.
    ///
    /// # Errors
    /// When the key file holds no key, or is not the certificate's pair.
    pub fn issue(&self, names: &[String]) -> Result<Issued, TrustError> {
        let key = KeyPair::from_pem(&self.key_pem).map_err(|error| TrustError::Content {
            path: self.key_path.clone(),
            reason: format!("holds no private key that can sign: {error}"),
        })?;
        // By the certificate's own name, so that another program's authority,
        // such as the notes' openssl one, signs as well as ours.
        let issuer = Issuer::from_ca_cert_pem(&self.certificate_pem, key).map_err(|error| {
            TrustError::Content {
                path: self.certificate.clone(),
                reason: format!("holds no certificate of an authority: {error}"),
            }
        })?;
        let leaf_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        params.not_before = OffsetDateTime::now_utc() - BACKDATE;
        params.not_after = OffsetDateTime::now_utc() + Duration::days(LEAF_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&leaf_key, &issuer)?;
        self.verify(leaf.der(), names)?;
        Ok(Issued {
            chain_pem: format!("{}{}", leaf.pem(), self.certificate_pem),
            key_pem: leaf_key.serialize_pem(),
        })
    }

    /// Does what a client does: builds the chain and checks names and dates.
    fn verify(&self, leaf: &CertificateDer<'_>, names: &[String]) -> Result<(), TrustError> {
        let foreign = |reason: String| TrustError::Foreign {
            certificate: self.certificate.clone(),
            key: self.key_path.clone(),
            reason,
        };
        let content =
            |reason: String| TrustError::Content { path: self.certificate.clone(), reason };
        let mut roots = RootCertStore::empty();
        let mut pem = self.certificate_pem.as_bytes();
        for certificate in rustls_pemfile::certs(&mut pem) {
            let certificate = certificate.map_err(|error| content(error.to_string()))?;
            roots.add(certificate).map_err(|error| content(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(content("holds no certificate".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| content(error.to_string()))?;
        for name in names {
            let name = ServerName::try_from(name.as_str())
                .map_err(|_| foreign(format!("`{name}` is no host name")))?;
            verifier
                .verify_server_cert(leaf, &[], &name, &[], UnixTime::now())
                .map_err(|error| foreign(error.to_string()))?;
        }
        Ok(())
    }
}

/// The folders of replaced authorities, the oldest first, and whether they are
/// there.
fn olds(folder: &Path) -> impl Iterator<Item = (bool, PathBuf)> {
    let folder = folder.to_owned();
    (1_u32..).map(move |count| {
        let name = if count == 1 { OLD.to_owned() } else { format!("{OLD}-{count}") };
        let path = folder.join(name);
        (path.exists(), path)
    })
}

/// Copies the authority of a folder beside it, once.
fn keep_old(folder: &Path) -> Result<(), TrustError> {
    let certificate = fs::read(&folder.join("ca.crt"))?;
    for (there, old) in olds(folder) {
        let kept = fs::read_if_there(&old.join("ca.crt"))?;
        if there && kept.as_ref().is_some_and(|kept| *kept != certificate) {
            continue;
        }
        fs::create_dir_all(&old)?;
        fs::write_atomic(&old.join("ca.key"), &fs::read(&folder.join("ca.key"))?, Access::Owner)?;
        fs::write_atomic(&old.join("ca.crt"), &certificate, Access::Everyone)?;
        break;
    }
    Ok(())
}

/// When the first certificate of a PEM text expires, in seconds since 1970.
///
/// # Errors
/// What is wrong with the text.
pub fn expiry(pem: &str) -> Result<i64, String> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|error| format!("no PEM certificate: {error}"))?;
    let certificate = pem.parse_x509().map_err(|error| format!("no certificate: {error}"))?;
    Ok(certificate.validity().not_after.timestamp())
}

/// Whether the first certificate of a PEM text is an authority's.
#[must_use]
pub fn is_authority(pem: &str) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem.as_bytes()) else { return false };
    pem.parse_x509().is_ok_and(|certificate| certificate.is_ca())
}

/// What every authority of ours is called and may do.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Warren private CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["registry.example".into(), "localhost".into(), "127.0.0.1".into(), "::1".into()]
    }

    #[test]
    fn a_second_run_finds_the_authority_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open_or_make(folder.path()).unwrap();
        let second = Authority::open_or_make(folder.path()).unwrap();
        assert!(first.is_new() && !second.is_new());
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        second.issue(&names()).unwrap();
    }

    #[test]
    fn the_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Authority::open_or_make(folder.path()).unwrap();
        let mode = |name| {
            std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("ca.key"), mode("ca.crt") & 0o600), (0o600, 0o600));
    }

    #[test]
    fn another_programs_authority_signs_too() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Lapin");
        params.distinguished_name.push(DnType::CommonName, "made by hand");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let (crt, path) = (folder.path().join("ca.crt"), folder.path().join("ca.key"));
        fs::write_atomic(&crt, pem.as_bytes(), Access::Everyone).unwrap();
        fs::write_atomic(&path, key.serialize_pem().as_bytes(), Access::Owner).unwrap();
        let authority = Authority::open_or_make(folder.path()).unwrap();
        assert!(!authority.is_new());
        authority.issue(&names()).unwrap();
    }

    #[test]
    fn a_rotation_keeps_both_trusted_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let old = Authority::open_or_make(folder.path()).unwrap();
        assert!(Authority::switch_to_next(folder.path()).is_err(), "nothing was prepared");
        assert_eq!(old.trusted_pem().unwrap(), old.certificate_pem());
        let (next, _) = Authority::prepare_next(folder.path()).unwrap();
        let (again, _) = Authority::prepare_next(folder.path()).unwrap();
        assert_eq!(next.certificate_pem(), again.certificate_pem());
        let both = format!("{}{}", old.certificate_pem(), next.certificate_pem());
        assert_eq!(old.trusted_pem().unwrap(), both);
        let now = Authority::switch_to_next(folder.path()).unwrap();
        assert_eq!(now.certificate_pem(), next.certificate_pem());
        assert_eq!(now.trusted_pem().unwrap(), both);
        assert!(folder.path().join("old/ca.key").exists());
        assert_eq!(
            Authority::replaced(folder.path()).unwrap().as_deref(),
            Some(old.certificate_pem())
        );
        let day = 86_400;
        let left = now.expires().unwrap() - OffsetDateTime::now_utc().unix_timestamp();
        assert!((3649 * day..=3650 * day).contains(&left), "{left}");
        assert!(is_authority(now.certificate_pem()));
        assert!(!is_authority(&now.issue(&names()).unwrap().chain_pem));
    }

    #[test]
    fn a_rotation_that_was_cut_off_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let old = Authority::open_or_make(folder.path()).unwrap();
        let (next, _) = Authority::prepare_next(folder.path()).unwrap();
        // As it is after the key came in and before the certificate did.
        keep_old(folder.path()).unwrap();
        fs::rename(&path("next/ca.key"), &path("ca.key")).unwrap();
        assert!(Authority::open_or_make(folder.path()).is_err(), "no third one is made");
        let now = Authority::switch_to_next(folder.path()).unwrap();
        assert_eq!(now.certificate_pem(), next.certificate_pem());
        assert!(!path("old-2").exists());
        // What a rotation left is no reason to make another.
        fs::remove_if_there(&path("ca.crt")).unwrap();
        fs::remove_if_there(&path("ca.key")).unwrap();
        let error = Authority::open_or_make(folder.path()).err().unwrap().to_string();
        assert!(error.contains("put it and its key back"), "{error}");
        assert_eq!(
            Authority::replaced(folder.path()).unwrap().as_deref(),
            Some(old.certificate_pem())
        );
    }

    #[test]
    fn half_an_authority_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open_or_make(folder.path()).unwrap();
        fs::remove_if_there(&folder.path().join("ca.key")).unwrap();
        let error = Authority::open_or_make(folder.path()).err().unwrap().to_string();
        assert!(error.contains("ca.key is not"), "{error}");
        assert!(folder.path().join("ca.crt").exists());
    }

    #[test]
    fn a_foreign_certificate_is_refused() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Authority::open_or_make(ours.path()).unwrap();
        let other = Authority::open_or_make(theirs.path()).unwrap();
        let path = ours.path().join("ca.crt");
        fs::write_atomic(&path, other.certificate_pem().as_bytes(), Access::Everyone).unwrap();
        let error = Authority::open_or_make(ours.path()).err().unwrap();
        assert!(matches!(error, TrustError::Foreign { .. }), "{error}");
        fs::write_atomic(&path, b"nothing", Access::Everyone).unwrap();
        let error = Authority::open_or_make(ours.path()).err().unwrap();
        assert!(error.to_string().contains("holds no certificate"), "{error}");
    }
}
