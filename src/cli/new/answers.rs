//! The answers, and the file that they make.

use std::fmt::Write as _;

use super::questions::{Asker, Engine, Exposure, Given, Storage, Tls, word};
use crate::cli::error::CliError;

/// A key and its value, as they stand in the file, with what is said beside it.
type Line = (&'static str, String, &'static str);

/// The tables of the file in their order, each with its lines.
#[derive(Debug)]
pub struct Answers {
    tables: Vec<(&'static str, Vec<Line>)>,
}

impl Answers {
    /// Finds every answer: on the command line, by asking, or by default.
    ///
    /// # Errors
    /// One has no default, and there is nobody to ask.
    pub fn gather(name: &str, given: &Given, asking: bool) -> Result<Self, CliError> {
        let asker = Asker { asking };
        let mut tables = vec![("", top(given, asker)?)];
        let context = format!("kubernetes-admin@{name}");
        let question = "The cluster's context, from `kubectl config get-contexts`";
        let context = asker.text(given.context.as_ref(), "--context", question, Some(&context))?;
        tables.push(("cluster", vec![("context", quoted(&context), "")]));
        let engine = asker.choice(given.engine, "The program that serves")?;
        let user =
            asker.text(given.user.as_ref(), "--user", "Who may log in", Some("trow-pass"))?;
        let says = match engine {
            Engine::Trow => "the pinned upstream; \"warren\" puts our own registry in its place",
            Engine::Warren => "our own registry; name an image that the cluster can pull",
        };
        tables.push((
            "registry",
            vec![
                ("engine", quoted(&word(&engine)), says),
                ("user", quoted(&user), "`warren secret` sets the password"),
            ],
        ));
        let storage = asker.choice(given.storage, "Where the data lives")?;
        tables.push(("storage", volume(storage, given, asker)?));
        let tls = asker.choice(given.tls, "Who signs the certificate")?;
        let mut lines = vec![("kind", quoted(&word(&tls)), "")];
        if tls == Tls::Acme {
            let question = "Whom the ACME authority writes to";
            let email = asker.text(given.email.as_ref(), "--email", question, None)?;
            lines.push(("email", quoted(&email), ""));
        }
        tables.push(("tls", lines));
        let exposure = asker.choice(given.exposure, "How requests enter the cluster")?;
        tables.push(("exposure", vec![("kind", quoted(&word(&exposure)), "")]));
        match exposure {
            Exposure::Ingress => {
                let controller =
                    asker.choice(given.controller, "The program that serves Ingresses")?;
                tables.push(("ingress", vec![("controller", quoted(&word(&controller)), "")]));
            }
            Exposure::Gateway => {
                if let Some(class) = &given.gateway_class {
                    let says = "has the Gateway rendered, with TLS";
                    tables.push(("gateway", vec![("class", quoted(class), says)]));
                }
            }
            Exposure::LoadBalancer | Exposure::NodePort => {}
        }
        if let Some(ip) = &given.address {
            let lines = vec![
                ("ip", quoted(ip), "what the domain resolves to"),
                ("provider", quoted("metallb"), ""),
            ];
            tables.push(("address", lines));
        }
        if storage == Storage::HostPath {
            let says = "a host path needs an init container that runs as root";
            tables.push(("pod_security", vec![("enforce", quoted("baseline"), says)]));
        }
        Ok(Self { tables })
    }

    /// The file.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let mut text = format!(
            "#:schema schema.json\n# The environment {name}. docs/environments.md explains every \
             key; what is absent has the\n# default given there.\n"
        );
        for (table, lines) in &self.tables {
            if !table.is_empty() {
                let _ = writeln!(text, "\n[{table}]");
            }
            for (key, value, says) in lines {
                let says = if says.is_empty() { String::new() } else { format!(" # {says}") };
                let _ = writeln!(text, "{key} = {value}{says}");
            }
        }
        text
    }
}

fn top(given: &Given, asker: Asker) -> Result<Vec<Line>, CliError> {
    let domain =
        asker.text(given.domain.as_ref(), "--domain", "The host name that clients type", None)?;
    let question = "The cluster's version of Kubernetes";
    let version = asker.text(given.kubernetes.as_ref(), "--kubernetes", question, Some("1.36"))?;
    let mut lines = vec![
        ("kubernetes", quoted(&version), "the manifests are checked against it"),
        ("domain", quoted(&domain), "what clients type"),
    ];
    if let Some(namespace) = &given.namespace {
        lines.push(("namespace", quoted(namespace), ""));
    }
    Ok(lines)
}

fn volume(storage: Storage, given: &Given, asker: Asker) -> Result<Vec<Line>, CliError> {
    let mut lines = vec![("kind", quoted(&word(&storage)), "")];
    if matches!(storage, Storage::HostPath | Storage::Local) {
        let question = "The folder on the node";
        let path = asker.text(given.path.as_ref(), "--path", question, Some("/data"))?;
        lines.push(("path", quoted(&path), ""));
    }
    if storage == Storage::Local {
        let question = "The node that holds it, by its label kubernetes.io/hostname";
        let node = asker.text(given.node.as_ref(), "--node", question, None)?;
        lines.push(("node", quoted(&node), ""));
    } else if let (Storage::HostPath, Some(node)) = (storage, &given.node) {
        lines.push(("node", quoted(node), ""));
    }
    if storage == Storage::ExistingClaim {
        let question = "The claim that is there already";
        let claim = asker.text(given.claim.as_ref(), "--claim", question, None)?;
        lines.push(("claim", quoted(&claim), ""));
    } else {
        let question = "How large the volume is";
        let size = asker.text(given.size.as_ref(), "--size", question, Some("10Gi"))?;
        lines.push(("size", quoted(&size), ""));
    }
    Ok(lines)
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
