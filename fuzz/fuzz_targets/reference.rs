//! Any text is a digest, a name, a tag, a route, or refused; what is accepted
//! holds nothing that leads out of a folder.
#![no_main]

use axum::http::Method;
use warren::digest::Digest;
use warren::registry::http::Route;
use warren::registry::name::RepositoryName;
use warren::registry::reference::Reference;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let safe = |text: &str| {
        assert!(!text.split('/').any(|part| part.is_empty() || part == "." || part == ".."));
    };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        safe(digest.hex());
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        safe(name.as_ref());
    }
    if let Ok(reference) = text.parse::<Reference>() {
        safe(&reference.to_string());
    }
    for method in [Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
        if let Ok(route) = Route::parse(&method, text)
            && let (Some(name), _) = route.access()
        {
            safe(name.as_ref());
        }
    }
});
