//! An upstream to pin, and a repository of ours that pins it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{IndexEntry, IndexTime, Oid, Repository, Signature};
use tempfile::TempDir;
use warren::fs::{Access, create_dir_all, read_to_string, write_atomic};
use warren::pipeline::fetch::{Limits, PIN_REF};
use warren::pipeline::upstream::{Baked, Build, Contract, Pinning, VerifyError};

pub const PLAIN: u32 = 0o100_644;
pub const EXECUTABLE: u32 = 0o100_755;
pub const LINK: u32 = 0o120_000;
pub const SUBMODULE: u32 = 0o160_000;

pub const TAG: &str = "v1.2.3";

const CONTRACT: &str = r#"
url = "https://upstream.invalid/trow.git"
image = "registry.example/trow"

[[row]]
name = "version"
file = "Cargo.toml"
pointer = "/package/version"
why = "w"

[[row]]
name = "image-repository"
file = "chart/values.yaml"
pointer = "/image/repository"
why = "w"

[[row]]
name = "port"
file = "chart/values.yaml"
pointer = "/service/port"
why = "w"

[[row]]
name = "data-path"
file = "src/main.rs"
contains = "DATA = \"/data\""
states = "/data"
why = "w"

[[row]]
name = "image-user"
file = "src/main.rs"
contains = "USER = 2000"
states = "2000"
why = "w"

[[row]]
name = "liveness-path"
file = "src/main.rs"
contains = "/healthz"
why = "w"

[[row]]
name = "readiness-path"
file = "src/main.rs"
contains = "/readiness"
why = "w"
"#;

/// A file of a tree: path, mode, content.
pub type File = (&'static str, u32, &'static str);

/// What the pinned tree holds. The attributes ask for CRLF on checkout, which
/// must have no effect.
pub const FILES: [File; 8] = [
    (".gitattributes", PLAIN, "* text=auto eol=crlf\n"),
    ("Cargo.toml", PLAIN, "[package]\nname = \"trow\"\nversion = \"1.2.3\"\n"),
    (
        "chart/values.yaml",
        PLAIN,
        "image:\n  repository: registry.example/trow\nservice:\n  port: 8000\n",
    ),
    ("crlf.txt", PLAIN, "one\r\ntwo\r\n"),
    ("latest", LINK, "src/main.rs"),
    ("run.sh", EXECUTABLE, "#!/bin/sh\n"),
    (
        "src/main.rs",
        PLAIN,
        "DATA = \"/data\"\nUSER = 2000\n\"/healthz\" \"/readiness\"\nline\nline\n",
    ),
    ("src.txt", PLAIN, "sorts before src/\n"),
];

/// The pinned tree with some files replaced, added, or (content `-`) removed.
pub fn with(changes: &[File]) -> Vec<File> {
    let mut files: Vec<_> = FILES
        .into_iter()
        .filter(|(path, ..)| !changes.iter().any(|(changed, ..)| changed == path))
        .collect();
    files.extend(changes.iter().filter(|(.., content)| *content != "-"));
    files
}

/// A git repository to pin.
pub struct Upstream {
    pub dir: TempDir,
    pub repository: Repository,
}

impl Upstream {
    /// Two commits; the tag is at the second.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let upstream = Self { dir, repository };
        upstream.commit(&[("README", PLAIN, "first\n")]);
        let second = upstream.commit(&FILES);
        upstream.tag(TAG, second);
        upstream
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn source(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Commits exactly these files on `main`.
    pub fn commit(&self, files: &[File]) -> Oid {
        let repository = &self.repository;
        let mut index = git2::Index::new().unwrap();
        for (path, mode, content) in files {
            let id = if *mode == SUBMODULE {
                Oid::from_str(content).unwrap()
            } else {
                repository.blob(content.as_bytes()).unwrap()
            };
            let zero = IndexTime::new(0, 0);
            let entry = IndexEntry {
                ctime: zero,
                mtime: zero,
                dev: 0,
                ino: 0,
                mode: *mode,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).unwrap();
        }
        let tree = repository.find_tree(index.write_tree_to(repository).unwrap()).unwrap();
        let who = Signature::new("A", "a@upstream.invalid", &git2::Time::new(0, 0)).unwrap();
        let main = repository.find_reference("refs/heads/main").ok();
        let parent = main.map(|main| main.peel_to_commit().unwrap());
        let parents: Vec<_> = parent.iter().collect();
        repository.commit(Some("refs/heads/main"), &who, &who, "a commit", &tree, &parents).unwrap()
    }

    /// Points a tag at a commit.
    pub fn tag(&self, name: &str, commit: Oid) {
        let object = self.repository.find_object(commit, None).unwrap();
        self.repository.tag_lightweight(name, &object, true).unwrap();
    }

    /// Points an annotated tag at a commit.
    pub fn annotated_tag(&self, name: &str, commit: Oid) {
        let object = self.repository.find_object(commit, None).unwrap();
        let who = Signature::new("A", "a@upstream.invalid", &git2::Time::new(0, 0)).unwrap();
        self.repository.tag(name, &object, &who, "a release", true).unwrap();
    }

    pub fn delete_tag(&self, name: &str) {
        self.repository.tag_delete(name).unwrap();
    }

    pub fn tagged(&self) -> Oid {
        let name = format!("refs/tags/{TAG}");
        self.repository.find_reference(&name).unwrap().peel_to_commit().unwrap().id()
    }
}

/// A repository of ours, with `vendor/` and `environments/`.
pub struct Project {
    pub dir: TempDir,
}

impl Project {
    /// One with a contract and no lock.
    pub fn unpinned() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["vendor", "environments", "out"] {
            create_dir_all(&dir.path().join(folder)).unwrap();
        }
        let project = Self { dir };
        project.write(Contract::PATH, CONTRACT);
        project
    }

    /// One that pins the upstream's tag.
    pub fn pinning(upstream: &Upstream) -> Self {
        let project = Self::unpinned();
        project.pin(upstream);
        project
    }

    /// Pins what the upstream's tag leads to now.
    pub fn pin(&self, upstream: &Upstream) {
        let contract = Contract::read(&self.path(Contract::PATH)).unwrap();
        let pinning = Pinning {
            contract: &contract,
            tag: TAG,
            commit: upstream.tagged(),
            old: None,
            image_digest: None,
        };
        let pinned = pinning.pin(&upstream.repository).unwrap();
        self.write("vendor/trow.lock.toml", &pinned.lock_text);
        self.write("vendor/trow.files", &pinned.listing_text);
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn read(&self, path: &str) -> String {
        read_to_string(&self.path(path)).unwrap()
    }

    pub fn write(&self, path: &str, text: &str) {
        write_atomic(&self.path(path), text.as_bytes(), Access::Everyone).unwrap();
    }

    /// Replaces a text of the lock, which must be there.
    pub fn edit_lock(&self, from: &str, to: &str) {
        let lock = self.read("vendor/trow.lock.toml");
        assert!(lock.contains(from), "the lock has no {from:?}");
        self.write("vendor/trow.lock.toml", &lock.replacen(from, to, 1));
    }

    /// What `build.rs` runs.
    pub fn build(&self, mode: &str, mirror: &str) -> Result<Baked, VerifyError> {
        self.build_within(mode, mirror, Duration::from_secs(30))
    }

    /// The same with so much time for an answer and for a pause.
    pub fn build_within(
        &self,
        mode: &str,
        mirror: &str,
        patience: Duration,
    ) -> Result<Baked, VerifyError> {
        let build = Build {
            root: self.dir.path().to_owned(),
            out: self.path("out"),
            version: "0.0.1".to_owned(),
            mode: Some(mode.to_owned()),
            mirror: Some(mirror.to_owned()),
            repin: false,
        };
        let limits = Limits { reach: patience, stall: patience, ..Limits::PATIENT };
        build.run_within(Some(limits))
    }

    /// The text of the error that the build ends with.
    pub fn build_error(&self, mode: &str, mirror: &str) -> String {
        self.build(mode, mirror).unwrap_err().to_string()
    }

    /// Whether a fetched commit is in the build's folder.
    pub fn has_fetched(&self) -> bool {
        let repository = Repository::open_bare(self.path("out/upstream.git"));
        repository.is_ok_and(|repository| repository.find_reference(PIN_REF).is_ok())
    }
}
