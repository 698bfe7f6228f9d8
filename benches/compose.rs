//! How long it takes to compose an environment, and to read and write YAML.
//! `cargo bench`; the figures stand in `docs/benchmarks.md`.

use std::path::Path;

use divan::{Bencher, counter::BytesCount};
use warren::pipeline::compose::compose;
use warren::pipeline::upstream::Lock;
use warren::pipeline::yaml;

fn main() {
    divan::main();
}

/// One environment: TOML, base and components read, merged, filled, written.
#[divan::bench(args = ["sandbox", "lapin"])]
fn environment(bencher: Bencher<'_, '_>, name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = Lock::read(&root.join("vendor/trow.lock.toml")).unwrap();
    bencher.bench(|| compose(root, name, lock.upstream()).unwrap());
}

/// A document of this many objects, as text.
fn document(objects: usize) -> String {
    let mut text = String::new();
    for number in 0..objects {
        let name = format!("  name: c{number}\n");
        text.push_str("apiVersion: v1\nkind: ConfigMap\nmetadata:\n");
        text.push_str(&name);
        text.push_str("  labels:\n    app: x\ndata:\n  key: \"on\"\n  mode: 0777\n---\n");
    }
    text
}

#[divan::bench(args = [100, 1000, 10_000])]
fn yaml_read(bencher: Bencher<'_, '_>, objects: usize) {
    let text = document(objects);
    bencher.counter(BytesCount::of_str(&text)).bench(|| yaml::read("bench.yaml", &text).unwrap());
}

#[divan::bench(args = [100, 1000, 10_000])]
fn yaml_write(bencher: Bencher<'_, '_>, objects: usize) {
    let nodes = yaml::read("bench.yaml", &document(objects)).unwrap();
    bencher.bench(|| yaml::write_all(&nodes));
}
