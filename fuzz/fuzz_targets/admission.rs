//! Any bytes are a review of a cluster, or refused; every answer is to the
//! question, and what the rules let in is what they name.
#![no_main]

use warren::registry::admission::{ImageName, Judgement, PrefixRules, Review, Rules};
use warren::registry::settings::{ImageValidation, Verdict};

/// One host whole, one folder of another, and a part of that forbidden.
fn rules() -> Rules {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let prefixes = PrefixRules::new(&ImageValidation {
        default: Verdict::Deny,
        allow: texts(&["registry.example:5000", "quay.io/team/"]),
        deny: texts(&["quay.io/team/secret"]),
    });
    Rules { prefixes: Some(prefixes), local: None }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        image(text);
    }
    let Ok(review) = Review::parse(bytes) else { return };
    // The bytes are JSON: the review is of what they say.
    let asked: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    let yes = review.answer(None);
    let no = review.answer(Some("why"));
    for answer in [&yes, &no] {
        assert_eq!(answer["apiVersion"], asked["apiVersion"]);
        assert_eq!(answer["response"]["uid"], asked["request"]["uid"]);
    }
    assert_eq!(yes["response"]["allowed"], true);
    assert_eq!(no["response"]["allowed"], false);
    assert_eq!(no["response"]["status"]["message"], "why");
    for name in &review.images {
        image(name);
    }
});

fn image(text: &str) {
    let (name, judgement) = rules().judge(text);
    assert_eq!(name, ImageName::parse(text));
    let Some(name) = name else {
        assert!(matches!(judgement, Judgement::Denied(_)), "{text}");
        return;
    };
    assert!(name.reference().is_some(), "{text}");
    let repository = name.repository.to_string();
    let named = match name.host.as_str() {
        "registry.example:5000" => true,
        "quay.io" => repository.starts_with("team/") && !repository.starts_with("team/secret"),
        _ => false,
    };
    assert_eq!(judgement == Judgement::Allowed, named, "{text}");
    // A host that looks like none without its capitals or its port would be
    // read as a part of the repository.
    if name.host.contains(['.', ':']) || name.host == "localhost" {
        assert_eq!(ImageName::parse(&name.to_string()).as_ref(), Some(&name), "{text}");
    }
}
