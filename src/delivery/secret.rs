//! The Secret objects that an environment needs, made from what only the
//! operator has.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::password::{Password, User};
use super::references::CERT_MANAGER_NAMESPACE;
use crate::trust::Authority;

/// The Secrets that we know how to make. Their names are those of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretKind {
    /// `trow-pass`: the password, as the registry reads it from a file.
    Password,
    /// `trow-cred`: domain, user and password, as the kubelet reads them to pull.
    Credentials,
    /// `ca-priv`: the private authority, as cert-manager reads it to sign.
    Authority,
}

impl SecretKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Password, Self::Credentials, Self::Authority];

    /// The object's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "trow-pass",
            Self::Credentials => "trow-cred",
            Self::Authority => "ca-priv",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it takes a password to make it.
    #[must_use]
    pub fn needs_password(self) -> bool {
        self != Self::Authority
    }
}

/// A Secret object. Its `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    namespace: String,
    name: &'static str,
    kind: &'static str,
    data: BTreeMap<&'static str, Vec<u8>>,
}

impl Secret {
    /// The password for the registry.
    #[must_use]
    pub fn password(namespace: &str, password: &Password) -> Self {
        let data = BTreeMap::from([("pass", password.expose().as_bytes().to_vec())]);
        Self::new(namespace, SecretKind::Password, "Opaque", data)
    }

    /// What whoever pulls from the registry logs in with: the form that the
    /// kubelet reads, with one key whose value is a Docker client's config.
    #[must_use]
    pub fn credentials(namespace: &str, domain: &str, user: &User, password: &Password) -> Self {
        let (user, password) = (user.as_str(), password.expose());
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let login = json!({ "username": user, "password": password, "auth": auth });
        let config = json!({ "auths": { domain: login } });
        let data = BTreeMap::from([(".dockerconfigjson", config.to_string().into_bytes())]);
        Self::new(namespace, SecretKind::Credentials, "kubernetes.io/dockerconfigjson", data)
    }

    /// The private authority for cert-manager, in cert-manager's namespace.
    #[must_use]
    pub fn authority(authority: &Authority) -> Self {
        let data = BTreeMap::from([
            ("tls.crt", authority.certificate_pem().as_bytes().to_vec()),
            ("tls.key", authority.key_pem().as_bytes().to_vec()),
        ]);
        Self::new(CERT_MANAGER_NAMESPACE, SecretKind::Authority, "kubernetes.io/tls", data)
    }

    fn new(
        namespace: &str,
        kind: SecretKind,
        secret_type: &'static str,
        data: BTreeMap<&'static str, Vec<u8>>,
    ) -> Self {
        Self { namespace: namespace.to_owned(), name: kind.name(), kind: secret_type, data }
    }

    /// `namespace/name`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The object as the API server takes it. The content is in `data`, since
    /// server-side apply does not remove what a former `stringData` set.
    #[must_use]
    pub fn object(&self) -> Value {
        let data: BTreeMap<_, _> =
            self.data.iter().map(|(key, bytes)| (*key, STANDARD.encode(bytes))).collect();
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": { "app.kubernetes.io/managed-by": "warren" },
            },
            "type": self.kind,
            "data": data,
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.keys().collect();
        write!(f, "Secret({}, {keys:?})", self.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(secret: &Secret, key: &str) -> String {
        let object = secret.object();
        let text = object["data"][key].as_str().unwrap();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn the_credentials_are_what_the_kubelet_reads() {
        let (user, password) =
            (User::new("trow-pass").unwrap(), Password::new("a:\"b\u{e9}").unwrap());
        let secret = Secret::credentials("trow", "registry.example", &user, &password);
        let object = secret.object();
        assert_eq!(object["type"], "kubernetes.io/dockerconfigjson");
        assert_eq!(object["data"].as_object().unwrap().len(), 1);
        let config: Value = serde_json::from_str(&decoded(&secret, ".dockerconfigjson")).unwrap();
        let login = &config["auths"]["registry.example"];
        assert_eq!(
            (&login["username"], &login["password"]),
            (&json!("trow-pass"), &json!("a:\"b\u{e9}"))
        );
        let auth = STANDARD.decode(login["auth"].as_str().unwrap()).unwrap();
        assert_eq!(auth, "trow-pass:a:\"b\u{e9}".as_bytes());
    }

    #[test]
    fn the_password_is_stored_without_a_line_end() {
        let secret = Secret::password("trow", &Password::from_bytes(b"s3cr3tp@55\n").unwrap());
        assert_eq!(decoded(&secret, "pass"), "s3cr3tp@55");
        assert_eq!(secret.object()["metadata"]["namespace"], "trow");
    }

    #[test]
    fn the_authority_goes_to_cert_managers_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_make(folder.path()).unwrap();
        let secret = Secret::authority(&authority);
        assert_eq!(secret.title(), "cert-manager/ca-priv");
        assert_eq!(secret.object()["type"], "kubernetes.io/tls");
        assert_eq!(decoded(&secret, "tls.crt"), authority.certificate_pem());
        assert_eq!(decoded(&secret, "tls.key"), authority.key_pem());
        assert!(!format!("{secret:?}").contains("BEGIN"));
    }
}
