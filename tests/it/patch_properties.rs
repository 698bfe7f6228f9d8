//! What holds for every document and patch.

use proptest::collection::vec;
use proptest::prelude::*;
use warren::pipeline::address::{self, Address};
use warren::pipeline::patch::json::{Action, Operation, applied};
use warren::pipeline::patch::{Pointer, equal, merge, steps, strategic};
use warren::pipeline::schema::{Schema, Type};
use warren::pipeline::yaml::{self, Node, Position};

/// Keys that collide often, and that pointers and YAML take for something.
fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "", "a/b", "~1", "0", "01", "on", "-"])
        .prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = Node> {
    let texts = vec!["'on'", "0777", "1_000", "~", "x", "\"\"", "2026-11-23", "1.0", "yes", "'0'"];
    prop::sample::select(texts).prop_map(|text| {
        // A null document is dropped, so the scalar is read from a list.
        let list = yaml::read("scalar.yaml", &format!("[{text}]")).unwrap().remove(0);
        list.as_sequence().unwrap()[0].clone()
    })
}

fn node() -> impl Strategy<Value = Node> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Node::sequence),
            vec((key(), inner), 0..4)
                .prop_map(|all| Node::mapping(all.iter().map(|(k, v)| (k.as_str(), v.clone())))),
        ]
    })
}

fn pointer() -> impl Strategy<Value = Pointer> {
    vec(key(), 0..4).prop_map(Pointer::of)
}

fn operation() -> impl Strategy<Value = Operation> {
    let action = prop_oneof![
        node().prop_map(Action::Add),
        Just(Action::Remove),
        node().prop_map(Action::Replace),
        pointer().prop_map(Action::Move),
        pointer().prop_map(Action::Copy),
        node().prop_map(Action::Test),
    ];
    (action, pointer()).prop_map(|(action, path)| Operation {
        action,
        path,
        at: Position::default(),
    })
}

fn one(action: Action, path: &Pointer) -> Vec<Operation> {
    vec![Operation { action, path: path.clone(), at: Position::default() }]
}

fn pod() -> Type {
    Schema::newest().kind("v1", "Pod").unwrap().object().unwrap()
}

/// A pod whose containers have some of these names, with an image and variables.
fn containers() -> impl Strategy<Value = Node> {
    let names = prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5).prop_shuffle();
    let variables = prop::sample::subsequence(vec!["K", "L", "M"], 0..3).prop_shuffle();
    let image = prop::sample::select(vec!["x", "y", "'0777'"]);
    (names, variables, image).prop_map(|(names, variables, image)| {
        let variables: Vec<_> =
            variables.iter().map(|name| format!("{{name: {name}, value: {image}}}")).collect();
        let variables = variables.join(", ");
        let all: Vec<_> = names
            .iter()
            .map(|name| format!("{{name: {name}, image: {image}, env: [{variables}]}}"))
            .collect();
        let text = format!("spec: {{containers: [{}], hostNetwork: true}}", all.join(", "));
        yaml::read("pod.yaml", &text).unwrap().remove(0)
    })
}

proptest! {
    #[test]
    fn a_pointer_comes_back_from_its_text(tokens in vec(any::<String>(), 0..5)) {
        let pointer = Pointer::of(tokens);
        prop_assert_eq!(Pointer::parse(&pointer.to_string()), Ok(pointer));
    }

    #[test]
    fn any_text_is_a_pointer_or_none(text in any::<String>()) {
        if let Ok(pointer) = Pointer::parse(&text) {
            prop_assert_eq!(pointer.to_string(), text);
        }
    }

    #[test]
    fn what_was_added_is_there_and_what_was_removed_is_not(
        document in node(), path in pointer(), value in node()
    ) {
        if let Ok(with) = applied(&document, &one(Action::Add(value.clone()), &path)) {
            let dash = path.tokens().last().is_some_and(|token| token == "-");
            let in_mapping = path.split_last().is_none_or(|(parent, _)| {
                parent.find(&document).is_ok_and(|parent| parent.as_mapping().is_some())
            });
            if !dash || in_mapping {
                prop_assert!(equal(path.find(&with).unwrap(), &value));
                prop_assert!(applied(&with, &one(Action::Test(value), &path)).is_ok());
            }
            if path.find(&document).is_err() && !dash {
                let without = applied(&with, &one(Action::Remove, &path)).unwrap();
                prop_assert_eq!(yaml::write(&without), yaml::write(&document));
            }
        }
    }

    #[test]
    fn a_patch_is_applied_as_a_whole(
        document in node(), operations in vec(operation(), 0..6)
    ) {
        // Each operation alone, one after the other, comes to the same.
        let single = operations.iter().try_fold(document.clone(), |node, operation| {
            applied(&node, std::slice::from_ref(operation)).ok()
        });
        let whole = applied(&document, &operations).ok();
        prop_assert_eq!(single.as_ref().map(yaml::write), whole.as_ref().map(yaml::write));
    }

    #[test]
    fn a_merge_patch_twice_is_one(document in node(), patch in node()) {
        let mut once = document;
        merge(&mut once, &patch);
        let mut twice = once.clone();
        merge(&mut twice, &patch);
        prop_assert_eq!(yaml::write(&once), yaml::write(&twice));
    }

    #[test]
    fn a_strategic_merge_twice_is_one(base in containers(), patch in containers()) {
        let (once, _) = strategic::merged(&base, &patch, pod()).unwrap();
        let (twice, _) = strategic::merged(&once, &patch, pod()).unwrap();
        prop_assert_eq!(yaml::write(&once), yaml::write(&twice));
        // Nothing is lost: every name of both is there, once.
        let names = |node: &Node| -> Vec<String> {
            let list = node.get("spec").and_then(|spec| spec.get("containers")).unwrap();
            let names = list.as_sequence().unwrap().iter();
            let mut names: Vec<_> =
                names.map(|item| item.get("name").unwrap().summary()).collect();
            names.sort();
            names
        };
        let mut all = [names(&base), names(&patch)].concat();
        all.sort();
        all.dedup();
        prop_assert_eq!(names(&once), all);
    }

    #[test]
    fn a_strategic_merge_leaves_no_directive(base in node(), patch in node()) {
        for (base, patch) in [(&base, &patch), (&patch, &base)] {
            if let Ok((node, _)) = strategic::merged(base, patch, pod()) {
                prop_assert!(strategic::directive(&node).is_none());
            }
        }
    }

    #[test]
    fn what_a_patch_does_not_touch_stays_byte_for_byte(document in node(), value in scalar()) {
        let base = Node::mapping([("kept", document.clone()), ("other", Node::string("x"))]);
        let patch = Node::mapping([("other", value)]);
        let kept = |node: &Node| yaml::write(node.get("kept").unwrap());
        let before = kept(&base);
        let (strategic, _) = strategic::merged(&base, &patch, pod()).unwrap();
        prop_assert_eq!(&kept(&strategic), &before);
        let mut merged = base.clone();
        merge(&mut merged, &patch);
        prop_assert_eq!(&kept(&merged), &before);
        // To merge what is there changes no byte, whatever the quotes.
        let same = Node::mapping([("kept", document)]);
        if strategic::directive(&same).is_none() {
            let mut merged = base.clone();
            merge(&mut merged, &same);
            prop_assert_eq!(merged.get("other"), base.get("other"));
        }
    }

    #[test]
    fn an_address_is_read_or_refused(text in any::<String>(), document in node()) {
        if let Ok(address) = Address::parse(&text) {
            prop_assert_eq!(address.to_string(), text.clone());
            if let Ok(place) = address.resolve(&document)
                && let (Ok(by_pointer), Ok(by_address)) =
                    (place.pointer.find(&document), address::find(&document, &text))
            {
                prop_assert_eq!(yaml::write(by_pointer), yaml::write(by_address));
            }
        }
    }

    #[test]
    fn operations_of_a_file_do_as_those_of_the_rfc(
        document in node(), path in pointer(), value in scalar()
    ) {
        let step = Node::sequence([Node::mapping([
            ("op", Node::string("add")),
            ("path", Node::string(path.to_string())),
            ("value", value.clone()),
        ])]);
        let step = steps::Step::read(&step).unwrap();
        let plain = applied(&document, &one(Action::Add(value), &path)).ok();
        match (steps::applied(&document, &step), plain) {
            (Ok(a), Some(b)) => prop_assert_eq!(yaml::write(&a), yaml::write(&b)),
            (Err((_, steps::StepError::Untested { .. })), _) | (Err(_), None) => {}
            (a, b) => prop_assert!(false, "{a:?} {b:?}"),
        }
    }
}
