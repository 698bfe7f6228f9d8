//! An address and, behind the first line end, a document in which it leads
//! somewhere or nowhere: both ways to walk agree.
#![no_main]

use warren::pipeline::address::{self, Address};
use warren::pipeline::yaml::{self, Node};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (text, document) = text.split_once('\n').unwrap_or((text, "a: [{b: c}]"));
    let Ok(address) = Address::parse(text) else { return };
    assert_eq!(address.to_string(), text);
    let Ok(documents) = yaml::read("fuzz.yaml", document) else { return };
    let Some(node) = documents.first() else { return };
    if let Ok(place) = address.resolve(node)
        && let Ok(there) = place.pointer.find(node)
    {
        assert_eq!(address::find(node, text).ok(), Some(there));
    }
    let mut changed = node.clone();
    let _ = address::set(&mut changed, text, Node::string("fuzz"));
});
