//! Patches: RFC 6902 over RFC 6901, RFC 7386, strategic merge, and what the
//! environment's `[[patch]]` makes of them.

mod equal;
mod glob;
pub mod json;
mod merge;
mod pointer;
pub mod steps;
pub mod strategic;
mod target;

pub use equal::equal;
pub use glob::Glob;
pub use merge::{merge, unmatched};
pub use pointer::{Pointer, PointerError, StepError};
pub use target::Target;

use super::manifest::Object;
use super::schema::{Kind, Schema};
use super::yaml::{Node, Position};

/// Why a merge does not fit an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A strategic merge patch does not fit.
    #[error(transparent)]
    Strategic(#[from] strategic::StrategicError),
    /// A part asks for something and changes nothing.
    #[error(transparent)]
    Idle(#[from] strategic::IdleReason),
    /// A directive for a kind whose fields nobody told.
    #[error(
        "`{directive}` is for kinds whose schema is known, and {kind} of {api_version} is merged \
         by RFC 7386: lists as a whole, null removes"
    )]
    Directive {
        /// The directive.
        directive: String,
        /// The object's kind.
        kind: String,
        /// Its API version.
        api_version: String,
    },
}

/// An object after a patch, as the API server would merge it: strategically
/// for a built-in kind, by RFC 7386 for any other.
///
/// # Errors
/// The patch does not fit, or a part of it finds nothing to change.
pub fn merged(
    object: &Object,
    patch: &Node,
    schema: Schema,
) -> Result<Node, (Position, MergeError)> {
    let kind = schema.kind_of_any_version(object.api_version(), object.kind());
    let of = kind.filter(|kind| !kind.is_custom()).and_then(Kind::object);
    let (result, idle) = if let Some(of) = of {
        let merged = strategic::merged(&object.node, patch, of);
        let (result, idle) = merged.map_err(|(at, error)| (at, MergeError::from(error)))?;
        (result, idle.into_iter().next().map(|idle| (idle.at, idle.reason)))
    } else {
        if let Some((directive, at)) = strategic::directive(patch) {
            let (directive, kind) = (directive.to_owned(), object.kind().to_owned());
            let api_version = object.api_version().to_owned();
            return Err((at, MergeError::Directive { directive, kind, api_version }));
        }
        let idle = unmatched(&object.node, patch);
        let mut result = object.node.clone();
        merge(&mut result, patch);
        (result, idle.map(|(name, at)| (at, strategic::IdleReason::Null(name))))
    };
    match idle {
        Some((at, reason)) => Err((at, reason.into())),
        None => Ok(result),
    }
}
