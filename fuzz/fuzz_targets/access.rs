//! Any text is a users file, credentials or a scope, or refused; an error
//! names its line, and says nothing of a hash or a password.
#![no_main]

use std::path::Path;

use warren::registry::auth::{Credentials, Scope, Users, parse_htpasswd};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut users = Users::default();
    match parse_htpasswd(Path::new("users"), text, &mut users) {
        Ok(()) => assert!(users.is_empty() || text.contains(':')),
        Err(error) => {
            let said = error.to_string();
            let line = text
                .lines()
                .enumerate()
                .find(|(index, _)| said.starts_with(&format!("users, line {}:", index + 1)));
            let (_, line) = line.expect("the error names a line that there is");
            if let Some((user, hash)) = line.trim().split_once(':')
                && hash.len() > 20
                && !user.contains(hash)
            {
                assert!(!said.contains(hash) || is_our_own(hash, text), "{said}");
            }
        }
    }
    let _ = Credentials::parse(text.as_bytes());
    for scope in Scope::parse_list(text) {
        // A scope is written as it is read.
        let again = Scope::parse(&scope.to_string());
        assert_eq!(again.as_ref(), Some(&scope), "{text}");
        assert!(scope.covers(&scope));
    }
});

/// Whether an error has these words whatever the file has in their place: the
/// fuzzer learns our sentences, and writes one as a hash. Its kind stays as it is,
/// since it decides on the sentence.
fn is_our_own(words: &str, text: &str) -> bool {
    let kinds = ["$argon2", "$2a$", "$2b$", "$2y$"];
    let kind = kinds.into_iter().find(|kind| words.starts_with(kind)).unwrap_or_default();
    let other = if words.contains('x') { "y" } else { "x" };
    let masked = format!("{kind}{}", other.repeat(words.len() - kind.len()));
    let mut users = Users::default();
    parse_htpasswd(Path::new("users"), &text.replace(words, &masked), &mut users)
        .is_err_and(|error| error.to_string().contains(words))
}
