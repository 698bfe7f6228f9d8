use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _};
use sha2::Sha256;

use super::AuthError;
use crate::fs;

/// The bytes of a new key: one block of the hash.
const LEN: usize = 64;
/// The least that a file must hold: what HS256 asks for (RFC 7518, section
/// 3.2).
const LEAST: usize = 32;

/// The key that signs tokens. It lives in a file below the data folder, so
/// that tokens survive a restart and hold on every replica of the folder.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl TokenKey {
    /// The file of the key below a data folder.
    #[must_use]
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("auth").join("token.key")
    }

    /// Reads the key of a data folder, or makes it. Of several processes that
    /// start at once on a new folder one writes the key and all read it.
    ///
    /// # Errors
    /// [`AuthError`]: the file can't be read or written, or holds no key.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, AuthError> {
        let path = Self::path(data_dir);
        if let Some(key) = Self::load(&path)? {
            return Ok(key);
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = format!("{}\n", STANDARD.encode(random()?));
        fs::write_new(&path, text.as_bytes(), fs::Access::Owner)?;
        Self::load(&path)?.ok_or(AuthError::Key { path })
    }

    /// Reads the key from a file that somebody else looks after, a Secret that
    /// several replicas share.
    ///
    /// # Errors
    /// [`AuthError`]: the file is not there, can't be read, or holds no key.
    pub fn read(path: &Path) -> Result<Self, AuthError> {
        // The plain read is for its error, which says that there is no file.
        match Self::load(path)? {
            Some(key) => Ok(key),
            None => Err(fs::read(path)
                .err()
                .map_or_else(|| AuthError::Key { path: path.to_owned() }, AuthError::File)),
        }
    }

    /// A key of this process alone.
    ///
    /// # Errors
    /// [`AuthError::Random`] when the system gives no random bytes.
    pub fn random() -> Result<Self, AuthError> {
        Ok(Self(Hmac::new(&random()?.into())))
    }

    pub(super) fn mac(&self) -> Hmac<Sha256> {
        self.0.clone()
    }

    fn load(path: &Path) -> Result<Option<Self>, AuthError> {
        let Some(bytes) = fs::read_if_there(path)? else { return Ok(None) };
        let damaged = || AuthError::Key { path: path.to_owned() };
        let key = STANDARD.decode(bytes.trim_ascii()).map_err(|_| damaged())?;
        if key.len() < LEAST {
            return Err(damaged());
        }
        Hmac::new_from_slice(&key).map(|mac| Some(Self(mac))).map_err(|_| damaged())
    }
}

fn random() -> Result<[u8; LEN], AuthError> {
    let mut key = [0; LEN];
    getrandom::fill(&mut key).map_err(AuthError::Random)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::token;
    use super::*;

    #[test]
    fn is_made_once_and_readable_by_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let first = TokenKey::load_or_create(dir.path()).unwrap();
        let second = TokenKey::load_or_create(dir.path()).unwrap();
        let claims = token::Claims::new("rabbit", None, 0, 60);
        let signed = token::sign(&claims, &first).unwrap();
        assert_eq!(token::verify(&signed, &second, 0), Ok(claims));
        let mode = TokenKey::path(dir.path()).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = TokenKey::path(dir.path());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for content in ["", "c2hvcnQ=", "not base64 at all, nor long enough"] {
            fs::write_atomic(&path, content.as_bytes(), fs::Access::Owner).unwrap();
            let error = TokenKey::load_or_create(dir.path()).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("token.key"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content.as_bytes());
        }
    }
}
