//! Where Secrets come from: stores outside the cluster, and objects that only
//! the cluster can open.

use std::path::Path;

use super::super::address::AddressError;
use super::super::environment::{Environment, SecretsProvider};
use super::super::manifest::Object;
use super::super::yaml::{Kind, Node};
use super::fill::{put, text};
use super::read_file;
use super::{ComposeError, Inputs};

/// An `ExternalSecret`.
pub(super) fn external(
    node: &mut Node,
    name: &str,
    environment: &Environment,
) -> Result<(), AddressError> {
    let secrets = &environment.secrets;
    let refresh = text(secrets.refresh.as_str());
    put(node, "spec.refreshInterval", (environment, "secrets.refresh"), refresh)?;
    let store = "spec.secretStoreRef";
    let kind = text(secrets.store_kind.as_str());
    put(node, &format!("{store}.kind"), (environment, "secrets.store_kind"), kind)?;
    let named = text(secrets.store.as_str());
    put(node, &format!("{store}.name"), (environment, "secrets.store"), named)?;
    let remote = "spec.data[secretKey=password].remoteRef";
    let key = text(secrets.key.as_str());
    put(node, &format!("{remote}.key"), (environment, "secrets.key"), key)?;
    if let Some(property) = &secrets.property {
        let property = text(property.as_str());
        let key = (environment, "secrets.property");
        put(node, &format!("{remote}.property"), key, property)?;
    }
    if name == "trow-cred" {
        let address = "spec.target.template.data[\".dockerconfigjson\"]";
        put(node, address, (environment, "domain"), text(&docker_config(environment)))?;
    }
    Ok(())
}

/// A Docker client's configuration, whose password the operator fills in. The
/// user's grammar allows quotes and backslashes, and braces, which mean
/// something to the template: they go in by what the template prints.
fn docker_config(environment: &Environment) -> String {
    let user = environment.registry.user.as_str();
    // A Go string literal has the same escapes as this one for printable ASCII.
    let user = format!("{user:?}");
    let login = format!(
        "{{{{ dict \"username\" {user} \"password\" .password \"auth\" \
         (printf \"%s:%s\" {user} .password | b64enc) | toJson }}}}"
    );
    let logins: Vec<String> =
        environment.hosts().map(|host| format!("\"{host}\":{login}")).collect();
    format!("{{\"auths\":{{{}}}}}", logins.join(","))
}

/// The objects of the files that `[secrets] files` names, as they are: a change
/// would break the seal.
///
/// # Errors
/// A file can't be read, or holds something that is not sealed.
pub(super) fn sealed(
    root: &Path,
    environment: &Environment,
    inputs: &mut Inputs,
) -> Result<Vec<Object>, ComposeError> {
    let secrets = &environment.secrets;
    let sops = match secrets.provider {
        SecretsProvider::SealedSecrets => false,
        SecretsProvider::Sops => true,
        SecretsProvider::Existing | SecretsProvider::ExternalSecrets => return Ok(Vec::new()),
    };
    let mut all = Vec::new();
    for file in &secrets.files {
        let source = format!("environments/{}", file.as_str());
        for object in read_file(root, &source, inputs)? {
            let wrong = if sops {
                (!is_encrypted(&object)).then_some(
                    "is no Secret that SOPS encrypted: encrypt its values with `sops encrypt \
                     --encrypted-regex '^(data|stringData)$'`",
                )
            } else {
                (object.kind() != "SealedSecret")
                    .then_some("is no SealedSecret: make it with `warren secret … | kubeseal`")
            };
            let elsewhere = object.namespace() != environment.namespace.as_str();
            let wrong = wrong.or(elsewhere.then_some(
                "lives in another namespace than the environment: seal it for that namespace",
            ));
            if let Some(reason) = wrong {
                return Err(ComposeError::Unsealed {
                    source_file: source,
                    id: object.id(),
                    reason,
                });
            }
            all.push(object);
        }
    }
    Ok(all)
}

/// Whether an object must stay as it is: SOPS signs all values of what it encrypts,
/// those too that it leaves readable, and a seal holds for a name and a namespace.
pub(super) fn is_sealed(object: &Object) -> bool {
    let signed = object.node.get("sops").is_some_and(|sops| sops.get("mac").is_some());
    signed || object.kind() == "SealedSecret"
}

/// Whether an object is a Secret all of whose values SOPS encrypted.
#[must_use]
pub fn is_encrypted(object: &Object) -> bool {
    let hidden = |node: &Node| {
        node.as_mapping().is_some_and(|values| {
            values.iter().all(|(_, value)| {
                value.as_scalar().is_some_and(|scalar| {
                    scalar.kind() == Kind::String
                        && scalar.text().starts_with("ENC[")
                        && scalar.text().ends_with(']')
                })
            })
        })
    };
    let lists: Vec<_> =
        ["data", "stringData"].iter().filter_map(|list| object.node.get(list)).collect();
    object.kind() == "Secret"
        && object.node.get("sops").is_some_and(|sops| sops.get("mac").is_some())
        && !lists.is_empty()
        && lists.into_iter().all(hidden)
}
