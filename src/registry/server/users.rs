use super::ServerError;
use crate::fs;
use crate::registry::auth::{
    AccessList, Policy, Secret, TokenKey, Users, Verifier, parse_htpasswd, without_newline,
};
use crate::registry::settings::{PasswordSource, Setting, Settings};

/// Reads users and policy and then gets the key of their tokens.
/// A name in the policy that no user has is worth a line in the log, no more:
/// the two files change at different times.
///
/// # Errors
/// [`ServerError`]: a file can't be read or is none.
pub fn access_list(
    settings: &Settings,
    key: impl FnOnce() -> Result<TokenKey, ServerError>,
) -> Result<AccessList, ServerError> {
    let (users, policy) = (load(settings)?, policy(settings)?);
    let list = AccessList::new(users, policy, key()?)?;
    for (name, line) in list.strangers() {
        tracing::warn!(line, "the policy names {name:?}, which is no user's name");
    }
    Ok(list)
}

/// Reads the key of the tokens from its own file, or from the data folder,
/// where it is made on the first start.
///
/// # Errors
/// [`ServerError`]: the file can't be read or holds no key.
pub fn token_key(settings: &Settings) -> Result<TokenKey, ServerError> {
    Ok(match &settings.token_key_file.value {
        Some(path) => TokenKey::read(path)?,
        None => TokenKey::load_or_create(&settings.data_dir.value)?,
    })
}

fn policy(settings: &Settings) -> Result<Option<Policy>, ServerError> {
    let Setting { value: Some(path), origin } = &settings.policy else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|source| ServerError::UsersFile {
        setting: "policy",
        origin: origin.clone(),
        source,
    })?;
    Ok(Some(Policy::parse(path, &text)?))
}

/// Reads everyone who may log in: the one user of the settings and those of
/// the htpasswd file.
///
/// # Errors
/// [`ServerError`]: a file can't be read, a line of it is none, a password is
/// empty, a user is there twice.
fn load(settings: &Settings) -> Result<Users, ServerError> {
    let mut users = Users::default();
    if let (Some(user), Setting { value: Some(password), origin }) =
        (&settings.user.value, &settings.password)
    {
        let password = match password {
            PasswordSource::Value(password) => password.clone(),
            PasswordSource::File(path) => {
                let text = fs::read_to_string(path).map_err(|source| ServerError::UsersFile {
                    setting: "password",
                    origin: origin.clone(),
                    source,
                })?;
                let password = without_newline(&text);
                if password.is_empty() {
                    let (path, origin) = (path.clone(), origin.clone());
                    return Err(ServerError::EmptyPassword { path, origin });
                }
                Secret::new(password)
            }
        };
        users.add(user, Verifier::plain(&password))?;
    }
    if let Setting { value: Some(path), origin } = &settings.htpasswd {
        let text = fs::read_to_string(path).map_err(|source| ServerError::UsersFile {
            setting: "htpasswd",
            origin: origin.clone(),
            source,
        })?;
        parse_htpasswd(path, &text, &mut users)?;
        // An empty file must not open the registry to everyone.
        if users.is_empty() {
            let (path, origin) = (path.clone(), origin.clone());
            return Err(ServerError::NoUsers { path, origin });
        }
    }
    Ok(users)
}
