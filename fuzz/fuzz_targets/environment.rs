//! Any text is an environment or refused, with a place in the file.
#![no_main]

use warren::pipeline::environment::check_text;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match check_text("fuzz", text) {
        Ok(environment) => assert_eq!(environment.name, "fuzz"),
        Err(error) => {
            assert!(error.line >= 1 && error.column >= 1);
            assert!(error.to_string().len() < 100_000 + 4 * text.len());
        }
    }
});
