//! The type of a value.

use super::field::Field;
use super::scalar::Scalar;
use super::table::{self, Block, Expression};

/// The type of a value, as one Kubernetes version has it.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    minor: u8,
    of: &'static Expression,
}

impl Type {
    pub(super) fn new(minor: u8, of: &'static Expression) -> Self {
        Self { minor, of }
    }

    /// The type of the elements, if it is a list.
    #[must_use]
    pub fn items(self) -> Option<Self> {
        match self.of {
            Expression::List(of) => Some(Self { of, ..self }),
            _ => None,
        }
    }

    /// The type of the values, if it is a mapping with keys of the user's, such
    /// as labels.
    #[must_use]
    pub fn values(self) -> Option<Self> {
        match self.of {
            Expression::Map(of) => Some(Self { of, ..self }),
            _ => None,
        }
    }

    /// What a value has to be, if it is neither list nor mapping with known
    /// fields or values.
    #[must_use]
    pub fn scalar(self) -> Option<Scalar> {
        match self.of {
            Expression::Scalar(scalar) => Some(*scalar),
            _ => None,
        }
    }

    /// Whether it is a mapping with the fields of [`Type::fields`].
    #[must_use]
    pub fn is_struct(self) -> bool {
        matches!(self.of, Expression::Struct(_))
    }

    /// Whether the server keeps fields that the schema does not list.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self.of {
            Expression::Struct(_) => self.block().is_some_and(|block| block.open),
            Expression::Scalar(scalar) => matches!(scalar, Scalar::Any | Scalar::Object),
            Expression::List(_) | Expression::Map(_) => false,
        }
    }

    /// The field of this name. Nothing for a type without fields, and for a
    /// field that this Kubernetes version does not have.
    #[must_use]
    pub fn field(self, name: &str) -> Option<Field> {
        self.block()?.entry(name, self.minor).map(|entry| Field::new(self.minor, entry))
    }

    /// The first later Kubernetes version, such as `1.31`, that has this field.
    #[must_use]
    pub fn field_since(self, name: &str) -> Option<String> {
        let block = self.block()?;
        let mut later = self.minor..=table::MINORS.1;
        later.find(|minor| block.entry(name, *minor).is_some()).map(|minor| format!("1.{minor}"))
    }

    /// The name that the tables give it, such as `core/v1.PodSpec`; empty for
    /// what has no fields.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.block().map_or("", |block| block.name)
    }

    /// All fields, in the order of their names.
    pub fn fields(self) -> impl Iterator<Item = Field> {
        let entries = self.block().map_or_else(Default::default, Block::entries);
        let fields = entries.iter().map(move |entry| Field::new(self.minor, entry));
        fields.filter(|field| field.is_there())
    }

    /// A name for messages: `a ContainerPort`, `a list`, `a string`, ….
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self.of {
            Expression::List(_) => "a list",
            Expression::Map(_) | Expression::Struct(_) => "a mapping",
            Expression::Scalar(scalar) => scalar.describe(),
        }
    }

    fn block(self) -> Option<&'static Block> {
        match self.of {
            Expression::Struct(at) => table::blocks().get(*at),
            _ => None,
        }
    }
}
