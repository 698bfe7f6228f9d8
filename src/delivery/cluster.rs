//! The cluster of an environment, as `kubectl` sees it. Nothing here ever uses
//! the kubeconfig's current context: an environment is applied to the context
//! that it names, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::kubectl::{Finished, Run, RunError};
use super::references::SecretReference;

/// How long the cluster has for one short answer.
const REQUEST_TIMEOUT: &str = "--request-timeout=5s";
/// How long `kubectl` has for a short answer, its login helper included.
const SHORT: Duration = Duration::from_secs(15);
/// How long applying may take.
const LONG: Duration = Duration::from_mins(5);
/// Who owns the fields that we apply.
const FIELD_MANAGER: &str = "--field-manager=warren";

/// A cluster: a context of the kubeconfig.
#[derive(Clone, Copy)]
pub struct Cluster<'a> {
    kubectl: &'a dyn Run,
    context: &'a str,
}

/// Whether a cluster can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Reach {
    /// It answers.
    Ready,
    /// There is no `kubectl`.
    NoKubectl {
        /// Why it could not be started.
        reason: String,
    },
    /// The kubeconfig has no such context.
    NoContext {
        /// The one that was looked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// There is a context, and its cluster does not answer or is not ready.
    Unreachable {
        /// What `kubectl` said.
        reason: String,
    },
}

impl Reach {
    /// Why nothing can be applied, as a sentence's end; `None` when it can.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::NoKubectl { reason } => Some(format!("there is no kubectl here ({reason})")),
            Self::NoContext { name, known } if known.is_empty() => {
                Some(format!("the kubeconfig has no context `{name}`, nor any other"))
            }
            Self::NoContext { name, known } => Some(format!(
                "the kubeconfig has no context `{name}`; there is {}",
                known.join(", ")
            )),
            Self::Unreachable { reason } => {
                Some(format!("the cluster can't be reached ({reason})"))
            }
        }
    }
}

/// Why something on a reachable cluster did not work.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// `kubectl` did not run to its end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The cluster refused.
    #[error("kubectl {what}: {reason}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// What `kubectl` said.
        reason: String,
    },
}

impl ClusterError {
    /// The way out, where what `kubectl` said shows one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let Self::Refused { reason, .. } = self else { return None };
        if reason.contains("no matches for kind") {
            Some(
                "the cluster does not know that kind yet: install what brings it (cert-manager \
                 for ClusterIssuer) and deploy again",
            )
        } else if reason.contains("namespaces \"cert-manager\" not found") {
            Some("install cert-manager first: the private CA's Secret lives in its namespace")
        } else if reason.contains("namespaces \"") && reason.contains("not found") {
            Some("deploy the environment first: that makes its namespace")
        } else if reason.contains("updates to statefulset spec") {
            Some(
                "a StatefulSet's serviceName, selector and volume claims can't be changed. Remove \
                 it and leave its pod and data: kubectl delete statefulset trow-set \
                 --cascade=orphan, then deploy again. A claim that exists keeps its size",
            )
        } else if reason.contains("conflict") {
            Some(
                "another manager owns a field that this sets; the message names both. Let one \
                 of them go, or take the field once by kubectl apply --server-side \
                 --field-manager=warren --force-conflicts",
            )
        } else {
            None
        }
    }
}

impl<'a> Cluster<'a> {
    /// The cluster of this context of the kubeconfig.
    #[must_use]
    pub fn new(kubectl: &'a dyn Run, context: &'a str) -> Self {
        Self { kubectl, context }
    }

    /// The context's name.
    #[must_use]
    pub fn context(&self) -> &str {
        self.context
    }

    /// Asks whether it is there.
    #[must_use]
    pub fn reach(&self) -> Reach {
        // The list first: kubectl's message about an unknown context changes
        // from version to version, and the names help who mistyped.
        let known = match self.kubectl.run(
            &as_args(&["config", "get-contexts", "-o", "name"]),
            None,
            SHORT,
        ) {
            Ok(finished) if finished.success => names(&finished.stdout),
            Ok(finished) => return Reach::Unreachable { reason: finished.reason() },
            Err(error) => return unreachable_because(&error),
        };
        if !known.iter().any(|name| name == self.context) {
            return Reach::NoContext { name: self.context.to_owned(), known };
        }
        match self.run(&as_args(&["get", "--raw", "/readyz", REQUEST_TIMEOUT]), None, SHORT) {
            Ok(finished) if finished.success => Reach::Ready,
            // Who may not ask for readiness may still be allowed to apply.
            Ok(finished) if finished.stderr.contains("(Forbidden)") => Reach::Ready,
            Ok(finished) => Reach::Unreachable { reason: finished.reason() },
            Err(error) => unreachable_because(&error),
        }
    }

    /// Applies a folder with a `kustomization.yaml`, server-side. Gives what
    /// `kubectl` says of each object, a line each.
    ///
    /// # Errors
    /// When the cluster refuses any of it.
    pub fn apply_folder(&self, folder: &Path) -> Result<Vec<String>, ClusterError> {
        let mut arguments = as_args(&["apply", "--server-side", FIELD_MANAGER, "-k"]);
        arguments.push(folder.as_os_str());
        self.ask("apply", &arguments, None, LONG)
    }

    /// Applies objects that were written down nowhere, server-side: so their
    /// content does not end up in the last-applied annotation either. Fields
    /// that another manager set are taken over, as the operator asked for.
    ///
    /// # Errors
    /// When the cluster refuses any of it.
    pub fn apply_objects(&self, yaml: &str) -> Result<Vec<String>, ClusterError> {
        let arguments =
            as_args(&["apply", "--server-side", FIELD_MANAGER, "--force-conflicts", "-f", "-"]);
        self.ask("apply", &arguments, Some(yaml), LONG)
    }

    /// Those of these Secrets that are not there.
    ///
    /// # Errors
    /// When the cluster does not let us look.
    pub fn missing_secrets(
        &self,
        wanted: &[SecretReference],
    ) -> Result<Vec<SecretReference>, ClusterError> {
        let mut by_namespace: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for reference in wanted {
            by_namespace.entry(&reference.namespace).or_default().insert(&reference.name);
        }
        let mut there = BTreeSet::new();
        for (namespace, secrets) in by_namespace {
            // By name rather than as a list: that needs the right to `get` only.
            let namespace_flag = format!("--namespace={namespace}");
            let mut arguments = as_args(&["get", "secret"]);
            arguments.extend(secrets.iter().map(OsStr::new));
            arguments.extend(as_args(&["--ignore-not-found", "-o", "name", REQUEST_TIMEOUT]));
            arguments.push(OsStr::new(&namespace_flag));
            for line in self.ask("get secret", &arguments, None, SHORT)? {
                let name = line.strip_prefix("secret/").unwrap_or(&line).to_owned();
                there.insert((namespace, name));
            }
        }
        let is_missing = |reference: &&SecretReference| {
            !there.contains(&(reference.namespace.as_str(), reference.name.clone()))
        };
        Ok(wanted.iter().filter(is_missing).cloned().collect())
    }

    fn ask(
        &self,
        what: &'static str,
        arguments: &[&OsStr],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<Vec<String>, ClusterError> {
        let finished = self.run(arguments, input, limit)?;
        if finished.success {
            Ok(names(&finished.stdout))
        } else {
            Err(ClusterError::Refused { what, reason: finished.reason() })
        }
    }

    fn run(
        &self,
        arguments: &[&OsStr],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<Finished, RunError> {
        let context = format!("--context={}", self.context);
        let mut all = vec![OsStr::new(&context)];
        all.extend(arguments);
        self.kubectl.run(&all, input, limit)
    }
}

fn unreachable_because(error: &RunError) -> Reach {
    match error {
        RunError::Start { .. } => Reach::NoKubectl { reason: error.to_string() },
        RunError::Limit { .. } => Reach::Unreachable { reason: error.to_string() },
    }
}

fn as_args<'t>(arguments: &[&'t str]) -> Vec<&'t OsStr> {
    arguments.iter().copied().map(OsStr::new).collect()
}

fn names(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::super::references::Use;
    use super::*;

    /// Answers from a list of (how the arguments begin, success, stdout, stderr).
    struct Script {
        answers: Vec<(&'static str, bool, &'static str, &'static str)>,
        calls: RefCell<Vec<String>>,
    }

    impl Script {
        fn new(answers: &[(&'static str, bool, &'static str, &'static str)]) -> Self {
            Self { answers: answers.to_vec(), calls: RefCell::default() }
        }
    }

    impl Run for Script {
        fn run(
            &self,
            arguments: &[&OsStr],
            input: Option<&str>,
            _: Duration,
        ) -> Result<Finished, RunError> {
            let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
            let line = words.join(" ");
            self.calls.borrow_mut().push(format!("{line}{}", input.unwrap_or("")));
            let answer = self.answers.iter().find(|answer| line.starts_with(answer.0));
            let (_, success, stdout, stderr) = *answer.unwrap_or_else(|| panic!("{line}"));
            Ok(Finished { success, stdout: stdout.into(), stderr: stderr.into() })
        }
    }

    const CONTEXTS: (&str, bool, &str, &str) = ("config get-contexts", true, "kind\nsandbox\n", "");
    const READYZ: &str = "--context=sandbox get --raw /readyz --request-timeout=5s";

    fn reach(answers: &[(&'static str, bool, &'static str, &'static str)]) -> Reach {
        Cluster::new(&Script::new(answers), "sandbox").reach()
    }

    #[test]
    fn a_cluster_that_answers_is_ready() {
        assert_eq!(reach(&[CONTEXTS, (READYZ, true, "ok", "")]), Reach::Ready);
        let forbidden = "Error from server (Forbidden): forbidden: User \"dev\" cannot get path \
                         \"/readyz\"\n";
        assert_eq!(reach(&[CONTEXTS, (READYZ, false, "", forbidden)]), Reach::Ready);
    }

    #[test]
    fn each_obstacle_is_told_apart() {
        let refused = "The connection to the server 127.0.0.1:1 was refused - did you specify \
                       the right host or port?\n";
        let found = reach(&[CONTEXTS, (READYZ, false, "", refused)]);
        assert!(found.obstacle().unwrap().contains("127.0.0.1:1 was refused"), "{found:?}");

        let found = reach(&[("config get-contexts", true, "kind\nprod\n", "")]);
        assert_eq!(
            found.obstacle().unwrap(),
            "the kubeconfig has no context `sandbox`; there is kind, prod"
        );
        let found = reach(&[("config get-contexts", true, "", "")]);
        assert!(found.obstacle().unwrap().ends_with("nor any other"), "{found:?}");

        let broken = "error: error loading config file \"bad\": yaml: line 1: did not find \
                      expected node content\n";
        let found = reach(&[("config get-contexts", false, "", broken)]);
        assert!(found.obstacle().unwrap().contains("config file \"bad\""), "{found:?}");

        let kubectl = super::super::kubectl::Kubectl::new("/nowhere/kubectl");
        let found = Cluster::new(&kubectl, "sandbox").reach();
        assert!(matches!(found, Reach::NoKubectl { .. }), "{found:?}");
    }

    #[test]
    fn the_current_context_is_never_used() {
        let script = Script::new(&[CONTEXTS]);
        let found = Cluster::new(&script, "").reach();
        assert!(matches!(found, Reach::NoContext { .. }), "{found:?}");
        assert_eq!(script.calls.borrow().len(), 1);
    }

    #[test]
    fn secrets_are_looked_up_in_their_namespaces() {
        let script = Script::new(&[
            ("--context=c get secret ca-priv", true, "secret/ca-priv\n", ""),
            ("--context=c get secret trow-cred trow-pass", true, "secret/trow-cred\n", ""),
        ]);
        let reference = |namespace: &str, name: &str| SecretReference {
            namespace: namespace.into(),
            name: name.into(),
            by: "StatefulSet/trow-set".into(),
            usage: Use::Mounted,
        };
        let wanted = [
            reference("trow", "trow-pass"),
            reference("trow", "trow-cred"),
            reference("cert-manager", "ca-priv"),
        ];
        let missing = Cluster::new(&script, "c").missing_secrets(&wanted).unwrap();
        assert_eq!(missing, [wanted[0].clone()]);
        assert!(script.calls.borrow()[0].ends_with("--namespace=cert-manager"));
    }

    #[test]
    fn what_is_applied_goes_to_the_context_and_refusals_have_hints() {
        let no_kind = "error: resource mapping not found for name: \"ca-issuer\" namespace: \"\" \
                       from \"deploy/sandbox\": no matches for kind \"ClusterIssuer\" in version \
                       \"cert-manager.io/v1\"\nensure CRDs are installed first\n";
        let script = Script::new(&[
            ("--context=c apply --server-side --field-manager=warren -k d", false, "", no_kind),
            ("--context=c apply", true, "secret/trow-pass serverside-applied\n", ""),
        ]);
        let cluster = Cluster::new(&script, "c");
        let error = cluster.apply_folder(Path::new("d")).unwrap_err();
        assert!(error.hint().unwrap().contains("cert-manager"), "{error}");
        let said = cluster.apply_objects("<yaml>").unwrap();
        assert_eq!(said, ["secret/trow-pass serverside-applied"]);
        assert!(script.calls.borrow()[1].ends_with("-f -<yaml>"));
    }
}
