//! The registry's binary: the library does the work.

fn main() -> std::process::ExitCode {
    warren::registry::server::run(std::env::args_os())
}
