use super::*;

fn schema(version: &str) -> Schema {
    Schema::of(version).unwrap()
}

fn at(kind: Kind, path: &str) -> Option<Field> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let mut field = kind.field(first)?;
    for name in rest.split('.').filter(|name| !name.is_empty()) {
        let mut of = field.of();
        while let Some(inner) = of.items().or_else(|| of.values()) {
            of = inner;
        }
        field = of.field(name)?;
    }
    Some(field)
}

#[test]
fn versions_are_those_of_the_tables() {
    for version in ["1.25", "v1.33", "1.37.2"] {
        assert!(Schema::of(version).is_ok(), "{version}");
    }
    for version in ["1.24", "1.38", "2.30", "1", "", "latest", "1.x"] {
        let error = Schema::of(version).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("no schema for Kubernetes {version}; there are those of 1.25 to 1.37")
        );
    }
}

#[test]
fn kinds_have_their_scope() {
    use Scope::{Cluster, Namespaced};
    for (api_version, kind, scope) in [
        ("apps/v1", "StatefulSet", Namespaced),
        ("v1", "Namespace", Cluster),
        ("v1", "PersistentVolume", Cluster),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", Cluster),
        ("cert-manager.io/v1", "ClusterIssuer", Cluster),
        ("cert-manager.io/v1", "Issuer", Namespaced),
        ("gateway.networking.k8s.io/v1", "GatewayClass", Cluster),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", Namespaced),
        ("metallb.io/v1beta1", "IPAddressPool", Namespaced),
        ("monitoring.coreos.com/v1", "ServiceMonitor", Namespaced),
        ("external-secrets.io/v1", "ExternalSecret", Namespaced),
        ("external-secrets.io/v1", "ClusterSecretStore", Cluster),
        ("bitnami.com/v1alpha1", "SealedSecret", Namespaced),
        ("argoproj.io/v1alpha1", "Application", Namespaced),
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", Namespaced),
        ("source.toolkit.fluxcd.io/v1", "GitRepository", Namespaced),
    ] {
        let found = schema("1.33").kind(api_version, kind).unwrap_or_else(|| panic!("{kind}"));
        assert_eq!(found.scope(), scope, "{kind}");
        assert_eq!(found.is_custom(), api_version.contains('.') && !api_version.contains("rbac"));
    }
}

#[test]
fn kinds_come_and_go() {
    let policy = ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy");
    assert!(schema("1.29").kind(policy.0, policy.1).is_none());
    assert!(schema("1.30").kind(policy.0, policy.1).is_some());

    let replaced = |version: &str, api_version: &str, kind: &str| {
        let kind = schema(version).kind_of_any_version(api_version, kind).unwrap();
        let by = kind.replacement().map(|by| format!("{} {}", by.api_version, by.kind));
        (kind.is_served(), kind.is_deprecated(), kind.removed(), by)
    };
    let gone = |removed: &str, by: &str| (false, true, Some(removed.into()), Some(by.into()));
    assert_eq!(
        replaced("1.33", "extensions/v1beta1", "Ingress"),
        gone("1.22", "networking.k8s.io/v1 Ingress")
    );
    assert_eq!(
        replaced("1.33", "networking.k8s.io/v1beta1", "IngressClass"),
        gone("1.22", "networking.k8s.io/v1 IngressClass")
    );
    assert_eq!(
        replaced("1.25", "policy/v1beta1", "PodDisruptionBudget"),
        gone("1.25", "policy/v1 PodDisruptionBudget")
    );
    assert_eq!(
        replaced("1.25", "policy/v1beta1", "PodSecurityPolicy"),
        (false, true, Some("1.25".into()), None)
    );
    assert_eq!(
        replaced("1.33", "flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema"),
        gone("1.29", "flowcontrol.apiserver.k8s.io/v1 FlowSchema")
    );
    assert_eq!(
        replaced("1.28", "flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema"),
        gone("1.26", "flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema")
    );
    let flow = "flowcontrol.apiserver.k8s.io/v1beta3";
    let still = (
        true,
        true,
        Some("1.32".into()),
        Some(format!("{} FlowSchema", "flowcontrol.apiserver.k8s.io/v1")),
    );
    assert_eq!(replaced("1.30", flow, "FlowSchema"), still);
}

#[test]
fn fields_say_how_they_merge() {
    let set = schema("1.33").kind("apps/v1", "StatefulSet").unwrap();
    let containers = at(set, "spec.template.spec.containers").unwrap();
    assert!(containers.strategy().merge && containers.is_required());
    assert_eq!(containers.merge_key(), Some("name"));
    assert_eq!(containers.list_type(), ListType::Map);

    let ports = at(set, "spec.template.spec.containers.ports").unwrap();
    assert_eq!(ports.merge_key(), Some("containerPort"));
    assert_eq!(ports.list_keys(), ["containerPort", "protocol"]);
    let protocol = ports.of().items().unwrap().field("protocol").unwrap();
    assert_eq!(protocol.default(), Some("TCP"));
    assert_eq!(protocol.allowed(), ["SCTP", "TCP", "UDP"]);

    let volumes = at(set, "spec.template.spec.volumes").unwrap();
    assert_eq!(volumes.strategy(), Strategy { merge: true, retain_keys: true, replace: false });
    let args = at(set, "spec.template.spec.containers.args").unwrap();
    assert_eq!((args.strategy(), args.list_type()), (Strategy::default(), ListType::Atomic));

    let deployment = schema("1.25").kind("apps/v1", "Deployment").unwrap();
    assert!(at(deployment, "spec.strategy").unwrap().strategy().retain_keys);
    let finalizers = at(deployment, "metadata.finalizers").unwrap();
    assert_eq!((finalizers.strategy().merge, finalizers.merge_key()), (true, None));
}

#[test]
fn fields_come_and_change() {
    let spec = |version: &str| {
        let kind = schema(version).kind("apps/v1", "StatefulSet").unwrap();
        kind.field("spec").unwrap().of()
    };
    assert!(spec("1.25").field("ordinals").is_none());
    assert!(spec("1.26").field("ordinals").is_some());
    assert!(spec("1.32").field("serviceName").unwrap().is_required());
    assert!(!spec("1.33").field("serviceName").unwrap().is_required());
    assert!(spec("1.25").fields().all(|field| field.name() != "ordinals"));
    let names: Vec<_> = spec("1.33").fields().map(Field::name).collect();
    let mut once = names.clone();
    once.dedup();
    assert_eq!(names, once);
    assert!(names.contains(&"volumeClaimTemplates"));
}

#[test]
fn types_are_what_they_are() {
    let kind = |name| schema("1.33").kind("v1", name).unwrap();
    let of = |kind, path| at(kind, path).unwrap().of();
    assert_eq!(of(kind("Secret"), "data").values().unwrap().scalar(), Some(Scalar::Bytes));
    let limits = of(kind("Pod"), "spec.containers.resources.limits");
    assert_eq!(limits.values().unwrap().scalar(), Some(Scalar::Quantity));
    assert_eq!(of(kind("Service"), "spec.ports.targetPort").scalar(), Some(Scalar::IntOrString));
    assert_eq!(of(kind("Pod"), "spec.priority").scalar(), Some(Scalar::Int32));
    let pool = schema("1.33").kind("metallb.io/v1beta1", "IPAddressPool").unwrap();
    assert_eq!(of(pool, "spec.autoAssign").scalar(), Some(Scalar::Bool));
    assert!(at(pool, "metadata.labels").is_some());
}
