//! The operator's tool. See `warren --help`.

fn main() -> std::process::ExitCode {
    warren::cli::run(std::env::args_os())
}
