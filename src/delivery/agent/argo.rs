//! Argo CD: an `AppProject` that allows what is rendered and nothing else, and
//! an `Application`, or for several environments an `ApplicationSet`.

use serde_json::{Value, json};

use super::{Source, kinds, metadata, name, namespaces, objects, path};
use crate::pipeline::compose::Rendered;
use crate::pipeline::manifest::Object;

/// The objects for these environments.
#[must_use]
pub fn argo(rendered: &[Rendered], source: &Source) -> Vec<Object> {
    let mut found: Vec<_> = rendered.iter().map(|one| project(one, source)).collect();
    found.extend(source.secret.as_deref().map(|name| repository(name, source)));
    match rendered {
        [one] => {
            let mut application = json!({
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": compared(&name(one), source),
            });
            application["spec"] = spec(
                &name(one),
                &path(one, source),
                (server(one, source), one.environment.namespace.as_str()),
                &source.branch,
                source,
            );
            found.push(application);
        }
        several => found.push(set(several, source)),
    }
    objects(&found)
}

/// The metadata of an Application.
fn compared(name: &str, source: &Source) -> Value {
    let mut metadata = metadata(name, source);
    // The API server says what it would make of the objects, so that what it fills
    // in is no difference.
    metadata["annotations"] = json!({"argocd.argoproj.io/compare-options": "ServerSideDiff=true"});
    metadata
}

/// Where an environment is deployed to.
fn server<'s>(rendered: &Rendered, source: &'s Source) -> &'s str {
    source.clusters.get(&rendered.environment.name).unwrap_or(&source.server)
}

/// What Argo CD knows the repository by: it looks for a Secret with this label and
/// url. Who deploys adds the credentials, which no manifest may hold.
fn repository(name: &str, source: &Source) -> Value {
    let mut metadata = metadata(name, source);
    metadata["labels"]["argocd.argoproj.io/secret-type"] = json!("repository");
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {"type": "git", "url": source.url},
    })
}

fn spec(
    name: &str,
    path: &str,
    (server, namespace): (&str, &str),
    branch: &str,
    source: &Source,
) -> Value {
    json!({
        "project": name,
        "source": {
            "repoURL": source.url,
            "targetRevision": branch,
            "path": path,
        },
        "destination": {"server": server, "namespace": namespace},
        "syncPolicy": {
            "automated": {"prune": true, "selfHeal": true},
            "syncOptions": [
                // The namespace is rendered, with its labels.
                "CreateNamespace=false",
                "ServerSideApply=true",
                "PruneLast=true",
                "RespectIgnoreDifferences=true",
                "FailOnSharedResource=true",
            ],
            "retry": {
                "limit": 5,
                "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"},
            },
        },
        "ignoreDifferences": [
            // cert-manager writes the authority in.
            {
                "group": "admissionregistration.k8s.io",
                "kind": "ValidatingWebhookConfiguration",
                "jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"],
            },
        ],
        "revisionHistoryLimit": 10,
    })
}

/// Allows one environment's kinds, in its namespaces, from one repository.
fn project(rendered: &Rendered, source: &Source) -> Value {
    let kinds = kinds(rendered);
    let list = |namespaced: bool| -> Vec<Value> {
        let kinds = kinds.get(&namespaced).into_iter().flatten();
        kinds.map(|(group, kind)| json!({"group": group, "kind": kind})).collect()
    };
    let destinations: Vec<_> = namespaces(rendered)
        .into_iter()
        .map(|namespace| json!({"server": server(rendered, source), "namespace": namespace}))
        .collect();
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": metadata(&name(rendered), source),
        "spec": {
            "description": format!("The Trow registry of {}", rendered.environment.name),
            "sourceRepos": [source.url],
            "destinations": destinations,
            "clusterResourceWhitelist": list(false),
            "namespaceResourceWhitelist": list(true),
        },
    })
}

/// One `Application` for each environment, by a list.
fn set(rendered: &[Rendered], source: &Source) -> Value {
    let elements: Vec<_> = rendered
        .iter()
        .map(|one| {
            json!({
                "environment": one.environment.name,
                "namespace": one.environment.namespace.as_str(),
                "server": server(one, source),
                "branch": source.branch.replace("{environment}", &one.environment.name),
            })
        })
        .collect();
    let name = "trow-{{ .environment }}";
    let mut labelled = compared(name, source);
    // The set's own namespace is where the Applications go.
    if let Some(metadata) = labelled.as_object_mut() {
        metadata.remove("namespace");
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": metadata("trow", source),
        "spec": {
            "goTemplate": true,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"list": {"elements": elements}}],
            // An environment that leaves the list leaves its objects.
            "syncPolicy": {"preserveResourcesOnDeletion": true},
            "template": {
                "metadata": labelled,
                "spec": spec(
                    name,
                    &format!("{}deploy/{{{{ .environment }}}}", source.prefix),
                    ("{{ .server }}", "{{ .namespace }}"),
                    "{{ .branch }}",
                    source,
                ),
            },
        },
    })
}
