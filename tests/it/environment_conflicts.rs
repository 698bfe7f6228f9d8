//! Keys of an environment that are right one by one and can't work together:
//! each is refused in its line, with the way out.

use warren::pipeline::environment::advice::advice;
use warren::pipeline::environment::{Environment, check_text};

/// An environment with these tables beside the least that there must be. A
/// table that is named here takes the place of that one.
fn text(tables: &[(&str, &str)]) -> String {
    let mut all = vec![
        ("", "kubernetes = \"1.36\"\ndomain = \"registry.example.org\""),
        ("cluster", "context = \"test\""),
        ("registry", "user = \"alice\""),
        ("storage", "kind = \"dynamic\"\nsize = \"10Gi\""),
    ];
    for (name, lines) in tables {
        match all.iter_mut().find(|(other, _)| other == name) {
            Some(there) => there.1 = lines,
            None => all.push((name, lines)),
        }
    }
    let table = |(name, lines): (&str, &str)| match name {
        "" => format!("{lines}\n"),
        name => format!("[{name}]\n{lines}\n"),
    };
    all.into_iter().map(table).collect()
}

fn accepted(tables: &[(&str, &str)]) -> Environment {
    check_text("test", &text(tables)).unwrap_or_else(|error| panic!("{error}"))
}

/// The line, the reason and the hint.
fn refused(tables: &[(&str, &str)]) -> (String, String, String) {
    let text = text(tables);
    let error = check_text("test", &text).map(|_| ()).unwrap_err();
    let line = text.lines().nth(error.line - 1).unwrap_or_default().to_owned();
    assert!(error.to_string().starts_with("environments/test.toml:"), "{error}");
    (line, error.reason, error.hint.unwrap_or_default())
}

const WARREN: &str = "engine = \"warren\"\nuser = \"alice\"";
const DIRECT: (&str, &str) = ("exposure", "kind = \"load-balancer\"");
const WEBHOOK: (&str, &str) = ("admission", "kind = \"webhook\"\nallow = [\"a/\"]");

#[test]
fn the_least_is_accepted() {
    let it = accepted(&[]);
    assert_eq!(it.registry.replicas.get(), 1);
    assert_eq!(it.tls.secret.as_str(), "trow-registry-tls");
    assert_eq!(it.ingress.class.as_str(), "nginx");
    assert_eq!(it.service.port.get(), 443);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn each_conflict_is_said_at_a_key_with_a_way_out() {
    let local = "kind = \"local\"\npath = \"/data\"\nnode = \"a\"\nsize = \"1Gi\"";
    let many = format!("{local}\naccess_mode = \"ReadWriteMany\"");
    let replicas = format!("{WARREN}\nreplicas = 2");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("storage", &many)], "access_mode"),
        (
            &[
                ("", "kubernetes = \"1.28\"\ndomain = \"a.example\""),
                (
                    "storage",
                    "kind = \"dynamic\"\nsize = \"1Gi\"\naccess_mode = \"ReadWriteOncePod\"",
                ),
            ],
            "access_mode",
        ),
        (&[("registry", "user = \"a\"\nreplicas = 2")], "replicas"),
        (&[("registry", &replicas)], "replicas"),
        (&[("registry", "user = \"a\"\nusers = \"more\"")], "users"),
        (&[("registry", "user = \"a\"\ntrusted_proxies = [\"10.0.0.0/8\"]")], "trusted_proxies"),
        (&[("registry", "user = \"a\"\nextra_args = [\"--password=x\"]")], "extra_args"),
        (
            &[("tls", "kind = \"acme\"\nemail = \"a@b.example\"\ncert_manager = false")],
            "cert_manager",
        ),
        (
            &[
                ("exposure", "kind = \"gateway\""),
                ("tls", "kind = \"acme\"\nemail = \"a@b.example\""),
            ],
            "kind = \"acme\"",
        ),
        (&[DIRECT, ("tls", "kind = \"acme\"\nemail = \"a@b.example\"")], "kind = \"acme\""),
        (&[("ingress", "controller = \"haproxy\"\nbody_size = \"1g\"")], "body_size"),
        (&[("exposure", "kind = \"gateway\""), WEBHOOK], "kind = \"webhook\""),
        (
            &[("exposure", "kind = \"gateway\""), ("gateway", "class = \"a\"\nnamespace = \"b\"")],
            "namespace",
        ),
        (&[("exposure", "kind = \"node-port\""), ("service", "class = \"a.example/b\"")], "class"),
        (
            &[
                ("exposure", "kind = \"node-port\""),
                ("service", "source_ranges = [\"10.0.0.0/8\"]"),
            ],
            "source_ranges",
        ),
        (&[("address", "ip = \"192.0.2.1\"\nprovider = \"load-balancer\"")], "provider"),
        (
            &[
                ("exposure", "kind = \"node-port\""),
                ("address", "ip = \"192.0.2.1\"\nprovider = \"metallb\""),
            ],
            "provider",
        ),
        (
            &[
                ("exposure", "kind = \"gateway\""),
                ("address", "ip = \"192.0.2.1\"\nprovider = \"external-ips\""),
            ],
            "provider",
        ),
        (
            &[(
                "scheduling",
                "topology_spread = [{ topology_key = \"a\" }, { topology_key = \"a\" }]",
            )],
            "topology_spread",
        ),
        (
            &[
                ("storage", local),
                (
                    "scheduling",
                    "node_selector = { r = \"y\" }\nnode_labels = { b = { r = \"y\" } }",
                ),
            ],
            "node_selector",
        ),
        (&[("admission", "kind = \"policy\"")], "kind = \"policy\""),
        (
            &[
                ("", "kubernetes = \"1.29\"\ndomain = \"a.example\""),
                ("admission", "kind = \"policy\"\nallow = [\"a/\"]"),
            ],
            "kind = \"policy\"",
        ),
        (
            &[WEBHOOK, ("tls", "kind = \"existing-secret\"\ncert_manager = false")],
            "kind = \"webhook\"",
        ),
        (&[WEBHOOK, DIRECT, ("tls", "kind = \"existing-secret\"")], "kind = \"webhook\""),
        (
            &[DIRECT, ("network_policy", "enabled = true\nfrom_namespaces = [\"a\"]")],
            "from_namespaces",
        ),
        (
            &[WEBHOOK, ("network_policy", "enabled = true\nfrom_namespaces = [\"a\"]")],
            "from_namespaces",
        ),
        (&[("disruption_budget", "min_available = 1")], "min_available"),
        (&[("monitoring", "service_monitor = true")], "service_monitor"),
        (&[("monitoring", "dashboard = true")], "dashboard"),
        (&[("labels", "app = \"other\"")], "[labels]"),
    ];
    for (tables, key) in cases {
        let (line, reason, hint) = refused(tables);
        assert!(line.starts_with(key), "{key}: said at {line:?}: {reason}");
        assert!(!reason.is_empty() && !hint.is_empty(), "{key}: {reason} / {hint}");
    }
}

#[test]
fn what_a_kind_needs_is_asked_for() {
    for (tables, says) in [
        (&[("storage", "kind = \"host-path\"\nsize = \"1Gi\"")][..], "add `path = "),
        (&[("storage", "kind = \"dynamic\"")], "add `size = "),
        (&[("storage", "kind = \"existing-claim\"")], "add `claim = "),
        (&[("tls", "kind = \"acme\"")], "add `email = "),
        (&[("secrets", "provider = \"external-secrets\"")], "add `store = "),
        (&[("secrets", "provider = \"sops\"")], "add `files = "),
        (&[("disruption_budget", "")], "one of `max_unavailable` and `min_available`"),
        (&[("scheduling", "affinity = [{ key = \"a\" }]")], "add `values = "),
        (&[("scheduling", "tolerations = [{ value = \"a\" }]")], "add `key = "),
        (&[("scheduling", "tolerations = [{ seconds = 1 }]")], "NoExecute"),
    ] {
        let (_, reason, _) = refused(tables);
        assert!(reason.contains(says), "{reason}");
    }
}

#[test]
fn values_outside_their_grammar_are_refused() {
    for (tables, found) in [
        (
            &[("", "kubernetes = \"1.36\"\ndomain = \"a.example\"\naliases = [\"a.example:1\"]")][..],
            "has a port",
        ),
        (&[("registry", "user = \"a\"\ncors = [\"ui.example\"]")], "is no origin"),
        (&[("registry", "user = \"a\"\ncors = [\"https://ui.example/a\"]")], "is no origin"),
        (&[("registry", "user = \"a\"\nreplicas = 0")], "nonzero"),
        (
            &[(
                "registry",
                "engine = \"warren\"\nuser = \"a\"\ntrusted_proxies = [\"10.0.0.1/33\"]",
            )],
            "is no network",
        ),
        (
            &[("registry", "engine = \"warren\"\nuser = \"a\"\ntrusted_proxies = [\"10.0.0.1\"]")],
            "is no network",
        ),
        (&[("tls", "server = \"http://acme.example\"")], "is no URL"),
        (&[("tls", "email = \"nobody\"")], "is no address"),
        (&[("service", "node_port = 80")], "30000 to 32767"),
        (&[("service", "port = 70000")], "70000"),
        (&[("scheduling", "node_selector = { \"a b\" = \"c\" }")], "is no key"),
        (&[("scheduling", "node_selector = { a = \"b c\" }")], "is no value of a label"),
        (&[("admission", "timeout = 31")], "1 to 30"),
        (&[("admission", "allow = [\"it's\"]")], "is no beginning"),
        (&[("monitoring", "interval = \"often\"")], "is no span"),
        (&[("secrets", "files = [\"../secret.yaml\"]")], "is no path"),
        (&[("secrets", "files = [\"/etc/secret.yaml\"]")], "is no path"),
    ] {
        let (_, reason, _) = refused(tables);
        assert!(reason.contains(found), "{reason}");
    }
}

#[test]
fn an_unknown_key_of_a_new_table_suggests_the_nearest() {
    for (table, line, suggestion) in [
        ("exposure", "knid = \"ingress\"", "did you mean `kind`?"),
        ("gateway", "clas = \"a\"", "did you mean `class`?"),
        ("secrets", "provder = \"sops\"", "did you mean `provider`?"),
        ("tls", "kind = \"privat-ca\"", "did you mean `private-ca`?"),
        ("ingress", "controller = \"trafik\"", "did you mean `traefik`?"),
    ] {
        let (at, reason, hint) = refused(&[(table, line)]);
        assert_eq!((at.as_str(), hint.as_str()), (line, suggestion), "{reason}");
    }
}

#[test]
fn a_key_that_the_kind_has_no_use_for_does_nothing() {
    let storage = "kind = \"dynamic\"\nsize = \"1Gi\"\npath = \"/data\"\nnode = \"a\"";
    assert_eq!(accepted(&[("storage", storage)]).storage.node(), None);
    accepted(&[("gateway", "class = \"a\""), ("service", "node_port = 30000")]);
}

#[test]
fn what_is_worth_knowing_is_said() {
    let codes = |tables: &[(&str, &str)]| -> Vec<_> {
        advice(&accepted(tables)).into_iter().map(|it| (it.code, it.key)).collect()
    };
    let class = ("storage", "kind = \"dynamic\"\nclass = \"fast\"\nsize = \"1Gi\"");
    assert_eq!(codes(&[class]), []);
    assert_eq!(codes(&[]), [("default-class", "storage.class")]);
    let address = ("address", "ip = \"192.0.2.1\"\nprovider = \"external-ips\"");
    assert_eq!(codes(&[class, address]), [("external-ips", "address.provider")]);
    let said = |version: &str| {
        let top = format!("kubernetes = \"{version}\"\ndomain = \"a.example\"");
        advice(&accepted(&[("", &top), class, address])).remove(0).message
    };
    assert!(said("1.36").contains("deprecated since Kubernetes 1.36"));
    assert!(said("1.35").contains("deprecated from Kubernetes 1.36 on"));
    let labels = ("scheduling", "node_labels = { node-1 = { registry = \"yes\" } }");
    let found = advice(&accepted(&[class, labels])).remove(0);
    let command = "kubectl --context=test label --overwrite node node-1 registry=yes";
    assert_eq!(found.hint, command);
    let traefik = ("ingress", "controller = \"traefik\"\nsend_timeout = 900");
    assert!(advice(&accepted(&[class, traefik])).remove(0).hint.ends_with("readTimeout=900s"));
    let haproxy = ("ingress", "controller = \"haproxy\"");
    assert_eq!(codes(&[class, haproxy]), [("haproxy-timeout", "ingress.send_timeout")]);
    let own = ("tls", "kind = \"self-signed\"");
    assert_eq!(codes(&[class, own]), [("self-signed", "tls.kind")]);
    let sops = ("secrets", "provider = \"sops\"\nfiles = [\"a.yaml\"]");
    assert_eq!(codes(&[class, sops]), [("sops", "secrets.provider")]);
}
