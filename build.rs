//! Checks the pin of the upstream and composes every environment.

#[allow(dead_code, unreachable_pub, reason = "the crate uses all of it, the build a part")]
#[path = "src/digest.rs"]
mod digest;
#[allow(dead_code, reason = "the crate uses all of it, the build a part")]
#[path = "src/fs.rs"]
mod fs;
#[allow(dead_code, reason = "the crate uses all of it, the build a part")]
#[path = "src/pipeline/mod.rs"]
mod pipeline;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
