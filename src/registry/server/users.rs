use super::ServerError;
use crate::fs;
use crate::registry::auth::{Secret, Users, Verifier, parse_htpasswd, without_newline};
use crate::registry::settings::{PasswordSource, Setting, Settings};

/// Reads everyone who may log in: the one user of the settings and those of
/// the htpasswd file.
///
/// # Errors
/// [`ServerError`]: a file can't be read, a line of it is none, a password is
/// empty, a user is there twice.
pub fn load(settings: &Settings) -> Result<Users, ServerError> {
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
        for (name, verifier) in parse_htpasswd(path, &text)? {
            users.add(&name, verifier)?;
        }
        // An empty file must not open the registry to everyone.
        if users.is_empty() {
            let (path, origin) = (path.clone(), origin.clone());
            return Err(ServerError::NoUsers { path, origin });
        }
    }
    Ok(users)
}
