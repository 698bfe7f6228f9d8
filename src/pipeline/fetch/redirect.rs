//! Which redirects are followed: those that stay on their host and do not give
//! up TLS.

use ureq::http::Uri;

use super::address::origin;

/// Why a redirect is not followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It leads to another host.
    OtherHost {
        /// The host that was asked.
        from: String,
        /// The host that it leads to.
        to: String,
    },
    /// It leads from https to http, or is no url.
    Unusable(String),
}

/// The url that a `Location` seen at `from` leads to.
pub(super) fn follow(from: &str, location: &str) -> Result<String, Refusal> {
    let unusable = |why: &str| Refusal::Unusable(format!("its redirect `{location}` {why}"));
    let here: Uri = from.parse().map_err(|_| unusable("starts at no url"))?;
    let (Some(scheme), Some(authority)) = (here.scheme_str(), here.authority()) else {
        return Err(unusable("starts at no url"));
    };
    let target = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let folder = here.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let there: Uri = target.parse().map_err(|_| unusable("is no url"))?;
    let (Some(to_scheme), Some(to)) = (there.scheme_str(), there.host()) else {
        return Err(unusable("is no url"));
    };
    let from_host = authority.host();
    if !from_host.eq_ignore_ascii_case(to) {
        return Err(Refusal::OtherHost { from: from_host.to_owned(), to: to.to_owned() });
    }
    match (scheme, to_scheme) {
        ("http", "http" | "https") | ("https", "https") => Ok(target),
        _ => Err(unusable("leaves https")),
    }
}

/// The url that a `Location` seen at `from` leads to, where that is at the same scheme,
/// host and port: what a secret was given for.
#[must_use]
pub fn at_same_origin(from: &str, location: &str) -> Option<String> {
    follow(from, location).ok().filter(|target| origin(target) == origin(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_its_host_and_keeps_tls() {
        let from = "https://git.example/a/info/refs?service=x";
        for (location, target) in [
            ("/b/info/refs", "https://git.example/b/info/refs"),
            ("https://GIT.example:8443/b", "https://GIT.example:8443/b"),
            ("//git.example/b", "https://git.example/b"),
            ("more", "https://git.example/a/info/more"),
        ] {
            assert_eq!(follow(from, location).as_deref(), Ok(target));
        }
        assert_eq!(
            follow(from, "https://evil.example/a"),
            Err(Refusal::OtherHost { from: "git.example".into(), to: "evil.example".into() })
        );
        assert!(matches!(follow(from, "http://git.example/a"), Err(Refusal::Unusable(_))));
        assert!(follow("http://git.example/a", "https://git.example/a").is_ok());
    }

    #[test]
    fn a_secret_follows_within_its_origin_only() {
        let leads = |location| at_same_origin("https://api.example/repos/a/b", location);
        let there = "https://api.example/repositories/7";
        assert_eq!(leads("/repositories/7").as_deref(), Some(there));
        assert_eq!(leads(there).as_deref(), Some(there));
        assert!(leads("https://API.example:443/repositories/7").is_some());
        for elsewhere in [
            "https://api.example.evil/x",
            "https://api.example@evil/x",
            "http://api.example/x",
            "https://api.example:8443/x",
            "//evil/x",
        ] {
            assert_eq!(leads(elsewhere), None, "{elsewhere}");
        }
    }
}
