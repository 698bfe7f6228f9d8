//! Choices of an environment beside each other: each combination either is
//! refused with a way out, or renders objects in which the checks find no error.

use warren::fs::{self, Access};
use warren::pipeline::check::check;
use warren::pipeline::compose::{ComposeError, compose};
use warren::pipeline::environment::EnvironmentError;
use warren::pipeline::upstream::Lock;

use crate::choices::suite;
use crate::compose::repository;

const STORAGE: [&str; 4] = [
    "kind = \"dynamic\"\nsize = \"1Gi\"",
    "kind = \"local\"\npath = \"/data\"\nnode = \"a\"\nsize = \"1Gi\"",
    "kind = \"host-path\"\npath = \"/data\"\nsize = \"1Gi\"\n[pod_security]\nenforce = \"baseline\"",
    "kind = \"existing-claim\"\nclaim = \"a\"\naccess_mode = \"ReadWriteMany\"",
];
const EXPOSURE: [&str; 8] = [
    "kind = \"ingress\"",
    "kind = \"ingress\"\n[ingress]\ncontroller = \"traefik\"\nbody_size = \"1g\"",
    "kind = \"ingress\"\n[ingress]\ncontroller = \"haproxy\"",
    "kind = \"ingress\"\n[ingress]\ncontroller = \"haproxy-ingress\"",
    "kind = \"gateway\"",
    "kind = \"gateway\"\n[gateway]\nclass = \"a\"",
    "kind = \"load-balancer\"",
    "kind = \"node-port\"",
];
const TLS: [&str; 6] = [
    "kind = \"private-ca\"",
    "kind = \"private-ca\"\ncert_manager = false",
    "kind = \"acme\"\nemail = \"a@b.example\"",
    "kind = \"acme\"\ncreate_issuer = false",
    "kind = \"self-signed\"",
    "kind = \"existing-secret\"",
];
const ADMISSION: [&str; 3] = [
    "kind = \"none\"",
    "kind = \"webhook\"\nallow = [\"a/\"]",
    "kind = \"policy\"\nallow = [\"a/\"]",
];
const ADDRESS: [&str; 5] = [
    "",
    "[address]\nip = \"192.0.2.1\"",
    "[address]\nip = \"192.0.2.1\"\nprovider = \"metallb\"",
    "[address]\nip = \"2001:db8::1\"\nprovider = \"load-balancer\"",
    "[address]\nip = \"192.0.2.1\"\nprovider = \"external-ips\"",
];
const MORE: [&str; 4] = [
    "",
    "[monitoring]\nservice_monitor = true\ndashboard = true",
    "[network_policy]\nenabled = true\nfrom_namespaces = [\"a\"]",
    "[disruption_budget]\nmax_unavailable = 1\n[secrets]\nprovider = \"external-secrets\"\nstore = \"a\"",
];
const REGISTRY: [&str; 3] = [
    "user = \"a\"",
    "engine = \"warren\"\nimage = \"a.example/b:1\"\nuser = \"a\"\nusers = \"b\"",
    "engine = \"warren\"\nimage = \"a.example/b:1\"\nuser = \"a\"\nreplicas = 2",
];

#[test]
fn a_combination_is_refused_or_works() {
    let root = suite();
    let lock = Lock::read(&repository().join("vendor/trow.lock.toml")).unwrap();
    let lists: [&[&str]; 7] = [&STORAGE, &EXPOSURE, &TLS, &ADMISSION, &ADDRESS, &MORE, &REGISTRY];
    let all: usize = lists.iter().map(|list| list.len()).product();
    let (mut rendered, mut refused) = (0, 0);
    // A stride that shares no factor with the lengths meets every pair.
    for number in (0..all).step_by(97) {
        let mut rest = number;
        let mut pick = |list: &[&'static str]| {
            let picked = list[rest % list.len()];
            rest /= list.len();
            picked
        };
        let [storage, exposure, tls, admission, address, more, registry] = lists.map(&mut pick);
        let text = format!(
            "kubernetes = \"1.36\"\ndomain = \"registry.example.org\"\naliases = [\"b.example\"]\n\
             [cluster]\ncontext = \"c\"\n[registry]\n{registry}\n[storage]\n{storage}\n\
             [exposure]\n{exposure}\n[tls]\n{tls}\n[admission]\n{admission}\n{address}\n{more}\n"
        );
        let path = root.path().join("environments/any.toml");
        fs::write_atomic(&path, text.as_bytes(), Access::Everyone).unwrap();
        match compose(root.path(), "any", lock.upstream()) {
            Ok(it) => {
                let found = check(&it, lock.upstream(), &[]);
                let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
                assert!(errors.is_empty(), "{text}\n{errors:#?}");
                rendered += 1;
            }
            Err(ComposeError::Environment(EnvironmentError::Document(error))) => {
                assert!(error.line > 1 && error.hint.is_some(), "{text}\n{error}");
                refused += 1;
            }
            Err(error) => panic!("{text}\n{error}"),
        }
    }
    assert!(rendered > 50 && refused > 50, "{rendered} rendered, {refused} refused");
}
