use super::*;
use crate::pipeline::yaml;

/// `rule field: message; hint` of each fault.
fn faults(version: &str, text: &str) -> Vec<String> {
    let nodes = yaml::read("test.yaml", text).unwrap();
    let schema = Schema::of(version).unwrap();
    let say = |fault: Fault| {
        let Fault { rule, field, message, hint, .. } = fault;
        format!("{} {field}: {message}; {hint}", rule.code())
    };
    nodes.iter().flat_map(|node| check(schema, node)).map(say).collect()
}

fn pod(version: &str, container: &str) -> Vec<String> {
    let head =
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\nspec:\n  containers:\n";
    faults(version, &format!("{head}    - {container}\n"))
}

fn service(version: &str, spec: &str) -> Vec<String> {
    let head = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: ns}\nspec:\n";
    faults(version, &format!("{head}{spec}"))
}

#[test]
fn what_is_right_is_passed() {
    let whole = "{name: a, image: i, ports: [{containerPort: 80, protocol: TCP}, {containerPort: 80, protocol: UDP}], \
        resources: {limits: {cpu: 1, memory: 128Mi, x/y: 0.5}}, env: [{name: A, value: ''}], \
        livenessProbe: {httpGet: {path: /, port: http}, periodSeconds: 08}, imagePullPolicy: null, command: [a, a]}";
    assert_eq!(pod("1.33", whole), [""; 0]);
    assert_eq!(service("1.33", "  ports: [{port: 80, targetPort: 8000}]\n"), [""; 0]);
}

#[test]
fn unknown_fields_name_the_nearest() {
    assert_eq!(
        pod("1.33", "{name: a, imgae: i}"),
        [
            "unknown-field spec.containers[name=a].imgae: v1 Pod has no such field in Kubernetes 1.33; \
          the server would drop it; did you mean `image`?"
        ]
    );
    let later = pod("1.30", "{name: a, resources: {claims: [{name: x, request: y}]}}");
    assert!(later[0].ends_with("Kubernetes has it from 1.31 on; remove it"), "{later:?}");
    let deeper = service("1.33", "  port: 80\n  ports: [{port: 80}]\n");
    assert!(deeper[0].ends_with("did you mean `ports`?"), "{deeper:?}");
    let moved = pod("1.33", "{name: a, privileged: true}");
    assert!(
        moved[0].ends_with("`spec.containers[name=a].securityContext` has one: move it there"),
        "{moved:?}"
    );
}

#[test]
fn values_have_their_types() {
    let of = |container: &str| pod("1.33", container).join("\n");
    for (container, expected) in [
        (
            "{name: 8}",
            "field-type spec.containers[name=8].name: is an integer, and must be a string; put it in quotes: \"8\"",
        ),
        (
            "{name: a, tty: 'true'}",
            "field-type spec.containers[name=a].tty: is a string, and must be true or false; write it without quotes: true",
        ),
        (
            "{name: a, ports: {containerPort: 80}}",
            "field-type spec.containers[name=a].ports: is a mapping, and must be a list; put a `- ` before each element",
        ),
        (
            "{name: a, resources: [1]}",
            "field-type spec.containers[name=a].resources: is a list, and must be a mapping; remove the `- `",
        ),
        (
            "{name: a, ports: [{containerPort: '80'}]}",
            "field-type spec.containers[name=a].ports[0].containerPort: is a string, and must be a whole number of 32 bits; write it without quotes: 80",
        ),
        (
            "{name: a, ports: [{containerPort: 3000000000}]}",
            "field-type spec.containers[name=a].ports[0].containerPort: 3000000000 does not fit in 32 bits; write a smaller number",
        ),
        (
            "{name: a, resources: {limits: {memory: 1Gb}}}",
            "field-type spec.containers[name=a].resources.limits.memory: `1Gb` is no quantity; write a number and a unit: m, k, M, G, Ki, Mi, Gi, …",
        ),
        (
            "{name: a, args: [1]}",
            "field-type spec.containers[name=a].args[0]: is an integer, and must be a string; put it in quotes: \"1\"",
        ),
        (
            "{name: a, env: [{name: A, value: on}]}",
            "field-type spec.containers[name=a].env[name=A].value: is a bool, and must be a string; put it in quotes: \"on\"",
        ),
    ] {
        assert_eq!(of(container), expected);
    }
    let secret = faults(
        "1.33",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\ndata: {a: 'not base64'}\n",
    );
    assert_eq!(secret, ["field-type data.a: is no base64; write the text itself under stringData"]);
}

#[test]
fn required_fields_are_missed() {
    assert_eq!(
        pod("1.33", "{image: i}"),
        [
            "missing-field spec.containers[0].name: spec.containers[0] needs `name`; add name: a string"
        ]
    );
    assert_eq!(
        pod("1.33", "{name: null}"),
        [
            "missing-field spec.containers[0].name: spec.containers[0] needs `name`; add name: a string"
        ]
    );
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: ns}\nspec: {rules: [{http: {paths: [{path: /, backend: {service: {name: s, port: {number: 1}}}}]}}]}\n";
    assert_eq!(
        faults("1.33", ingress),
        [
            "missing-field spec.rules[0].http.paths[0].pathType: spec.rules[0].http.paths[0] needs `pathType`; add pathType, one of Exact, ImplementationSpecific, Prefix"
        ]
    );
    // It came with 1.33 that a StatefulSet needs no Service.
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s, namespace: ns}\nspec: {selector: {}, template: {}}\n";
    assert_eq!(faults("1.33", set), [""; 0]);
    assert!(faults("1.32", set)[0].starts_with("missing-field spec.serviceName"));
}

#[test]
fn values_are_those_that_the_field_may_have() {
    assert_eq!(
        pod("1.33", "{name: a, imagePullPolicy: always}"),
        [
            "field-value spec.containers[name=a].imagePullPolicy: `always` is none of Always, IfNotPresent, Never; did you mean `Always`?"
        ]
    );
    assert_eq!(service("1.33", "  type: ''\n"), [""; 0]);
    let issuer = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: c, namespace: ns}\nspec: {secretName: s, issuerRef: {name: i}, privateKey: {algorithm: rsa}}\n";
    assert_eq!(
        faults("1.33", issuer),
        [
            "field-value spec.privateKey.algorithm: `rsa` is none of RSA, ECDSA, Ed25519; did you mean `RSA`?"
        ]
    );
}

#[test]
fn elements_are_in_a_list_once() {
    let twice =
        pod("1.33", "{name: a, ports: [{containerPort: 80}, {containerPort: 80, protocol: TCP}]}");
    assert_eq!(
        twice,
        [
            "repeated-element spec.containers[name=a].ports[1]: is in the list already, by what tells its elements apart; remove one of the two"
        ]
    );
}

#[test]
fn kinds_are_served_or_named() {
    let of = |version: &str, api: &str, kind: &str| {
        faults(
            version,
            &format!("apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x, namespace: ns}}\n"),
        )
    };
    let first = |version, api, kind| of(version, api, kind).remove(0);
    assert_eq!(
        first("1.33", "extensions/v1beta1", "Ingress"),
        "removed-api apiVersion: extensions/v1beta1 Ingress was removed in Kubernetes 1.22; write apiVersion: networking.k8s.io/v1, and see what changed"
    );
    assert_eq!(
        first("1.25", "policy/v1beta1", "PodSecurityPolicy"),
        "removed-api apiVersion: policy/v1beta1 PodSecurityPolicy was removed in Kubernetes 1.25; nothing takes its place in Kubernetes 1.25"
    );
    assert_eq!(
        first("1.29", "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
        "removed-api apiVersion: admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy comes only after Kubernetes 1.29; write apiVersion: admissionregistration.k8s.io/v1beta1, and see what changed"
    );
    assert_eq!(
        first("1.30", "flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"),
        "deprecated-api apiVersion: flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema is deprecated in Kubernetes 1.30, and gone in Kubernetes 1.32; use flowcontrol.apiserver.k8s.io/v1 FlowSchema"
    );
    assert_eq!(
        first("1.36", "v1", "Endpoints"),
        "deprecated-api apiVersion: v1 Endpoints is deprecated in Kubernetes 1.36; use discovery.k8s.io/v1 EndpointSlice"
    );
    assert!(of("1.32", "v1", "Endpoints").is_empty());
    assert_eq!(
        first("1.33", "cert-manager.io/v1alpha2", "ClusterIssuer"),
        "unknown-kind apiVersion: Kubernetes 1.33 knows no cert-manager.io/v1alpha2 ClusterIssuer, nor does any CRD of ours; it is cert-manager.io/v1 ClusterIssuer"
    );
    assert!(first("1.33", "v1", "Depolyment").ends_with("correct apiVersion and kind"));
    assert!(first("1.33", "apps/v1", "Depolyment").ends_with("did you mean `Deployment`?"));
    assert!(first("1.33", "apps/v1", "Service").ends_with("it is v1 Service"));
    assert!(
        first("1.26", "internal.apiserver.k8s.io/v1alpha1", "StorageVersion")
            .starts_with("alpha-api")
    );
}

#[test]
fn fields_grow_old() {
    let addresses = "  externalIPs: [192.0.2.1]\n";
    assert_eq!(service("1.35", addresses), [""; 0]);
    let found = service("1.36", addresses);
    assert!(
        found[0].starts_with(
            "deprecated-field spec.externalIPs: is deprecated from Kubernetes 1.36 on"
        ),
        "{found:?}"
    );
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i\n  namespace: ns\n  annotations: {kubernetes.io/ingress.class: nginx, certmanager.k8s.io/cluster-issuer: c}\n";
    assert_eq!(
        faults("1.33", ingress),
        [
            "deprecated-field metadata.annotations[\"kubernetes.io/ingress.class\"]: is deprecated since Kubernetes 1.18; write spec.ingressClassName",
            "deprecated-field metadata.annotations[\"certmanager.k8s.io/cluster-issuer\"]: is read by no cert-manager since 0.11; write cert-manager.io/…",
        ]
    );
}

#[test]
fn namespaces_are_only_on_namespaced_kinds() {
    let of = |text: &str| faults("1.33", text);
    assert_eq!(
        of("apiVersion: v1\nkind: Namespace\nmetadata: {name: x, namespace: x}\n"),
        [
            "namespace metadata.namespace: lives in no namespace and names one; remove metadata.namespace"
        ]
    );
    assert_eq!(
        of("apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: x}\n"),
        [
            "namespace metadata.namespace: lives in a namespace and names none; add metadata.namespace"
        ]
    );
}

#[test]
fn null_is_a_value_only_where_a_crd_says_so() {
    let pool = |spec: &str| {
        faults(
            "1.33",
            &format!(
                "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: p, namespace: ns}}\nspec: {spec}\n"
            ),
        )
    };
    assert_eq!(pool("{addresses: [192.0.2.1/32], autoAssign: null}"), [""; 0]);
    assert_eq!(
        pool("{addresses: null}"),
        ["field-type spec.addresses: is null, and must be a list; remove the key"]
    );
}

#[test]
fn quantities_and_times_have_their_forms() {
    for text in ["1", "0.5", "100m", "10Gi", "1e3", "1E-3", "-1.5k", ".5", "5.", "128Mi", "1E"] {
        assert!(value::is_quantity(text), "{text}");
    }
    for text in ["", "Gi", "1Gb", "1 Gi", "1e", "1.2.3", "ten", "1K", "0x1"] {
        assert!(!value::is_quantity(text), "{text}");
    }
    for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123+01:00"] {
        assert!(value::is_time(text), "{text}");
    }
    for text in
        ["2026-01-31", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T12:00:00.Z", "é"]
    {
        assert!(!value::is_time(text), "{text}");
    }
}

#[test]
fn what_sops_encrypted_is_passed() {
    let secret = |mac: &str| {
        faults(
            "1.33",
            &format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: ns}}\ndata: {{a: 'ENC[AES256_GCM,data:x]'}}\nsops: {{{mac}: x}}\n"
            ),
        )
    };
    assert_eq!(secret("mac"), [""; 0]);
    assert_eq!(secret("other").len(), 2);
}

#[test]
fn custom_resources_have_limits() {
    let route = |spec: &str| {
        let head = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
            metadata: {name: r, namespace: ns}\nspec:\n  ";
        faults("1.33", &format!("{head}{spec}\n")).join("\n")
    };
    let parents = |parent: &str| route(&format!("parentRefs: [{parent}]"));
    assert_eq!(parents("{name: g, port: 443, sectionName: https}"), "");
    for (parent, expected) in [
        (
            "{name: g, port: 70000}",
            "field-value spec.parentRefs[0].port: 70000 is not 1 to 65535; write 1 to 65535",
        ),
        ("{name: g, port: 0}", "field-value spec.parentRefs[0].port: 0 is not 1 to 65535"),
        (
            "{name: ''}",
            "field-value spec.parentRefs[0].name: has 0 characters, and may have 1 to 253",
        ),
        (
            "{name: g, namespace: A_b}",
            "field-value spec.parentRefs[0].namespace: `A_b` does not match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        ),
    ] {
        let found = parents(parent);
        assert!(found.contains(expected), "{parent}: {found}");
    }
    // Of each element, and of how many there are.
    assert_eq!(route("hostnames: [a.example, '*.b.example']"), "");
    let found = route("hostnames: [a.example, 'b_.example']");
    assert!(found.starts_with("field-value spec.hostnames[1]: `b_.example`"), "{found}");
    let many = vec!["a.example"; 17].join(", ");
    let found = route(&format!("hostnames: [{many}]"));
    assert!(found.contains("spec.hostnames: has 17 elements, and may have at most 16"), "{found}");
}
