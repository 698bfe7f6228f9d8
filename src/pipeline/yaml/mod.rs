//! YAML as Kubernetes reads it: an own node model that keeps the order of
//! keys, the text of scalars and where each stood; a reader over the event
//! stream of `yaml-rust2`; and a writer whose output no reader retypes.

mod error;
mod node;
mod origin;
mod quote;
mod read;
mod scalar;
mod write;

pub use error::{Excerpt, YamlError, YamlFault};
pub use node::{Mapping, Node, Position, Value};
pub use origin::Origin;
pub use read::{Limits, read, read_bytes, read_with};
pub use scalar::{Kind, Scalar, Style};
pub use write::{write, write_all};
