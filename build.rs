//! Checks the pin of the upstream and composes every environment.

#[allow(dead_code, reason = "the crate uses all of it, the build a part")]
#[path = "src/digest.rs"]
mod digest;
#[allow(dead_code, reason = "the crate uses all of it, the build a part")]
#[path = "src/fs.rs"]
mod fs;
#[allow(dead_code, unused_imports, reason = "the crate uses all of it, the build a part")]
#[path = "src/pipeline/mod.rs"]
mod pipeline;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pipeline::upstream;

fn main() -> ExitCode {
    declare_own_sources();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let composed = compose(&out);
    if check_upstream(root, out) && composed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The code that this script compiles in.
fn declare_own_sources() {
    for source in ["build.rs", "src/digest.rs", "src/fs.rs", "src/pipeline"] {
        println!("cargo::rerun-if-changed={source}");
    }
}

/// Checks the pin and bakes the outcome in; see `docs/upstream.md`.
fn check_upstream(root: PathBuf, out: PathBuf) -> bool {
    println!("{}", upstream::Build::inputs().join("\n"));
    let variable = |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().into());
    let build = upstream::Build {
        root,
        out,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: variable(upstream::Mode::VARIABLE),
        mirror: variable(upstream::MIRROR_VARIABLE),
        repin: variable(upstream::REPIN_VARIABLE).is_some_and(|text: String| text == "1"),
    };
    match build.run() {
        Ok(baked) => {
            println!("{}", baked.directives().join("\n"));
            true
        }
        Err(error) => {
            println!("{}", upstream::error_directives(&error).join("\n"));
            false
        }
    }
}

/// Bakes the environments' defaults in.
fn compose(out: &Path) -> bool {
    let table = "&[EnvironmentDefaults { name: \"sandbox\", settings: &[(\"hostname\", \"paasregistry.lapin.io\"), (\"user\", \"trow-pass\"), (\"password\", \"file:///etc/trow/pass\"), (\"bind\", \"[::]:8000\"), (\"data-dir\", \"/data\")] }]";
    let written =
        fs::write_atomic(&out.join("environments.rs"), table.as_bytes(), fs::Access::Everyone);
    match written {
        Ok(()) => true,
        Err(error) => {
            println!("cargo::error={error}");
            false
        }
    }
}
