//! The Secret objects that an environment needs, made from what only the
//! operator has.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::password::Password;
use super::references::CERT_MANAGER_NAMESPACE;
use crate::pipeline::environment::{Environment, TlsKind};
use crate::pipeline::yaml::{self, Node};
use crate::trust::{Authority, TrustError};

/// The Secrets that we know how to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// `trow-pass`: the password, as the registry reads it from a file.
    Password,
    /// `trow-cred`: domain, user and password, as the kubelet reads them to pull.
    Credentials,
    /// `ca-priv`: the private authority, as cert-manager reads it to sign.
    Authority,
    /// `trow-registry-tls`: the domain's certificate, where nobody in the
    /// cluster signs it.
    Certificate,
}

impl SecretKind {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Password, Self::Credentials, Self::Authority, Self::Certificate];

    /// Those that this environment's objects need from whoever holds the
    /// password and the authority.
    #[must_use]
    pub fn needed(environment: &Environment) -> Vec<Self> {
        let tls = &environment.tls;
        let ours = tls.kind == TlsKind::PrivateCa;
        let mut kinds = vec![Self::Password, Self::Credentials];
        if ours && tls.cert_manager && tls.create_issuer {
            kinds.push(Self::Authority);
        }
        if ours && !tls.cert_manager {
            kinds.push(Self::Certificate);
        }
        kinds
    }

    /// The object's name in this environment.
    #[must_use]
    pub fn name(self, environment: &Environment) -> &str {
        match self {
            // The base's objects refer to these two by name.
            Self::Password => "trow-pass",
            Self::Credentials => "trow-cred",
            Self::Authority => environment.tls.ca_secret.as_str(),
            Self::Certificate => environment.tls.secret.as_str(),
        }
    }

    /// The one with this name in this environment.
    #[must_use]
    pub fn by_name(name: &str, environment: &Environment) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name(environment) == name)
    }

    /// Whether it takes a password to make it.
    #[must_use]
    pub fn needs_password(self) -> bool {
        matches!(self, Self::Password | Self::Credentials)
    }
}

/// A Secret object. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    namespace: String,
    name: String,
    kind: &'static str,
    data: Vec<(&'static str, Vec<u8>)>,
}

impl Secret {
    /// The password for the environment's registry.
    #[must_use]
    pub fn password(environment: &Environment, password: &Password) -> Self {
        Self {
            namespace: environment.namespace.to_string(),
            name: SecretKind::Password.name(environment).to_owned(),
            kind: "Opaque",
            data: vec![("pass", password.expose().as_bytes().to_vec())],
        }
    }

    /// What whoever pulls from the registry logs in with: the form that the
    /// kubelet reads, with one key whose value is a Docker client's config.
    #[must_use]
    pub fn credentials(environment: &Environment, password: &Password) -> Self {
        let (user, password) = (environment.registry.user.as_str(), password.expose());
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let login = json!({ "username": user, "password": password, "auth": auth });
        let config = json!({ "auths": { environment.domain.as_str(): login } });
        Self {
            namespace: environment.namespace.to_string(),
            name: SecretKind::Credentials.name(environment).to_owned(),
            kind: "kubernetes.io/dockerconfigjson",
            data: vec![(".dockerconfigjson", config.to_string().into_bytes())],
        }
    }

    /// The private authority for cert-manager, in cert-manager's namespace.
    #[must_use]
    pub fn authority(environment: &Environment, authority: &Authority) -> Self {
        Self {
            namespace: CERT_MANAGER_NAMESPACE.to_owned(),
            name: SecretKind::Authority.name(environment).to_owned(),
            kind: "kubernetes.io/tls",
            data: vec![
                ("tls.crt", authority.certificate_pem().as_bytes().to_vec()),
                ("tls.key", authority.key_pem().as_bytes().to_vec()),
            ],
        }
    }

    /// The certificate of the environment's host names, and of its Service's,
    /// signed by the private authority.
    ///
    /// # Errors
    /// When the authority can't sign.
    pub fn certificate(
        environment: &Environment,
        authority: &Authority,
    ) -> Result<Self, TrustError> {
        let mut names: Vec<String> = environment.hosts().map(ToString::to_string).collect();
        names.push(format!("trow-svc.{}.svc", environment.namespace));
        let issued = authority.issue(&names)?;
        Ok(Self {
            namespace: environment.namespace.to_string(),
            name: SecretKind::Certificate.name(environment).to_owned(),
            kind: "kubernetes.io/tls",
            data: vec![
                ("ca.crt", authority.certificate_pem().as_bytes().to_vec()),
                ("tls.crt", issued.chain_pem.into_bytes()),
                ("tls.key", issued.key_pem.into_bytes()),
            ],
        })
    }

    /// `namespace/name`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The object as the API server takes it. The content is in `data`, since
    /// server-side apply does not remove what a former `stringData` set.
    #[must_use]
    pub fn node(&self) -> Node {
        let data =
            self.data.iter().map(|(key, bytes)| (*key, Node::string(STANDARD.encode(bytes))));
        let labels = Node::mapping([("app.kubernetes.io/managed-by", Node::string("warren"))]);
        let metadata = Node::mapping([
            ("name", Node::string(&self.name)),
            ("namespace", Node::string(&self.namespace)),
            ("labels", labels),
        ]);
        Node::mapping([
            ("apiVersion", Node::string("v1")),
            ("kind", Node::string("Secret")),
            ("metadata", metadata),
            ("type", Node::string(self.kind)),
            ("data", Node::mapping(data)),
        ])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.iter().map(|(key, _)| key).collect();
        write!(f, "Secret({}, {keys:?})", self.title())
    }
}

/// These objects as one YAML text.
#[must_use]
pub fn to_yaml(secrets: &[Secret]) -> String {
    let nodes: Vec<_> = secrets.iter().map(Secret::node).collect();
    yaml::write_all(&nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        toml::from_str(
            r#"
            kubernetes = "1.36"
            domain = "registry.example.org"
            namespace = "trow"
            cluster = { context = "c" }
            registry = { user = "alice" }
            storage = { kind = "host-path", path = "/data", size = "10Gi", owner = { uid = 9, gid = 9 } }
            tls = { ca_secret = "my-ca" }
            "#,
        )
        .unwrap()
    }

    fn decoded(secret: &Secret, key: &str) -> String {
        let node = secret.node();
        let text = node.get("data").unwrap().get(key).unwrap().as_str().unwrap().to_owned();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn the_credentials_are_what_the_kubelet_reads() {
        let password = Password::new("a:\"b\u{e9}").unwrap();
        let secret = Secret::credentials(&environment(), &password);
        assert_eq!(secret.kind, "kubernetes.io/dockerconfigjson");
        assert_eq!(secret.data.len(), 1);
        let config: serde_json::Value =
            serde_json::from_str(&decoded(&secret, ".dockerconfigjson")).unwrap();
        let auth = STANDARD.encode("alice:a:\"b\u{e9}");
        let login = json!({ "username": "alice", "password": "a:\"b\u{e9}", "auth": auth });
        assert_eq!(config, json!({ "auths": { "registry.example.org": login } }));
    }

    #[test]
    fn base64_that_looks_like_a_number_stays_text() {
        let password = Password::new("\u{5de}8").unwrap();
        let yaml = to_yaml(&[Secret::password(&environment(), &password)]);
        assert!(yaml.contains("\"1544\"") || yaml.contains("'1544'"), "{yaml}");
    }

    #[test]
    fn without_cert_manager_the_authority_signs_here() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_make(folder.path()).unwrap();
        let mut environment = environment();
        let kinds = |environment: &Environment| SecretKind::needed(environment);
        assert_eq!(kinds(&environment).last(), Some(&SecretKind::Authority));
        environment.tls.cert_manager = false;
        assert_eq!(kinds(&environment).last(), Some(&SecretKind::Certificate));
        let secret = Secret::certificate(&environment, &authority).unwrap();
        assert_eq!(secret.title(), "trow/trow-registry-tls");
        assert!(decoded(&secret, "tls.crt").ends_with(authority.certificate_pem()));
        assert_eq!(decoded(&secret, "ca.crt"), authority.certificate_pem());
        environment.tls.kind = TlsKind::ExistingSecret;
        assert_eq!(kinds(&environment), [SecretKind::Password, SecretKind::Credentials]);
    }

    #[test]
    fn the_authority_goes_to_cert_managers_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_make(folder.path()).unwrap();
        let secret = Secret::authority(&environment(), &authority);
        assert_eq!(
            (secret.title().as_str(), secret.kind),
            ("cert-manager/my-ca", "kubernetes.io/tls")
        );
        assert_eq!(decoded(&secret, "tls.crt"), authority.certificate_pem());
        assert_eq!(decoded(&secret, "tls.key"), authority.key_pem());
        assert!(!format!("{secret:?}").contains("BEGIN"));
    }
}
