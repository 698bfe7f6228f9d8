//! What a new environment is asked, as options and as questions.

use std::io::{BufRead, Write};

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

/// What says whether an answer is one, and else why not.
pub type Grammar = fn(&str) -> Result<(), String>;

/// The grammar of a type that an environment's file is read into.
pub fn grammar<T: TryFrom<String, Error = String>>(text: &str) -> Result<(), String> {
    T::try_from(text.to_owned()).map(|_| ())
}

/// One question of free text.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The option that answers it.
    pub option: &'a str,
    /// The question.
    pub text: &'a str,
    /// What counts where nothing is answered.
    pub default: Option<&'a str>,
    /// What an answer must be like.
    pub grammar: Grammar,
}

/// How the answers that no option gives are found.
pub struct Asker<'a> {
    /// Where answers come from, if there is somebody to ask.
    pub input: Option<&'a mut dyn BufRead>,
    /// Where questions go.
    pub output: &'a mut dyn Write,
}

impl Asker<'_> {
    /// The answer to a question. Somebody who is asked is told at once what is wrong
    /// with an answer, and asked again.
    ///
    /// # Errors
    /// There is no answer.
    pub fn text(
        &mut self,
        given: Option<&String>,
        question: Question<'_>,
    ) -> Result<String, CliError> {
        if let Some(given) = given {
            return Ok(given.clone());
        }
        match question.default {
            _ if self.input.is_some() => self.ask(question),
            Some(default) => Ok(default.to_owned()),
            None => Err(CliError::new(
                ErrorKind::Usage,
                format!("{}: there is no default, and no terminal to ask on", question.text),
            )
            .hint(format!("add {} …", question.option))),
        }
    }

    /// The answer to a question with few answers, the first of which is the
    /// default.
    ///
    /// # Errors
    /// There is no answer, or none of these.
    pub fn choice<T: ValueEnum>(
        &mut self,
        given: Option<T>,
        question: &str,
    ) -> Result<T, CliError> {
        if let Some(given) = given {
            return Ok(given);
        }
        let words: Vec<_> = T::value_variants().iter().map(word).collect();
        let default = words.first().map(String::as_str);
        let text = format!("{question} ({})", words.join(", "));
        let grammar = |answer: &str| {
            let none = |_| {
                let words: Vec<_> = T::value_variants().iter().map(word).collect();
                format!("`{}` is none of {}", answer.escape_debug(), words.join(", "))
            };
            T::from_str(answer, true).map(|_| ()).map_err(none)
        };
        let question = Question { option: "an option", text: &text, default, grammar };
        let answer = self.text(None, question)?;
        T::from_str(&answer, true).map_err(|reason| CliError::new(ErrorKind::Usage, reason))
    }

    /// Asks until there is an answer that is one.
    fn ask(&mut self, question: Question<'_>) -> Result<String, CliError> {
        let stopped = || CliError::failed("stopped before all was answered; nothing was written");
        let Some(input) = self.input.as_deref_mut() else { return Err(stopped()) };
        let shown = question.default.map(|default| format!(" [{default}]")).unwrap_or_default();
        loop {
            let _ = write!(self.output, "{}{shown}: ", question.text);
            let _ = self.output.flush();
            let mut line = String::new();
            let read = input.read_line(&mut line);
            if read.map_err(|error| stopped().because(error))? == 0 {
                return Err(stopped());
            }
            let answer = match (line.trim(), question.default) {
                ("", Some(default)) => return Ok(default.to_owned()),
                ("", None) => continue,
                (answer, _) => answer,
            };
            match (question.grammar)(answer) {
                Ok(()) => return Ok(answer.to_owned()),
                Err(reason) => {
                    let _ = writeln!(self.output, "{reason}");
                }
            }
        }
    }
}
