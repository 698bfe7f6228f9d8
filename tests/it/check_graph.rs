//! The checks of references: each on objects that are added to the base, broken
//! in one place and whole in the same.

use warren::pipeline::check::{Finding, check};
use warren::pipeline::compose::compose;
use warren::pipeline::manifest::Object;
use warren::pipeline::upstream::Lock;
use warren::pipeline::yaml;

use crate::compose::{change, copy, repository};

/// What the checks find in the sandbox with these objects beside its own, as
/// `severity code object field`. What they find without them is left out.
fn found(objects: &str) -> Vec<String> {
    shown(&findings("sandbox", objects))
}

fn shown(findings: &[Finding]) -> Vec<String> {
    let line = |found: &Finding| {
        format!("{} {} {} {}", found.severity.as_str(), found.code, found.object, found.field)
    };
    findings.iter().map(line).collect()
}

fn findings(environment: &str, objects: &str) -> Vec<Finding> {
    let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
    let composed = || compose(repository(), environment, lock.upstream()).unwrap();
    let before = check(&composed(), lock.upstream(), &[]);
    // Beside what was composed, so that nothing of theirs is filled in.
    let source = "environments/base/added.yaml".to_owned();
    let added = yaml::read(&source, objects).unwrap().into_iter();
    let mut rendered = composed();
    rendered.objects.extend(added.map(|node| Object { node, source: source.clone() }));
    let mut after = check(&rendered, lock.upstream(), &[]);
    after.retain(|one| !before.iter().any(|other| other.message == one.message));
    for one in &after {
        let cause = one.cause.as_ref().expect("every finding has a cause");
        assert!(cause.line > 0, "{one:?}");
        assert!(!one.hint.is_empty());
    }
    after
}

#[track_caller]
fn only(objects: &str, expected: &str) {
    assert_eq!(found(objects), [expected], "{objects}");
}

#[track_caller]
fn none(objects: &str) {
    assert_eq!(found(objects), Vec::<String>::new(), "{objects}");
}

/// A webhook as Trow's own manifests have it, with what is to be added.
fn webhook(annotations: &str, service: &str, more: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
         metadata:\n  name: trow-validator\n  annotations: {{{annotations}}}\nwebhooks:\n\
         - name: validator.trow.io\n  failurePolicy: Fail\n{more}  \
         clientConfig:\n    service: {{{service}}}\n"
    )
}

const WHOLE: &str = "  sideEffects: None\n  admissionReviewVersions: [v1]\n";
const INJECT: &str = "cert-manager.io/inject-ca-from: trow/c";
const CERTIFICATE: &str = "---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata:\n  \
                           name: c\n  namespace: trow\nspec:\n  secretName: c\n  dnsNames: [a.b]\n  \
                           issuerRef: {kind: ClusterIssuer, name: ca-issuer}\n";

#[test]
fn the_first_broken_reference_of_trow_a_service_name_without_service() {
    let root = copy(false);
    let file = "environments/base/statefulset.yaml";
    change(root.path(), file, "serviceName: trow-svc", "serviceName: trow");
    let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
    let rendered = compose(root.path(), "sandbox", lock.upstream()).unwrap();
    let mut found = check(&rendered, lock.upstream(), &[]);
    found.retain(Finding::is_error);
    assert_eq!(shown(&found), ["error service-name statefulset/trow-set spec.serviceName"]);
    assert!(found[0].hint.contains("`trow-svc`"), "{}", found[0].hint);
}

#[test]
fn the_second_broken_reference_of_trow_a_webhook_to_no_service() {
    let service = "namespace: trow, name: trow, path: /validate-image, port: 8000";
    only(
        &(webhook(INJECT, service, WHOLE) + CERTIFICATE),
        "error webhook validatingwebhookconfiguration/trow-validator \
         webhooks[name=validator.trow.io].clientConfig.service.name",
    );
}

#[test]
fn the_third_broken_reference_of_trow_a_webhook_without_namespace_port_and_authority() {
    // As upstream's validate.yaml is, but for the name of the Service.
    let at = "error webhook validatingwebhookconfiguration/trow-validator \
              webhooks[name=validator.trow.io]";
    let found_ = found(&webhook("", "name: trow-svc, path: /validate-image", ""));
    let expected = [
        format!("{at}.sideEffects"),
        format!("{at}.admissionReviewVersions"),
        format!("{at}.clientConfig.service.namespace"),
        format!("{at}.clientConfig.service.name"),
        format!("{at}.clientConfig"),
    ];
    assert_eq!(found_, expected);
    // With the namespace, port 443 is what a webhook calls that names none.
    let service = "namespace: trow, name: trow-svc, path: /validate-image";
    only(
        &(webhook(INJECT, service, WHOLE) + CERTIFICATE),
        &format!("{at}.clientConfig.service.port"),
    );
    let service = "namespace: trow, name: trow-svc, path: /validate-image, port: 8000";
    none(&(webhook(INJECT, service, WHOLE) + CERTIFICATE));
    let service = "namespace: trow, name: trow-svc, path: /validate, port: 8000";
    only(
        &(webhook(INJECT, service, WHOLE) + CERTIFICATE),
        &format!("{at}.clientConfig.service.path"),
    );
}

#[test]
fn the_fourth_broken_reference_of_trow_an_issuer_that_nobody_reads() {
    let ingress = |annotation: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i\n  \
             namespace: trow\n  annotations: {{{annotation}}}\nspec:\n  ingressClassName: nginx\n  \
             tls: [{{hosts: [a.b], secretName: trow-registry-tls}}]\n  \
             rules: [{{host: a.b, http: {{paths: [{{path: /, pathType: Prefix, backend: \
             {{service: {{name: trow-svc, port: {{number: 8000}}}}}}}}]}}}}]\n"
        )
    };
    only(
        &ingress("certmanager.k8s.io/cluster-issuer: ca-issuer"),
        "error retired-annotation ingress/i metadata.annotations[\"certmanager.k8s.io/cluster-issuer\"]",
    );
    none(&ingress("cert-manager.io/cluster-issuer: ca-issuer"));
    only(
        &ingress("cert-manager.io/cluster-issuer: other"),
        "error issuer-ref ingress/i metadata.annotations[\"cert-manager.io/cluster-issuer\"]",
    );
    let whole = ingress("cert-manager.io/cluster-issuer: ca-issuer");
    assert_eq!(
        found(&whole.replace("hosts: [a.b]", "hosts: [c.d]")),
        [
            "error tls-host ingress/i spec.rules[host=a.b].host",
            "error tls-host ingress/i spec.tls[secretName=trow-registry-tls].hosts[0]",
        ]
    );
    none(&whole.replace("hosts: [a.b]", "hosts: ['*.b']"));
    let at = "spec.rules[host=a.b].http.paths[path=/].backend.service";
    only(
        &whole.replace("name: trow-svc", "name: trow"),
        &format!("error ingress-backend ingress/i {at}.name"),
    );
    only(
        &whole.replace("number: 8000", "name: web"),
        &format!("error ingress-backend ingress/i {at}.port"),
    );
    none(&whole.replace("number: 8000", "name: http"));
}

#[test]
fn an_authority_from_no_certificate_is_found() {
    let service = "namespace: trow, name: trow-svc, path: /validate-image, port: 8000";
    only(
        &webhook(INJECT, service, WHOLE),
        "error inject-ca-from validatingwebhookconfiguration/trow-validator \
         metadata.annotations[\"cert-manager.io/inject-ca-from\"]",
    );
}

#[test]
fn an_issuer_that_is_not_rendered_is_found() {
    let certificate = CERTIFICATE.trim_start_matches("---\n");
    none(certificate);
    only(
        &certificate.replace("name: ca-issuer", "name: other"),
        "error issuer-ref certificate/c spec.issuerRef.name",
    );
    only(
        &certificate.replace("kind: ClusterIssuer, ", ""),
        "warning issuer-ref certificate/c spec.issuerRef.name",
    );
}

/// A Deployment whose one container has these fields, and its pod these.
fn deployment(container: &str, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: trow}}\nspec:\n  \
         selector: {{matchLabels: {{app: d}}}}\n  template:\n    metadata: {{labels: {{app: d}}}}\n    \
         spec:\n{pod}      containers:\n      - name: c\n        image: i@sha256:{}\n{container}",
        "0".repeat(64)
    )
}

const C: &str = "deployment/d spec.template.spec.containers[name=c]";

#[test]
fn what_a_pod_mounts_must_be_there() {
    let mount = "        volumeMounts: [{name: v, mountPath: /v}]\n";
    only(&deployment(mount, ""), &format!("error volume-mount {C}.volumeMounts[name=v].name"));
    none(&deployment(mount, "      volumes: [{name: v, emptyDir: {}}]\n"));
}

#[test]
fn a_config_map_and_its_keys_must_be_there() {
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: trow}\ndata: {a: b}\n";
    let env = |key: &str| {
        format!(
            "        env: [{{name: X, valueFrom: {{configMapKeyRef: {{name: m, key: {key}}}}}}}]\n"
        )
    };
    let field = format!("error config-map-ref {C}.env[name=X].valueFrom.configMapKeyRef");
    only(&deployment(&env("a"), ""), &field);
    only(&(deployment(&env("b"), "") + map), &field);
    none(&(deployment(&env("a"), "") + map));
    none(&deployment(&env("a, optional: true"), ""));
    let volume = "      volumes: [{name: v, configMap: {name: m, items: [{key: b, path: b}]}}]\n";
    only(
        &(deployment("", volume) + map),
        "error config-map-ref deployment/d spec.template.spec.volumes[name=v].configMap.name",
    );
}

#[test]
fn a_secret_that_nothing_makes_is_a_warning_and_a_key_that_it_lacks_an_error() {
    let env = |name: &str, key: &str| {
        format!(
            "        env: [{{name: X, valueFrom: {{secretKeyRef: {{name: {name}, key: {key}}}}}}}]\n"
        )
    };
    let field = format!("secret-ref {C}.env[name=X].valueFrom.secretKeyRef");
    none(&deployment(&env("trow-pass", "pass"), ""));
    only(&deployment(&env("trow-pass", "password"), ""), &format!("error {field}"));
    only(&deployment(&env("other", "x"), ""), &format!("warning {field}"));
    none(&(deployment(&env("c", "tls.key"), "") + CERTIFICATE));
    let pull = "      imagePullSecrets: [{name: trow-pass}]\n";
    only(
        &deployment("", pull),
        "error secret-ref deployment/d spec.template.spec.imagePullSecrets[name=trow-pass].name",
    );
}

#[test]
fn a_port_that_is_named_must_be_declared() {
    let probe = "        livenessProbe: {httpGet: {path: /, port: web}}\n";
    only(&deployment(probe, ""), &format!("error port-name {C}.livenessProbe.httpGet.port"));
    none(&deployment(&format!("{probe}        ports: [{{name: web, containerPort: 80}}]\n"), ""));
    let monitor = |port: &str, label: &str| {
        format!(
            "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {{name: m, \
             namespace: trow}}\nspec:\n  selector: {{matchLabels: {{app: {label}}}}}\n  \
             endpoints: [{{port: {port}}}]\n"
        )
    };
    none(&monitor("http", "trow"));
    only(&monitor("web", "trow"), "error port-name servicemonitor/m spec.endpoints[port=web].port");
    only(&monitor("http", "x"), "error selector servicemonitor/m spec.selector");
}

#[test]
fn a_selector_must_select_something() {
    let budget = |label: &str| {
        format!(
            "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: b, namespace: \
             trow}}\nspec: {{selector: {{matchExpressions: [{{key: app, operator: In, values: \
             [{label}]}}]}}}}\n"
        )
    };
    none(&budget("trow"));
    only(&budget("other"), "error selector poddisruptionbudget/b spec.selector");
    let policy = |label: &str, port: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: np, \
             namespace: trow}}\nspec: {{podSelector: {{{label}}}, ingress: [{{ports: [{{port: {port}}}]}}]}}\n"
        )
    };
    none(&policy("", "http"));
    none(&policy("matchLabels: {app: trow}", "8000"));
    only(
        &policy("matchLabels: {app: x}", "8000"),
        "error selector networkpolicy/np spec.podSelector",
    );
    let found_ = found(&policy("", "web"));
    assert_eq!(found_.len(), 1, "{found_:?}");
    assert!(found_[0].starts_with("error port-name networkpolicy/np"), "{found_:?}");
}

#[test]
fn a_route_of_a_gateway_must_lead_somewhere() {
    let route = |host: &str, listener: &str, service: &str, port: u16| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g, \
             namespace: trow}}\nspec:\n  gatewayClassName: x\n  listeners: [{{name: https, port: \
             443, protocol: HTTPS, hostname: '*.a.example'}}]\n---\n\
             apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, \
             namespace: trow}}\nspec:\n  parentRefs: [{{name: g, sectionName: {listener}}}]\n  \
             hostnames: [{host}]\n  rules: [{{backendRefs: [{{name: {service}, port: {port}}}]}}]\n"
        )
    };
    none(&route("x.a.example", "https", "trow-svc", 8000));
    let at = "spec.rules[0].backendRefs[name=";
    only(
        &route("x.a.example", "https", "trow", 8000),
        &format!("error route-backend httproute/r {at}trow].name"),
    );
    only(
        &route("x.a.example", "https", "trow-svc", 80),
        &format!("error route-backend httproute/r {at}trow-svc].port"),
    );
    only(
        &route("x.a.example", "http", "trow-svc", 8000),
        "error route-parent httproute/r spec.parentRefs[name=g].sectionName",
    );
    only(
        &route("x.b.example", "https", "trow-svc", 8000),
        "error tls-host httproute/r spec.hostnames[0]",
    );
}

#[test]
fn a_listener_must_show_a_certificate_for_its_name() {
    let gateway = |host: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: g, \
             namespace: trow}}\nspec:\n  gatewayClassName: x\n  listeners: [{{name: https, port: \
             443, protocol: HTTPS, hostname: {host}, tls: {{certificateRefs: [{{name: c}}]}}}}]\n"
        )
    };
    none(&(gateway("a.b") + CERTIFICATE));
    only(
        &(gateway("c.d") + CERTIFICATE),
        "error tls-host gateway/g spec.listeners[name=https].hostname",
    );
}

#[test]
fn what_looks_like_a_secret_is_found_and_never_printed() {
    let field = |rest: &str| format!("error secret-pattern {C}.{rest}");
    let env = "        env: [{name: DB_PASSWORD, value: blabla}]\n";
    only(&deployment(env, ""), &field("env[name=DB_PASSWORD].value"));
    let args = "        args: [--user, me, --password, blabla]\n";
    only(&deployment(args, ""), &field("args[after=--password]"));
    let args = "        args: [--token=blabla]\n";
    only(&deployment(args, ""), &field("args[0]"));
    none(&deployment("        args: [--password, 'file:///etc/x']\n", ""));
    let env = "        env: [{name: DB_PASS, value: blabla}]\n";
    only(&deployment(env, ""), &field("env[name=DB_PASS].value"));
    for (arguments, at) in [
        ("args: [--pass, blabla]", "args[after=--pass]"),
        ("args: ['--db-pass=blabla']", "args[0]"),
        ("args: [-u, 'user:blabla']", "args[after=-u]"),
        ("args: [-p, blabla]", "args[after=-p]"),
        ("command: [app, --password]\n        args: [blabla]", "args[0]"),
        ("command: [sh, -c, 'exec app --password blabla']", "command[after=-c]"),
    ] {
        only(&deployment(&format!("        {arguments}\n"), ""), &field(at));
    }
    for arguments in [
        "args: [-p, '8080']",
        "args: [--password-file, pass.txt]",
        "args: [--password, $(PASSWORD)]",
        "command: [mkdir, -p, data]",
    ] {
        none(&deployment(&format!("        {arguments}\n"), ""));
    }
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: trow\n  \
               annotations: {note: 'https://me:blabla@example.org'}\ndata:\n  k: AKIAIOSFODNN7EXAMPLE\n";
    let all = findings("sandbox", map);
    let lines = shown(&all);
    assert_eq!(
        lines,
        [
            "error secret-pattern configmap/m metadata.annotations.note",
            "error secret-pattern configmap/m data.k"
        ]
    );
    for one in all {
        let text = format!("{} {}", one.message, one.hint);
        assert!(!text.contains("blabla") && !text.contains("AKIA"), "{text}");
    }
    let map = |annotations: &str, data: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: trow\n  \
             annotations: {{{annotations}}}\ndata: {{{data}}}\n"
        )
    };
    let at = "error secret-pattern configmap/m";
    only(&map("db-password: blabla", ""), &format!("{at} metadata.annotations.db-password"));
    let key = "metadata.annotations[\"example.org/password\"]";
    only(&map("example.org/password: blabla", ""), &format!("{at} {key}"));
    only(&map("", "PASSWORD: blabla"), &format!("{at} data.PASSWORD"));
    none(&map("example.org/auth-secret: basic-auth", "PASSWORD: /run/secrets/x"));
    none(&map("example.org/password: file:///etc/x", "password-file: x, bypass: z"));
}

#[test]
fn what_flux_would_replace_must_be_guarded() {
    let map = |annotation: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: trow\n  \
             annotations: {{{annotation}}}\ndata: {{k: 'a ${{b}}'}}\n"
        )
    };
    only(&map(""), "error flux-substitution configmap/m data.k");
    none(&map("kustomize.toolkit.fluxcd.io/substitute: disabled"));
}

#[test]
fn the_level_of_the_namespace_is_held() {
    let bare = deployment("", "");
    // The sandbox's level is baseline, lapin's restricted.
    none(&bare);
    let mut fields: Vec<_> =
        findings("lapin", &bare).into_iter().map(|found| (found.code, found.field)).collect();
    fields.retain(|(code, _)| code == "pod-security");
    let at = "spec.template.spec.containers[name=c].securityContext";
    let expected =
        ["allowPrivilegeEscalation", "runAsNonRoot", "seccompProfile.type", "capabilities.drop"];
    let expected = expected.map(|field| ("pod-security".to_owned(), format!("{at}.{field}")));
    assert_eq!(fields, expected);
    let whole =
        "        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n";
    let pod =
        "      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}\n";
    assert_eq!(findings("lapin", &deployment(whole, pod)).len(), 0);
    for (container, pod, field) in [
        (
            "        securityContext: {privileged: true}\n",
            "",
            "containers[name=c].securityContext.privileged",
        ),
        ("", "      hostNetwork: true\n", "hostNetwork"),
        ("", "      volumes: [{name: v, hostPath: {path: /}}]\n", "volumes[name=v].hostPath"),
        (
            "        securityContext: {capabilities: {add: [SYS_ADMIN]}}\n",
            "",
            "containers[name=c].securityContext.capabilities.add",
        ),
        (
            "        ports: [{name: p, containerPort: 1, hostPort: 1}]\n",
            "",
            "containers[name=c].ports[name=p].hostPort",
        ),
    ] {
        only(
            &deployment(container, pod),
            &format!("error pod-security deployment/d spec.template.spec.{field}"),
        );
    }
}
