//! Composition: base, chosen components and the environment's values become
//! the objects of one environment. Same input, same bytes, on any machine.

mod admission;
mod choice;
mod exposure;
mod extras;
mod fill;
mod monitoring;
mod network;
mod patches;
mod pod;
mod secrets;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;

use super::address::AddressError;
use super::document::DocumentError;
use super::environment::{self, Environment, EnvironmentError};
use super::manifest::Object;
use super::patch::{self, MergeError};
use super::schema::Schema;
use super::upstream::{Lock, Upstream};
use super::yaml::{self, Node, Position, YamlError};
use crate::digest::Digest;
use crate::fs::{self, FsError};

pub use fill::registry_defaults;
pub use secrets::is_encrypted;

/// The file that lists the others for `kubectl apply -k`, Argo CD and Flux.
pub const KUSTOMIZATION: &str = "kustomization.yaml";

/// How large a file of manifests may be.
const MANIFEST: u64 = 64 << 20;

/// One environment, composed.
#[derive(Debug)]
pub struct Rendered {
    /// The environment as it was read.
    pub environment: Environment,
    /// The objects, in the order of their file names.
    pub objects: Vec<Object>,
    /// File name and content of everything in `deploy/<environment>/`.
    pub files: BTreeMap<String, String>,
    /// Every file that was read, relative to the repository, with its SHA-256 in hex.
    pub inputs: Inputs,
}

/// Files that were read, with their digests.
pub type Inputs = BTreeMap<String, String>;

/// Why an environment could not be composed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The environment's file is wrong, or there is none.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A manifest is no YAML.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A value has no place to go: the base does not have the field.
    #[error("{source_file}: {id}: {source}")]
    Field {
        /// The object's file.
        source_file: String,
        /// The object.
        id: String,
        /// What was not found.
        source: AddressError,
    },
    /// A component's overlay does not fit the object that it changes.
    #[error("{source_file}:{}:{}: {source}", at.line, at.column)]
    Merge {
        /// The overlay's file.
        source_file: String,
        /// Where in it.
        at: Position,
        /// What does not fit.
        source: MergeError,
    },
    /// A manifest lacks what every object has.
    #[error(
        "{source_file}: an object needs apiVersion, kind and metadata.name; this has no {missing}"
    )]
    Incomplete {
        /// The object's file.
        source_file: String,
        /// The missing field.
        missing: &'static str,
    },
    /// The base lacks what the environment's keys go into.
    #[error(
        "environments/base: there is no {id}, into which the environment's keys go: name it so again"
    )]
    Missing {
        /// The object.
        id: String,
    },
    /// Two objects would be one.
    #[error("{first} and {second} both define {id}")]
    Twice {
        /// The object.
        id: String,
        /// A file that has it.
        first: String,
        /// Another file that has it.
        second: String,
    },
    /// A file that should hold sealed or encrypted objects holds something else.
    #[error("{source_file}: {id} {reason}")]
    Unsealed {
        /// The file.
        source_file: String,
        /// The object.
        id: String,
        /// What is wrong, and the way out.
        reason: &'static str,
    },
    /// A `[[patch]]` of the environment does not fit.
    #[error(transparent)]
    Patch(Box<DocumentError>),
    /// A component changes an object that is not there.
    #[error("{source_file} changes {id}, which is not among the objects: {known}")]
    NoTarget {
        /// The overlay's file.
        source_file: String,
        /// The object it names.
        id: String,
        /// The objects there are.
        known: String,
    },
}

/// Composes the environment `name` of the repository at `root`.
///
/// # Errors
/// [`ComposeError`], which names the file and the place.
pub fn compose(root: &Path, name: &str, upstream: &Upstream) -> Result<Rendered, ComposeError> {
    let environment = environment::read(root, name)?;
    let mut inputs = Inputs::new();
    // The environment's file, and those that it extends.
    for file in environment.sources.paths().chain([Path::new(Lock::PATH)]) {
        read_input(root, &file.to_string_lossy(), &mut inputs)?;
    }
    of(root, environment, upstream, inputs)
}

/// Composes an environment of this text, which is no file yet.
///
/// # Errors
/// [`ComposeError`], which names the file and the place.
pub fn compose_text(
    root: &Path,
    name: &str,
    text: &str,
    upstream: &Upstream,
) -> Result<Rendered, ComposeError> {
    let environment = environment::check_text(name, text).map_err(EnvironmentError::from)?;
    of(root, environment, upstream, Inputs::new())
}

/// Composes an environment that was read.
fn of(
    root: &Path,
    environment: Environment,
    upstream: &Upstream,
    mut inputs: Inputs,
) -> Result<Rendered, ComposeError> {
    let version = environment.kubernetes.to_string();
    // Every version that an environment can name has a schema; a test sees to it.
    let schema = Schema::of(&version).unwrap_or_else(|_| Schema::newest());
    let mut objects = read_folder(root, "environments/base", &mut inputs)?;
    for component in choice::components(&environment) {
        add_component(root, component, schema, &mut objects, &mut inputs)?;
    }
    let dashboard = if environment.monitoring.dashboard {
        read_input(root, monitoring::DASHBOARD, &mut inputs)?;
        fs::read_to_string(&root.join(monitoring::DASHBOARD))?
    } else {
        String::new()
    };
    for (kind, name) in [fill::NAMESPACE, fill::STATEFUL_SET] {
        if !objects.iter().any(|object| (object.kind(), object.name()) == (kind, name)) {
            let id = format!("{}/{name}", kind.to_lowercase());
            return Err(ComposeError::Missing { id });
        }
    }
    for object in objects.iter_mut().filter(|object| !secrets::is_sealed(object)) {
        fill::fill(object, &environment, upstream, &dashboard)
            .and_then(|()| extras::fill(object, &environment))
            .map_err(|source| ComposeError::Field {
                source_file: object.source.clone(),
                id: object.id(),
                source,
            })?;
    }
    objects.extend(secrets::sealed(root, &environment, &mut inputs)?);
    patches::apply(&mut objects, &environment, schema)
        .map_err(|error| ComposeError::Patch(Box::new(error)))?;
    let names = names(&mut objects, environment.namespace.as_str())?;
    let files = files(&objects, &names);
    Ok(Rendered { environment, objects, files, inputs })
}

/// Longer names of files, by group, kind, namespace and name.
type Names = BTreeMap<[String; 4], String>;

/// Sorts the objects by the names of their files, and says which of these are longer
/// than others. Of several that would have the same name, such as two of one name in
/// two namespaces, the one in the environment's namespace keeps it, or else the first.
fn names(objects: &mut [Object], own: &str) -> Result<Names, ComposeError> {
    objects.sort_by_cached_key(Object::file_name);
    let mut names = Names::new();
    for run in objects.chunk_by(|one, other| one.file_name() == other.file_name()) {
        if run.len() == 1 {
            continue;
        }
        let mut run: Vec<_> = run.iter().collect();
        run.sort_by_key(|object| {
            let (group, kind, namespace, _) = object.identity();
            (namespace != own, namespace, group, kind)
        });
        for pair in run.windows(2) {
            if let [first, second] = pair {
                let name = second.long_file_name();
                if first.long_file_name() == name {
                    return Err(twice(first, second));
                }
                names.insert(owned(second), name);
            }
        }
    }
    if !names.is_empty() {
        objects.sort_by_cached_key(|object| file_name(object, &names));
    }
    Ok(names)
}

fn owned(object: &Object) -> [String; 4] {
    let (group, kind, namespace, name) = object.identity();
    [group, kind, namespace, name].map(str::to_owned)
}

fn file_name(object: &Object, names: &Names) -> String {
    // Hardly ever is there one that is longer.
    let long = if names.is_empty() { None } else { names.get(&owned(object)) };
    long.cloned().unwrap_or_else(|| object.file_name())
}

fn twice(first: &Object, second: &Object) -> ComposeError {
    ComposeError::Twice {
        id: first.id(),
        first: first.source.clone(),
        second: second.source.clone(),
    }
}

/// Adds a component's objects, and merges its `*.patch.yaml` onto those there.
fn add_component(
    root: &Path,
    component: &str,
    schema: Schema,
    objects: &mut Vec<Object>,
    inputs: &mut Inputs,
) -> Result<(), ComposeError> {
    let (patches, added): (Vec<_>, Vec<_>) =
        read_folder(root, &format!("environments/components/{component}"), inputs)?
            .into_iter()
            .partition(|object| object.source.ends_with(".patch.yaml"));
    objects.extend(added);
    for patch in patches {
        let known = || objects.iter().map(Object::id).collect::<Vec<_>>().join(", ");
        let same = |object: &Object| {
            (object.kind(), object.name(), object.api_version())
                == (patch.kind(), patch.name(), patch.api_version())
        };
        let Some(at) = objects.iter().position(same) else {
            let (source_file, id) = (patch.source.clone(), patch.id());
            return Err(ComposeError::NoTarget { source_file, id, known: known() });
        };
        if let Some(target) = objects.get_mut(at) {
            target.node = patch::merged(target, &patch.node, schema).map_err(|(at, source)| {
                ComposeError::Merge { source_file: patch.source, at, source }
            })?;
        }
    }
    Ok(())
}

/// The objects of every YAML file of a folder.
fn read_folder(
    root: &Path,
    folder: &str,
    inputs: &mut Inputs,
) -> Result<Vec<Object>, ComposeError> {
    let mut objects = Vec::new();
    for path in fs::list(&root.join(folder))? {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        objects.extend(read_file(root, &format!("{folder}/{name}"), inputs)?);
    }
    Ok(objects)
}

/// The objects of one YAML file, which messages call `source`.
fn read_file(root: &Path, source: &str, inputs: &mut Inputs) -> Result<Vec<Object>, ComposeError> {
    let mut objects = Vec::new();
    for node in yaml::read_bytes(source, &read_input(root, source, inputs)?)? {
        let object = Object { node, source: source.to_owned() };
        let missing =
            |missing| ComposeError::Incomplete { source_file: source.to_owned(), missing };
        if object.api_version().is_empty() {
            return Err(missing("apiVersion"));
        }
        if object.kind().is_empty() {
            return Err(missing("kind"));
        }
        if object.name().is_empty() {
            return Err(missing("metadata.name"));
        }
        objects.push(object);
    }
    Ok(objects)
}

/// Reads a file of the repository and notes its digest.
fn read_input(root: &Path, file: &str, inputs: &mut Inputs) -> Result<Vec<u8>, FsError> {
    let bytes = fs::read_within(root, Path::new(file), MANIFEST)?;
    inputs.insert(file.to_owned(), Digest::sha256(&bytes).hex().to_owned());
    Ok(bytes)
}

/// One file per object and the list of them.
fn files(objects: &[Object], names: &Names) -> BTreeMap<String, String> {
    let file = |object| (file_name(object, names), yaml::write(&object.node));
    let mut files: BTreeMap<_, _> = objects.iter().map(file).collect();
    let list = Node::mapping([
        ("apiVersion", Node::string("kustomize.config.k8s.io/v1beta1")),
        ("kind", Node::string("Kustomization")),
        ("resources", Node::sequence(files.keys().map(Node::string))),
    ]);
    files.insert(KUSTOMIZATION.to_owned(), yaml::write(&list));
    files
}
