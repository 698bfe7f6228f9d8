//! Names, labels and annotations by the grammars of the API server.
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>

use super::super::field::{find, under_key};
use super::super::manifest::Object;
use super::super::yaml::{Mapping, Node, Scalar};
use super::findings::Findings;
use super::pods::pod;
use super::rules;

pub(super) fn check(object: &Object, findings: &mut Findings<'_>) {
    name(object, findings);
    let namespace = object.namespace();
    if !namespace.is_empty() && !is_label(namespace) {
        let message = format!("`{}` is no name of a namespace", namespace.escape_debug());
        let found = findings.add(rules::OBJECT_NAME, object, "metadata.namespace", message);
        LABEL.clone_into(&mut found.hint);
    }
    keys(object, "metadata", findings);
    if let Some(pod) = pod(object).filter(|pod| !pod.at.is_empty()) {
        keys(object, &pod.address("metadata"), findings);
    }
}

const SUBDOMAIN: &str = "write at most 253 of a-z, 0-9, `-` and `.`, each part between dots \
                         beginning and ending with a letter or digit";
const LABEL: &str = "write at most 63 of a-z, 0-9 and `-`, beginning and ending with a letter or \
                     digit";
const SERVICE: &str = "write at most 63 of a-z, 0-9 and `-`, beginning with a letter and ending with \
                       a letter or digit";
const SEGMENT: &str = "write it without `/` and `%`, and neither `.` nor `..`";

fn name(object: &Object, findings: &mut Findings<'_>) {
    let name = object.name();
    let (fits, hint): (fn(&str) -> bool, _) = match (object.group(), object.kind()) {
        ("rbac.authorization.k8s.io", _)
        | ("certificates.k8s.io", "CertificateSigningRequest" | "ClusterTrustBundle")
        | ("networking.k8s.io", "IPAddress")
        | ("apiregistration.k8s.io", "APIService") => (is_segment, SEGMENT),
        ("", "Service") => (is_service, SERVICE),
        ("", "Namespace") => (is_label, LABEL),
        _ => (is_subdomain, SUBDOMAIN),
    };
    if !fits(name) {
        let message =
            format!("`{}` is no name that a {} may have", name.escape_debug(), object.kind());
        let found = findings.add(rules::OBJECT_NAME, object, "metadata.name", message);
        hint.clone_into(&mut found.hint);
    }
}

/// Keys and values of the labels below a `metadata`, and keys of its annotations.
fn keys(object: &Object, at: &str, findings: &mut Findings<'_>) {
    for (list, labels) in [("labels", true), ("annotations", false)] {
        let at = format!("{at}.{list}");
        let entries = find(&object.node, &at).and_then(Node::as_mapping);
        for (key, value) in entries.into_iter().flat_map(Mapping::iter) {
            let name = key.name();
            let what = if labels { "label" } else { "annotation" };
            let message = if !is_key(&name, labels) {
                format!("`{}` is no key of a {what}", name.escape_debug())
            } else if labels && !value.as_scalar().map(Scalar::text).is_none_or(is_value) {
                let text = value.summary();
                format!("`{text}` is no value of a label")
            } else {
                continue;
            };
            findings.add(rules::LABEL, object, &under_key(&at, &name), message);
        }
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// A label by RFC 1123, in lower case.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(is_label_byte)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels between dots, whose length only the whole bounds.
fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(is_label_byte)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// A label by RFC 1035, which begins with a letter.
fn is_service(text: &str) -> bool {
    is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

/// What can stand between two slashes of a path.
fn is_segment(text: &str) -> bool {
    !matches!(text, "." | "..") && !text.contains(['/', '%'])
}

/// `name` or `prefix.example/name`. Annotations may have a prefix in capitals.
fn is_key(text: &str, label: bool) -> bool {
    let Some((prefix, name)) = text.split_once('/') else { return is_name(text) };
    let prefixed = if label { is_subdomain(prefix) } else { is_subdomain(&prefix.to_lowercase()) };
    prefixed && is_name(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && is_value(text)
}

/// The value of a label, which may be empty.
fn is_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let outer = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(inner)
        && outer(text.bytes().next())
        && outer(text.bytes().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_api_server_takes() {
        let long = "a".repeat(64);
        for (fits, good, bad) in [
            (
                is_subdomain as fn(&str) -> bool,
                &["a", "a.b-c", "1", long.as_str()][..],
                &["", "A", "a_b", "-a", "a-", "a..b", ".a", "Foo Bar/../x", "../x"][..],
            ),
            (is_label, &["a", "1-a"], &["a.b", long.as_str(), "", "a-"]),
            (is_service, &["a", "a-1"], &["1a", "a.b", "A"]),
            (is_segment, &["system:node", "A_b", "a b"], &["a/b", ".", "..", "50%"]),
            (is_value, &["", "a", "A_b.c-1"], &["a b", "-a", "a.", long.as_str()]),
        ] {
            for text in good {
                assert!(fits(text), "{text}");
            }
            for text in bad {
                assert!(!fits(text), "{text}");
            }
        }
        assert!(is_key("example.org/Name_1", true) && is_key("name", true));
        assert!(is_key("Example.org/name", false) && !is_key("Example.org/name", true));
        for bad in ["bad key!", "a/b/c", "/a", "a/", "", "a b/c"] {
            assert!(!is_key(bad, true) && !is_key(bad, false), "{bad}");
        }
    }
}
