//! The walls of the house: which room may import which. `ARCHITECTURE.md`
//! states them; this test holds them.

use std::path::{Path, PathBuf};

/// Each room (a file or folder of `src/`) and the rooms it may import.
/// `digest` and `fs` are free to all.
const ROOMS: [(&str, &[&str]); 9] = [
    ("digest", &[]),
    ("fs", &[]),
    ("image", &[]),
    ("pipeline", &[]),
    ("registry", &[]),
    ("trust", &[]),
    ("client", &[]),
    ("delivery", &["pipeline", "trust", "client"]),
    ("cli", &["image", "pipeline", "registry", "trust", "client", "delivery"]),
];

/// Only these parts of the registry know axum.
const AXUM: [&str; 2] = ["src/registry/http", "src/registry/server"];

#[test]
fn every_room_is_declared_and_no_other() {
    let lib = text(Path::new("src/lib.rs"));
    let declared: Vec<_> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut known: Vec<_> = ROOMS.iter().map(|(room, _)| *room).collect();
    known.sort_unstable();
    assert_eq!(declared, known, "src/lib.rs lists modules and nothing else");
}

#[test]
fn no_room_reaches_through_a_wall() {
    for (room, allowed) in ROOMS {
        for (file, line, import) in imports(room) {
            let free = [room, "digest", "fs"].contains(&import.as_str());
            assert!(
                free || allowed.contains(&import.as_str()),
                "{}:{line}: `{room}` may not import `{import}`",
                file.display()
            );
        }
    }
}

#[test]
fn only_the_rim_of_the_registry_knows_axum() {
    for file in files(Path::new("src")) {
        let rim = AXUM.iter().any(|folder| {
            let name = file.to_string_lossy();
            name.starts_with(&format!("{folder}/")) || name == format!("{folder}.rs")
        });
        let knows = code(&file).any(|(_, line)| line.contains("axum::"));
        assert!(rim || !knows, "{} may not know axum", file.display());
    }
}

#[test]
fn every_test_file_is_declared() {
    let main = text(Path::new("tests/it/main.rs"));
    for file in files(Path::new("tests/it")) {
        let folder = file.parent().unwrap();
        let name = file.file_stem().unwrap().to_string_lossy();
        if folder == Path::new("tests/it") && name != "main" {
            assert!(main.contains(&format!("mod {name};")), "{} never runs", file.display());
        }
    }
}

/// `crate::x` in a room's code, by file and line.
fn imports(room: &str) -> Vec<(PathBuf, usize, String)> {
    let path = Path::new("src").join(room);
    let list = if path.is_dir() { files(&path) } else { vec![path.with_extension("rs")] };
    let mut found = Vec::new();
    for file in list {
        for (number, line) in code(&file) {
            for part in line.split("crate::").skip(1) {
                let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = &part[..end.unwrap_or(part.len())];
                assert!(!name.is_empty(), "{}:{number}: name one room a line", file.display());
                found.push((file.clone(), number, name.to_owned()));
            }
        }
    }
    assert!(!found.is_empty() || !Path::new("src").join(room).is_dir(), "`{room}` was not read");
    found
}

fn code(file: &Path) -> impl Iterator<Item = (usize, String)> {
    let lines: Vec<_> = text(file).lines().map(|line| line.trim().to_owned()).collect();
    lines
        .into_iter()
        .enumerate()
        .filter(|(_, line)| !line.starts_with("//"))
        .map(|(n, l)| (n + 1, l))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in warren::fs::list(folder).unwrap() {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

fn text(path: &Path) -> String {
    warren::fs::read_to_string(path).unwrap()
}
