//! `warren import`: from a kustomize overlay of Trow to an environment's file.
//! The overlay is built as kustomize builds it, each value with its line; then
//! one file per noun reads what keys exist for, and what is left becomes
//! patches or lines of the report.

mod address;
mod admission;
mod draft;
mod error;
mod flags;
mod ingress;
mod issuer;
mod leftover;
mod overlay;
mod report;
mod secret;
mod source;
mod standin;
mod storage;
mod strays;
mod subject;
mod target;
mod workload;

use std::path::Path;

use crate::fs;
use crate::pipeline::check::{Finding, check};
use crate::pipeline::compose::compose_text;
use crate::pipeline::environment;
use crate::pipeline::manifest::Object;
use crate::pipeline::upstream::Upstream;
use crate::pipeline::yaml;

use draft::Draft;
pub use error::ImportError;
use leftover::Leftover;
use overlay::{Loader, Overlay};
pub use report::{Deed, Entry, Place, Report};
use secret::Moved;
use source::{Folder, Reader};
use subject::Subject;

/// What an overlay does not say.
#[derive(Clone, Debug)]
pub struct Options {
    /// The environment's name.
    pub name: String,
    /// The cluster's version.
    pub kubernetes: String,
    /// The kubeconfig context, where it is known.
    pub context: Option<String>,
    /// The domain, where the overlay has none.
    pub domain: Option<String>,
    /// The address that the domain resolves to, where the overlay has none.
    pub address: Option<String>,
}

/// What came out.
#[derive(Debug)]
pub struct Import {
    /// The environment's file.
    pub text: String,
    /// What became of everything.
    pub report: Report,
}

/// Makes an environment of the overlay in `folder`, for the repository at
/// `root`. Nothing is written.
///
/// # Errors
/// [`ImportError`].
pub fn import(
    root: &Path,
    folder: &Path,
    options: &Options,
    upstream: &Upstream,
) -> Result<Import, ImportError> {
    let (mut report, mut moved, mut reader) =
        (Report::default(), Moved::default(), Reader::default());
    let loader = Loader { reader: &mut reader, report: &mut report, moved: &mut moved };
    let overlay = { loader }.load(&Folder::top(folder)).map_err(ImportError::without_secrets)?;
    let mut draft = Draft::default();
    top(&overlay, options, &mut draft, &mut report);
    let leftovers = Reading { draft: &mut draft, report: &mut report, moved: &mut moved }
        .objects(&overlay, options)?;
    unread(folder, &reader.seen, options, &mut draft, &mut report)?;
    let text = settle(root, options, &draft, leftovers, upstream, &mut report)?;
    Ok(Import { text, report: report.sorted().map(|text| moved.hide(text)) })
}

/// What is said of the overlay as a whole.
fn top(overlay: &Overlay, options: &Options, draft: &mut Draft, report: &mut Report) {
    let says = "the manifests are checked against it";
    draft.set("", "kubernetes", draft::quoted(&options.kubernetes), says, None);
    let context = format!("kubernetes-admin@{}", options.name);
    draft.text("cluster", "context", options.context.as_ref().unwrap_or(&context), None);
    let mut assumed = vec![format!("Kubernetes {}", options.kubernetes)];
    if options.context.is_none() {
        assumed.push(format!("the context {context}"));
    }
    report.add(Deed::Assumed, None, format!("{}; see `warren import --help`", assumed.join(", ")));
    if let Some(namespace) = &overlay.namespace {
        let name = namespace.as_str().unwrap_or_default();
        draft.text("", "namespace", name, Place::of(namespace));
    }
    let own = |key: &str| key == "app" || key.starts_with("app.kubernetes.io/");
    for (key, pairs) in [("labels", &overlay.labels), ("annotations", &overlay.annotations)] {
        let (kept, ours): (Vec<_>, Vec<_>) =
            pairs.iter().partition(|(name, _)| key == "annotations" || !own(name));
        for (name, value) in ours {
            let what = format!("the label {name}, by which the objects find each other, is ours");
            report.add(Deed::Ignored, Place::of(value), what);
        }
        let place = kept.first().and_then(|(_, value)| Place::of(value));
        let text = |value: &yaml::Node| {
            draft::quoted(value.as_scalar().map(yaml::Scalar::text).unwrap_or_default())
        };
        let kept: Vec<_> = kept.into_iter().map(|(name, value)| (name, text(value))).collect();
        if !kept.is_empty() {
            draft.set("", key, draft::inline(kept), "", place);
        }
    }
    draft.set("registry", "engine", "\"trow\"".to_owned(), "the pinned upstream", None);
}

/// Reads the objects.
struct Reading<'a> {
    draft: &'a mut Draft,
    report: &'a mut Report,
    moved: &'a mut Moved,
}

impl Reading<'_> {
    fn objects(
        &mut self,
        overlay: &Overlay,
        options: &Options,
    ) -> Result<Vec<Leftover>, ImportError> {
        let base = standin::all()?;
        let mut kinds = Kinds::default();
        for object in &overlay.objects {
            kinds.sort(object, &base, self.report);
        }
        let Self { draft, report, moved } = self;
        let Some(mut pods) = kinds.workload.take() else {
            let reason = "the overlay has no StatefulSet trow-set: is it one of Trow?";
            return Err(ImportError::Missing(reason.to_owned()));
        };
        if pods.after.get("kind").and_then(yaml::Node::as_str) == Some("Deployment") {
            let what = "the Deployment is a StatefulSet, trow-set: two pods never share the data";
            report.add(Deed::Upgraded, Place::of(&pods.after), what);
        }
        images(overlay, &mut pods, report);
        let workload = workload::read(&mut pods, draft, moved, report);
        let mut ingress = kinds.ingress.take();
        let hosts = ingress.as_mut().map(|it| ingress::read(it, draft, report)).unwrap_or_default();
        if !ingress::names(&hosts, &workload.flags.names, draft, report) {
            let Some(domain) = &options.domain else {
                let reason = "the overlay sets no domain: the Ingress and the argument -n have the \
                              one of the base; name yours with --domain";
                return Err(ImportError::Missing(reason.to_owned()));
            };
            draft.text("", "domain", domain, None);
        }
        for issuer in &mut kinds.issuers {
            issuer::read(issuer, draft, report);
        }
        if let Some(service) = &mut kinds.service {
            address::service(service, ingress.is_some(), draft, report);
        }
        for other in &mut kinds.services {
            let name = other.text("metadata/name").map(|(name, _)| name).unwrap_or_default();
            let place = Place::of(&other.after);
            if !address::controller(other, draft, report) {
                report.left(place, format!("the Service {name}: no part of the registry"), None);
            }
        }
        let claim = workload.claim.as_ref().or(kinds.claim.as_ref());
        storage::read(&mut kinds.volumes, claim, draft, report);
        let domain = draft.get("", "domain").unwrap_or_default().trim_matches('"').to_owned();
        admission::read(kinds.webhook.as_mut(), &workload.flags, &domain, draft, report);
        secrets(overlay, &domain, draft, report);
        let volume = match draft.get("storage", "kind") {
            Some("\"local\"") => "trow-data-local-pv",
            _ => "trow-data-hostpath-pv",
        };
        let mut left = vec![(pods, "StatefulSet", "trow-set")];
        left.extend(ingress.map(|it| (it, "Ingress", "trow-ingress")));
        left.extend(kinds.service.map(|it| (it, "Service", "trow-svc")));
        left.extend(kinds.volumes.into_iter().map(|it| (it, "PersistentVolume", volume)));
        Ok(left
            .into_iter()
            .filter_map(|(subject, kind, name)| leftover::of(subject, kind, name, moved, report))
            .collect())
    }
}

/// The objects by what they are to the registry.
#[derive(Debug, Default)]
struct Kinds {
    workload: Option<Subject>,
    ingress: Option<Subject>,
    service: Option<Subject>,
    services: Vec<Subject>,
    volumes: Vec<Subject>,
    claim: Option<yaml::Node>,
    issuers: Vec<Subject>,
    webhook: Option<Subject>,
}

impl Kinds {
    fn sort(&mut self, object: &Object, base: &[Object], report: &mut Report) {
        let known = |kind: &str| base.iter().find(|other| other.kind() == kind);
        let subject = |kind: &str| Subject {
            before: known(kind).map(|object| object.node.clone()),
            after: object.node.clone(),
        };
        let place = Place::of(&object.node);
        match (object.kind(), object.name()) {
            ("StatefulSet", "trow-set") | ("Deployment", "trow-deploy")
                if self.workload.is_none() =>
            {
                self.workload = Some(subject("StatefulSet"));
            }
            ("Ingress", _) if self.ingress.is_none() => self.ingress = Some(subject("Ingress")),
            ("Service", "trow-svc") => self.service = Some(subject("Service")),
            ("Service", _) => self.services.push(subject("")),
            ("PersistentVolume", _) if self.volumes.is_empty() => self.volumes.push(subject("")),
            ("PersistentVolumeClaim", _) if self.claim.is_none() => {
                self.claim = Some(object.node.clone());
            }
            ("ClusterIssuer", _) => self.issuers.push(subject("")),
            ("ValidatingWebhookConfiguration", _) if self.webhook.is_none() => {
                self.webhook = Some(subject(""));
            }
            ("Namespace", name) => {
                report.add(Deed::Ignored, place, format!("the Namespace {name} is rendered"));
            }
            (kind, name) => {
                let what = format!(
                    "the {kind} {name}: an environment has no such object; keep it beside \
                     deploy/, or install it by itself"
                );
                report.left(place, what, None);
            }
        }
    }
}

/// The images that the kustomization exchanges.
fn images(overlay: &Overlay, pods: &mut Subject, report: &mut Report) {
    for (name, item) in &overlay.images {
        let part =
            |key: &str| item.get(key).and_then(yaml::Node::as_scalar).map(yaml::Scalar::text);
        let place = Place::of(item);
        match part("newName") {
            Some(new) if !name.is_empty() => {
                pods.take("spec/template/spec/containers/[trow-pod]/image");
                let tag = part("newTag").map(|tag| format!(":{tag}")).unwrap_or_default();
                let what = format!(
                    "the image {new}{tag}: it has to take the arguments of Trow 0.10; name such a one"
                );
                let toml = format!("[registry]\nimage = {}", draft::quoted(&format!("{new}{tag}")));
                report.left(place, what, Some(toml));
            }
            _ => {
                let tag = part("newTag").or(part("digest")).unwrap_or_default();
                let what = format!("the image's tag {tag} is that of vendor/trow.lock.toml");
                report.add(Deed::Upgraded, place, what);
            }
        }
    }
}

/// What is public of the Secrets, beside what Warren makes.
fn secrets(overlay: &Overlay, domain: &str, draft: &Draft, report: &mut Report) {
    for secret in overlay.secrets.iter().filter(|secret| secret.name == "trow-cred") {
        if secret.kind != "kubernetes.io/dockerconfigjson" {
            let what = format!(
                "the Secret trow-cred is of the type kubernetes.io/dockerconfigjson: of the type {} \
                 nobody reads it",
                secret.kind.escape_debug()
            );
            report.add(Deed::Upgraded, secret.place.clone(), what);
        }
        let user = draft.get("registry", "user").unwrap_or_default().trim_matches('"');
        let wrong = [
            ("registry", secret.server.as_deref(), domain),
            ("user", secret.user.as_deref(), user),
        ];
        for (what, said, is) in wrong {
            if let Some(said) = said.filter(|said| *said != is) {
                let what = format!("trow-cred was for the {what} {said}, and is for {is}");
                report.add(Deed::Fixed, secret.place.clone(), what);
            }
        }
    }
}

/// Files of the folder that its kustomization does not name.
fn unread(
    folder: &Path,
    seen: &[String],
    options: &Options,
    draft: &mut Draft,
    report: &mut Report,
) -> Result<(), ImportError> {
    if let Some(ip) = &options.address {
        address::set(ip, "metallb", None, false, draft, report);
    }
    for path in fs::list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let there = draft.get("address", "ip").is_some();
        if name == "hosts" && !there && path.is_file() {
            let names: Vec<_> = ["domain", "aliases"]
                .into_iter()
                .filter_map(|key| draft.get("", key))
                .flat_map(|value| value.split(['"', '[', ']', ',', ' ']))
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let text = fs::read_text_within(folder, Path::new(&name), 1 << 20)?;
            if let Some((ip, line)) = address::in_hosts(&text, &names) {
                let place = Some(Place { file: name, line });
                address::set(&ip.to_string(), "metallb", place, false, draft, report);
            }
            continue;
        }
        let yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if !yaml || seen.contains(&name) || !path.is_file() {
            continue;
        }
        let what =
            format!("{name}: kustomization.yaml does not name it, so kustomize did not read it");
        report.add(Deed::Ignored, None, what);
        // The controller's Service is often kept beside, with the address.
        let mut reader = Reader::default();
        let Ok(nodes) = reader.read(&Folder::top(folder), &name, &mut Report::default()) else {
            continue;
        };
        for node in nodes {
            let service = node.get("kind").and_then(yaml::Node::as_str) == Some("Service");
            if service && !there {
                let mut subject = Subject { before: None, after: node };
                address::controller(&mut subject, draft, report);
            }
        }
    }
    Ok(())
}

/// Takes those patches that the environment takes, and checks the whole.
fn settle(
    root: &Path,
    options: &Options,
    draft: &Draft,
    leftovers: Vec<Leftover>,
    upstream: &Upstream,
    report: &mut Report,
) -> Result<String, ImportError> {
    let name = &options.name;
    let (plain, places) = draft.write(name, &[]);
    if let Err(error) = environment::check_text(name, &plain) {
        let place = places.get(error.line.saturating_sub(1)).cloned().flatten();
        let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        let reason = format!("{}{hint}", error.reason);
        return Err(match place {
            Some(place) => ImportError::Said { place, reason },
            None => ImportError::Missing(reason),
        });
    }
    let errors = |text: &str| -> Result<Vec<String>, ImportError> {
        let rendered = compose_text(root, name, text, upstream)?;
        let findings = check(&rendered, upstream, &[]);
        Ok(findings
            .into_iter()
            .filter(Finding::is_error)
            .map(|found| format!("{} {}: {}", found.object, found.field, found.message))
            .collect())
    };
    let before = errors(&plain)?;
    let mut patches: Vec<String> = Vec::new();
    for Leftover { what, place, toml } in leftovers {
        let with: Vec<_> = patches.iter().cloned().chain([toml.clone()]).collect();
        let reason = match errors(&draft.write(name, &with).0) {
            Ok(found) => found.into_iter().find(|error| !before.contains(error)),
            Err(error) => Some(error.to_string().lines().next().unwrap_or_default().to_owned()),
        };
        match reason {
            None => {
                report.add(Deed::Patched, place, what);
                patches = with;
            }
            Some(reason) => report.left(place, format!("{what}: {reason}"), Some(toml)),
        }
    }
    Ok(draft.write(name, &patches).0)
}
