//! The answers, and the file that they make.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::questions::{
    Asker, Engine, Exposure, Given, Grammar, Question, Storage, Tls, grammar, word,
};
use crate::cli::error::{CliError, ErrorKind};
use crate::pipeline::environment::{
    AbsolutePath, ContextName, Domain, DottedName, Email, KubernetesVersion, ObjectName, Quantity,
    UserName,
};

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
    pub fn gather(name: &str, given: &Given, asker: &mut Asker<'_>) -> Result<Self, CliError> {
        options(given, asker)?;
        let mut tables = vec![("", top(given, asker)?)];
        let question = Question {
            option: "--context",
            text: "The cluster's context, from `kubectl config get-contexts`",
            default: Some(&format!("kubernetes-admin@{name}")),
            grammar: grammar::<ContextName>,
        };
        let context = asker.text(given.context.as_ref(), question)?;
        tables.push(("cluster", vec![("context", quoted(&context), "")]));
        let engine = asker.choice(given.engine, "The program that serves")?;
        let question = Question {
            option: "--user",
            text: "Who may log in",
            default: Some("trow-pass"),
            grammar: grammar::<UserName>,
        };
        let user = asker.text(given.user.as_ref(), question)?;
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
            let question = Question {
                option: "--email",
                text: "Whom the ACME authority writes to",
                default: None,
                grammar: grammar::<Email>,
            };
            let email = asker.text(given.email.as_ref(), question)?;
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

/// What stands on the command line is looked at before anything is asked.
fn options(given: &Given, asker: &Asker<'_>) -> Result<(), CliError> {
    let address: Grammar = |text| match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{}` is no address", text.escape_debug())),
    };
    let all: [(&str, &Option<String>, Grammar); 12] = [
        ("--domain", &given.domain, grammar::<Domain>),
        ("--kubernetes", &given.kubernetes, grammar::<KubernetesVersion>),
        ("--context", &given.context, grammar::<ContextName>),
        ("--namespace", &given.namespace, grammar::<ObjectName>),
        ("--user", &given.user, grammar::<UserName>),
        ("--path", &given.path, grammar::<AbsolutePath>),
        ("--node", &given.node, grammar::<ObjectName>),
        ("--claim", &given.claim, grammar::<DottedName>),
        ("--size", &given.size, grammar::<Quantity>),
        ("--email", &given.email, grammar::<Email>),
        ("--gateway-class", &given.gateway_class, grammar::<DottedName>),
        ("--address", &given.address, address),
    ];
    // Where nobody is asked, whoever reads the file says it, with its line.
    for (option, given, grammar) in all.iter().filter(|_| asker.input.is_some()) {
        if let Some(given) = given {
            grammar(given)
                .map_err(|reason| CliError::new(ErrorKind::Usage, format!("{option}: {reason}")))?;
        }
    }
    Ok(())
}

fn top(given: &Given, asker: &mut Asker<'_>) -> Result<Vec<Line>, CliError> {
    let question = Question {
        option: "--domain",
        text: "The host name that clients type",
        default: None,
        grammar: grammar::<Domain>,
    };
    let domain = asker.text(given.domain.as_ref(), question)?;
    let question = Question {
        option: "--kubernetes",
        text: "The cluster's version of Kubernetes",
        default: Some("1.36"),
        grammar: grammar::<KubernetesVersion>,
    };
    let version = asker.text(given.kubernetes.as_ref(), question)?;
    let mut lines = vec![
        ("kubernetes", quoted(&version), "the manifests are checked against it"),
        ("domain", quoted(&domain), "what clients type"),
    ];
    if let Some(namespace) = &given.namespace {
        lines.push(("namespace", quoted(namespace), ""));
    }
    Ok(lines)
}

fn volume(storage: Storage, given: &Given, asker: &mut Asker<'_>) -> Result<Vec<Line>, CliError> {
    let mut lines = vec![("kind", quoted(&word(&storage)), "")];
    if matches!(storage, Storage::HostPath | Storage::Local) {
        let question = Question {
            option: "--path",
            text: "The folder on the node",
            default: Some("/data"),
            grammar: grammar::<AbsolutePath>,
        };
        lines.push(("path", quoted(&asker.text(given.path.as_ref(), question)?), ""));
    }
    if storage == Storage::Local {
        let question = Question {
            option: "--node",
            text: "The node that holds it, by its label kubernetes.io/hostname",
            default: None,
            grammar: grammar::<ObjectName>,
        };
        lines.push(("node", quoted(&asker.text(given.node.as_ref(), question)?), ""));
    } else if let (Storage::HostPath, Some(node)) = (storage, &given.node) {
        lines.push(("node", quoted(node), ""));
    }
    if storage == Storage::ExistingClaim {
        let question = Question {
            option: "--claim",
            text: "The claim that is there already",
            default: None,
            grammar: grammar::<DottedName>,
        };
        lines.push(("claim", quoted(&asker.text(given.claim.as_ref(), question)?), ""));
    } else {
        let question = Question {
            option: "--size",
            text: "How large the volume is",
            default: Some("10Gi"),
            grammar: grammar::<Quantity>,
        };
        lines.push(("size", quoted(&asker.text(given.size.as_ref(), question)?), ""));
    }
    Ok(lines)
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::pipeline::environment;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        given: Given,
    }

    /// What is asked and told, and the file or the error, for these options and lines.
    fn asked(options: &[&str], lines: &str) -> (String, Result<String, String>) {
        let given = Options::parse_from([&["new"], options].concat()).given;
        let (mut input, mut output) = (lines.as_bytes(), Vec::new());
        let mut asker = Asker { input: Some(&mut input), output: &mut output };
        let answers = Answers::gather("staging", &given, &mut asker);
        let text = answers.map(|answers| answers.text("staging"));
        (String::from_utf8(output).unwrap(), text.map_err(|error| error.to_string()))
    }

    #[test]
    fn a_wrong_answer_is_told_at_once_and_asked_for_again() {
        let lines = "bad domain\n\nr.example.org\n1.2\n1.35\n\nour engine\nwarren\n\nlocal\nx\n\
                     /srv\nN 1\nn-1\nten\n2Ti\nacme\nnobody\na@b.example\n\n\n";
        let (told, text) = asked(&[], lines);
        let text = text.unwrap();
        assert!(environment::check_text("staging", &text).is_ok(), "{text}");
        for part in [
            "domain = \"r.example.org\"",
            "\"1.35\"",
            "\"warren\"",
            "\"n-1\"",
            "\"2Ti\"",
            "a@b.example",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let domain = "The host name that clients type: ";
        assert_eq!(told.matches(domain).count(), 3, "{told}");
        assert!(told.starts_with(&format!("{domain}`bad domain` ")), "{told}");
        for wrong in
            ["`1.2` ", "`our engine` is none of trow, warren", "`N 1` ", "`ten` ", "`nobody` "]
        {
            assert!(told.contains(wrong), "{wrong}\n{told}");
        }
    }

    #[test]
    fn a_wrong_option_is_refused_before_anything_is_asked() {
        for (options, says) in [
            (&["--domain", "localhost"][..], "--domain: `localhost` "),
            (&["--namespace", "A b"], "--namespace: `A b` "),
            (&["--size", "ten"], "--size: `ten` "),
            (&["--address", "x"], "--address: `x` is no address"),
        ] {
            let (told, error) = asked(options, "");
            assert_eq!(told, "", "{options:?}");
            assert!(error.unwrap_err().starts_with(says), "{options:?}");
        }
    }

    #[test]
    fn who_stops_gets_no_file() {
        let (told, error) = asked(&[], "r.example.org\n");
        assert!(told.ends_with("The cluster's version of Kubernetes [1.36]: "), "{told}");
        assert!(error.unwrap_err().contains("nothing was written"));
    }
}
