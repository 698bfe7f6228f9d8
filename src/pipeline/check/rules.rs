//! The codes of all findings: what each says, how bad it is, and the way out.
//! `docs/checks.md` is this table; a test compares the two.

use super::finding::Severity::{self, Error, Warning};

/// One kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable name.
    pub code: &'static str,
    /// How bad it is, unless the finding says otherwise.
    pub severity: Severity,
    /// What it finds.
    pub finds: &'static str,
    /// The way out, unless the finding knows a better one.
    pub way_out: &'static str,
    /// Whether an environment may waive it.
    pub waivable: bool,
}

/// Declares the rules, and the list of them.
macro_rules! rules {
    ($($name:ident = $code:literal $severity:ident $waivable:literal $finds:literal $way_out:literal;)*) => {
        $(
            #[doc = $finds]
            pub const $name: &Rule = &Rule {
                code: $code,
                severity: $severity,
                finds: $finds,
                way_out: $way_out,
                waivable: $waivable,
            };
        )*

        /// All rules.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    PLAIN_SECRET = "plain-secret" Error false
        "a Secret among the objects"
        "remove it from the manifests; `warren secret` makes it in the cluster";
    SECRET_PATTERN = "secret-pattern" Error true
        "what looks like a password, key or token, in any text of an object"
        "put it in a Secret that is not in the repository, and refer to it";
    UNREADABLE = "unreadable" Error false
        "an environment that can't be composed, since its file or one that goes into it is wrong"
        "correct the file";
    OBJECT_NAME = "object-name" Error true
        "a name of an object, or of its namespace, that the API server refuses"
        "correct it by the grammar of its kind";
    LABEL = "label" Error true
        "a key or value of a label, or a key of an annotation, that the API server refuses"
        "write `name` or `prefix.example/name`, each name at most 63 letters, digits, `-`, `_` and `.`";
    NAMESPACE = "namespace" Error true
        "a namespace on a kind of the cluster, or none on another"
        "correct metadata.namespace in its file";
    UNKNOWN_KIND = "unknown-kind" Error true
        "a kind that neither Kubernetes nor a CRD of the schemas has"
        "correct apiVersion and kind";
    REMOVED_API = "removed-api" Error true
        "a kind that other versions of Kubernetes serve, but not the environment's"
        "use the version of it that is served";
    DEPRECATED_API = "deprecated-api" Warning true
        "a kind in a version that is served and deprecated"
        "use the version that takes its place";
    ALPHA_API = "alpha-api" Warning true
        "a kind that API servers serve only when told to"
        "use a version that is served by default";
    UNKNOWN_FIELD = "unknown-field" Error true
        "a field that the schema does not have: the server would drop it, and Argo CD would see a difference for ever"
        "correct its name or its place, or remove it";
    FIELD_TYPE = "field-type" Error true
        "a value of another type than the schema wants"
        "write a value of that type";
    MISSING_FIELD = "missing-field" Error true
        "a required field that is not there"
        "add it";
    FIELD_VALUE = "field-value" Error true
        "a value that is none of those which the field may have, or in a custom resource beyond its limits: range, length, number of elements, pattern"
        "write one that is allowed";
    REPEATED_ELEMENT = "repeated-element" Warning true
        "two elements of a list which the server takes for one"
        "remove one of the two";
    DEPRECATED_FIELD = "deprecated-field" Warning true
        "a field, annotation or node label that does nothing any more, or soon will not"
        "write what takes its place";
    SERVICE_NAME = "service-name" Error true
        "a StatefulSet whose `serviceName` names no Service that is rendered"
        "name the Service that is rendered";
    SERVICE_ACCOUNT = "service-account" Error true
        "a pod whose ServiceAccount is not rendered"
        "name the ServiceAccount that is rendered";
    SELECTOR = "selector" Error true
        "a selector that selects no pod"
        "select the labels of the pod template";
    TARGET_PORT = "target-port" Error true
        "a Service that leads to a port which no container declares"
        "name a port that the container declares";
    INGRESS_BACKEND = "ingress-backend" Error true
        "an Ingress that leads to no Service, or to a port that it lacks"
        "name a Service and port that are rendered";
    ROUTE_BACKEND = "route-backend" Error true
        "a route of the Gateway API that leads to no Service, or to a port that it lacks"
        "name a Service and port that are rendered";
    ROUTE_PARENT = "route-parent" Error true
        "a route of the Gateway API that attaches to a listener which the Gateway lacks"
        "name a listener of the Gateway";
    TLS_HOST = "tls-host" Error true
        "a host that is served without a certificate for it, or a certificate that nothing serves"
        "name the same hosts in the rules, in spec.tls and in the Certificate";
    WEBHOOK = "webhook" Error true
        "a webhook whose Service, port or path is not there, that trusts no authority, or lacks what v1 requires"
        "name a Service, port and path that answer";
    INJECT_CA_FROM = "inject-ca-from" Error true
        "an authority that should come from a Certificate which is not rendered"
        "name the Certificate as NAMESPACE/NAME";
    ISSUER_REF = "issuer-ref" Error true
        "an issuer that is not rendered; a warning where none of its kind is, for the cluster may have it"
        "name an issuer that is rendered";
    RETIRED_ANNOTATION = "retired-annotation" Error true
        "an annotation that nothing reads any more"
        "write what took its place";
    CLAIM_REF = "claim-ref" Error true
        "a volume that waits for a claim which nothing makes"
        "a StatefulSet's claim is called TEMPLATE-SET-0";
    SECRET_REF = "secret-ref" Warning true
        "a Secret that nothing here makes, or, as an error, a key that it will not have"
        "make it in the cluster before what refers to it can work";
    CONFIG_MAP_REF = "config-map-ref" Error true
        "a ConfigMap that is not rendered, or a key that it lacks"
        "name a ConfigMap and key that are rendered";
    VOLUME_MOUNT = "volume-mount" Error true
        "a container that mounts a volume which its pod does not have"
        "name a volume of the pod";
    PORT_NAME = "port-name" Error true
        "a port that is named and not declared"
        "name a port that is declared";
    POD_SECURITY = "pod-security" Error true
        "a pod that the namespace's Pod Security level refuses, or a namespace with another level than the environment declares"
        "correct the pod, or set `enforce` below `[pod_security]`";
    FLUX_SUBSTITUTION = "flux-substitution" Error true
        "a text with `${` in an object which Flux may replace it in"
        "annotate the object kustomize.toolkit.fluxcd.io/substitute: disabled";
    IMAGE_PIN = "image-pin" Error true
        "an image without a digest; a warning where it has a version tag"
        "pin it by digest: warren upstream pin TAG --image-digest sha256:…";
    ENGINE_IMAGE = "engine-image" Warning true
        "our own registry, by an image that only this machine has"
        "build an image of warren-registry, push it, and name it as image in [registry]";
    UPSTREAM_FAULT = "upstream-fault" Warning true
        "what is known to be wrong with the pinned upstream, where it is what runs; the code continues with `/` and the fault's name"
        "engine = \"warren\" in [registry] runs our own registry instead";
    ADVICE = "advice" Warning true
        "what a key makes worth knowing, without being wrong; the code continues with `/` and what it is about"
        "see the key in docs/environments.md";
    DRIFT = "drift" Error false
        "a file of deploy/ that is not what renders"
        "render again and commit it";
    EARLIER_PIN = "earlier-pin" Warning false
        "a deploy/ that was rendered with the pin before, and that nobody touched since"
        "warren propose brings it up to date, an environment at a time";
    WAIVE_UNUSED = "waive-unused" Warning true
        "a `[[waive]]` that waives nothing"
        "remove it from the environment's file";
    WAIVE_REFUSED = "waive-refused" Error false
        "a `[[waive]]` of what can't be waived"
        "correct what it should waive, and remove it";
}

/// The rule of a code.
#[must_use]
pub fn rule(code: &str) -> Option<&'static Rule> {
    let family = code.split_once('/').map_or(code, |(family, _)| family);
    RULES.iter().copied().find(|rule| rule.code == family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_there_once_and_has_a_way_out() {
        for rule in RULES {
            assert_eq!(RULES.iter().filter(|other| other.code == rule.code).count(), 1);
            assert!(!rule.finds.is_empty() && !rule.way_out.is_empty(), "{}", rule.code);
            assert_eq!(super::rule(rule.code), Some(*rule));
        }
        assert_eq!(rule("upstream-fault/x"), Some(UPSTREAM_FAULT));
    }
}
