//! Checks the pin of the upstream and composes every environment.

#[allow(dead_code, reason = "the crate uses all of it, the build a part")]
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
    println!("cargo::rustc-env=WARREN_VERSION={}", env!("CARGO_PKG_VERSION"));
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let table = "&[EnvironmentDefaults { name: \"sandbox\", settings: &[(\"hostname\", \"paasregistry.lapin.io\"), (\"user\", \"trow-pass\"), (\"password\", \"file:///etc/trow/pass\"), (\"bind\", \"[::]:8000\"), (\"data-dir\", \"/data\")] }]";
    if let Err(error) =
        fs::write_atomic(&out.join("environments.rs"), table.as_bytes(), fs::Access::Everyone)
    {
        println!("cargo::error={error}");
    }
}
