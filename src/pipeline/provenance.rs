//! What an environment was rendered from, as an in-toto statement
//! (<https://github.com/in-toto/attestation>, Statement v1). It holds digests
//! and names alone: no time, no machine, so that the same commit gives the same
//! statement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::compose::Rendered;
use super::upstream::Upstream;
use crate::digest::Digest;

/// The type of the statement.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The type of our predicate; `docs/provenance.md` describes it.
pub const PREDICATE: &str = "urn:x-warren:render:v1";

/// Where the statement of an environment is, relative to the repository: beside
/// the synced folder and not in it, since Argo CD and Flux take every YAML or
/// JSON file there for a manifest.
#[must_use]
pub fn path(environment: &str) -> String {
    format!("deploy/.provenance/{environment}.intoto.json")
}

/// A statement: these outputs came from these inputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What was rendered.
    pub subject: Vec<Resource>,
    /// [`PREDICATE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// From what.
    pub predicate: Predicate,
}

/// From what the subjects were rendered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// The environment.
    pub environment: String,
    /// The program that rendered.
    pub renderer: Renderer,
    /// The pinned upstream.
    pub upstream: Pin,
    /// Every file that was read, sorted by name.
    pub inputs: Vec<Resource>,
}

/// The program that rendered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renderer {
    /// `warren`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The pinned upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its tag.
    pub tag: String,
    /// The commit that the tag led to.
    pub commit: String,
}

/// A file with its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its path, relative to the repository.
    pub name: String,
    /// Algorithm and hex digits.
    pub digest: BTreeMap<String, String>,
}

impl Resource {
    fn new(name: impl Into<String>, sha256: String) -> Self {
        Self { name: name.into(), digest: BTreeMap::from([("sha256".to_owned(), sha256)]) }
    }

    /// The digest's hex digits; empty where there is none of SHA-256.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.digest.get("sha256").map(String::as_str).unwrap_or_default()
    }
}

impl Statement {
    /// The statement of a rendering. `folder` is where it goes, such as
    /// `deploy/sandbox`; without one, files are named alone.
    #[must_use]
    pub fn of(rendered: &Rendered, upstream: &Upstream, folder: Option<&str>) -> Self {
        let subject = rendered.files.iter().map(|(file, text)| {
            let name = folder.map_or_else(|| file.clone(), |folder| format!("{folder}/{file}"));
            Resource::new(name, Digest::sha256(text.as_bytes()).hex().to_owned())
        });
        let inputs = rendered.inputs.iter();
        Self {
            kind: STATEMENT.to_owned(),
            subject: subject.collect(),
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                environment: rendered.environment.name.clone(),
                renderer: Renderer {
                    name: "warren".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                },
                upstream: Pin { tag: upstream.tag.clone(), commit: upstream.commit.to_string() },
                inputs: inputs.map(|(name, sha256)| Resource::new(name, sha256.clone())).collect(),
            },
        }
    }

    /// The statement as it is written: indented, so that a review shows which
    /// line changed, with a line end.
    ///
    /// # Errors
    /// Never in practice: a statement holds nothing that JSON can't.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// When it is no statement of this form.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// How `now` differs from this statement, a line each; none when they agree.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, then, now) in [
            ("the statement's type", &self.kind, &now.kind),
            ("the predicate's type", &self.predicate_type, &now.predicate_type),
            ("the environment", &self.predicate.environment, &now.predicate.environment),
            ("the renderer", &self.predicate.renderer.name, &now.predicate.renderer.name),
            (
                "the renderer's version",
                &self.predicate.renderer.version,
                &now.predicate.renderer.version,
            ),
            ("the upstream's tag", &self.predicate.upstream.tag, &now.predicate.upstream.tag),
            (
                "the upstream's commit",
                &self.predicate.upstream.commit,
                &now.predicate.upstream.commit,
            ),
        ] {
            if then != now {
                lines.push(format!("{what} was {then} and is {now}"));
            }
        }
        lines.extend(resources("input", &self.predicate.inputs, &now.predicate.inputs));
        lines.extend(resources("output", &self.subject, &now.subject));
        lines
    }
}

fn resources(what: &str, then: &[Resource], now: &[Resource]) -> Vec<String> {
    let mut lines = Vec::new();
    for resource in then {
        match now.iter().find(|other| other.name == resource.name) {
            None => lines.push(format!("{what} {} is no longer one", resource.name)),
            Some(other) if other.digest != resource.digest => {
                lines.push(format!("{what} {} is another", resource.name));
            }
            Some(_) => {}
        }
    }
    for resource in now {
        if !then.iter().any(|other| other.name == resource.name) {
            lines.push(format!("{what} {} is new", resource.name));
        }
    }
    lines
}
