//! What a new environment is asked, as options and as questions.

use std::io::{BufRead as _, Write as _};

use clap::ValueEnum;

use crate::cli::error::{CliError, ErrorKind};

/// Answers that stand on the command line.
#[derive(Debug, clap::Args)]
pub struct Given {
    /// The host name that clients type; it has no default.
    #[arg(long)]
    pub domain: Option<String>,
    /// The cluster's version [default: 1.36].
    #[arg(long, value_name = "VERSION")]
    pub kubernetes: Option<String>,
    /// The kubeconfig context of the cluster [default: kubernetes-admin@NAME].
    #[arg(long)]
    pub context: Option<String>,
    /// Where the objects live [default: trow].
    #[arg(long)]
    pub namespace: Option<String>,
    /// The program that serves [default: trow].
    #[arg(long, value_enum)]
    pub engine: Option<Engine>,
    /// Who may log in [default: trow-pass].
    #[arg(long)]
    pub user: Option<String>,
    /// Where the data lives [default: dynamic].
    #[arg(long, value_enum)]
    pub storage: Option<Storage>,
    /// The folder on the node [default: /data].
    #[arg(long)]
    pub path: Option<String>,
    /// The node that holds the data.
    #[arg(long)]
    pub node: Option<String>,
    /// The claim that is there already.
    #[arg(long)]
    pub claim: Option<String>,
    /// How large the volume is [default: 10Gi].
    #[arg(long)]
    pub size: Option<String>,
    /// Who signs the certificate [default: private-ca].
    #[arg(long, value_enum)]
    pub tls: Option<Tls>,
    /// Whom an ACME authority writes to.
    #[arg(long)]
    pub email: Option<String>,
    /// How requests enter the cluster [default: ingress].
    #[arg(long, value_enum)]
    pub exposure: Option<Exposure>,
    /// The program behind the Ingress's class [default: ingress-nginx].
    #[arg(long, value_enum)]
    pub controller: Option<Controller>,
    /// The `GatewayClass`, where the Gateway is to be rendered.
    #[arg(long)]
    pub gateway_class: Option<String>,
    /// The fixed address that the domain resolves to, which `MetalLB` announces.
    #[arg(long, value_name = "IP")]
    pub address: Option<String>,
}

/// `registry.engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The pinned upstream.
    Trow,
    /// Our own registry.
    Warren,
}

/// `storage.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// What a provisioner makes.
    Dynamic,
    /// A folder of the node, as it is.
    HostPath,
    /// A folder of a named node.
    Local,
    /// A claim that is there already.
    ExistingClaim,
}

/// `tls.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    /// An authority of your own.
    PrivateCa,
    /// An authority that speaks ACME.
    Acme,
    /// A Secret that is there already.
    ExistingSecret,
    /// The certificate itself.
    SelfSigned,
}

/// `exposure.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Exposure {
    /// An Ingress.
    Ingress,
    /// The Gateway API.
    Gateway,
    /// A Service of the type `LoadBalancer`.
    LoadBalancer,
    /// A Service of the type `NodePort`.
    NodePort,
}

/// `ingress.controller`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Controller {
    /// Kubernetes' own.
    IngressNginx,
    /// Traefik.
    Traefik,
    /// That of HAProxy Technologies.
    Haproxy,
    /// The community's.
    HaproxyIngress,
}

/// The word of a choice, as the option and the key have it.
pub fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// How the answers that no option gives are found.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// Whether there is somebody to ask.
    pub asking: bool,
}

impl Asker {
    /// The answer to a question of free text. `option` is named where there is
    /// nobody to ask and no default.
    ///
    /// # Errors
    /// There is no answer.
    pub fn text(
        self,
        given: Option<&String>,
        option: &str,
        question: &str,
        default: Option<&str>,
    ) -> Result<String, CliError> {
        if let Some(given) = given {
            return Ok(given.clone());
        }
        if self.asking {
            return ask(question, default);
        }
        match default {
            Some(default) => Ok(default.to_owned()),
            None => Err(CliError::new(
                ErrorKind::Usage,
                format!("{question}: there is no default, and no terminal to ask on"),
            )
            .hint(format!("add {option} …"))),
        }
    }

    /// The answer to a question with few answers, the first of which is the
    /// default.
    ///
    /// # Errors
    /// There is no answer, or none of these.
    pub fn choice<T: ValueEnum>(self, given: Option<T>, question: &str) -> Result<T, CliError> {
        if let Some(given) = given {
            return Ok(given);
        }
        let all = T::value_variants();
        let words: Vec<_> = all.iter().map(word).collect();
        let default = words.first().map(String::as_str);
        let question = format!("{question} ({})", words.join(", "));
        loop {
            let answer = self.text(None, "an option", &question, default)?;
            if let Ok(choice) = T::from_str(&answer, true) {
                return Ok(choice);
            }
            let _ = writeln!(std::io::stderr(), "{answer:?} is none of {}", words.join(", "));
        }
    }
}

/// Asks until there is an answer. The question goes to stderr.
fn ask(question: &str, default: Option<&str>) -> Result<String, CliError> {
    let stopped = || CliError::failed("stopped before all was answered; nothing was written");
    let mut stderr = std::io::stderr();
    loop {
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        let _ = write!(stderr, "{question}{shown}: ");
        let _ = stderr.flush();
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.map_err(|error| stopped().because(error))? == 0 {
            return Err(stopped());
        }
        match (line.trim(), default) {
            ("", Some(default)) => return Ok(default.to_owned()),
            ("", None) => {}
            (answer, _) => return Ok(answer.to_owned()),
        }
    }
}
