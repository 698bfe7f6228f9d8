//! JSON Pointer, RFC 6901: `/spec/rules/0/host`.

use std::fmt;

use super::super::yaml::{Node, Value};

/// A path from the top of a document: nothing, or tokens after `/` each
/// (section 3). `~1` stands for `/` in a token and `~0` for `~`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Section 3: a pointer is empty or begins with a slash.
    #[error("a JSON pointer is empty or begins with `/`")]
    NoSlash,
    /// Section 3: `~` stands before `0` or `1`.
    #[error("`~` in a JSON pointer is written `~0`, and `/` in a key is written `~1`")]
    Escape,
}

/// Why a token leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The mapping has no such key.
    #[error("there is no key `{0}`")]
    NoKey(String),
    /// Section 4: digits without leading zeros, or `-`.
    #[error("`{0}` is no index of a list: indexes are 0, 1, 2, …")]
    NoIndex(String),
    /// The list ends before.
    #[error("the list ends before index {0}")]
    End(String),
    /// A scalar has nothing within.
    #[error("{0} has nothing within it")]
    Leaf(&'static str),
}

/// How many elements of a document a token is for: those that are there, or
/// one more, where something can be put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Of those that are there.
    There,
    /// `-` and the index after the last too.
    Beyond,
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// [`PointerError`].
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let Some(below) = text.strip_prefix('/') else {
            return if text.is_empty() { Ok(Self::default()) } else { Err(PointerError::NoSlash) };
        };
        let tokens = below.split('/').map(unescape).collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }

    /// A pointer of these tokens, as they are without escapes.
    pub fn of<T: Into<String>>(tokens: impl IntoIterator<Item = T>) -> Self {
        Self { tokens: tokens.into_iter().map(Into::into).collect() }
    }

    /// The tokens, unescaped.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The pointer to what holds it, and its last token; `None` for the whole document.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, &str)> {
        let (last, parent) = self.tokens.split_last()?;
        Some((Self { tokens: parent.to_vec() }, last))
    }

    /// Whether this leads to something that holds what `other` leads to.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        self.tokens.len() < other.tokens.len() && other.tokens.starts_with(&self.tokens)
    }

    /// What the pointer leads to (section 4).
    ///
    /// # Errors
    /// [`StepError`] of the first token that leads nowhere.
    pub fn find<'a>(&self, node: &'a Node) -> Result<&'a Node, StepError> {
        self.tokens.iter().try_fold(node, |node, token| match &node.value {
            Value::Mapping(mapping) => {
                mapping.get(token).ok_or_else(|| StepError::NoKey(token.clone()))
            }
            Value::Sequence(items) => {
                let at = index(token, items.len(), End::There)?;
                items.get(at).ok_or_else(|| StepError::End(token.clone()))
            }
            Value::Scalar(_) => Err(StepError::Leaf(node.describe())),
        })
    }

    /// What the pointer leads to, to be changed.
    ///
    /// # Errors
    /// [`StepError`] of the first token that leads nowhere.
    pub fn find_mut<'a>(&self, node: &'a mut Node) -> Result<&'a mut Node, StepError> {
        self.tokens.iter().try_fold(node, |node, token| {
            let described = node.describe();
            match &mut node.value {
                Value::Mapping(mapping) => {
                    mapping.get_mut(token).ok_or_else(|| StepError::NoKey(token.clone()))
                }
                Value::Sequence(items) => {
                    let at = index(token, items.len(), End::There)?;
                    items.get_mut(at).ok_or_else(|| StepError::End(token.clone()))
                }
                Value::Scalar(_) => Err(StepError::Leaf(described)),
            }
        })
    }
}

/// The escaped form, which [`Pointer::parse`] reads.
impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens
            .iter()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

/// Section 4: `0`, or digits that do not begin with 0; `-` is the element
/// after the last.
pub(super) fn index(token: &str, length: usize, end: End) -> Result<usize, StepError> {
    let past = || StepError::End(token.to_owned());
    if token == "-" {
        return if end == End::Beyond { Ok(length) } else { Err(past()) };
    }
    let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (token.len() > 1 && token.starts_with('0')) {
        return Err(StepError::NoIndex(token.to_owned()));
    }
    // A number that fits no index is beyond the end of any list.
    let at: usize = token.parse().map_err(|_| past())?;
    let bound = if end == End::Beyond { length + 1 } else { length };
    if at < bound { Ok(at) } else { Err(past()) }
}

fn unescape(token: &str) -> Result<String, PointerError> {
    let mut parts = token.split('~');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = match part.as_bytes().first() {
            Some(b'0') => '~',
            Some(b'1') => '/',
            _ => return Err(PointerError::Escape),
        };
        out.push(rest);
        out.push_str(part.get(1..).unwrap_or_default());
    }
    Ok(out)
}
