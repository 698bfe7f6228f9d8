//! From text to nodes, over the scanner's event stream. The depth and what
//! aliases multiply are bounded, and the builder doesn't recurse.

use std::collections::HashMap;
use std::sync::Arc;

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

use super::error::{YamlError, YamlFault};
use super::node::{Mapping, Node, Position, Value};
use super::origin::Origin;
use super::scalar::{Kind, Scalar, Style};

/// What a text may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Keys, texts, lists and mappings of one text: each takes memory.
    pub nodes: usize,
    /// Nodes that aliases and merge keys add; 64 bytes of text count as one more.
    pub alias_nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 64 << 20, depth: 200, nodes: 3_000_000, alias_nodes: 100_000 }
    }
}

/// Reads all documents of a text. Documents of comments alone are left out.
/// `file` is what messages call it.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn read(file: &str, text: &str) -> Result<Vec<Node>, YamlError> {
    read_with(file, text, Limits::default())
}

/// Like [`read`], from bytes that should be UTF-8.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn read_bytes(file: &str, bytes: &[u8]) -> Result<Vec<Node>, YamlError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(file, text),
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let at = Position::new(line, column);
            let shown = String::from_utf8_lossy(bytes);
            Err(YamlError::new(file, &shown, at, YamlFault::Encoding))
        }
    }
}

/// Like [`read`], with other limits.
///
/// # Errors
/// What is wrong with the text, and where.
pub fn read_with(file: &str, text: &str, limits: Limits) -> Result<Vec<Node>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let fail = |(at, fault)| YamlError::new(file, text, at, fault);
    check_characters(text, limits).map_err(fail)?;
    // A line end of Windows or old Macs is a line end. The scanner knows them
    // too, but not inside of every kind of scalar.
    let unix;
    let scanned = if text.contains('\r') {
        unix = text.replace("\r\n", "\n").replace('\r', "\n");
        unix.as_str()
    } else {
        text
    };
    let mut parser = Parser::new_from_str(scanned);
    let mut builder = Builder::new(file, limits);
    loop {
        let (event, marker) = parser.next_token().map_err(|error| fail(syntax(&error, scanned)))?;
        if event == Event::StreamEnd {
            return Ok(builder.documents);
        }
        builder.take(event, position(&marker)).map_err(fail)?;
    }
}

type Fault = (Position, YamlFault);

/// Characters that the scanner would take for the end, or pass on unseen.
fn check_characters(text: &str, limits: Limits) -> Result<(), Fault> {
    if text.len() > limits.bytes {
        let at = Position::new(1, 1);
        return Err((at, YamlFault::Size { bound: limits.bytes }));
    }
    let bad = |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{feff}');
    // Line ends of YAML 1.1, and so of kubectl, and of no other reader.
    let end = |c: char| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    let Some((index, found)) = text.char_indices().find(|(_, c)| bad(*c) || end(*c)) else {
        return Ok(());
    };
    let before = text.get(..index).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let code = u32::from(found);
    let fault =
        if end(found) { YamlFault::LineEnd { code } } else { YamlFault::Character { code } };
    Err((Position::new(line, column), fault))
}

fn position(marker: &Marker) -> Position {
    Position::new(marker.line(), marker.col() + 1)
}

fn syntax(error: &ScanError, text: &str) -> Fault {
    let at = position(error.marker());
    let line = at.line().checked_sub(1).and_then(|index| text.lines().nth(index));
    // What the scanner says of a tab names everything but the tab.
    let tab = line.is_some_and(|line| line.contains('\t'));
    let hint = if tab { "; there is a tab in this line: write spaces" } else { "" };
    (at, YamlFault::Syntax { message: format!("{}{hint}", error.info()) })
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    mapping: Mapping,
    /// Name to line and place of each key, to find doubles in constant time.
    keys: HashMap<String, (usize, usize)>,
    key: Option<(Arc<Scalar>, Position)>,
    merged: Option<Node>,
    /// How many keys stand before `<<`.
    before: usize,
}

/// What an alias costs: nodes (and bytes, 64 to a node) and levels.
#[derive(Clone, Copy)]
struct Cost {
    nodes: usize,
    depth: usize,
}

/// The plain keys that were read, by their text.
#[derive(Default)]
struct Keys(HashMap<String, Arc<Scalar>>);

impl Keys {
    /// The key, in memory that all keys like it share.
    fn shared(&mut self, key: Scalar) -> Arc<Scalar> {
        if key.style() != Style::Plain {
            return key.into();
        }
        if let Some(there) = self.0.get(key.text()) {
            return Arc::clone(there);
        }
        let (text, key) = (key.text().to_owned(), Arc::new(key));
        self.0.insert(text, Arc::clone(&key));
        key
    }
}

struct Builder {
    limits: Limits,
    origin: Arc<Origin>,
    documents: Vec<Node>,
    open: Vec<Open>,
    keys: Keys,
    anchors: HashMap<usize, (Node, Cost)>,
    nodes: usize,
    alias_nodes: usize,
}

impl Builder {
    fn new(file: &str, limits: Limits) -> Self {
        let origin = Arc::new(Origin::File { file: file.to_owned() });
        let (documents, open, anchors) = (Vec::new(), Vec::new(), HashMap::new());
        let keys = Keys::default();
        Self { limits, origin, documents, open, keys, anchors, nodes: 0, alias_nodes: 0 }
    }

    fn node(&self, value: Value, at: Position) -> Node {
        Node { value, at, origin: Some(Arc::clone(&self.origin)) }
    }

    fn take(&mut self, event: Event, at: Position) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err((at, YamlFault::Nodes { bound: self.limits.nodes }));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = tagged_scalar(text, style, tag.as_ref()).map_err(|f| (at, f))?;
                self.finish(self.node(Value::Scalar(scalar), at), anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, cost)) = self.anchors.get(&anchor) else {
                    return Err((at, YamlFault::AliasCycle));
                };
                let (node, cost) = (self.node(node.value.clone(), at), *cost);
                self.spend(cost, at)?;
                self.finish(node, 0)
            }
            Event::SequenceStart(anchor, tag) => {
                collection_tag(tag.as_ref(), "seq", "a list").map_err(|fault| (at, fault))?;
                self.begin(Open { at, anchor, content: Content::Sequence(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_ref(), "map", "a mapping").map_err(|fault| (at, fault))?;
                self.begin(Open { at, anchor, content: Content::Mapping(OpenMapping::default()) })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            // An anchor holds for its own document only.
            Event::DocumentStart => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), Fault> {
        if self.open.len() >= self.limits.depth {
            return Err((open.at, YamlFault::Depth { bound: self.limits.depth }));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::Sequence(mut items) => {
                items.shrink_to_fit();
                Value::Sequence(items)
            }
            Content::Mapping(content) => {
                let mut mapping = content.merge()?;
                mapping.shrink();
                Value::Mapping(mapping)
            }
        };
        self.finish(self.node(value, open.at), open.anchor)
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), cost(&node)));
            // Remembering a node costs as much as an alias to it.
            self.spend(cost(&node), node.at)?;
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping(mapping)) => mapping.take(node, &mut self.keys)?,
            None if node.is_null() => {}
            None => self.documents.push(node),
        }
        Ok(())
    }

    fn spend(&mut self, cost: Cost, at: Position) -> Result<(), Fault> {
        self.alias_nodes = self.alias_nodes.saturating_add(cost.nodes);
        if self.alias_nodes > self.limits.alias_nodes {
            return Err((at, YamlFault::AliasBomb { bound: self.limits.alias_nodes }));
        }
        if self.open.len() + cost.depth > self.limits.depth {
            return Err((at, YamlFault::Depth { bound: self.limits.depth }));
        }
        Ok(())
    }
}

impl OpenMapping {
    /// Takes a key or, after one, its value.
    fn take(&mut self, node: Node, keys: &mut Keys) -> Result<(), Fault> {
        if let Some((key, at)) = self.key.take() {
            if key.style() == Style::Plain && key.text() == "<<" {
                if self.merged.is_some() {
                    let fault = YamlFault::DuplicateKey { key: "<<".to_owned(), first: at.line() };
                    return Err((at, fault));
                }
                self.merged = Some(node);
                self.before = self.mapping.len();
            } else {
                self.mapping.push(key, node);
            }
            return Ok(());
        }
        let (found, at) = (node.describe(), node.at);
        let key = match node.value {
            Value::Scalar(scalar) if scalar.kind() != Kind::Null => scalar,
            _ => return Err((at, YamlFault::Key { found })),
        };
        let name = key.name().into_owned();
        let merge = key.style() == Style::Plain && key.text() == "<<";
        let place = (at.line(), self.mapping.len());
        if !merge && let Some((first, _)) = self.keys.insert(name.clone(), place) {
            return Err((at, YamlFault::DuplicateKey { key: name, first }));
        }
        self.key = Some((keys.shared(key), at));
        Ok(())
    }

    /// Adds what `<<` names. As kubectl reads it, that takes the place of keys that
    /// stand before `<<`, and keys after it take the place of that. Earlier mappings
    /// of a list win over later ones.
    /// An alias among them was paid for when it came.
    fn merge(mut self) -> Result<Mapping, Fault> {
        let Some(merged) = self.merged.take() else { return Ok(self.mapping) };
        let sources = match merged.value {
            Value::Sequence(items) => items,
            _ => vec![merged],
        };
        // What a mapping of the list has set, a later one leaves alone.
        let done = usize::MAX;
        for source in sources {
            let Value::Mapping(mapping) = source.value else {
                return Err((source.at, YamlFault::MergeKey { found: source.describe() }));
            };
            for (key, value) in mapping.into_entries() {
                let name = key.name().into_owned();
                match self.keys.insert(name, (value.at.line(), done)) {
                    None => self.mapping.push(key, value),
                    Some((_, place)) if place < self.before => {
                        if let Some(own) = self.mapping.value_mut(place) {
                            *own = value;
                        }
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(self.mapping)
    }
}

/// Recurses as deep as the node, which is bounded.
fn cost(node: &Node) -> Cost {
    let text = |scalar: &Scalar| 1 + scalar.text().len() / 64;
    let mut sum = Cost { nodes: 1, depth: 0 };
    let mut add = |child: &Node| {
        let cost = cost(child);
        sum.nodes = sum.nodes.saturating_add(cost.nodes);
        sum.depth = sum.depth.max(cost.depth + 1);
    };
    match &node.value {
        Value::Scalar(scalar) => return Cost { nodes: text(scalar), depth: 0 },
        Value::Sequence(items) => items.iter().for_each(&mut add),
        Value::Mapping(mapping) => mapping.iter().for_each(|(_, value)| add(value)),
    }
    if let Value::Mapping(mapping) = &node.value {
        sum.nodes += mapping.iter().map(|(key, _)| text(key)).sum::<usize>();
    }
    sum.depth = sum.depth.max(1);
    sum
}

fn tag_text(tag: &Tag) -> String {
    if tag.handle == CORE {
        format!("!!{}", tag.suffix)
    } else {
        format!("{}{}", tag.handle, tag.suffix)
    }
}

/// What the handle `!!` stands for.
const CORE: &str = "tag:yaml.org,2002:";

fn collection_tag(tag: Option<&Tag>, right: &str, found: &'static str) -> Result<(), YamlFault> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.handle == CORE && tag.suffix == right => Ok(()),
        Some(tag) if tag.handle == CORE && matches!(tag.suffix.as_str(), "map" | "seq" | "str") => {
            Err(YamlFault::TagMismatch { tag: tag_text(tag), found })
        }
        Some(tag) => Err(YamlFault::Tag { tag: tag_text(tag) }),
    }
}

/// The scalar as its tag wants it. A string keeps quotes, so that it needs no
/// tag any more.
fn tagged_scalar(
    text: String,
    style: TScalarStyle,
    tag: Option<&Tag>,
) -> Result<Scalar, YamlFault> {
    let style = match style {
        TScalarStyle::Plain => Style::Plain,
        TScalarStyle::SingleQuoted => Style::Single,
        TScalarStyle::DoubleQuoted => Style::Double,
        TScalarStyle::Literal | TScalarStyle::Folded => Style::Literal,
    };
    let Some(tag) = tag else { return Ok(Scalar::read(text, style)) };
    // A lone `!` asks for a string.
    if tag_text(tag) == "!" {
        return Ok(Scalar::string(text));
    }
    if tag.handle != CORE {
        return Err(YamlFault::Tag { tag: tag_text(tag) });
    }
    let plain = Scalar::read(text, Style::Plain);
    let fits = match (tag.suffix.as_str(), plain.kind()) {
        ("str", _) => return Ok(Scalar::string(plain.text())),
        ("null", Kind::Null)
        | ("bool", Kind::Bool(_))
        | ("int", Kind::Integer(_))
        | ("float", Kind::Integer(_) | Kind::Float(_)) => true,
        ("null" | "bool" | "int" | "float", _) => false,
        _ => return Err(YamlFault::Tag { tag: tag_text(tag) }),
    };
    let found = plain.kind().describe();
    if fits { Ok(plain) } else { Err(YamlFault::TagMismatch { tag: tag_text(tag), found }) }
}
