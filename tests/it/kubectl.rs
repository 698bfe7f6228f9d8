//! What a real kubectl read, asked once by `tests/kubectl/golden.py`, beside
//! what our reader reads.

use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value as Json};
use warren::fs;
use warren::pipeline::yaml::{Kind, Node, Value, read, read_bytes, write, write_all};

/// Where ours refuses what kubectl takes, on purpose: a key that stands twice
/// has lost a value, what a tag of one's own means nobody knows, and a tab is
/// refused by enough other readers, which know fewer line ends too.
const STRICTER: [&str; 3] = ["{a: 1, a: 2}", "!!binary eA==", "!mine x"];
const STRICTER_DOCUMENTS: [&str; 4] =
    ["duplicate", "line-separators", "tab-after-colon", "tab-value"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl")
}

/// A node as the JSON that kubectl would send.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Scalar(scalar) => match scalar.kind() {
            Kind::Null => Json::Null,
            Kind::Bool(value) => Json::Bool(value),
            Kind::String => Json::String(scalar.text().to_owned()),
            // What does not fit in 64 bits with a sign goes through a float.
            Kind::Integer(number) => i64::try_from(number)
                .map_or_else(|_| number.to_string().parse::<f64>().map(float).unwrap(), Json::from),
            Kind::Float(number) => float(number),
        },
        Value::Sequence(items) => items.iter().map(json).collect(),
        Value::Mapping(mapping) => Json::Object(
            mapping
                .iter()
                .map(|(key, value)| (key.name().into_owned(), json(value)))
                .collect::<Map<_, _>>(),
        ),
    }
}

fn float(number: f64) -> Json {
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// JSON knows one kind of number: 8 and 8.0 are the same.
fn same(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(ours), Json::Number(theirs)) => {
            // serde_json is wrong in the last digit of large numbers.
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= ours.abs() * 1e-15
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, a)| theirs.get(key).is_some_and(|b| same(a, b)))
        }
        _ => ours == theirs,
    }
}

#[test]
fn scalars_are_what_kubectl_reads() {
    let lines = fs::read_to_string(&folder().join("scalars.tsv")).unwrap();
    assert!(lines.lines().count() > 800);
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let (text, answer) = line.rsplit_once('\t').unwrap();
        let ours = read("scalar.yaml", &format!("- {text}\n"));
        if STRICTER.contains(&text) {
            assert!(ours.is_err(), "{text}");
            continue;
        }
        let ours =
            ours.map(|nodes| nodes.first().and_then(|node| node.as_sequence()?.first().cloned()));
        let right = match (&ours, answer) {
            // There is no infinity in JSON: kubectl can't send what it read.
            (Ok(Some(node)), "refused") => node.as_scalar().is_some_and(
                |scalar| matches!(scalar.kind(), Kind::Float(number) if !number.is_finite()),
            ),
            (Err(_), answer) => answer == "refused",
            (Ok(Some(node)), answer) => same(&json(node), &serde_json::from_str(answer).unwrap()),
            (Ok(None), _) => false,
        };
        if !right {
            wrong.push(format!(
                "{text}: {:?}, and kubectl: {answer}",
                ours.map(|it| it.as_ref().map(json))
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn documents_are_what_kubectl_reads() {
    let mut seen = 0;
    for path in fs::list(&folder().join("documents")).unwrap() {
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        seen += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let answer = fs::read_to_string(&path.with_extension("json")).unwrap();
        let ours = read_bytes(&name, &fs::read(&path).unwrap());
        if answer.trim_end() == "refused" || STRICTER_DOCUMENTS.contains(&name.as_str()) {
            assert!(ours.is_err(), "{name} is {:?}", ours.unwrap());
            continue;
        }
        let nodes = ours.unwrap_or_else(|error| panic!("{name}: {error}"));
        let theirs: Vec<Json> = serde_json::from_str(&answer).unwrap();
        let read_by_us: Vec<_> = nodes.iter().map(json).collect();
        assert!(
            same(&read_by_us.clone().into(), &theirs.clone().into()),
            "{name}: {read_by_us:?}\n{theirs:?}"
        );
        // What is written of it reads the same, by us and so by kubectl.
        assert_eq!(read("written.yaml", &write_all(&nodes)).unwrap(), nodes, "{name}");
    }
    assert!(seen >= 20, "{seen}");
}

/// Whatever text a string has, what is written for it is one of the texts that
/// kubectl reads as a string, or in quotes.
#[test]
fn no_string_is_written_as_what_kubectl_would_retype() {
    let lines = fs::read_to_string(&folder().join("scalars.tsv")).unwrap();
    for line in lines.lines() {
        let (text, answer) = line.rsplit_once('\t').unwrap();
        if !answer.starts_with('"') {
            let written = write(&Node::string(text));
            assert!(written.starts_with('"'), "{text} was written as {written}");
        }
    }
}
