//! Any text is a policy, or refused with a place in it; nobody gets from it
//! what its rules don't name.
#![no_main]

use std::path::Path;

use warren::registry::access::Actions;
use warren::registry::auth::Policy;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let policy = match Policy::parse(Path::new("policy"), text) {
        Ok(policy) => policy,
        Err(error) => {
            let said = error.to_string();
            let lines = text.lines().count().max(1);
            let within = (1..=lines + 1).any(|line| said.starts_with(&format!("policy:{line}:")));
            assert!(within, "{said}");
            return;
        }
    };
    assert!(text.contains("rule"));
    for repository in ["team/app", "a", "a/b/c"] {
        let anyone = policy.granted(None, repository);
        // Who logs in may do at least what everyone may.
        assert!(policy.granted(Some("ada"), repository).contains(anyone));
        if anyone != Actions::NONE {
            assert!(policy.is_for_anyone());
        }
        if !text.contains("pull") && !text.contains('\\') {
            assert!(!policy.granted(Some("ada"), repository).contains(Actions::PULL));
        }
    }
    for (user, line) in policy.users() {
        assert!(!user.is_empty());
        assert!(line >= 1 && line <= text.lines().count());
    }
});
