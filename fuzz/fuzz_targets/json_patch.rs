//! Two documents of YAML: the first is patched by the second, by RFC 6902 as
//! it is, with the environment's rules, and by RFC 7386. What comes out can be
//! written and read.
#![no_main]

use warren::pipeline::patch::{json, merge, steps};
use warren::pipeline::yaml::{self, Node};

fn comes_back(node: &Node) {
    if node.is_null() {
        return;
    }
    let again = yaml::read("written.yaml", &yaml::write(node)).expect("what is written is read");
    assert_eq!(again, std::slice::from_ref(node));
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(documents) = yaml::read("fuzz.yaml", text) else { return };
    let [document, patch] = documents.as_slice() else { return };
    if let Ok(operations) = json::operations(patch)
        && let Ok(node) = json::applied(document, &operations)
    {
        comes_back(&node);
    }
    if let Ok(steps) = steps::Step::read(patch)
        && let Ok(node) = steps::applied(document, &steps)
    {
        comes_back(&node);
    }
    let mut once = document.clone();
    merge(&mut once, patch);
    comes_back(&once);
    let mut twice = once.clone();
    merge(&mut twice, patch);
    assert_eq!(yaml::write(&once), yaml::write(&twice));
});
