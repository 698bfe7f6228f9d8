//! The strict check alone, for `tests/schema/compare.py`: a Kubernetes version
//! and a file of manifests in, a line of JSON for each document out.

use std::path::Path;
use std::process::ExitCode;

use warren::pipeline::schema::Schema;
use warren::pipeline::{strict, yaml};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [version, file] = arguments.as_slice() else {
        eprintln!("usage: strict VERSION FILE");
        return ExitCode::from(2);
    };
    match run(version, file) {
        Ok(lines) => {
            println!("{lines}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(version: &str, file: &str) -> Result<String, Box<dyn std::error::Error>> {
    let schema = Schema::of(version)?;
    let bytes = warren::fs::read(Path::new(file))?;
    let all = usize::MAX;
    let limits = yaml::Limits { bytes: all, nodes: all, ..yaml::Limits::default() };
    let mut lines = Vec::new();
    for node in yaml::read_with(file, std::str::from_utf8(&bytes)?, limits)? {
        let faults: Vec<_> = strict::check(schema, &node)
            .into_iter()
            .map(|fault| {
                serde_json::json!({
                    "code": fault.rule.code(),
                    "warning": fault.rule.is_warning(),
                    "field": fault.field,
                    "line": fault.node.at.line,
                    "message": fault.message,
                    "hint": fault.hint,
                })
            })
            .collect();
        lines.push(serde_json::to_string(&faults)?);
    }
    Ok(lines.join("\n"))
}
