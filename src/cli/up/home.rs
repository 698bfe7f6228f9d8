//! The folder of a registry on this machine: its CA, its password, its data.

use std::path::{Path, PathBuf};

use crate::cli::error::CliError;
use crate::fs::{self, Access};
use crate::trust::Authority;

/// What `up` keeps between runs.
pub struct Home {
    /// The registry's data.
    pub data: PathBuf,
    /// The private CA.
    pub authority: Authority,
    /// A folder that holds the CA's certificate and nothing else: podman takes a
    /// key beside it for a client's.
    pub trust: PathBuf,
    /// Options for curl with the login, mode 0600, so that no password is an
    /// argument.
    pub curl: PathBuf,
    /// The server's certificate chain.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
    /// The login name.
    pub user: String,
    /// The password. Never printed.
    pub password: String,
    /// The file that holds it, mode 0600.
    pub password_file: PathBuf,
    /// Whether the password was made by this call.
    pub password_is_new: bool,
}

impl Home {
    /// Opens the folder, or makes what is missing in it: the CA, a password,
    /// and a certificate for these names.
    ///
    /// # Errors
    /// When the folder can't be written, or holds a CA that does not fit.
    pub fn open(folder: &Path, user: &str, names: &[String]) -> Result<Self, CliError> {
        let usable = |error: fs::FsError| {
            CliError::from(error).hint("name a folder that you can write with --data-dir DIR")
        };
        fs::create_dir_all(folder).map_err(usable)?;
        // Clients are given these paths, from whatever folder they run in.
        let folder = std::path::absolute(folder).map_err(|error| {
            CliError::failed(format!("cannot find {}", folder.display())).because(error)
        })?;
        if folder.to_string_lossy().contains(',') {
            // The registry's own setting of certificate and key parts them by a comma.
            return Err(CliError::failed(format!("{} has a comma in it", folder.display()))
                .hint("name a folder without one with --data-dir DIR"));
        }
        let authority = Authority::open_or_make(&folder.join("ca"))
            .map_err(|error| CliError::failed("the private CA").because(error))?;
        let issued = authority
            .issue(names)
            .map_err(|error| CliError::failed("the server's certificate").because(error))?;
        let (certificate, key) = (folder.join("tls/tls.crt"), folder.join("tls/tls.key"));
        fs::create_dir_all(&folder.join("tls")).map_err(usable)?;
        fs::write_atomic(&key, issued.key_pem.as_bytes(), Access::Owner).map_err(usable)?;
        fs::write_atomic(&certificate, issued.chain_pem.as_bytes(), Access::Everyone)
            .map_err(usable)?;
        let trust = folder.join("trust");
        fs::create_dir_all(&trust).map_err(usable)?;
        let pem = authority.certificate_pem().as_bytes();
        fs::write_atomic(&trust.join("ca.crt"), pem, Access::Everyone).map_err(usable)?;
        let password_file = folder.join("password");
        let (password, password_is_new) = password(&password_file)?;
        let curl = folder.join("curl");
        let login = format!("{user}:{password}").replace('\\', r"\\").replace('"', "\\\"");
        fs::write_atomic(&curl, format!("user = \"{login}\"\n").as_bytes(), Access::Owner)
            .map_err(usable)?;
        Ok(Self {
            trust,
            curl,
            data: folder.join("registry"),
            authority,
            certificate,
            key,
            user: user.to_owned(),
            password,
            password_file,
            password_is_new,
        })
    }
}

/// Reads the password, or makes one of 160 random bits where there is none.
fn password(file: &Path) -> Result<(String, bool), CliError> {
    if let Some(bytes) = fs::read_if_there(file)? {
        let text = String::from_utf8(bytes)
            .map_err(|_| CliError::failed(format!("{} is not text", file.display())))?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        if password.is_empty() {
            return Err(CliError::failed(format!("{} is empty", file.display()))
                .hint("write a password into it, or remove it to have one made"));
        }
        return Ok((password.to_owned(), false));
    }
    let mut random = [0; 20];
    getrandom::fill(&mut random)
        .map_err(|error| CliError::failed("the system gives no random bytes").because(error))?;
    let password = crate::digest::hex(&random);
    fs::write_atomic(file, password.as_bytes(), Access::Owner)?;
    Ok((password, true))
}
