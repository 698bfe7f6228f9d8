//! The values of an environment that are text with a grammar. Each type holds
//! only what its grammar allows, so no later step checks again.

use std::fmt;

use serde::Deserialize;

/// Declares a type over `String` whose `TryFrom<String>` runs a check.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text as it stands in the file.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A value written in this program, whose grammar a test checks.
            #[allow(dead_code, reason = "only some of the types have defaults")]
            pub(super) fn literal(text: &'static str) -> Self {
                debug_assert!($check(text).is_ok());
                Self(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                match $check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(reason) => Err(format!("`{}` {reason}", text.escape_debug())),
                }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = String;

            fn try_from(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// A host name by RFC 1123 section 2.1 with at least one dot, lower case,
    /// at most 253 bytes.
    Domain, domain
}
text! {
    /// A label by RFC 1123: the name of a namespace or of an object.
    ObjectName, label
}
text! {
    /// An amount as Kubernetes writes it: `10Gi`, `250m`, `0.5`, `1e9`.
    Quantity, quantity
}
text! {
    /// A path from the root, without `.`, `..` or empty parts.
    AbsolutePath, absolute_path
}
text! {
    /// A name for Basic authentication: printable, without `:` and blanks
    /// (RFC 7617 section 2).
    UserName, user_name
}
text! {
    /// The name of a kubeconfig context: any printable text.
    ContextName, context
}
text! {
    /// An image with a tag other than `latest`, a digest, or both.
    ImageReference, image
}
text! {
    /// A size as nginx writes it: `0` for no limit, or a number with `k`, `m` or `g`.
    BodySize, body_size
}

type Check = Result<(), &'static str>;

/// `Ok` where the condition holds, else the reason.
fn require(holds: bool, reason: &'static str) -> Check {
    if holds { Ok(()) } else { Err(reason) }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn label(text: &str) -> Check {
    require(
        is_label(text),
        "is no name for Kubernetes: use 1 to 63 of a-z, 0-9 and `-`, with no `-` at either end",
    )
}

fn domain(text: &str) -> Check {
    require(text.len() <= 253, "is longer than the 253 characters of a host name")?;
    require(!text.contains("://"), "is a URL: give the host name alone")?;
    require(!text.contains(':'), "has a port: give the host name alone")?;
    require(
        text.split('.').all(is_label),
        "is no host name: use labels of a-z, 0-9 and `-`, joined by dots",
    )?;
    require(text.contains('.'), "has no dot: clients would look for it on Docker Hub")?;
    let last = text.rsplit('.').next().unwrap_or_default();
    require(!last.bytes().all(|b| b.is_ascii_digit()), "is an address: give a host name")
}

fn quantity(text: &str) -> Check {
    const SUFFIXES: [&str; 13] =
        ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "m", "k", "M", "G", "T", "P", "E"];
    let number = SUFFIXES.iter().find_map(|suffix| text.strip_suffix(suffix));
    let number = number.unwrap_or_else(|| match text.split_once(['e', 'E']) {
        Some((number, power)) if is_power(power) => number,
        _ => text,
    });
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = digits(whole) && digits(part);
    require(valid, "is no quantity: write a number and a unit, such as `10Gi` or `250m`")?;
    require(
        number.bytes().any(|byte| (b'1'..=b'9').contains(&byte)),
        "is nothing: write more than 0",
    )
}

/// The power of ten of `1e9`: digits, with or without a sign.
fn is_power(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn absolute_path(text: &str) -> Check {
    let Some(below) = text.strip_prefix('/') else {
        return Err("is no absolute path: begin with `/`");
    };
    require(!below.is_empty(), "is the root of the file system: name a folder below it")?;
    require(!text.chars().any(char::is_control), "holds a control character")?;
    require(!text.contains(':'), "holds a `:`, which Kubernetes refuses in a path")?;
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    require(below.split('/').all(plain), "holds an empty part, `.` or `..`: write it plainly")
}

fn user_name(text: &str) -> Check {
    require(!text.is_empty(), "is empty: name a user")?;
    require(!text.contains(':'), "holds a `:`, with which Basic authentication cannot log in")?;
    require(text.chars().all(|c| c.is_ascii_graphic()), "holds a character other than plain ASCII")
}

fn context(text: &str) -> Check {
    require(!text.is_empty(), "is empty: see `kubectl config get-contexts`")?;
    require(!text.starts_with('-'), "begins with `-`, which kubectl takes for an option")?;
    require(!text.chars().any(|c| c.is_control() || c.is_whitespace()), "holds a blank")
}

fn image(text: &str) -> Check {
    const GRAMMAR: &str = "is no image: write `host/name:tag`, `host/name@sha256:…` or both";
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (name, None),
    };
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    // The first part may be a host with a port.
    let parts = |part: &str| part.split(':').all(word);
    require(name.split('/').all(parts) && tag.is_none_or(word), GRAMMAR)?;
    require(tag.is_none_or(|tag| tag.len() <= 128), GRAMMAR)?;
    require(digest.is_none_or(is_sha256), GRAMMAR)?;
    require(tag.is_some() || digest.is_some(), "has neither tag nor digest: pin one")?;
    require(digest.is_some() || tag != Some("latest"), "moves: pin a tag other than `latest`")
}

fn is_sha256(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn body_size(text: &str) -> Check {
    let number = text.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G']).unwrap_or(text);
    let valid = (1..=12).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    require(valid, "is no size: write `0` for no limit, or a number with `k`, `m` or `g`")
}
