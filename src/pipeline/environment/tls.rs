//! The `[tls]` table: how the certificate of the domain comes about.

use serde::{Deserialize, Serialize};

use super::text::{DottedName, Email, HttpsUrl, ObjectName, typed_as};

/// How the certificate of the domain comes about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Keys")]
pub struct Tls {
    /// Who signs it.
    pub kind: TlsKind,
    /// The name of cert-manager's `ClusterIssuer`.
    pub issuer: DottedName,
    /// Whether the `ClusterIssuer` is rendered, or there already.
    pub create_issuer: bool,
    /// The Secret with the authority's key, in cert-manager's namespace.
    pub ca_secret: ObjectName,
    /// The Secret with the certificate and its key, in the environment's namespace.
    pub secret: DottedName,
    /// Whether cert-manager is in the cluster.
    pub cert_manager: bool,
    /// Whom an ACME authority writes to.
    pub email: Option<Email>,
    /// The directory of the ACME authority.
    pub server: HttpsUrl,
}

typed_as!(Tls, Keys);

impl Tls {
    /// Whether cert-manager makes the certificate of the domain.
    #[must_use]
    pub fn is_issued(&self) -> bool {
        self.cert_manager && self.kind != TlsKind::ExistingSecret
    }
}

impl Default for Tls {
    fn default() -> Self {
        Keys::default().into_tls()
    }
}

/// Who signs the certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TlsKind {
    /// An authority of one's own, whose key is in a Secret.
    #[default]
    PrivateCa,
    /// An authority that speaks ACME, such as Let's Encrypt.
    Acme,
    /// Nobody here: the Secret is there already.
    ExistingSecret,
    /// The certificate itself.
    SelfSigned,
}

/// How the certificate of the domain comes about.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Keys {
    /// `private-ca`: an authority of your own signs; `acme`: one that speaks
    /// ACME; `self-signed`: the certificate signs itself; `existing-secret`: the
    /// Secret is there already.
    kind: TlsKind,
    /// The name of the `ClusterIssuer`; `ca-issuer`, `acme` or `self-signed`, by
    /// the kind, unless given.
    issuer: Option<DottedName>,
    /// Whether the `ClusterIssuer` is rendered; `false` where it is there already.
    create_issuer: bool,
    /// The Secret with the authority's key, in cert-manager's namespace.
    ca_secret: ObjectName,
    /// The Secret with the certificate and its key, in the environment's namespace.
    secret: DottedName,
    /// Whether cert-manager is in the cluster; without it the Secret with the
    /// certificate is made by hand.
    cert_manager: bool,
    /// Whom the ACME authority writes to; `acme` needs it.
    email: Option<Email>,
    /// The directory of the ACME authority.
    server: HttpsUrl,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            kind: TlsKind::default(),
            issuer: None,
            create_issuer: true,
            ca_secret: ObjectName::literal("ca-priv"),
            secret: DottedName::literal("trow-registry-tls"),
            cert_manager: true,
            email: None,
            server: HttpsUrl::literal("https://acme-v02.api.letsencrypt.org/directory"),
        }
    }
}

impl Keys {
    fn into_tls(self) -> Tls {
        let Self { kind, issuer, create_issuer, ca_secret, secret, cert_manager, email, server } =
            self;
        let issuer = issuer.unwrap_or_else(|| {
            DottedName::literal(match kind {
                TlsKind::PrivateCa | TlsKind::ExistingSecret => "ca-issuer",
                TlsKind::Acme => "acme",
                TlsKind::SelfSigned => "self-signed",
            })
        });
        Tls { kind, issuer, create_issuer, ca_secret, secret, cert_manager, email, server }
    }
}

impl TryFrom<Keys> for Tls {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        if keys.kind == TlsKind::Acme && keys.create_issuer && keys.email.is_none() {
            return Err(
                "an ACME authority wants to know whom to write to: add `email = \"…\"`, or \
                        `create_issuer = false` where the issuer is there already",
            );
        }
        Ok(keys.into_tls())
    }
}
