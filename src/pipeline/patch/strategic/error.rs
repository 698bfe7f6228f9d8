//! Why a strategic merge patch does not fit, and what of it had no effect.

use super::super::super::yaml::Position;

/// Why a strategic merge patch does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    /// `$patch` says something that it can't.
    #[error("`$patch` is `delete`, `replace` or `merge`, and this is `{0}`")]
    Directive(String),
    /// A directive has the wrong form.
    #[error("`{directive}` is {wanted}, and this is {found}")]
    Form {
        /// The directive.
        directive: String,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// An element can't be told from others.
    #[error("the elements of `{list}` are told apart by `{key}`, which this one lacks")]
    NoKey {
        /// The list.
        list: String,
        /// The merge key.
        key: String,
    },
    /// `$retainKeys` leaves out what the patch sets.
    #[error("`$retainKeys` does not name `{0}`, which the patch sets: add it")]
    NotRetained(String),
    /// `$setElementOrder` contradicts the patch.
    #[error("`$setElementOrder/{0}` must name the elements of `{0}`, in the same order")]
    Order(String),
    /// Elements that can't be merged.
    #[error("the elements of `{list}` can't be merged: {reason}")]
    Elements {
        /// The list.
        list: String,
        /// Why.
        reason: &'static str,
    },
    /// Fields that exclude each other would stand side by side.
    #[error(
        "`{field}` would join {others}, and the API server takes one of them: \
         set the other to null, or name those that stay in `$retainKeys`"
    )]
    Union {
        /// What the patch sets.
        field: String,
        /// What is there.
        others: String,
    },
}

/// A part of a patch that asked for something and changed nothing. The API
/// server is silent about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}: {reason}", at.line)]
pub struct Idle {
    /// Where it stands in the patch.
    pub at: Position,
    /// What it asked for.
    pub reason: IdleReason,
}

/// What was asked for in vain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdleReason {
    /// A null, and no such field.
    #[error("`{0}: null` removes a field that is not there")]
    Null(String),
    /// `$patch: delete`, and no such element or mapping.
    #[error("`$patch: delete` finds nothing in `{0}`")]
    Delete(String),
    /// `$patch: replace`, and no such mapping.
    #[error("`$patch: replace` finds no `{0}`: leave the directive out to add it")]
    Replace(String),
    /// `$deleteFromPrimitiveList`, and no such value.
    #[error("`$deleteFromPrimitiveList/{list}` finds no `{value}`")]
    Value {
        /// The list.
        list: String,
        /// The value.
        value: String,
    },
}
