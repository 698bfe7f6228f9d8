use std::path::Path;
use std::str::FromStr as _;

use super::AuthError;
use super::argon2id::Argon2id;
use super::users::{MAX_COST, Users, Verifier};

/// Adds the users of an htpasswd file, `user:hash` a line, bcrypt or argon2id.
/// Empty lines and lines that start with `#` are skipped. `path` is for the errors.
///
/// # Errors
/// [`AuthError::Htpasswd`] with the line, for a line without a colon, for a
/// user that is there already, and for hashes of another kind.
pub fn parse(path: &Path, text: &str, users: &mut Users) -> Result<(), AuthError> {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refused =
            |problem| AuthError::Htpasswd { path: path.to_owned(), line: index + 1, problem };
        let (name, verifier) = parse_line(line).map_err(refused)?;
        users.add(&name, verifier).map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

fn parse_line(line: &str) -> Result<(String, Verifier), String> {
    let (user, hash) =
        line.split_once(':').ok_or_else(|| "expected `user:hash`, found no colon".to_owned())?;
    if user.is_empty() {
        return Err("the user name before the colon is empty".to_owned());
    }
    if hash.starts_with("$argon2") {
        let hash = Argon2id::parse(hash)
            .map_err(|problem| format!("the hash of the user {user:?} {problem}"))?;
        return Ok((user.to_owned(), Verifier::Argon2id(hash)));
    }
    if !["$2a$", "$2b$", "$2y$"].iter().any(|prefix| hash.starts_with(prefix)) {
        return Err(format!(
            "the hash of the user {user:?} is not bcrypt and not argon2id: write the line with `htpasswd -B`"
        ));
    }
    let parts = bcrypt::HashParts::from_str(hash)
        .map_err(|_| format!("the bcrypt hash of the user {user:?} is damaged"))?;
    let cost = parts.get_cost();
    if !(4..=MAX_COST).contains(&cost) {
        return Err(format!(
            "the bcrypt cost of the user {user:?} is {cost}, and 4 to {MAX_COST} are possible: a higher one would let a few logins occupy the machine"
        ));
    }
    Ok((user.to_owned(), Verifier::Bcrypt { hash: hash.to_owned(), cost }))
}
