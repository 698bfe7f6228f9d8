//! The values of an environment that are text with a grammar. Each type holds
//! only what its grammar allows, so no later step checks again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares a type over `String` whose `TryFrom<String>` runs a check. The
/// pattern says to editors what the check says here, as far as a pattern can.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $check:path, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        #[cfg(warren_schema)]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

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

/// Gives a type the schema of the keys that it is read from.
macro_rules! typed_as {
    ($name:ident, $keys:ident) => {
        #[cfg(warren_schema)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$keys as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}
pub(super) use typed_as;

text! {
    /// A host name by RFC 1123 section 2.1 with at least one dot, lower case,
    /// at most 253 bytes.
    Domain, domain, r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"
}
text! {
    /// A label by RFC 1123: the name of a namespace or of an object.
    ObjectName, label, r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
}
text! {
    /// Labels joined by dots: the name of a class, a Secret or a claim.
    DottedName, dotted, r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
}
text! {
    /// An amount as Kubernetes writes it: `10Gi`, `250m`, `0.5`, `1e9`.
    Quantity, quantity, r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[mkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
}
text! {
    /// A path from the root, without `.`, `..` or empty parts.
    AbsolutePath, absolute_path, r"^(/[^/:]+)+$"
}
text! {
    /// A YAML file below `environments/`, by its path from there.
    ManifestPath, manifest_path, r"^([A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*\.yaml$"
}
text! {
    /// A name for Basic authentication: printable, without `:` and blanks
    /// (RFC 7617 section 2).
    UserName, user_name, r"^[!-9;-~]+$"
}
text! {
    /// The name of a kubeconfig context: any printable text.
    ContextName, context, r"^[^-\s]\S*$"
}
text! {
    /// An image with a tag other than `latest`, a digest, or both.
    ImageReference, image, r"^[A-Za-z0-9._-]+(:[0-9]+)?(/[A-Za-z0-9._-]+)*(:[A-Za-z0-9._-]{1,128})?(@sha256:[0-9a-f]{64})?$"
}
text! {
    /// A size as nginx writes it: `0` for no limit, or a number with `k`, `m` or `g`.
    BodySize, body_size, r"^[0-9]{1,12}[kmgKMG]?$"
}
text! {
    /// The key of a label or an annotation: `name`, or `prefix.example/name`.
    LabelKey, label_key, r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
}
text! {
    /// The value of a label, which may be empty.
    LabelValue, label_value, r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$"
}
text! {
    /// A network, such as `10.0.0.0/8` or `fd00::/8`.
    Network, network, r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"
}
text! {
    /// The origin of a page, such as `https://ui.example`, or `*` for every page.
    PageOrigin, page_origin, r"^(\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?)$"
}
text! {
    /// A span of time: a number with `s`, `m` or `h`.
    Interval, interval, r"^[1-9][0-9]{0,5}[smh]$"
}
text! {
    /// An address of electronic mail.
    Email, email, r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
}
text! {
    /// A URL whose scheme is `https`.
    HttpsUrl, https_url, r"^https://[^\s/]+(/\S*)?$"
}
text! {
    /// The beginning of image names, such as `quay.io/team/`.
    ImagePrefix, image_prefix, r"^[A-Za-z0-9._:@/-]{1,255}$"
}
text! {
    /// An argument of the registry: one line without control characters.
    Argument, argument, r"^[^\u0000-\u001f\u007f]+$"
}
text! {
    /// Any text of one line or more, as an annotation takes it.
    AnnotationValue, annotation_value, r"^[^\u0000]*$"
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

fn dotted(text: &str) -> Check {
    require(
        text.len() <= 253 && text.split('.').all(is_label),
        "is no name for Kubernetes: use labels of a-z, 0-9 and `-`, joined by dots",
    )
}

fn manifest_path(text: &str) -> Check {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let yaml = text.strip_suffix(".yaml").is_some_and(|name| !name.is_empty());
    require(
        text.len() <= 255 && text.split('/').all(plain) && yaml,
        "is no path of a file below environments/: write it like `sealed/sandbox.yaml`",
    )
}

fn label_key(text: &str) -> Check {
    const GRAMMAR: &str = "is no key: write `name` or `prefix.example/name`";
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    require(!name.is_empty() && label_value(name).is_ok(), GRAMMAR)?;
    require(prefix.is_none_or(|prefix| dotted(prefix).is_ok()), GRAMMAR)
}

fn label_value(text: &str) -> Check {
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    require(
        text.len() <= 63
            && text.bytes().all(inner)
            && ends(text.chars().next())
            && ends(text.chars().next_back()),
        "is no value of a label: at most 63 letters, digits, `.`, `_` and `-`, the first and last a \
         letter or digit",
    )
}

fn network(text: &str) -> Check {
    const GRAMMAR: &str = "is no network: write it like `10.0.0.0/8` or `fd00::/8`";
    let (address, bits) = text.split_once('/').ok_or(GRAMMAR)?;
    let address: std::net::IpAddr = address.parse().map_err(|_| GRAMMAR)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    // Comparing the text back refuses `08` and `+8`.
    let bits = bits.parse::<u8>().ok().filter(|number| number.to_string() == bits);
    require(bits.is_some_and(|bits| bits <= most), GRAMMAR)
}

fn page_origin(text: &str) -> Check {
    const GRAMMAR: &str = "is no origin: write `https://ui.example`, without a path, or `*`";
    if text == "*" {
        return Ok(());
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or(GRAMMAR)?;
    let (host, port) = rest.split_once(':').unwrap_or((rest, "1"));
    require(dotted(host).is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0), GRAMMAR)
}

fn interval(text: &str) -> Check {
    let number = text.strip_suffix(['s', 'm', 'h']).unwrap_or_default();
    let valid = (1..=6).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && !number.starts_with('0');
    require(valid, "is no span of time: write a number with `s`, `m` or `h`, such as `30s`")
}

fn email(text: &str) -> Check {
    let printable = text.chars().all(|c| c.is_ascii_graphic());
    let parts = text.split_once('@').filter(|(name, _)| !name.is_empty());
    let valid = parts.is_some_and(|(_, host)| domain(host).is_ok());
    require(printable && valid, "is no address of electronic mail")
}

fn https_url(text: &str) -> Check {
    const GRAMMAR: &str = "is no URL: write it like `https://acme.example/directory`";
    let rest = text.strip_prefix("https://").ok_or(GRAMMAR)?;
    let host = rest.split('/').next().unwrap_or_default();
    require(!host.is_empty() && text.chars().all(|c| c.is_ascii_graphic()), GRAMMAR)
}

fn image_prefix(text: &str) -> Check {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:@/-".contains(&b);
    require(
        (1..=255).contains(&text.len()) && text.bytes().all(plain),
        "is no beginning of an image's name: write it like `quay.io/team/`",
    )
}

fn argument(text: &str) -> Check {
    require(!text.is_empty(), "is empty: leave it out")?;
    require(!text.chars().any(char::is_control), "holds a control character")
}

fn annotation_value(text: &str) -> Check {
    require(!text.contains('\0'), "holds a character that no manifest can hold")
}
