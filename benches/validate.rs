//! How long the webhook for images thinks: a review is read, judged and
//! answered. `cargo bench --bench validate`.

use divan::Bencher;
use serde_json::json;
use warren::registry::admission::{Judgement, PrefixRules, Review, Rules};
use warren::registry::settings::{ImageValidation, Verdict};

fn main() {
    divan::main();
}

/// A pod of so many containers against 1000 prefixes on each side.
#[divan::bench(args = [1, 10, 100])]
fn review(bencher: Bencher<'_, '_>, containers: usize) {
    let prefixes = |kind: &str| (0..1000).map(|n| format!("r{n}.example/{kind}/")).collect();
    let config =
        ImageValidation { default: Verdict::Deny, allow: prefixes("good"), deny: prefixes("bad") };
    let rules = Rules { prefixes: Some(PrefixRules::new(&config)), local: None };
    let images: Vec<_> = (0..containers)
        .map(|n| json!({"name": "c", "image": format!("r{n}.example/good/app:{n}")}))
        .collect();
    let text = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "u", "operation": "CREATE", "object": {"spec": {"containers": images}}},
    })
    .to_string();
    bencher.bench(|| {
        let review = Review::parse(text.as_bytes()).unwrap();
        let allowed = |image: &String| matches!(rules.judge(image).1, Judgement::Allowed);
        assert!(review.images.iter().all(allowed));
        review.answer(None).to_string()
    });
}
