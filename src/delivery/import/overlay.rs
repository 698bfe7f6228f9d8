//! An overlay as kustomize builds it, as far as an environment can hold it.

use super::error::ImportError;
use super::report::{Deed, Place, Report};
use super::secret::{Generated, Moved};
use super::source::{Folder, Reader};
use super::standin;
use super::target::{self, Target};
use crate::pipeline::manifest::Object;
use crate::pipeline::yaml::{Mapping, Node};

/// How many folders may build on each other.
const DEPTH: usize = 16;

/// What an overlay amounts to.
#[derive(Debug, Default)]
pub struct Overlay {
    /// The objects, patched.
    pub objects: Vec<Object>,
    /// Where they go.
    pub namespace: Option<Node>,
    /// Labels for all of them.
    pub labels: Vec<(String, Node)>,
    /// Annotations for all of them.
    pub annotations: Vec<(String, Node)>,
    /// The Secrets that it makes, without what is in them.
    pub secrets: Vec<Generated>,
    /// Images that it exchanges: name, and what takes its place.
    pub images: Vec<(String, Node)>,
}

/// Loads an overlay. `moved` takes its passwords.
#[derive(Debug)]
pub struct Loader<'a> {
    /// Reads the files.
    pub reader: &'a mut Reader,
    /// Is told what is left behind.
    pub report: &'a mut Report,
    /// Takes what is secret.
    pub moved: &'a mut Moved,
}

impl Loader<'_> {
    /// Everything that the folder's kustomization builds.
    ///
    /// # Errors
    /// A file can't be read, or says something that it cannot.
    pub fn load(&mut self, folder: &Folder) -> Result<Overlay, ImportError> {
        let mut overlay = Overlay::default();
        self.folder(folder, &mut overlay, 0)?;
        Ok(overlay)
    }

    fn folder(
        &mut self,
        folder: &Folder,
        overlay: &mut Overlay,
        depth: usize,
    ) -> Result<(), ImportError> {
        let node = self.reader.kustomization(folder, self.report)?;
        if depth > DEPTH {
            let reason =
                format!("more than {DEPTH} folders build on each other, perhaps in a circle");
            return Err(ImportError::at(&node, reason));
        }
        let empty = Mapping::default();
        let keys = node.as_mapping().unwrap_or(&empty);
        for list in ["bases", "resources"] {
            for item in items(keys, list)? {
                self.resource(folder, item, overlay, depth)?;
            }
        }
        for item in items(keys, "patchesStrategicMerge")? {
            // A file's name is one line, and a patch is a mapping.
            let text = text(item)?;
            let patches = if text.contains(['\n', ':']) {
                Reader::inline(item)?
            } else {
                self.file(folder, item)?
            };
            for patch in &patches {
                let target = Target::of_patch(patch);
                target::apply_merge(&mut overlay.objects, &target, patch, self.report)?;
            }
        }
        for list in ["patches", "patchesJson6902"] {
            for item in items(keys, list)? {
                self.patch(folder, item, overlay)?;
            }
        }
        for (key, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
            self.rest(key.text(), value, overlay)?;
        }
        Ok(())
    }

    /// What a reference of `resources` or `bases` leads to.
    fn resource(
        &mut self,
        folder: &Folder,
        item: &Node,
        overlay: &mut Overlay,
        depth: usize,
    ) -> Result<(), ImportError> {
        let reference = text(item)?;
        if !reference.contains("://") && folder.path.join(reference).is_dir() {
            return self.folder(&folder.below(reference), overlay, depth + 1);
        }
        if reference.contains("://") || !folder.path.join(reference).is_file() {
            let Some(objects) = standin::folder(reference)? else {
                let reason = format!(
                    "`{reference}` is not there: put the file or folder where the overlay looks for it"
                );
                return Err(ImportError::at(item, reason));
            };
            let what = format!("`{reference}` is not at hand, and is taken for {}", standin::NAME);
            self.report.add(Deed::Assumed, Place::of(item), what);
            overlay.objects.extend(objects);
            return Ok(());
        }
        for node in self.file(folder, item)? {
            let source = Place::of(&node).map_or_else(String::new, |place| place.file);
            let object = Object { node, source };
            if object.kind().is_empty() || object.name().is_empty() {
                let reason = "an object needs apiVersion, kind and metadata.name";
                return Err(ImportError::at(&object.node, reason));
            }
            let same = |other: &&Object| other.identity() == object.identity();
            if let Some(other) = overlay.objects.iter().find(same) {
                let reason = format!("{} is there already, from {}", object.id(), other.source);
                return Err(ImportError::at(&object.node, reason));
            }
            if object.kind() == "Secret" {
                self.moved.object(&object, self.report, &mut overlay.secrets);
            } else {
                overlay.objects.push(object);
            }
        }
        Ok(())
    }

    /// An entry of `patches` or `patchesJson6902`.
    fn patch(
        &mut self,
        folder: &Folder,
        item: &Node,
        overlay: &mut Overlay,
    ) -> Result<(), ImportError> {
        let patches = match (item.get("path"), item.get("patch")) {
            (Some(path), None) => self.file(folder, path)?,
            (None, Some(patch)) => Reader::inline(patch)?,
            _ => return Err(ImportError::at(item, "a patch has either `path` or `patch`")),
        };
        let target = item.get("target").map(Target::read).transpose()?;
        for patch in &patches {
            if patch.as_sequence().is_none() {
                let target = target.clone().unwrap_or_else(|| Target::of_patch(patch));
                target::apply_merge(&mut overlay.objects, &target, patch, self.report)?;
                continue;
            }
            let Some(target) = &target else {
                return Err(ImportError::at(item, "a JSON patch needs a `target`"));
            };
            target::apply_operations(&mut overlay.objects, target, patch, self.report)?;
        }
        Ok(())
    }

    /// The keys that don't make or patch objects.
    fn rest(&mut self, key: &str, value: &Node, overlay: &mut Overlay) -> Result<(), ImportError> {
        match key {
            "apiVersion"
            | "kind"
            | "metadata"
            | "bases"
            | "resources"
            | "patches"
            | "patchesStrategicMerge"
            | "patchesJson6902"
            | "generatorOptions" => {}
            "namespace" => {
                text(value)?;
                overlay.namespace = Some(value.clone());
            }
            "commonLabels" => overlay.labels.extend(pairs(value)?),
            "commonAnnotations" => overlay.annotations.extend(pairs(value)?),
            "labels" => {
                for item in list(value)? {
                    if let Some(found) = item.get("pairs") {
                        overlay.labels.extend(pairs(found)?);
                    }
                }
            }
            "secretGenerator" => {
                for item in list(value)? {
                    self.moved.generator(item, self.report, &mut overlay.secrets)?;
                }
            }
            "images" => {
                for item in list(value)? {
                    let name = item.get("name").and_then(Node::as_str).unwrap_or_default();
                    overlay.images.push((name.to_owned(), item.clone()));
                }
            }
            "replicas" => {
                for item in list(value)? {
                    self.report.left(
                        Place::of(item),
                        "the number of replicas: the upstream serves from one pod, and our engine \
                         from several that share a claim",
                        Some("[registry]\nengine = \"warren\"\nreplicas = 2".to_owned()),
                    );
                }
            }
            other => {
                let what = format!("`{other}` of the kustomization has nothing like it here");
                self.report.left(Place::of(value), what, None);
            }
        }
        Ok(())
    }

    /// The documents of the file that a node names.
    fn file(&mut self, folder: &Folder, name: &Node) -> Result<Vec<Node>, ImportError> {
        let path = text(name)?;
        if !folder.path.join(path).is_file() {
            return Err(ImportError::at(name, format!("there is no file `{path}`")));
        }
        self.reader.read(folder, path, self.report)
    }
}

/// The items of a list under a key; none where it is absent or empty.
fn items<'a>(keys: &'a Mapping, key: &str) -> Result<&'a [Node], ImportError> {
    match keys.get(key) {
        Some(value) if !value.is_null() => list(value),
        _ => Ok(&[]),
    }
}

fn list(value: &Node) -> Result<&[Node], ImportError> {
    value.as_sequence().ok_or_else(|| {
        ImportError::at(value, format!("a list is due here, and this is {}", value.describe()))
    })
}

fn text(value: &Node) -> Result<&str, ImportError> {
    value.as_str().ok_or_else(|| {
        ImportError::at(value, format!("a text is due here, and this is {}", value.describe()))
    })
}

fn pairs(value: &Node) -> Result<Vec<(String, Node)>, ImportError> {
    let Some(mapping) = value.as_mapping() else {
        return Err(ImportError::at(value, "a mapping of keys and texts is due here"));
    };
    Ok(mapping.iter().map(|(key, value)| (key.name().into_owned(), value.clone())).collect())
}
