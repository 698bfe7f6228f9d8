//! The walk over an object beside its type.

use std::collections::{HashMap, HashSet};

use super::super::schema::{Field, Kind, ListType, Scalar, Schema, Type};
use super::super::yaml::{Mapping, Node, Value};
use super::path::Path;
use super::{Fault, Rule, deprecated, value};

pub(super) fn walk(schema: Schema, kind: Kind, of: Type, object: &Node) -> Vec<Fault<'_>> {
    let encrypted = object.get(SOPS).is_some_and(|sops| sops.get("mac").is_some());
    let (path, faults, counts) = (Path::default(), Vec::new(), HashMap::new());
    let mut walker = Walker { schema, kind, encrypted, path, faults, counts };
    walker.value(object, of, None);
    walker.told()
}

/// How many faults of one rule are told of an object.
const OF_ONE_RULE: usize = 100;

/// What SOPS adds to an object. Who decrypts it takes it away again.
const SOPS: &str = "sops";

struct Walker<'a> {
    schema: Schema,
    kind: Kind,
    /// Whether SOPS put a text into the place of some values.
    encrypted: bool,
    path: Path<'a>,
    faults: Vec<Fault<'a>>,
    /// How many of each rule were found.
    counts: HashMap<Rule, usize>,
}

impl<'a> Walker<'a> {
    /// Counts a fault, and says whether it is one too many to be told.
    fn is_beyond(&mut self, rule: Rule) -> bool {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        *count > OF_ONE_RULE
    }

    /// The faults, the last of those that are too many with how many more there are.
    fn told(mut self) -> Vec<Fault<'a>> {
        for (rule, count) in self.counts.iter().filter(|(_, count)| **count > OF_ONE_RULE) {
            if let Some(last) = self.faults.iter_mut().rfind(|fault| fault.rule == *rule) {
                let more = count - OF_ONE_RULE;
                last.message =
                    format!("{}; and {more} more of this code in the object", last.message);
            }
        }
        self.faults
    }

    /// Recurses as deep as the types, which only a CRD's own schema nests into
    /// itself, and no deeper than the object, which its reader bounds.
    fn value(&mut self, node: &'a Node, of: Type, field: Option<Field>) {
        if self.encrypted && node.as_str().is_some_and(|text| text.starts_with("ENC[")) {
            return;
        }
        if let Some(scalar) = of.scalar() {
            match value::problem(node, scalar) {
                Some((message, hint)) => self.fault(Rule::FieldType, node, message, hint),
                None => self.limits(node, field),
            }
            return;
        }
        match (&node.value, of.values(), of.items()) {
            (Value::Mapping(mapping), ..) if of.is_struct() => self.fields(node, mapping, of),
            (Value::Mapping(mapping), Some(of), _) => {
                for (key, value) in mapping.iter() {
                    self.path.key(key.name());
                    self.value(value, of, field);
                    self.path.back();
                }
            }
            (Value::Sequence(items), _, Some(of)) => self.elements(items, of, field),
            _ => {
                let message = format!("is {}, and must be {}", node.describe(), of.describe());
                let hint = match (of.items().is_some(), &node.value) {
                    (true, _) => "put a `- ` before each element".to_owned(),
                    (false, Value::Sequence(_)) => "remove the `- `".to_owned(),
                    (false, _) => format!("write {}", of.describe()),
                };
                self.fault(Rule::FieldType, node, message, hint);
            }
        }
    }

    fn fields(&mut self, node: &'a Node, mapping: &'a Mapping, of: Type) {
        for (key, value) in mapping.iter() {
            let name = key.name();
            let Some(field) = of.field(&name) else {
                let known = is_of_every_object(&name) || (self.encrypted && name == SOPS);
                let known = of.is_open() || (known && self.path.is_empty());
                if !known {
                    self.unknown(value, &name, of);
                }
                continue;
            };
            self.path.key(name);
            if value.is_null() && field.of().scalar() != Some(Scalar::Any) {
                self.null(value, field);
            } else {
                self.deprecated(value, of, field);
                self.value(value, field.of(), Some(field));
                if let Some(size) = field.limits().size
                    && let Some((message, hint)) = value::size(value, size)
                {
                    self.fault(Rule::FieldValue, value, message, hint);
                }
            }
            self.path.back();
        }
        for field in of.fields().filter(|field| field.is_required()) {
            let there = mapping.get(field.name());
            let nothing = there.is_none_or(|value| value.is_null() && !field.is_nullable());
            // Of a custom resource null was said to be wrong already.
            if nothing
                && (there.is_none() || !self.kind.is_custom())
                && !self.is_beyond(Rule::MissingField)
            {
                let (name, wanted) = (field.name(), field.of().describe());
                let whose = if self.path.is_empty() {
                    self.kind.name().to_owned()
                } else {
                    self.path.to_string()
                };
                let allowed = field.allowed().join(", ");
                let hint = match allowed.as_str() {
                    "" => format!("add {name}: {wanted}"),
                    allowed => format!("add {name}, one of {allowed}"),
                };
                self.faults.push(Fault {
                    rule: Rule::MissingField,
                    field: self.path.with(name),
                    node,
                    message: format!("{whose} needs `{name}`"),
                    hint,
                });
            }
        }
    }

    fn unknown(&mut self, node: &'a Node, name: &str, of: Type) {
        if self.is_beyond(Rule::UnknownField) {
            return;
        }
        let near = value::nearest(name, of.fields().map(Field::name));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => self.elsewhere(name, of),
        };
        let message = format!(
            "{} {} has no such field in Kubernetes {}; the server would drop it",
            self.kind.api_version(),
            self.kind.name(),
            self.schema.version()
        );
        let field = self.path.with(name);
        self.faults.push(Fault { rule: Rule::UnknownField, field, node, message, hint });
    }

    /// Where a field of this name is nearby: one level below, or in a later
    /// Kubernetes version.
    fn elsewhere(&self, name: &str, of: Type) -> String {
        let inner = |of: Type| of.items().or_else(|| of.values()).unwrap_or(of);
        let below = of.fields().find(|field| inner(field.of()).field(name).is_some());
        if let Some(field) = below {
            return format!("`{}` has one: move it there", self.path.with(field.name()));
        }
        if let Some(version) = of.field_since(name) {
            return format!("Kubernetes has it from {version} on; remove it");
        }
        let names: Vec<_> = of.fields().map(Field::name).take(13).collect();
        match names.as_slice() {
            [] => "remove it".to_owned(),
            names if names.len() > 12 => "remove it, or move it where it belongs".to_owned(),
            names => format!("remove it; the fields are {}", names.join(", ")),
        }
    }

    /// Kubernetes' own kinds take null for no value at all.
    fn null(&mut self, node: &'a Node, field: Field) {
        if self.kind.is_custom() && !field.is_nullable() && field.default().is_none() {
            let message = format!("is null, and must be {}", field.of().describe());
            self.fault(Rule::FieldType, node, message, "remove the key".to_owned());
        }
    }

    fn elements(&mut self, items: &'a [Node], of: Type, field: Option<Field>) {
        let keys = field.map_or(&[][..], Field::list_keys);
        let key = keys.first().copied().or_else(|| field.and_then(Field::merge_key));
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let name = |key| item.get(key).filter(|name| !name.is_null())?.as_scalar();
            match key.and_then(|key| Some((key, name(key)?.text()))) {
                Some((key, text)) if keys.len() < 2 && !text.is_empty() => {
                    self.path.named(key, text);
                }
                _ => self.path.index(index),
            }
            if let Some(field) = field
                && !seen.insert(identity(item, of, field))
                && field.list_type() != ListType::Atomic
            {
                let message = "is in the list already, by what tells its elements apart";
                self.fault(
                    Rule::RepeatedElement,
                    item,
                    message.to_owned(),
                    "remove one of the two".to_owned(),
                );
            }
            self.value(item, of, field);
            self.path.back();
        }
    }

    /// Holds a value of the right type against what the schema says of it beyond that.
    fn limits(&mut self, node: &'a Node, field: Option<Field>) {
        let Some(field) = field else { return };
        let found = self.not_allowed(node, field).or_else(|| value::beyond(node, field.limits()));
        if let Some((message, hint)) = found {
            self.fault(Rule::FieldValue, node, message, hint);
        }
    }

    fn not_allowed(&self, node: &Node, field: Field) -> Option<(String, String)> {
        let (allowed, text) = (field.allowed(), node.as_scalar()?.text());
        // For Kubernetes' own kinds an empty text is the same as none.
        let unset = text.is_empty() && !self.kind.is_custom();
        if allowed.is_empty() || unset || allowed.iter().any(|value| value == text) {
            return None;
        }
        let near = value::nearest(text, allowed.iter().map(AsRef::as_ref));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write one of these".to_owned(),
        };
        Some((format!("`{text}` is none of {}", allowed.join(", ")), hint))
    }

    fn deprecated(&mut self, node: &'a Node, of: Type, field: Field) {
        let found = deprecated::fields(self.schema, of.name(), field.name());
        if let Some((message, hint)) = found {
            self.fault(Rule::DeprecatedField, node, message, hint);
        }
        for (key, value, message, hint) in
            deprecated::keys(self.schema, of.name(), field.name(), node)
        {
            let field = self.path.with(&key);
            let rule = Rule::DeprecatedField;
            if self.is_beyond(rule) {
                continue;
            }
            self.faults.push(Fault { rule, field, node: value, message, hint });
        }
    }

    fn fault(&mut self, rule: Rule, node: &'a Node, message: String, hint: String) {
        if self.is_beyond(rule) {
            return;
        }
        self.faults.push(Fault { rule, field: self.path.to_string(), node, message, hint });
    }
}

/// Fields that every object has, whatever its schema lists.
fn is_of_every_object(name: &str) -> bool {
    ["apiVersion", "kind", "metadata"].contains(&name)
}

/// What tells an element apart in its list: its own text, or the values of the
/// list's keys, with their defaults.
fn identity(item: &Node, of: Type, field: Field) -> Vec<String> {
    if field.list_type() == ListType::Set {
        return item.as_scalar().map(|scalar| scalar.text().to_owned()).into_iter().collect();
    }
    let value = |key: &&'static str| {
        let given = item.get(key).and_then(Node::as_scalar).map(super::super::yaml::Scalar::text);
        let default = || of.field(key).and_then(Field::default);
        given.or_else(default).unwrap_or_default().to_owned()
    };
    field.list_keys().iter().map(value).collect()
}
