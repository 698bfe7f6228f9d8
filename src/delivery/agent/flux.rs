//! Flux: a `GitRepository` of the branch, and a `Kustomization` for each
//! environment, which prunes, waits, and decrypts where SOPS encrypted.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Source, metadata, name, objects, path};
use crate::pipeline::compose::Rendered;
use crate::pipeline::environment::SecretsProvider;
use crate::pipeline::manifest::Object;

/// The objects for these environments.
#[must_use]
pub fn flux(rendered: &[Rendered], source: &Source) -> Vec<Object> {
    let own_branches = source.branch.contains("{environment}");
    let mut found = Vec::new();
    if !own_branches {
        let paths: Vec<_> = rendered.iter().map(|one| path(one, source)).collect();
        found.push(repository("trow", &source.branch, &paths, source));
    }
    for one in rendered {
        let repository_name = if own_branches { name(one) } else { "trow".to_owned() };
        if own_branches {
            let branch = source.branch.replace("{environment}", &one.environment.name);
            found.push(repository(&repository_name, &branch, &[path(one, source)], source));
        }
        found.push(kustomization(one, &repository_name, source));
    }
    objects(&found)
}

fn repository(name: &str, branch: &str, paths: &[String], source: &Source) -> Value {
    // Whatever else changes in the repository makes no new artifact.
    let mut ignore = String::from("/*\n");
    let mut above = String::new();
    for folder in format!("{}deploy", source.prefix).split('/') {
        above = format!("{above}/{folder}");
        let _ = write!(ignore, "!{above}\n{above}/*\n");
    }
    for path in paths {
        let _ = writeln!(ignore, "!/{path}");
    }
    let mut spec = json!({
        "interval": "1m",
        "url": source.url,
        "ref": {"branch": branch},
        "ignore": ignore,
    });
    if let Some(secret) = &source.secret {
        spec["secretRef"] = json!({"name": secret});
    }
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata(name, source),
        "spec": spec,
    })
}

fn kustomization(rendered: &Rendered, repository: &str, source: &Source) -> Value {
    let mut spec = json!({
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": "5m",
        "path": format!("./{}", path(rendered, source)),
        "prune": true,
        // Waits for every object, which makes a list of health checks needless.
        "wait": true,
        "sourceRef": {"kind": "GitRepository", "name": repository},
        // Should the Kustomization go, the registry and its data stay.
        "deletionPolicy": "Orphan",
    });
    if !source.depends_on.is_empty() {
        let names = source.depends_on.iter().map(|name| json!({"name": name}));
        spec["dependsOn"] = names.collect();
    }
    if let Some(secret) = source.clusters.get(&rendered.environment.name) {
        spec["kubeConfig"] = json!({"secretRef": {"name": secret}});
    }
    if rendered.environment.secrets.provider == SecretsProvider::Sops {
        spec["decryption"] = json!({
            "provider": "sops",
            "secretRef": {"name": source.sops_secret},
        });
    }
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata(&name(rendered), source),
        "spec": spec,
    })
}
