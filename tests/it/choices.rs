//! What each choice of an environment renders. The files are those of
//! `tests/schema/environments/`, which are also held against the published
//! schemas; here are the fields that make the choice work.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;
use warren::fs::{self, Access};
use warren::pipeline::address::find;
use warren::pipeline::check::{Severity, check};
use warren::pipeline::compose::{Rendered, compose};
use warren::pipeline::environment;
use warren::pipeline::upstream::Lock;
use warren::pipeline::yaml::Node;
use warren::registry::admission::{Judgement, PrefixRules, Rules};
use warren::registry::settings::{ConfigFile, Flags, ImageValidation, Verdict};

use crate::compose::{copy, repository};

/// Where the files of this suite are.
pub const FOLDER: &str = "tests/schema/environments";

/// A repository whose environments are those of this suite.
pub fn suite() -> TempDir {
    let root = copy(false);
    for name in environment::names(root.path()).unwrap() {
        let path = root.path().join(format!("environments/{name}.toml"));
        assert!(fs::remove_file(&path).unwrap());
    }
    take(&repository().join(FOLDER), &root.path().join("environments"));
    take(&repository().join("dashboards"), &root.path().join("dashboards"));
    root
}

fn take(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::list(from).unwrap() {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            take(&path, &target);
        } else {
            fs::write_atomic(&target, &fs::read(&path).unwrap(), Access::Everyone).unwrap();
        }
    }
}

fn rendered(name: &str) -> Rendered {
    let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
    compose(suite().path(), name, lock.upstream()).unwrap_or_else(|error| panic!("{error}"))
}

fn ids(rendered: &Rendered) -> Vec<String> {
    rendered.objects.iter().map(warren::pipeline::manifest::Object::id).collect()
}

fn node<'a>(rendered: &'a Rendered, id: &str) -> &'a Node {
    let object = rendered.objects.iter().find(|object| object.id() == id);
    &object.unwrap_or_else(|| panic!("no {id} in {:?}", ids(rendered))).node
}

/// The text, number or bool at an address, as a text.
fn at(rendered: &Rendered, id: &str, address: &str) -> String {
    let found = find(node(rendered, id), address).unwrap_or_else(|error| panic!("{id}: {error}"));
    found.as_scalar().unwrap_or_else(|| panic!("{id} {address} is no scalar")).text().to_owned()
}

/// The texts of the list at an address.
fn list(rendered: &Rendered, id: &str, address: &str) -> Vec<String> {
    let found = find(node(rendered, id), address).unwrap_or_else(|error| panic!("{id}: {error}"));
    let items = found.as_sequence().unwrap();
    items.iter().map(|item| item.as_scalar().unwrap().text().to_owned()).collect()
}

const SET: &str = "statefulset/trow-set";
const CONTAINER: &str = "spec.template.spec.containers[name=trow-pod]";

fn arguments(rendered: &Rendered) -> Vec<String> {
    list(rendered, SET, &format!("{CONTAINER}.args"))
}

fn after(rendered: &Rendered, flag: &str) -> String {
    at(rendered, SET, &format!("{CONTAINER}.args[after={flag}]"))
}

#[test]
fn every_choice_renders_and_passes_the_checks() {
    let root = suite();
    let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
    let names = environment::names(root.path()).unwrap();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let rendered = compose(root.path(), &name, lock.upstream())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut found = check(&rendered, lock.upstream(), &[]);
        found.retain(|finding| finding.severity == Severity::Error);
        assert!(found.is_empty(), "{name}: {found:#?}");
        for object in &rendered.objects {
            assert!(!object.kind().is_empty() && !object.api_version().is_empty());
        }
    }
}

#[test]
fn every_choice_holds_for_every_version_that_it_is_not_refused_for() {
    let root = suite();
    let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
    let mut refused = Vec::new();
    for name in environment::names(root.path()).unwrap() {
        let path = root.path().join(format!("environments/{name}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        for minor in 25..=37 {
            let text = format!("kubernetes = \"1.{minor}\"\n{rest}");
            fs::write_atomic(&path, text.as_bytes(), Access::Everyone).unwrap();
            match compose(root.path(), &name, lock.upstream()) {
                Ok(rendered) => {
                    let found = check(&rendered, lock.upstream(), &[]);
                    let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
                    assert!(errors.is_empty(), "{name} 1.{minor}: {errors:#?}");
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("is stable since Kubernetes 1."), "{text}");
                    refused.push(format!("{name} 1.{minor}"));
                }
            }
        }
    }
    // `ReadWriteOncePod` before 1.29, and the policy before 1.30.
    let expected = (25..29).map(|minor| format!("local 1.{minor}"));
    let expected = expected.chain((25..30).map(|minor| format!("policy 1.{minor}")));
    assert_eq!(refused, expected.collect::<Vec<_>>());
}

#[test]
fn our_own_registry_takes_what_is_rendered() {
    for name in ["existing-claim", "load-balancer"] {
        let mut line = vec!["warren-registry".to_owned()];
        line.extend(arguments(&rendered(name)));
        Flags::parse_line(&line).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let config = at(&rendered("load-balancer"), "configmap/trow-config", "data[\"config.yaml\"]");
    let (config, unknown) = ConfigFile::parse(Path::new("config.yaml"), &config).unwrap();
    assert_eq!(unknown, Vec::<String>::new());
    assert_eq!(config.image_validation.unwrap().allow, ["registry.example.org/"]);
}

#[test]
fn a_dynamic_volume_is_the_provisioners() {
    let it = rendered("dynamic");
    let claim = "spec.volumeClaimTemplates[metadata.name=data-vol].spec";
    let claim = find(node(&it, SET), claim).unwrap();
    assert!(claim.get("storageClassName").is_none());
    assert!(ids(&it).iter().all(|id| !id.starts_with("persistentvolume/")));
}

#[test]
fn an_existing_claim_takes_the_place_of_the_template() {
    let it = rendered("existing-claim");
    let set = node(&it, SET);
    assert!(find(set, "spec.volumeClaimTemplates").is_err());
    let volume = "spec.template.spec.volumes[name=data-vol].persistentVolumeClaim.claimName";
    assert_eq!(at(&it, SET, volume), "images");
    assert_eq!(at(&it, SET, "spec.replicas"), "3");
    assert_eq!(after(&it, "--htpasswd"), "/etc/trow-users/htpasswd");
    assert_eq!(after(&it, "--trusted-proxies"), "10.0.0.0/8,fd00::/8");
    assert_eq!(after(&it, "--cors"), "https://ui.example.org");
    assert_eq!(arguments(&it).last().unwrap(), "--max-connections=100");
    let users = "spec.template.spec.volumes[name=trow-users].secret.secretName";
    assert_eq!(at(&it, SET, users), "trow-users");
    assert_eq!(at(&it, "poddisruptionbudget/trow", "spec.minAvailable"), "1");
    let apart = "spec.template.spec.affinity.podAntiAffinity\
                 .requiredDuringSchedulingIgnoredDuringExecution\
                 [topologyKey=kubernetes.io/hostname].labelSelector.matchLabels.app";
    assert_eq!(at(&it, SET, apart), "trow");
    let spread = "spec.template.spec.topologySpreadConstraints\
                  [topologyKey=topology.kubernetes.io/zone]";
    assert_eq!(at(&it, SET, &format!("{spread}.maxSkew")), "2");
    assert_eq!(at(&it, SET, &format!("{spread}.whenUnsatisfiable")), "ScheduleAnyway");
}

#[test]
fn the_scheduler_is_told_everything() {
    let it = rendered("local");
    let pod = "spec.template.spec";
    assert_eq!(at(&it, SET, &format!("{pod}.nodeSelector.registry")), "yes");
    let affinity = find(node(&it, SET), &format!("{pod}.affinity")).unwrap();
    let text = warren::pipeline::yaml::write(affinity);
    insta::assert_snapshot!(text, @"
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
          - matchExpressions:
              - key: kubernetes.io/arch
                operator: In
                values:
                  - amd64
                  - arm64
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 50
          preference:
            matchExpressions:
              - key: disk
                operator: Exists
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            labelSelector:
              matchLabels:
                app: trow
            topologyKey: topology.kubernetes.io/zone
    ");
    let tolerations = find(node(&it, SET), &format!("{pod}.tolerations")).unwrap();
    insta::assert_snapshot!(warren::pipeline::yaml::write(tolerations), @"
    - key: node-role.kubernetes.io/control-plane
      operator: Exists
      effect: NoSchedule
    - key: dedicated
      operator: Equal
      value: registry
    - key: node.kubernetes.io/unreachable
      operator: Exists
      effect: NoExecute
      tolerationSeconds: 30
    ");
    let volume = "persistentvolume/trow-data-local-pv";
    assert_eq!(list(&it, volume, "spec.accessModes"), ["ReadWriteOncePod"]);
}

#[test]
fn each_controller_is_told_in_its_own_terms() {
    let annotation = |it: &Rendered, name: &str| {
        at(it, "ingress/trow-ingress", &format!("metadata.annotations[\"{name}\"]"))
    };
    let traefik = rendered("traefik");
    let middleware = "traefik.ingress.kubernetes.io/router.middlewares";
    assert_eq!(annotation(&traefik, middleware), "trow-trow-body@kubernetescrd");
    let size = "spec.buffering.maxRequestBodyBytes";
    assert_eq!(at(&traefik, "middleware/trow-body", size), "2147483648");
    let patience = "spec.forwardingTimeouts.responseHeaderTimeout";
    assert_eq!(at(&traefik, "serverstransport/trow-transport", patience), "900s");
    let transport = "metadata.annotations\
                     [\"traefik.ingress.kubernetes.io/service.serverstransport\"]";
    let told = at(&traefik, "service/trow-svc", transport);
    assert_eq!(told, "trow-trow-transport@kubernetescrd");
    assert_eq!(at(&traefik, "ingress/trow-ingress", "spec.ingressClassName"), "traefik");

    let haproxy = rendered("haproxy");
    assert_eq!(annotation(&haproxy, "haproxy.org/timeout-server"), "600s");
    assert_eq!(at(&haproxy, "ingress/trow-ingress", "spec.ingressClassName"), "haproxy");

    let community = rendered("haproxy-ingress");
    for (name, value) in
        [("proxy-body-size", "5g"), ("timeout-server", "600s"), ("timeout-client", "600s")]
    {
        assert_eq!(annotation(&community, &format!("haproxy-ingress.github.io/{name}")), value);
    }
    for it in [&traefik, &haproxy, &community] {
        let text = &it.files["ingress-trow-ingress.yaml"];
        assert!(!text.contains("nginx.ingress"), "{text}");
    }
}

#[test]
fn an_existing_secret_is_asked_of_nobody() {
    let it = rendered("haproxy");
    let text = &it.files["ingress-trow-ingress.yaml"];
    assert!(text.contains("secretName: wildcard.example.org"), "{text}");
    assert!(!text.contains("cert-manager.io"), "{text}");
    assert!(ids(&it).iter().all(|id| !id.starts_with("clusterissuer/")));
    let shared = rendered("haproxy-ingress");
    assert!(ids(&shared).iter().all(|id| !id.starts_with("clusterissuer/")));
    let text = &shared.files["ingress-trow-ingress.yaml"];
    assert!(text.contains("cert-manager.io/cluster-issuer: company.ca"), "{text}");
}

#[test]
fn an_acme_authority_is_shown_the_proof_where_requests_come_in() {
    let it = rendered("traefik");
    let issuer = "clusterissuer/letsencrypt";
    assert_eq!(at(&it, issuer, "spec.acme.email"), "ops@example.org");
    assert_eq!(at(&it, issuer, "spec.acme.privateKeySecretRef.name"), "letsencrypt-account");
    let solvers = find(node(&it, issuer), "spec.acme.solvers").unwrap();
    let text = warren::pipeline::yaml::write(solvers);
    assert_eq!(text, "- http01:\n    ingress:\n      ingressClassName: traefik\n");
    let gateway = rendered("gateway");
    let solvers = find(node(&gateway, "clusterissuer/acme"), "spec.acme.solvers").unwrap();
    let text = warren::pipeline::yaml::write(solvers);
    assert!(text.contains("gatewayHTTPRoute") && text.contains("sectionName: http"), "{text}");
}

#[test]
fn aliases_labels_and_annotations_are_everywhere() {
    let it = rendered("traefik");
    let text = &it.files["ingress-trow-ingress.yaml"];
    assert_eq!(text.matches("images.example.org").count(), 2, "{text}");
    for (name, text) in it.files.iter().filter(|(name, _)| *name != "kustomization.yaml") {
        assert!(text.contains("team: platform"), "{name}: {text}");
        assert!(text.contains("example.org/owner: platform team"), "{name}: {text}");
    }
    assert_eq!(at(&it, SET, "spec.template.metadata.labels.team"), "platform");
    // The selector and the claim's template can't change, and don't.
    assert!(find(node(&it, SET), "spec.selector.matchLabels.team").is_err());
    let external = "service/trow-external";
    assert_eq!(list(&it, external, "spec.externalIPs"), ["192.0.2.7"]);
    assert_eq!(at(&it, external, "metadata.namespace"), "traefik");
    assert_eq!(at(&it, external, "spec.ports[name=https].targetPort"), "websecure");
}

#[test]
fn a_gateway_ends_tls_for_every_host() {
    let it = rendered("gateway");
    let gateway = "gateway/trow-gateway";
    assert_eq!(at(&it, gateway, "spec.gatewayClassName"), "envoy");
    for (listener, host) in [("https", "registry.example.org"), ("https-1", "images.example.org")] {
        let listener = format!("spec.listeners[name={listener}]");
        assert_eq!(at(&it, gateway, &format!("{listener}.hostname")), host);
        let secret = format!("{listener}.tls.certificateRefs[kind=Secret].name");
        assert_eq!(at(&it, gateway, &secret), "trow-registry-tls");
    }
    assert_eq!(at(&it, gateway, "spec.listeners[name=http].port"), "80");
    assert_eq!(at(&it, gateway, "spec.addresses[type=IPAddress].value"), "2001:db8::7");
    let route = "httproute/trow-route";
    let names = ["registry.example.org", "images.example.org"];
    assert_eq!(list(&it, route, "spec.hostnames"), names);
    assert_eq!(list(&it, "certificate/trow-registry-tls", "spec.dnsNames"), names);
    // Never through the listener without TLS.
    let text = &it.files["httproute-trow-route.yaml"];
    assert!(text.contains("sectionName: https\n") && text.contains("sectionName: https-1\n"));
    assert!(!text.contains("sectionName: http\n"), "{text}");
    assert!(text.contains("request: 1200s"), "{text}");
    assert!(text.contains("name: trow-svc") && text.contains("port: 8000"), "{text}");
    assert!(ids(&it).iter().all(|id| !id.starts_with("ingress/")));
}

#[test]
fn a_gateway_of_others_is_only_hung_on() {
    let it = rendered("gateway-shared");
    let parent = "spec.parentRefs[name=edge]";
    assert_eq!(at(&it, "httproute/trow-route", &format!("{parent}.namespace")), "gateways");
    assert_eq!(at(&it, "httproute/trow-route", &format!("{parent}.sectionName")), "https");
    assert_eq!(at(&it, "httproute/trow-route", "metadata.namespace"), "images");
    for kind in ["gateway/", "certificate/", "clusterissuer/", "ingress/"] {
        assert!(ids(&it).iter().all(|id| !id.starts_with(kind)), "{kind}");
    }
}

#[test]
fn a_load_balancer_reaches_a_registry_that_ends_tls() {
    let it = rendered("load-balancer");
    let service = "service/trow-svc";
    assert_eq!(at(&it, service, "spec.type"), "LoadBalancer");
    assert_eq!(at(&it, service, "spec.externalTrafficPolicy"), "Local");
    assert_eq!(at(&it, service, "spec.loadBalancerClass"), "example.org/lb");
    assert_eq!(list(&it, service, "spec.loadBalancerSourceRanges"), ["10.0.0.0/8"]);
    let ports = find(node(&it, service), "spec.ports").unwrap().as_sequence().unwrap();
    assert_eq!(ports.len(), 1, "every port is open to the outside");
    assert_eq!(at(&it, service, "spec.ports[name=https].port"), "5000");
    for (name, value) in [
        ("metallb.io/address-pool", "edge"),
        ("metallb.io/loadBalancerIPs", "192.0.2.7"),
        ("example.org/tier", "internal"),
    ] {
        assert_eq!(at(&it, service, &format!("metadata.annotations[\"{name}\"]")), value);
    }
    assert!(ids(&it).iter().all(|id| !id.starts_with("ipaddresspool/")));
    let tls = "--tls=/etc/trow-tls/tls.crt,/etc/trow-tls/tls.key".to_owned();
    assert!(arguments(&it).contains(&tls));
    let secret = "spec.template.spec.volumes[name=trow-tls].secret.secretName";
    assert_eq!(at(&it, SET, secret), "trow-registry-tls");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let scheme = format!("{CONTAINER}.{probe}.httpGet.scheme");
        assert_eq!(at(&it, SET, &scheme), "HTTPS");
        assert_eq!(at(&it, SET, &format!("{CONTAINER}.{probe}.httpGet.port")), "http");
    }
    let names = ["registry.example.org", "trow-svc.trow.svc"];
    assert_eq!(list(&it, "certificate/trow-registry-tls", "spec.dnsNames"), names);
    // The webhook asks for the same certificate, on the port that the Service has.
    let hook = "validatingwebhookconfiguration/trow-validator";
    let annotation = "metadata.annotations[\"cert-manager.io/inject-ca-from\"]";
    assert_eq!(at(&it, hook, annotation), "trow/trow-registry-tls");
    let port = "webhooks[name=validator.trow.io].clientConfig.service.port";
    assert_eq!(at(&it, hook, port), "5000");
}

#[test]
fn metrics_and_dashboard_are_found() {
    let it = rendered("load-balancer");
    let monitor = "servicemonitor/trow";
    assert_eq!(at(&it, monitor, "metadata.labels.release"), "prometheus");
    let endpoint = "spec.endpoints[port=https]";
    assert_eq!(at(&it, monitor, &format!("{endpoint}.interval")), "1m");
    assert_eq!(at(&it, monitor, &format!("{endpoint}.scheme")), "https");
    let name = format!("{endpoint}.tlsConfig.serverName");
    assert_eq!(at(&it, monitor, &name), "trow-svc.trow.svc");
    let dashboard = "configmap/trow-dashboard";
    assert_eq!(at(&it, dashboard, "metadata.labels.grafana_dashboard"), "yes");
    let json = at(&it, dashboard, "data[\"warren-registry.json\"]");
    let there = fs::read_to_string(&repository().join("dashboards/warren-registry.json")).unwrap();
    assert_eq!(json, there);
    let flux = "metadata.annotations[\"kustomize.toolkit.fluxcd.io/substitute\"]";
    assert_eq!(at(&it, dashboard, flux), "disabled");
}

#[test]
fn a_node_port_and_who_may_reach_it() {
    let it = rendered("node-port");
    let service = "service/trow-svc";
    assert_eq!(at(&it, service, "spec.type"), "NodePort");
    assert_eq!(at(&it, service, "spec.ports[name=https].nodePort"), "30500");
    assert_eq!(list(&it, service, "spec.externalIPs"), ["192.0.2.7"]);
    let text = warren::pipeline::yaml::write(node(&it, "networkpolicy/trow").get("spec").unwrap());
    insta::assert_snapshot!(text, @"
    podSelector:
      matchLabels:
        app: trow
    policyTypes:
      - Ingress
      - Egress
    ingress:
      - from:
          - namespaceSelector:
              matchLabels:
                kubernetes.io/metadata.name: apps
          - ipBlock:
              cidr: 192.0.2.0/24
        ports:
          - port: http
            protocol: TCP
    egress:
      - {}
    ");
}

#[test]
fn a_webhook_behind_an_ingress_has_a_certificate_of_its_own() {
    for (name, sign) in [
        ("webhook-ingress-nginx", "nginx.ingress.kubernetes.io/backend-protocol: HTTPS"),
        ("webhook-haproxy", "haproxy.org/server-ssl: \"true\""),
        ("webhook-haproxy-ingress", "haproxy-ingress.github.io/secure-backends: \"true\""),
    ] {
        let text = rendered(name).files["ingress-trow-ingress.yaml"].clone();
        assert!(text.contains(sign), "{text}");
    }
    let it = rendered("webhook-traefik");
    let transport = "serverstransport/trow-transport";
    assert_eq!(at(&it, transport, "spec.serverName"), "trow-svc.trow.svc");
    assert_eq!(list(&it, "certificate/trow-serving", "spec.dnsNames"), ["trow-svc.trow.svc"]);
    let hook = "validatingwebhookconfiguration/trow-validator";
    let annotation = "metadata.annotations[\"cert-manager.io/inject-ca-from\"]";
    assert_eq!(at(&it, hook, annotation), "trow/trow-serving");
    let hooks = "webhooks[name=validator.trow.io]";
    for (field, value) in [
        ("failurePolicy", "Ignore"),
        ("timeoutSeconds", "5"),
        ("sideEffects", "None"),
        ("clientConfig.service.path", "/validate-image"),
        ("clientConfig.service.name", "trow-svc"),
        ("clientConfig.service.port", "8000"),
    ] {
        assert_eq!(at(&it, hook, &format!("{hooks}.{field}")), value);
    }
    let excluded = format!(
        "{hooks}.namespaceSelector.matchExpressions[key=kubernetes.io/metadata.name].values"
    );
    assert_eq!(list(&it, hook, &excluded), ["trow", "kube-system", "cert-manager"]);
    assert_eq!(after(&it, "--config-file"), "/etc/trow-config/config.yaml");
    let config = at(&it, "configmap/trow-config", "data[\"config.yaml\"]");
    insta::assert_snapshot!(config, @"
    registry_proxies:
      registries: []
    image_validation:
      default: Allow
      allow: []
      deny:
        - docker.io/
    ");
    let sum = at(&it, SET, "spec.template.metadata.annotations[\"checksum/config\"]");
    assert_eq!(sum, warren::digest::Digest::sha256(config.as_bytes()).to_string());
}

#[test]
fn a_policy_needs_neither_webhook_nor_tls() {
    let it = rendered("policy");
    let policy = "validatingadmissionpolicy/trow-validator";
    let allow = "spec.variables[name=allow].expression";
    insta::assert_snapshot!(
        at(&it, policy, allow),
        @"['registry.example.org/', 'docker.io/nginx', 'docker.io/library/nginx', 'quay.io']"
    );
    assert_eq!(at(&it, policy, "spec.variables[name=deny].expression"), "['quay.io/evil/']");
    let binding = "validatingadmissionpolicybinding/trow-validator";
    assert_eq!(at(&it, binding, "spec.policyName"), "trow-validator");
    assert!(node(&it, binding).get("metadata").unwrap().get("namespace").is_none());
    assert!(ids(&it).iter().all(|id| !id.starts_with("validatingwebhook")));
    assert!(arguments(&it).iter().all(|argument| !argument.starts_with("--tls")));
    let text = &it.files["networkpolicy-trow.yaml"];
    assert!(text.contains("egress: []"), "{text}");
    assert!(!text.contains("from:"), "{text}");
}

#[test]
fn the_registry_judges_as_the_policy_does() {
    // CI runs the same cases through the policy, with the API server's own
    // expression language: tests/schema/choices.
    let cases = repository().join("tests/schema/policy/cases.json");
    let cases: BTreeMap<String, bool> =
        serde_json::from_str(&fs::read_to_string(&cases).unwrap()).unwrap();
    let admission = rendered("policy").environment.admission;
    let list = |prefixes: &[environment::ImagePrefix]| -> Vec<String> {
        prefixes.iter().map(ToString::to_string).collect()
    };
    let config = ImageValidation {
        default: Verdict::Deny,
        allow: list(&admission.allow),
        deny: list(&admission.deny),
    };
    let rules = Rules { prefixes: Some(PrefixRules::new(&config)), local: None };
    for (image, allowed) in cases {
        let judged = matches!(rules.judge(&image).1, Judgement::Allowed);
        assert_eq!(judged, allowed, "{image}");
    }
}

#[test]
fn secrets_come_from_where_the_environment_says() {
    let it = rendered("external-secrets");
    for name in ["trow-pass", "trow-cred"] {
        let id = format!("externalsecret/{name}");
        assert_eq!(at(&it, &id, "spec.secretStoreRef.name"), "vault");
        assert_eq!(at(&it, &id, "spec.secretStoreRef.kind"), "SecretStore");
        let remote = "spec.data[secretKey=password].remoteRef";
        assert_eq!(at(&it, &id, &format!("{remote}.key")), "registry/alice");
        assert_eq!(at(&it, &id, &format!("{remote}.property")), "password");
        assert_eq!(at(&it, &id, "spec.refreshInterval"), "15m");
        assert_eq!(at(&it, &id, "spec.target.name"), name);
    }
    let config = "spec.target.template.data[\".dockerconfigjson\"]";
    insta::assert_snapshot!(
        at(&it, "externalsecret/trow-cred", config),
        @r#"{"auths":{"registry.example.org":{{ dict "username" "alice" "password" .password "auth" (printf "%s:%s" "alice" .password | b64enc) | toJson }}}}"#
    );
    let sealed = rendered("sealed-secrets");
    assert!(ids(&sealed).contains(&"sealedsecret/trow-pass".to_owned()));
    let sops = rendered("sops");
    let text = &sops.files["secret-trow-pass.yaml"];
    assert!(text.contains("pass: ENC[") && text.contains("mac: ENC["), "{text}");
    // Nothing is added: the seal covers the object as it is.
    assert!(!text.contains("labels:"), "{text}");
}

#[test]
fn what_is_not_sealed_is_refused() {
    for (name, file, from, to, says) in [
        (
            "sops",
            "sops",
            "ENC[AES256_GCM,data:bm9ib2R5,iv:AA==,tag:AA==,type:str]\nsops",
            "in plain\nsops",
            "is no Secret that SOPS encrypted",
        ),
        ("sops", "sops", "namespace: trow", "namespace: other", "lives in another namespace"),
        ("sealed-secrets", "trow-pass", "kind: SealedSecret", "kind: Secret", "is no SealedSecret"),
    ] {
        let root = suite();
        let path = format!("environments/sealed/{file}.yaml");
        crate::compose::change(root.path(), &path, from, to);
        let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
        let error = compose(root.path(), name, lock.upstream()).unwrap_err().to_string();
        assert!(error.starts_with(&path) && error.contains(says), "{error}");
        assert!(!error.contains("in plain"), "{error}");
    }
}
