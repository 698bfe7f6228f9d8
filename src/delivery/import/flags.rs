//! The arguments of Trow 0.2 to 0.5, read into what an environment says.

use super::draft::{self, Draft};
use super::report::{Deed, Place, Report};
use super::secret::Moved;
use crate::pipeline::yaml::Node;

/// What the arguments say.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// The host names.
    pub names: Vec<(String, Option<Place>)>,
    /// Beginnings of names of images that may come in.
    pub allow: Vec<String>,
    /// Beginnings that may not, below the registry's own name.
    pub deny_local: Vec<String>,
    /// Where the first rule for images stands.
    pub rules: Option<Place>,
}

/// Flags that are followed by a value.
const VALUED: [&str; 20] = [
    "--names",
    "--user",
    "--password",
    "--password-file",
    "--host",
    "--port",
    "--cert",
    "--key",
    "--data-dir",
    "--allow-prefixes",
    "--allow-images",
    "--disallow-local-prefixes",
    "--disallow-local-images",
    "--hub-user",
    "--hub-token",
    "--hub-token-file",
    "--max-manifest-size",
    "--max-blob-size",
    "--log-level",
    "--cors",
];

/// The long form of a short flag.
fn long(flag: &str) -> &str {
    match flag {
        "-n" => "--names",
        "-u" => "--user",
        "-p" => "--password",
        "-c" => "--cert",
        "-k" => "--key",
        "-d" => "--data-dir",
        other => other,
    }
}

/// Reads arguments.
pub fn read(args: &[Node], draft: &mut Draft, moved: &mut Moved, report: &mut Report) -> Flags {
    let mut flags = Flags::default();
    let mut told = None;
    let mut rest = args.iter();
    while let Some(node) = rest.next() {
        let text = node.as_scalar().map_or("", |scalar| scalar.text());
        let (flag, mut value) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with('-') => (long(flag), Some(value.to_owned())),
            _ => (long(text), None),
        };
        let mut place = Place::of(node);
        if value.is_none() && VALUED.contains(&flag) {
            let next = rest.next();
            place = next.and_then(Place::of).or(place);
            value = next.and_then(Node::as_scalar).map(|scalar| scalar.text().to_owned());
        }
        if Place::of(node).is_some() || matches!(flag, "--no-tls" | "--names") {
            told = told.or_else(|| place.clone());
        }
        one(&mut flags, flag, value.as_deref().unwrap_or_default(), place, draft, moved, report);
    }
    report.add(
        Deed::Upgraded,
        told,
        "the arguments are those of Trow 0.10: --bind, --hostname, --user, --password file://…",
    );
    flags
}

fn one(
    flags: &mut Flags,
    flag: &str,
    value: &str,
    place: Option<Place>,
    draft: &mut Draft,
    moved: &mut Moved,
    report: &mut Report,
) {
    let words = || value.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned);
    match flag {
        "--names" => flags.names.extend(words().map(|name| (name, place.clone()))),
        "--user" => draft.text("registry", "user", value, place),
        "--password" | "--hub-token" => {
            moved.take(value);
            let what = format!("the value of `{flag}`; `warren secret` asks for the password");
            report.add(Deed::MovedOut, place, what);
        }
        // What the base sets, and ours sets too in its own words.
        "--no-tls" | "--password-file" => {}
        "--data-dir" if value == "/data" => {}
        "--host" | "--port" if matches!(value, "0.0.0.0" | "8000") => {}
        "--allow-prefixes" | "--allow-images" => {
            flags.allow.extend(words());
            flags.rules = flags.rules.take().or(place);
        }
        "--allow-docker-official" => {
            flags.allow.push("docker.io/".to_owned());
            flags.rules = flags.rules.take().or(place);
        }
        "--disallow-local-prefixes" | "--disallow-local-images" => {
            flags.deny_local.extend(words());
            flags.rules = flags.rules.take().or(place);
        }
        "--deny-k8s-images" => flags.rules = flags.rules.take().or(place),
        "--enable-cors" => draft.set("registry", "cors", draft::list(["*"]), "", place),
        "--cors" => draft.set("registry", "cors", draft::list(words()), "", place),
        "--log-level" => draft.text("registry", "log_level", &value.to_lowercase(), place),
        "--host" | "--port" | "--data-dir" => {
            let what =
                format!("`{flag}`: the pod listens on port 8000, and keeps its data in /data");
            report.add(Deed::Ignored, place, what);
        }
        "--cert" | "--key" => {
            let what = format!(
                "`{flag}`: the Ingress ends TLS; where clients reach the registry itself, the \
                 certificate is that of [tls]"
            );
            report.left(place, what, Some("[exposure]\nkind = \"load-balancer\"".to_owned()));
        }
        "--proxy-docker-hub" | "--hub-user" | "--hub-token-file" => {
            let what = format!(
                "`{flag}`: Trow 0.10 pulls through by `registry_proxies` of its --config-file"
            );
            report.left(place, what, None);
        }
        _ => {
            // Whether something follows that belongs to it is not known, so
            // nothing but the flag itself is repeated.
            let shown = if flag.starts_with('-') && !moved.is_in(flag) { flag } else { "a value" };
            let what = format!("`{}` among the arguments is not known here", shown.escape_debug());
            let toml = format!("[registry]\nextra_args = {}", draft::list([shown]));
            report.left(place, what, flag.starts_with('-').then_some(toml));
        }
    }
}
