//! The types that have no fields.

/// What a value without fields has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Anything.
    Any,
    /// A mapping with any keys.
    Object,
    /// A text.
    String,
    /// A text in base64.
    Bytes,
    /// A text that is a point in time (RFC 3339).
    Time,
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Number,
    /// A whole number, or a text such as `25%` or `http`.
    IntOrString,
    /// A number, or a text such as `100m` or `10Gi`.
    Quantity,
}

impl Scalar {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "any" => Self::Any,
            "object" => Self::Object,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "time" => Self::Time,
            "bool" => Self::Bool,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "number" => Self::Number,
            "int-or-string" => Self::IntOrString,
            "quantity" => Self::Quantity,
            _ => return None,
        })
    }

    /// For messages: "a string", "a whole number", …
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Object => "a mapping",
            Self::String => "a string",
            Self::Bytes => "a string in base64",
            Self::Time => "a time such as 2026-01-31T12:00:00Z",
            Self::Bool => "true or false",
            Self::Int32 => "a whole number of 32 bits",
            Self::Int64 => "a whole number",
            Self::Number => "a number",
            Self::IntOrString => "a whole number or a string",
            Self::Quantity => "a quantity such as 100m or 10Gi",
        }
    }
}
