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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pipeline::upstream::{self, Upstream};
use pipeline::{compose, environment};

fn main() -> ExitCode {
    declare_own_sources();
    // The crate derives the JSON Schema of an environment's keys; this script,
    // which compiles the same files, has no use for it and not the crate.
    println!("cargo::rustc-cfg=warren_schema");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    match check_upstream(&root, &out).and_then(|upstream| compose(&root, &out, &upstream)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(directives) => {
            println!("{}", directives.join("\n"));
            ExitCode::FAILURE
        }
    }
}

/// The code that this script compiles in, and what it composes.
fn declare_own_sources() {
    for source in
        ["build.rs", "src/digest.rs", "src/fs.rs", "src/pipeline", "environments", "dashboards"]
    {
        println!("cargo::rerun-if-changed={source}");
    }
}

/// Checks the pin and bakes the outcome in; see `docs/upstream.md`.
fn check_upstream(root: &Path, out: &Path) -> Result<Upstream, Vec<String>> {
    println!("{}", upstream::Build::inputs().join("\n"));
    let variable = |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().into());
    let build = upstream::Build {
        root: root.to_owned(),
        out: out.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: variable(upstream::Mode::VARIABLE),
        mirror: variable(upstream::MIRROR_VARIABLE),
        repin: variable(upstream::REPIN_VARIABLE).is_some_and(|text: String| text == "1"),
    };
    let baked = build.run().map_err(|error| upstream::error_directives(&error))?;
    println!("{}", baked.directives().join("\n"));
    Ok(baked.verified.lock.upstream().clone())
}

/// Composes every environment into the output folder, and bakes what the
/// registry takes from each as defaults. One that does not compose is a
/// warning here and left out: `warren` says it in full, with its exit code.
fn compose(root: &Path, out: &Path, upstream: &Upstream) -> Result<(), Vec<String>> {
    let lines = |kind: &str, error: &dyn std::fmt::Display| -> Vec<String> {
        error.to_string().lines().map(|line| format!("cargo::{kind}={line}")).collect()
    };
    let mut table = String::from("&[");
    for name in environment::names(root).map_err(|error| lines("error", &error))? {
        match compose::compose(root, &name, upstream) {
            Ok(rendered) => {
                write_folder(&out.join("deploy").join(&name), &rendered.files)
                    .map_err(|error| lines("error", &error))?;
                let defaults = compose::registry_defaults(&rendered.environment, upstream);
                let row =
                    format!("EnvironmentDefaults {{ name: {name:?}, settings: &{defaults:?} }},");
                table.push_str(&row);
            }
            Err(error) => println!("{}", lines("warning", &error).join("\n")),
        }
    }
    table.push(']');
    fs::write_atomic(&out.join("environments.rs"), table.as_bytes(), fs::Access::Everyone)
        .map_err(|error| lines("error", &error))
}

fn write_folder(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), fs::FsError> {
    fs::remove_dir_all_if_there(folder)?;
    fs::create_dir_all(folder)?;
    for (file, text) in files {
        fs::write_atomic(&folder.join(file), text.as_bytes(), fs::Access::Everyone)?;
    }
    Ok(())
}
