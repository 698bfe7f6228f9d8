//! Reads the files of an overlay and of what it builds on.

use std::path::{Path, PathBuf};

use super::error::ImportError;
use super::report::{Deed, Place, Report};
use super::strays;
use crate::fs;
use crate::pipeline::yaml::{self, Node};

/// How large a file of an overlay may be.
const FILE: u64 = 1 << 20;

/// How many files an overlay and its bases may have.
const FILES: usize = 500;

/// The names that kustomize knows for its file.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A folder that kustomize would be called on.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// What messages put before its files: empty, or `../base/`.
    pub shown: String,
}

impl Folder {
    /// The folder of the overlay itself.
    #[must_use]
    pub fn top(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: String::new() }
    }

    /// A folder that is named in this one.
    #[must_use]
    pub fn below(&self, reference: &str) -> Self {
        let reference = reference.trim_end_matches('/');
        let mut shown: Vec<&str> = self.shown.split('/').filter(|part| !part.is_empty()).collect();
        for part in reference.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if part == ".." && shown.last().is_some_and(|last| *last != "..") {
                shown.pop();
            } else {
                shown.push(part);
            }
        }
        let shown = shown.into_iter().flat_map(|part| [part, "/"]).collect();
        Self { path: self.path.join(reference), shown }
    }
}

/// Reads files, and counts them.
#[derive(Debug, Default)]
pub struct Reader {
    files: usize,
    /// Those of the overlay itself, by name.
    pub seen: Vec<String>,
}

impl Reader {
    /// The one document of a folder's kustomization.
    ///
    /// # Errors
    /// There is none, or it is no YAML.
    pub fn kustomization(
        &mut self,
        folder: &Folder,
        report: &mut Report,
    ) -> Result<Node, ImportError> {
        let there = KUSTOMIZATIONS.into_iter().find(|name| folder.path.join(name).is_file());
        let name = there.ok_or_else(|| ImportError::no_kustomization(&folder.path))?;
        let nodes = self.read(folder, name, report)?;
        let mut nodes = nodes.into_iter();
        let empty = || ImportError::Said {
            place: Place { file: format!("{}{name}", folder.shown), line: 1 },
            reason: "there is nothing in this file".to_owned(),
        };
        let node = nodes.next().ok_or_else(empty)?;
        match nodes.next() {
            Some(more) => Err(ImportError::at(&more, "a kustomization is one document")),
            None if node.as_mapping().is_none() => Err(ImportError::at(
                &node,
                format!("a kustomization is a mapping, and this is {}", node.describe()),
            )),
            None => Ok(node),
        }
    }

    /// The documents of a file, which may not be outside of its folder.
    ///
    /// # Errors
    /// It can't be read, or is no YAML.
    pub fn read(
        &mut self,
        folder: &Folder,
        name: &str,
        report: &mut Report,
    ) -> Result<Vec<Node>, ImportError> {
        let shown = format!("{}{name}", folder.shown);
        self.files += 1;
        if self.files > FILES {
            let reason = format!("an overlay with its bases has at most {FILES} files here");
            return Err(ImportError::Said { place: Place { file: shown, line: 1 }, reason });
        }
        if folder.shown.is_empty() {
            self.seen.push(name.to_owned());
        }
        let text = fs::read_text_within(&folder.path, Path::new(name), FILE)?;
        let (text, strays) = strays::cleaned(&text);
        for stray in strays {
            let place = Place { file: shown.clone(), line: stray.line };
            let what = format!("a remark that is no YAML: `{}`", stray.text.escape_debug());
            report.add(Deed::Ignored, Some(place), what);
        }
        Ok(yaml::read(&shown, &text)?)
    }

    /// The documents of a text that stands in a file as one value.
    ///
    /// # Errors
    /// It is no YAML; the place is that in the file.
    pub fn inline(text: &Node) -> Result<Vec<Node>, ImportError> {
        let Some(content) = text.as_str() else {
            return Err(ImportError::at(
                text,
                format!("a text is due, and this is {}", text.describe()),
            ));
        };
        let file = Place::of(text).map_or_else(String::new, |place| place.file);
        let wrong = |error: yaml::YamlError| ImportError::Said {
            place: Place {
                file: file.clone(),
                line: (text.at.line() + error.at.line()).saturating_sub(1),
            },
            reason: error.fault.to_string(),
        };
        let mut nodes = yaml::read(&file, content).map_err(wrong)?;
        // A block is said to stand where its first line does.
        for node in &mut nodes {
            shift(node, text.at.line().saturating_sub(1));
        }
        Ok(nodes)
    }
}

/// Counts lines on from those before. Recurses as deep as the reader allows.
fn shift(node: &mut Node, lines: usize) {
    use crate::pipeline::yaml::Value;
    node.at = yaml::Position::new(node.at.line() + lines, node.at.column());
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| shift(item, lines)),
        Value::Mapping(mapping) => mapping.iter_mut().for_each(|(_, value)| shift(value, lines)),
    }
}
