//! Two documents of YAML: a strategic merge patch is merged into an object. No
//! directive stays behind, and what comes out can be written and read.
#![no_main]

use warren::pipeline::patch::strategic::{directive, merged};
use warren::pipeline::schema::Schema;
use warren::pipeline::yaml::{self, Node};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(documents) = yaml::read("fuzz.yaml", text) else { return };
    let [object, patch] = documents.as_slice() else { return };
    let word = |key| object.get(key).and_then(Node::as_str).unwrap_or_default();
    let kind = Schema::newest().kind(word("apiVersion"), word("kind"));
    let kind = kind.or_else(|| Schema::newest().kind("apps/v1", "Deployment"));
    let Some(of) = kind.and_then(|kind| kind.object()) else { return };
    let Ok((node, idle)) = merged(object, patch, of) else { return };
    if directive(object).is_none() {
        assert!(directive(&node).is_none(), "{}", yaml::write(&node));
    }
    assert!(idle.len() <= patch.size());
    let again = yaml::read("written.yaml", &yaml::write(&node)).expect("what is written is read");
    assert_eq!(again, [node]);
});
