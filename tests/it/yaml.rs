//! The YAML reader and writer: what kubectl reads, exact round trips, and
//! texts that are wrong or hostile.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use warren::pipeline::yaml::{
    Kind, Limits, Node, Style, Value, YamlFault, read, read_bytes, read_with, write, write_all,
};

fn one(text: &str) -> Node {
    let mut documents = read("test.yaml", text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn refused(text: &str) -> String {
    read("test.yaml", text).unwrap_err().to_string()
}

fn fault(text: &str) -> YamlFault {
    read("test.yaml", text).unwrap_err().fault
}

/// The table of measured behaviour, kubectl's column.
#[test]
fn plain_scalars_are_what_kubectl_reads() {
    for (text, kind) in [
        ("on", Kind::Bool(true)),
        ("yes", Kind::Bool(true)),
        ("y", Kind::Bool(true)),
        ("n", Kind::Bool(false)),
        ("off", Kind::Bool(false)),
        ("0777", Kind::Integer(511)),
        ("0o7", Kind::Integer(7)),
        ("0b101", Kind::Integer(5)),
        ("1_000", Kind::Integer(1000)),
        ("08", Kind::Float(8.0)),
        ("2026-11-23", Kind::String),
        ("~", Kind::Null),
        ("", Kind::Null),
    ] {
        let node = one(&format!("a: {text}\n"));
        assert_eq!(node.get("a").unwrap().as_scalar().unwrap().kind(), kind, "{text}");
        // Untouched, it leaves as it came; in quotes it is a string.
        let back = if text.is_empty() { "a:\n".to_owned() } else { format!("a: {text}\n") };
        assert_eq!(write(&node), back);
        let quoted = one(&format!("a: '{text}'\n"));
        assert_eq!(quoted.get("a").unwrap().as_str(), Some(text));
    }
}

#[test]
fn strings_that_any_reader_would_retype_are_written_in_quotes() {
    for text in [
        "on",
        "Yes",
        "y",
        "N",
        "oFF",
        "true",
        "null",
        "~",
        "",
        "0777",
        "0o7",
        "0b101",
        "0x1F",
        "1_000",
        "1e3",
        ".5",
        "+1",
        "-1",
        "1:30",
        "12:30:45",
        "2026-11-23",
        "2026-11-23T10:00:00Z",
        ".inf",
        "-.INF",
        ".nan",
        "NaN",
        "=",
        "<<",
        " a",
        "a ",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "- a",
        "-",
        "?",
        "? a",
        ": a",
        "[a",
        "{a",
        "]",
        "}",
        ",",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'a",
        "\"a",
        "---",
        "--- a",
        "...",
        "a\tb",
        "a\u{7f}",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "1.36",
    ] {
        let line = write(&Node::string(text));
        assert!(line.starts_with('"') && line.ends_with("\"\n"), "{text:?}: {line}");
        assert_eq!(one(&line).as_str(), Some(text));
    }
    for text in ["trow", "--hostname", "file:///etc/trow/pass", "a:b", "a#b", "é", "10Gi", "a, b"]
    {
        assert_eq!(write(&Node::string(text)), format!("{text}\n"));
    }
}

#[test]
fn what_nobody_touched_leaves_byte_for_byte() {
    let text = "\
b: 0777
a: 'single ''quoted'''
\"c\": \"double \\\"quoted\\\"\"
on: yes
list:
  - name: x
    value:
  - - 1_000
    - {}
  - []
block: |
  one

  \ttwo
keep: |+
  one

strip: |-
  one
  two
";
    assert_eq!(write(&one(text)), text);
}

#[test]
fn keys_keep_their_order_and_have_the_names_that_kubernetes_reads() {
    let node = one("z: 1\non: 2\n0777: 3\na: 4\n");
    let names: Vec<_> = node.as_mapping().unwrap().iter().map(|(key, _)| key.name()).collect();
    assert_eq!(names, ["z", "true", "511", "a"]);
}

#[test]
fn documents_of_comments_alone_are_dropped() {
    let nodes = read("t", "# a\n---\n# b\n---\na: 1\n---\n---\nb: 2\n...\n# c\n").unwrap();
    assert_eq!(write_all(&nodes), "a: 1\n---\nb: 2\n");
    assert!(read("t", "").unwrap().is_empty());
    assert!(read("t", "# only\n").unwrap().is_empty());
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let text = "\
base: &base {a: 1, b: 2}
more: &more
  c: 3
  a: 9
own:
  <<: [*base, *more]
  b: own
copy: *base
";
    let node = one(text);
    assert_eq!(node.get("own"), Some(&one("{b: own, a: 1, c: 3}")));
    assert_eq!(node.get("copy"), Some(&one("{a: 1, b: 2}")));
    // As kubectl reads it, `<<` takes the place of keys before it, not of those after it.
    let node = one("mode: own\nlist: own\n<<: [{mode: merged, other: x}, {mode: y}]\nother: own\n");
    assert_eq!(node, one("{mode: merged, list: own, other: own}"));
    assert_eq!(write(&node), "mode: merged\nlist: own\nother: own\n");
    // In quotes it is a key like others.
    assert_eq!(one("'<<': 1\n").get("<<").unwrap().as_integer(), Some(1));
}

#[test]
fn a_line_end_that_only_yaml_1_1_knows_is_refused() {
    insta::assert_snapshot!(refused("a: \"1\" # note\u{2028}  b: \"2\"\n"), @r#"
    test.yaml:1:14: the character U+2028 ends a line for kubectl and for no other reader: remove it, or write it as "\u2028" in a text in double quotes
      |
    1 | a: "1" # note   b: "2"
      |              ^
    "#);
    for c in ["\u{85}", "\u{2029}"] {
        for text in [format!("a: |\n  x{c}y\n"), format!("a: 'x{c}y'\n"), format!("a: x{c}\n")] {
            assert!(matches!(fault(&text), YamlFault::LineEnd { .. }), "{text:?}");
        }
    }
    let escaped = "a: \"x\\u2028y\"\n";
    assert_eq!(one(escaped).get("a").unwrap().as_str(), Some("x\u{2028}y"));
}

#[test]
fn a_duplicate_key_is_refused_with_both_places() {
    insta::assert_snapshot!(refused("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n"), @r"
    test.yaml:5:3: the key `c` stands twice in this mapping, first in line 3: remove one
      |
    5 |   c: 3
      |   ^
    ");
    // Kubernetes reads these as one key each.
    for text in ["on: 1\ntrue: 2\n", "0777: 1\n511: 2\n", "{a: 1, 'a': 2}", "<<: {}\n<<: {}\n"] {
        assert!(matches!(fault(text), YamlFault::DuplicateKey { .. }), "{text}");
    }
}

#[test]
fn what_is_no_key_is_refused() {
    for text in ["? [a]\n: b\n", "? {a: b}\n: c\n", "~: a\n", "<<: 1\n", "<<: [1]\n"] {
        let fault = fault(text);
        assert!(
            matches!(fault, YamlFault::Key { .. } | YamlFault::MergeKey { .. }),
            "{text}: {fault}"
        );
    }
}

#[test]
fn known_tags_decide_and_others_are_refused() {
    assert_eq!(write(&one("a: !!str 0777\n")), "a: \"0777\"\n");
    assert_eq!(write(&one("a: ! 0777\n")), "a: \"0777\"\n");
    assert_eq!(write(&one("a: !!int \"5\"\n")), "a: 5\n");
    assert!(matches!(fault("a: !!int x\n"), YamlFault::TagMismatch { .. }));
    assert!(matches!(fault("a: !!map [x]\n"), YamlFault::TagMismatch { .. }));
    for text in ["a: !mine x\n", "a: !!binary eA==\n", "a: !!set {x}\n", "!mine\na: 1\n"] {
        assert!(matches!(fault(text), YamlFault::Tag { .. }), "{text}");
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    assert!(matches!(fault(&bomb), YamlFault::AliasBomb { .. }));
    // A large text many times is one too.
    let aliases = vec!["*a"; 2000].join(", ");
    let large = format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(100_000));
    assert!(matches!(fault(&large), YamlFault::AliasBomb { .. }));
    // And so are merge keys.
    let keys: Vec<_> = (0..2000).map(|key| format!("k{key}: 1")).collect();
    let merges = vec!["- {<<: *a}\n"; 200].concat();
    let text = format!("a: &a {{{}}}\nb:\n{merges}", keys.join(", "));
    assert!(matches!(fault(&text), YamlFault::AliasBomb { .. }));
}

#[test]
fn an_alias_of_what_contains_it_and_an_unknown_one_are_refused() {
    assert!(matches!(fault("a: &a [*a]\n"), YamlFault::AliasCycle));
    assert!(matches!(fault("a: *nowhere\n"), YamlFault::Syntax { .. }));
    // An anchor holds for its own document.
    assert!(read("t", "a: &a 1\n---\nb: *a\n").is_err());
}

#[test]
fn nesting_is_bounded_in_every_style() {
    let depth = 10_000;
    let block = (0..depth).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    for text in [
        format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("{}{}", "{a: ".repeat(depth), "}".repeat(depth)),
        format!("{}a\n", "- ".repeat(depth)),
        block,
    ] {
        let error = read("t", &text).unwrap_err();
        assert!(
            matches!(error.fault, YamlFault::Depth { .. } | YamlFault::Syntax { .. }),
            "{}",
            error.fault
        );
    }
    // An alias can't smuggle depth in.
    let mut text = format!("a0: &a0 {}{}\n", "[".repeat(90), "]".repeat(90));
    for level in 1..4 {
        let (open, close) = ("[".repeat(90), "]".repeat(90));
        writeln!(text, "a{level}: &a{level} {open}*a{}{close}", level - 1).unwrap();
    }
    assert!(matches!(fault(&text), YamlFault::Depth { .. }));
}

#[test]
fn a_text_beyond_its_size_is_refused() {
    let limits = Limits { bytes: 10, ..Limits::default() };
    let error = read_with("t", "a: 12345678", limits).unwrap_err();
    assert!(matches!(error.fault, YamlFault::Size { bound: 10 }));
}

#[test]
fn a_megabyte_in_one_scalar_is_read_in_every_style() {
    let long = "abc def ".repeat(1 << 17);
    let long = long.trim_end();
    let folded = long.replace(' ', "\n  ");
    for text in [
        format!("a: {long}\n"),
        format!("a: '{long}'\n"),
        format!("a: \"{long}\"\n"),
        format!("a: |-\n  {long}\n"),
        format!("a: >-\n  {folded}\n"),
        format!("a: {folded}\n"),
    ] {
        let node = one(&text);
        assert_eq!(node.get("a").and_then(Node::as_str), Some(long), "{}", &text[..20]);
        assert_eq!(one(&write(&node)), node);
    }
    // A key is cut off long before.
    assert!(matches!(fault(&format!("{long}: a\n")), YamlFault::Syntax { .. }));
}

#[test]
fn encodings_and_line_ends() {
    assert_eq!(one("\u{feff}a: 1\n"), one("a: 1\n"));
    let windows = one("a: |\r\n  x\r\n  y\r\nb: 'c\r\n\r\n  d'\r\n");
    assert_eq!(write(&windows), "a: |\n  x\n  y\nb: \"c\\nd\"\n");
    assert_eq!(write(&one("a: 1\rb: 2\r")), "a: 1\nb: 2\n");
    insta::assert_snapshot!(read_bytes("t.yaml", b"a: 1\nb: \xff\n").unwrap_err(), @r"
    t.yaml:2:4: not UTF-8: save the file as UTF-8
      |
    2 | b: �
      |    ^
    ");
    insta::assert_snapshot!(refused("a: 1\nbc: é\u{0}x\n"), @r"
    test.yaml:2:6: the character U+0000 is not allowed in YAML: remove it
      |
    2 | bc: é x
      |      ^
    ");
    assert!(matches!(fault("a: \u{feff}1\n"), YamlFault::Character { code: 0xfeff }));
}

#[test]
fn a_tab_as_indentation_is_refused_in_its_place() {
    let error = read("t", "a:\n\tb: 1\n").unwrap_err();
    assert!(matches!(error.fault, YamlFault::Syntax { .. }));
    assert_eq!(error.at.line, 2, "{error}");
    assert!(error.to_string().contains("there is a tab in this line: write spaces"), "{error}");
    // Nor can it stand between a key and its value.
    assert!(matches!(fault("a:\tb\n"), YamlFault::Syntax { .. }));
}

#[test]
fn a_long_line_is_shown_around_its_fault() {
    let text = format!("a: {{{}: 0, x: 1, x: 2, {}: 0}}\n", "y".repeat(500), "z".repeat(500));
    let message = refused(&text);
    assert!(message.lines().all(|line| line.chars().count() < 140), "{message}");
    assert!(message.ends_with('^'), "{message}");
}

#[test]
fn a_long_key_survives() {
    let key = "k".repeat(3000);
    for value in ["1", "[1, 2]", "{a: b}"] {
        let node = Node::mapping([(key.as_str(), one(value)), ("b", Node::integer(2))]);
        assert_eq!(one(&write(&node)), node);
    }
}

#[test]
fn a_folded_text_keeps_its_value() {
    let node = one("a: >\n  one\n  two\n\n  three\n");
    assert_eq!(node.get("a").unwrap().as_str(), Some("one two\nthree\n"));
    assert_eq!(one(&write(&node)), node);
    let plain = one("a: one\n  two\n\n  three\n");
    assert_eq!(one(&write(&plain)), plain);
    assert_eq!(plain.get("a").unwrap().as_scalar().unwrap().style(), Style::Plain);
}

/// Texts with a taste for what YAML gives a meaning.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z0-9]{0,3}",
        Just("\n".to_owned()),
        Just(" ".to_owned()),
        "[-+.:_,#?!&*|>'\"%@`~=<{}\\[\\]\\\\\t]{1,2}",
        "(on|no|null|true|0x1|1e3|2026-11-23|---|\\.\\.\\.)",
        any::<char>().prop_map(|c| c.to_string()),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn nodes() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        texts().prop_map(Node::string),
        any::<i64>().prop_map(Node::integer),
        Just(one_value("a: true")),
        Just(one_value("a: 1.5")),
        Just(one_value("a:")),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Node::sequence),
            prop::collection::vec((texts(), inner), 0..5).prop_map(|entries| {
                Node::mapping(entries.iter().map(|(key, node)| (key.as_str(), node.clone())))
            }),
        ]
    })
}

fn one_value(text: &str) -> Node {
    one(text).get("a").unwrap().clone()
}

/// Styles and texts too, where equality of nodes asks for the meaning only.
fn shape(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => format!("{:?}", (scalar.style(), scalar.text())),
        Value::Sequence(items) => format!("{:?}", items.iter().map(shape).collect::<Vec<_>>()),
        Value::Mapping(mapping) => {
            let entry = |(key, value): (&Arc<warren::pipeline::yaml::Scalar>, &Node)| {
                format!("{:?} {}", (key.style(), key.text()), shape(value))
            };
            format!("{:?}", mapping.iter().map(entry).collect::<Vec<_>>())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_string_comes_back(text in texts()) {
        let node = Node::mapping([("a", Node::string(&text)), ("b", Node::integer(1))]);
        let written = write(&node);
        let back = read("t", &written).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(back.len(), 1);
        prop_assert_eq!(back[0].get("a").and_then(Node::as_str), Some(text.as_str()), "{}", written);
        prop_assert_eq!(back[0].get("b").and_then(Node::as_integer), Some(1));
    }

    #[test]
    fn any_node_comes_back_and_is_written_the_same_again(node in nodes()) {
        let written = write(&node);
        let back = read("t", &written).map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
        if node.is_null() {
            prop_assert!(back.is_empty());
        } else {
            prop_assert_eq!(back.len(), 1, "{}", written);
            prop_assert_eq!(&back[0], &node, "{}", written);
            prop_assert_eq!(write(&back[0]), written);
        }
    }

    #[test]
    fn whatever_reads_is_written_with_its_meaning_and_then_stays(text in texts()) {
        // Also as the value of a key, where more of it is YAML.
        for text in [text.clone(), format!("a: {text}\nb: 1\n"), format!("- {text}\n- 1\n")] {
            let Ok(nodes) = read("t", &text) else { continue };
            let written = write_all(&nodes);
            let back = read("t", &written).map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
            prop_assert_eq!(&back, &nodes, "{}", written);
            prop_assert_eq!(write_all(&back), written);
            let again: Vec<_> = back.iter().map(shape).collect();
            let stays: Vec<_> = read("t", &write_all(&back)).unwrap().iter().map(shape).collect();
            prop_assert_eq!(again, stays);
        }
    }
}

#[test]
fn very_many_values_are_refused() {
    let limits = Limits { nodes: 1000, ..Limits::default() };
    let list = |count: usize| format!("a:\n{}", "- x\n".repeat(count));
    assert!(read_with("t", &list(900), limits).is_ok());
    let error = read_with("t", &list(1100), limits).unwrap_err();
    assert!(matches!(error.fault, YamlFault::Nodes { bound: 1000 }), "{error}");
    // What takes gigabytes is far below the bound of bytes.
    let error = read("t", &list(Limits::default().nodes)).unwrap_err();
    assert!(matches!(error.fault, YamlFault::Nodes { .. }), "{error}");
}
