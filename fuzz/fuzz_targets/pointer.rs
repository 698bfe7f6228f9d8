//! Any text is a JSON pointer that comes back, or none; none leads to a panic.
#![no_main]

use warren::pipeline::patch::Pointer;
use warren::pipeline::yaml;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(pointer) = Pointer::parse(text) else { return };
    assert_eq!(pointer.to_string(), text);
    let document = "a: [0, {b: 1, '': 2}, [x]]\n'~1': {a/b: y}\n'0': []\n";
    let mut node = yaml::read("fuzz.yaml", document).expect("the document is YAML").remove(0);
    let found = pointer.find(&node).cloned();
    assert_eq!(found, pointer.find_mut(&mut node).cloned());
});
