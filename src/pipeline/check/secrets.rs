//! Passwords and keys in plain: as Secrets, and by what they look like.

use super::super::compose::is_encrypted;
use super::super::field::{element_addresses, find, items, leaves, under_key};
use super::super::manifest::Object;
use super::super::yaml::{Mapping, Node, Scalar};
use super::findings::Findings;
use super::names::{self, Line};
use super::pods::pod;
use super::rules;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    // What SOPS encrypted is readable for the cluster alone.
    if object.kind() == "Secret" && !is_encrypted(object) {
        let message = "a Secret would be committed in plain";
        findings.add(rules::PLAIN_SECRET, object, "data", message);
        return;
    }
    by_pattern(object, findings);
    by_name(object, findings);
}

/// Texts anywhere in the object: annotations, values, arguments, files in
/// config maps. The message never repeats what was found.
fn by_pattern(object: &Object, findings: &mut Findings<'_>) {
    for (field, leaf) in leaves(&object.node) {
        if let Some(what) = leaf.as_str().and_then(pattern) {
            let message = format!("holds what looks like {what}");
            findings.add(rules::SECRET_PATTERN, object, &field, message);
        }
    }
}

/// What a name says is secret: keys of annotations and of config maps,
/// environment variables and arguments.
fn by_name(object: &Object, findings: &mut Findings<'_>) {
    keys(object, "metadata.annotations", names::is_secret_annotation, findings);
    if object.kind() == "ConfigMap" {
        keys(object, "data", names::is_secret, findings);
    }
    let Some(pod) = pod(object) else { return };
    if !pod.at.is_empty() {
        let annotations = pod.address("metadata.annotations");
        keys(object, &annotations, names::is_secret_annotation, findings);
    }
    for (at, container) in pod.containers() {
        let env = items(container, "env");
        for (at, variable) in element_addresses(&under_key(&at, "env"), env).iter().zip(env) {
            let name = variable.get("name").and_then(Node::as_str).unwrap_or_default();
            let value = variable.get("value").and_then(Node::as_str).unwrap_or_default();
            if names::is_secret(name) && names::is_plain(value) {
                let message = format!("gives the variable `{name}` its value in plain");
                findings.add(rules::SECRET_PATTERN, object, &format!("{at}.value"), message);
            }
        }
        for (address, what) in arguments(&at, container) {
            findings.add(rules::SECRET_PATTERN, object, &address, what);
        }
    }
}

/// The entries of a mapping whose key says that the value is secret.
fn keys(object: &Object, at: &str, is_secret: fn(&str) -> bool, findings: &mut Findings<'_>) {
    let entries = find(&object.node, at).and_then(Node::as_mapping);
    for (key, value) in entries.into_iter().flat_map(Mapping::iter) {
        let name = key.name();
        let text = value.as_scalar().map(Scalar::text).unwrap_or_default();
        // What its form gives away was told already.
        if is_secret(&name) && names::is_plain(text) && pattern(text).is_none() {
            let message = format!("gives `{name}` its value in plain");
            findings.add(rules::SECRET_PATTERN, object, &under_key(at, &name), message);
        }
    }
}

/// The arguments of a container that hold what should be secret, with their
/// addresses. The command's last may be the name of what the arguments' first holds.
fn arguments(at: &str, container: &Node) -> Vec<(String, String)> {
    let (command, args) = (items(container, "command"), items(container, "args"));
    let program = command.first().and_then(Node::as_str).unwrap_or_default();
    let registry = container.get("name").and_then(Node::as_str) == Some(REGISTRY);
    let mut line = Line { program, registry, before: "" };
    let mut found = Vec::new();
    for (list, arguments) in [("command", command), ("args", args)] {
        let addresses = element_addresses(&under_key(at, list), arguments);
        for (address, argument) in addresses.into_iter().zip(arguments) {
            let text = argument.as_str().unwrap_or_default();
            if let Some(what) = line.argument(text) {
                found.push((address, what));
            }
        }
    }
    found
}

/// The container whose short flags are known: those of the registry.
const REGISTRY: &str = "trow-pod";

/// What a text looks like, of what must not be committed.
fn pattern(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") && text.contains("-----BEGIN ") {
        return Some("a private key");
    }
    // A template whose braces something fills in holds no login yet.
    if text.contains("\"auths\"") && text.contains("\"auth\"") && !text.contains("{{") {
        return Some("a login of a Docker client");
    }
    if text.contains("\"kind\":\"Secret\"") {
        return Some("a Secret that kubectl applied");
    }
    text.split(|c: char| c.is_whitespace() || "\"'`,;<>".contains(c)).find_map(word)
}

fn word(word: &str) -> Option<&'static str> {
    for (start, length, what) in TOKENS {
        let Some(at) = word.find(start) else { continue };
        let rest = word.get(at + start.len()..).unwrap_or_default();
        let token = |c: &char| c.is_ascii_alphanumeric() || "_-./=+$".contains(*c);
        // A token stands by itself or after a sign, not in the middle of a word.
        let alone = word.get(..at).is_some_and(|before| !before.ends_with(char::is_alphanumeric));
        if alone && rest.chars().take_while(token).count() >= length {
            return Some(what);
        }
    }
    let (scheme, rest) = word.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (login, _) = authority.rsplit_once('@')?;
    let (_, password) = login.split_once(':')?;
    let letters = scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    (letters && names::is_plain(password)).then_some("a password in a url")
}

/// How tokens of well-known makers begin, and how much follows at least.
const TOKENS: [(&str, usize, &str); 17] = [
    ("AKIA", 16, "an access key of AWS"),
    ("ASIA", 16, "an access key of AWS"),
    ("AIza", 35, "an API key of Google"),
    ("ghp_", 30, "a token of GitHub"),
    ("gho_", 30, "a token of GitHub"),
    ("ghs_", 30, "a token of GitHub"),
    ("github_pat_", 30, "a token of GitHub"),
    ("glpat-", 20, "a token of GitLab"),
    ("dckr_pat_", 20, "a token of Docker Hub"),
    ("xoxb-", 20, "a token of Slack"),
    ("xoxp-", 20, "a token of Slack"),
    ("hvs.", 20, "a token of Vault"),
    ("AGE-SECRET-KEY-", 20, "a key of age"),
    ("$2a$", 50, "the hash of a password"),
    ("$2b$", 50, "the hash of a password"),
    ("$2y$", 50, "the hash of a password"),
    ("eyJhbGciOi", 40, "a signed token"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_secret_is_known_by_its_form() {
        for (text, found) in [
            ("-----BEGIN EC PRIVATE KEY-----\nx\n-----END EC PRIVATE KEY-----\n", true),
            ("-----BEGIN CERTIFICATE-----\nx\n", false),
            ("postgres://alice:blabla@db/x", true),
            ("postgres://alice@db/x", false),
            ("postgres://alice:$(PASSWORD)@db/x", false),
            ("https://example.org/a:b@c", false),
            ("AKIAIOSFODNN7EXAMPLE", true),
            ("xAKIAIOSFODNN7EXAMPLE", false),
            ("key=AKIAIOSFODNN7EXAMPLE", true),
            ("u:$2y$05$abcdefghijklmnopqrstuuXhx3wM1fYJ0OaFZ0Zc0nXh8Qk0O5v1C", true),
            ("sha256:6a5d1c1c2d6f4e5c0a", false),
            ("{\"auths\":{\"r\":{\"auth\":\"eDp5\"}}}", true),
        ] {
            assert_eq!(pattern(text).is_some(), found, "{text}");
        }
    }
}
