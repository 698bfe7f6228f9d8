//! The address of a field, kept as steps until somebody wants to read it.

use std::borrow::Cow;
use std::fmt;

use super::super::address::write_key;

enum Step<'a> {
    Key(Cow<'a, str>),
    Index(usize),
    /// The element whose key has this text.
    Named(&'static str, &'a str),
}

/// The way from an object to a field of it.
#[derive(Default)]
pub struct Path<'a>(Vec<Step<'a>>);

impl<'a> Path<'a> {
    /// Goes to the value under a key.
    pub fn key(&mut self, key: Cow<'a, str>) {
        self.0.push(Step::Key(key));
    }

    /// Goes to an element of a list.
    pub fn index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    /// Goes to the element of a list whose key has this text.
    pub fn named(&mut self, key: &'static str, text: &'a str) {
        self.0.push(Step::Named(key, text));
    }

    /// Goes back one step.
    pub fn back(&mut self) {
        self.0.pop();
    }

    /// The address with one key more.
    #[must_use]
    pub fn with(&self, key: &str) -> String {
        let mut text = self.to_string();
        // Writing to a text can't fail.
        let _ = write_key(&mut text, self.is_empty(), key);
        text
    }

    /// Whether it leads to the object itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `spec.containers[name=trow-pod].ports[0]`, and
/// `metadata.annotations["cert-manager.io/issuer"]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => write_key(f, number == 0, key)?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Named(key, value) => write!(f, "[{key}={value}]")?,
            }
        }
        Ok(())
    }
}
