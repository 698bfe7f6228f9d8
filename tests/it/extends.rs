//! `extends`: what is inherited, and chains that lead nowhere.

use std::path::Path;

use warren::fs::{self, Access};
use warren::pipeline::environment::{self, Engine, Environment, EnvironmentError};

const PARENT: &str = r#"kubernetes = "1.36"
domain = "parent.example.org"

[cluster]
context = "kubernetes-admin@parent"

[registry]
user = "alice"
resources = { requests = { cpu = "1", memory = "1Gi" } }

[storage]
kind = "local"
node = "node-1"
path = "/data"
size = "10Gi"
"#;

fn write(root: &Path, name: &str, text: &str) {
    let folder = root.join("environments");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}.toml"));
    fs::write_atomic(&path, text.as_bytes(), Access::Everyone).unwrap();
}

/// Reads `child` beside these files.
fn read(files: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(root.path(), name, text);
    }
    environment::read(root.path(), "child")
}

fn refused(files: &[(&str, &str)]) -> String {
    read(files).unwrap_err().to_string()
}

#[test]
fn waivers_are_inherited_and_added_to() {
    let waive = |code: &str| {
        format!("\n[[waive]]\ncode = \"{code}\"\nreason = \"known to the team here\"\n")
    };
    let parent = format!("{PARENT}{}", waive("image-pin"));
    let child = format!("extends = \"parent\"\n{}", waive("engine-image"));
    let read = read(&[("child", &child), ("parent", &parent)]).unwrap();
    let codes: Vec<_> = read.waive.iter().map(|one| one.code.clone()).collect();
    assert_eq!(codes, ["image-pin", "engine-image"]);
}

#[test]
fn tables_merge_and_values_override() {
    let child = r#"extends = "parent"
domain = "child.example.org"
[registry]
engine = "warren"
resources.requests.cpu = "2"
"#;
    let read = read(&[("child", child), ("parent", PARENT)]).unwrap();
    assert_eq!(read.name, "child");
    assert_eq!(read.domain.as_str(), "child.example.org");
    assert_eq!(read.cluster.context.as_str(), "kubernetes-admin@parent");
    assert_eq!(read.registry.engine, Engine::Warren);
    assert_eq!(read.registry.user.as_str(), "alice");
    let requests = read.registry.resources.requests;
    assert_eq!(requests.cpu.unwrap().as_str(), "2");
    assert_eq!(requests.memory.unwrap().as_str(), "1Gi");
    let paths: Vec<_> = read.sources.paths().map(|path| path.display().to_string()).collect();
    assert_eq!(paths, ["environments/child.toml", "environments/parent.toml"]);
}

#[test]
fn a_chain_is_followed_and_the_nearest_wins() {
    let middle = "extends = \"parent\"\nnamespace = \"middle\"\ndomain = \"middle.example.org\"\n";
    let child = "extends = \"middle\"\ndomain = \"child.example.org\"\n";
    let read = read(&[("child", child), ("middle", middle), ("parent", PARENT)]).unwrap();
    assert_eq!((read.domain.as_str(), read.namespace.as_str()), ("child.example.org", "middle"));
}

#[test]
fn an_error_names_the_file_that_the_value_stands_in() {
    let child = "extends = \"parent\"\n";
    let parent = PARENT.replace("size = \"10Gi\"", "size = \"ten\"");
    let text = refused(&[("child", child), ("parent", &parent)]);
    assert!(text.starts_with("environments/parent.toml:15:8: `ten` is no quantity"), "{text}");
    assert!(text.contains("15 | size = \"ten\""), "{text}");

    let parent = PARENT.replace("user = \"alice\"", "usr = \"alice\"");
    let text = refused(&[("child", child), ("parent", &parent)]);
    assert!(text.starts_with("environments/parent.toml:8:1: unknown field `usr`"), "{text}");
    assert!(text.ends_with("hint: did you mean `user`?"), "{text}");

    // What is broken is said of its own file too, also where it is no TOML at all.
    let text = refused(&[("child", child), ("parent", "domain = \n")]);
    assert!(text.starts_with("environments/parent.toml:1:"), "{text}");
    let own = "extends = \"parent\"\n\n[registry]\nlog_level = \"loud\"\n";
    let text = refused(&[("child", own), ("parent", PARENT)]);
    assert!(text.starts_with("environments/child.toml:4:13: unknown variant `loud`"), "{text}");
}

#[test]
fn a_value_that_nobody_gives_is_missed_in_the_file_that_was_asked_for() {
    let parent = PARENT.replace("domain = \"parent.example.org\"\n", "");
    let text = refused(&[("child", "# child\nextends = \"parent\"\n"), ("parent", &parent)]);
    assert!(text.starts_with("environments/child.toml:1:1: missing field `domain`"), "{text}");
}

#[test]
fn a_circle_is_named_with_its_members() {
    let text = refused(&[
        ("child", "extends = \"middle\"\n"),
        ("middle", "\nextends = \"far\"\n"),
        ("far", "extends = \"middle\"\n"),
    ]);
    assert!(
        text.starts_with(
            "environments/far.toml:1:11: these environments go round: \
             `child` extends `middle` extends `far` extends `middle`"
        ),
        "{text}"
    );
    let text = refused(&[("child", "extends = \"child\"\n")]);
    assert!(text.contains("go round: `child` extends `child`"), "{text}");
}

#[test]
fn a_chain_has_an_end() {
    let names: Vec<String> = (0..40).map(|number| format!("e{number}")).collect();
    let mut files = vec![("child", "extends = \"e0\"\n".to_owned())];
    for pair in names.windows(2) {
        files.push((&pair[0], format!("extends = \"{}\"\n", pair[1])));
    }
    files.push(("e39", PARENT.to_owned()));
    let borrowed: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let text = refused(&borrowed);
    assert!(text.starts_with("environments/e7.toml:1:11: more than 8 environments"), "{text}");
    assert!(text.contains("`child` extends `e0` extends `e1`"), "{text}");
    let eight: Vec<_> =
        borrowed.into_iter().filter(|(name, _)| *name != "e7").chain([("e7", PARENT)]).collect();
    assert!(read(&eight).is_ok());
}

#[test]
fn what_can_not_be_extended_is_refused_where_it_is_named() {
    let text = refused(&[("child", "extends = \"parnet\"\n"), ("parent", PARENT)]);
    assert!(
        text.starts_with(
            "environments/child.toml:1:11: there is no environment `parnet` to extend"
        ),
        "{text}"
    );
    assert!(text.ends_with("hint: did you mean `parent`?"), "{text}");
    for bad in ["\"../parent\"", "\"parent.toml\"", "\"\""] {
        let text = refused(&[("child", &format!("extends = {bad}\n")), ("parent", PARENT)]);
        assert!(text.contains("child.toml:1:11: this is no name of an environment"), "{text}");
    }
    let text = refused(&[("child", "extends = [\"parent\"]\n"), ("parent", PARENT)]);
    assert!(text.contains("names one environment in quotes, and this is array"), "{text}");
}

#[test]
fn a_file_of_another_place_or_without_end_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write_atomic(&outside.path().join("p.toml"), PARENT.as_bytes(), Access::Everyone).unwrap();
    write(root.path(), "own", PARENT);
    let link = root.path().join("environments/child.toml");
    std::os::unix::fs::symlink(outside.path().join("p.toml"), &link).unwrap();
    let text = environment::read(root.path(), "child").unwrap_err().to_string();
    assert!(text.contains("child.toml: it is a link out of"), "{text}");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("own.toml", &link).unwrap();
    assert_eq!(
        environment::read(root.path(), "child").unwrap().domain.as_str(),
        "parent.example.org"
    );

    let large = format!("# {}\n{PARENT}", "x".repeat(5 << 20));
    let text = refused(&[("child", "extends = \"parent\"\n"), ("parent", &large)]);
    assert!(text.contains("parent.toml: it is larger than 1048576 bytes"), "{text}");
    let deep = format!("domain = {}1{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let text = refused(&[("child", "extends = \"parent\"\n"), ("parent", &deep)]);
    assert!(text.starts_with("environments/parent.toml:1:"), "{text}");
}

#[test]
fn bytes_that_are_no_utf_8_are_refused_with_their_line() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "parent", PARENT);
    let path = root.path().join("environments/child.toml");
    fs::write_atomic(&path, b"extends = \"parent\"\n# \xff\n", Access::Everyone).unwrap();
    let text = environment::read(root.path(), "child").unwrap_err().to_string();
    assert!(text.contains("child.toml: line 2 is not UTF-8"), "{text}");
}
