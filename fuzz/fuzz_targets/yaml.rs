//! Any bytes are read or refused; what was read and written reads the same.
#![no_main]

use warren::pipeline::yaml;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(nodes) = yaml::read_bytes("fuzz.yaml", bytes) else { return };
    let text = yaml::write_all(&nodes);
    let again = yaml::read("written.yaml", &text).expect("what is written can be read");
    assert_eq!(nodes, again, "{text}");
});
