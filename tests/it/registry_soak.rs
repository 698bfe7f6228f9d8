//! Clients that push, mount, tag, delete and pull without pause, some of them in
//! a repository of their own and some in one that they share, while the server
//! collects without pause (`soak`) or is killed again and again (`kill`).
//! Whatever was acknowledged must be there, whole.
//!
//! The default suite runs both for a moment. `WARREN_SOAK_SECONDS` and
//! `WARREN_KILL_ROUNDS` make them long.

use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use warren::digest::Digest;
use warren::registry::media;

use crate::registry_process::Process;
use crate::tag_model::{Change, Tags};

/// A collection every second, of what nobody touched for three: a push takes
/// less, and between two operations nothing stays unused for long.
const UPKEEP: [&str; 6] = [
    "--gc-interval=1s",
    "--gc-lease=3s",
    "--gc-untagged=3s",
    "--scrub-interval=5s",
    "--scrub-rate=50",
    "--log-level=warn,warren=info",
];

/// How many clients have a repository of their own.
const OWNERS: u64 = 4;

/// How many clients there are beside them, all in one repository.
const SHARERS: u64 = 2;

/// How many tags each repository has.
const TAGS: u64 = 5;

/// How long a manifest that was pulled is kept at least, whatever becomes of its
/// tag: the lease of three seconds, which may be noted a sixteenth of it late.
const KEPT: Duration = Duration::from_secs(2);

/// The repository of a client; the first that is no owner's is shared.
fn repository_of(client: u64) -> String {
    if client < OWNERS { format!("worker/{client}") } else { "shared".to_owned() }
}

/// What each repository's tags may lead to, in the order of the clients.
fn nothing_yet() -> Vec<Tags> {
    (0..=OWNERS).map(|_| Tags::default()).collect()
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The content of a blob of this number.
fn content(number: u64) -> Vec<u8> {
    let mut numbers = Numbers(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let limit = if number.is_multiple_of(40) { 300_000 } else { 3000 };
    let length = numbers.below(limit);
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend((0..length).map(|_| numbers.below(256).to_le_bytes()[0]));
    bytes
}

/// The connection broke, as it does when the server is killed, or when it cuts
/// a blob that is damaged.
#[derive(Debug)]
struct Gone(#[expect(dead_code, reason = "a test that fails shows it")] String);

impl From<ureq::Error> for Gone {
    fn from(error: ureq::Error) -> Self {
        Self(error.to_string())
    }
}

struct Worker<'a> {
    server: &'a Process,
    repository: String,
    tags: &'a Tags,
    /// Whether nobody else writes to it.
    alone: bool,
    numbers: Numbers,
    counts: &'a Counts,
}

/// What all workers did.
#[derive(Default)]
struct Counts {
    pushes: AtomicU64,
    pulls: AtomicU64,
    /// Those of them from the repository that is shared.
    shared: AtomicU64,
    mounts: AtomicU64,
    deletes: AtomicU64,
}

impl Counts {
    /// Whether there was some of everything.
    fn all(&self) -> bool {
        let counts = [&self.pushes, &self.pulls, &self.shared, &self.mounts, &self.deletes];
        counts.into_iter().all(|count| count.load(Ordering::Relaxed) > 0)
    }
}

impl Worker<'_> {
    fn send(&self, line: &str, kind: &str, body: &[u8]) -> Result<(u16, Vec<u8>), Gone> {
        let headers = [("content-type", kind)];
        let answer = self.server.try_send(line, &headers, body)?;
        Ok((answer.status, answer.body))
    }

    fn tag(&mut self) -> String {
        format!("t{}", self.numbers.below(TAGS))
    }

    /// Pushes a blob in one of the ways that clients have.
    fn push(&mut self, bytes: &[u8]) -> Result<Digest, Gone> {
        let (repository, digest) = (&self.repository, Digest::sha256(bytes));
        match self.numbers.below(3) {
            0 => {
                // A client that asks first, and believes what it hears.
                let line = format!("HEAD /v2/{repository}/blobs/{digest}");
                if self.send(&line, "", b"")?.0 == 200 {
                    return Ok(digest);
                }
            }
            1 => {
                let from = repository_of(self.numbers.below(OWNERS + 1));
                let line =
                    format!("POST /v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
                if self.send(&line, "", b"")?.0 == 201 {
                    self.counts.mounts.fetch_add(1, Ordering::Relaxed);
                    return Ok(digest);
                }
            }
            _ => {}
        }
        let kind = "application/octet-stream";
        if self.numbers.below(2) == 0 {
            let line = format!("POST /v2/{repository}/blobs/uploads/?digest={digest}");
            assert_eq!(self.send(&line, kind, bytes)?.0, 201);
        } else {
            let line = format!("POST /v2/{repository}/blobs/uploads/");
            let begun = self.server.try_send(&line, &[], b"")?;
            assert_eq!(begun.status, 202);
            let path = begun.header("location").to_owned();
            let (one, two) = bytes.split_at(bytes.len() / 2);
            assert_eq!(self.send(&format!("PATCH {path}"), kind, one)?.0, 202);
            assert_eq!(self.send(&format!("PUT {path}?digest={digest}"), kind, two)?.0, 201);
        }
        Ok(digest)
    }

    fn push_image(&mut self) -> Result<(), Gone> {
        // Some layers everybody has, some are new.
        let layers = [self.numbers.below(10), 1000 + self.numbers.below(1 << 40)].map(content);
        let digests = [self.push(&layers[0])?, self.push(&layers[1])?];
        let config = json!({"n": self.numbers.below(1 << 40)}).to_string();
        let config = self.push(config.as_bytes())?;
        let descriptor = |digest: &Digest, size: usize| json!({"mediaType": "application/octet-stream", "digest": digest.to_string(), "size": size});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::OCI_MANIFEST,
            "config": descriptor(&config, 2),
            "layers": [descriptor(&digests[0], layers[0].len()), descriptor(&digests[1], layers[1].len())],
        })
        .to_string();
        let digest = Digest::sha256(manifest.as_bytes());
        let tag = self.tag();
        let line = format!("PUT /v2/{}/manifests/{tag}", self.repository);
        let begun = self.tags.write(&tag, Change::Set(digest));
        let answer = self.server.try_send(
            &line,
            &[("content-type", media::OCI_MANIFEST)],
            manifest.as_bytes(),
        );
        let answer = answer?;
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        self.tags.written(&tag, begun);
        self.counts.pushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn delete(&mut self) -> Result<(), Gone> {
        let tag = self.tag();
        let Some(digest) = self.tags.latest(&tag) else { return Ok(()) };
        let by_tag = self.numbers.below(2) == 0;
        let what = if by_tag { tag.clone() } else { digest.to_string() };
        let change = if by_tag { Change::Remove } else { Change::RemoveManifest(digest) };
        let begun = self.tags.write(&tag, change);
        let line = format!("DELETE /v2/{}/manifests/{what}", self.repository);
        match self.send(&line, "", b"")?.0 {
            202 => {}
            // Somebody else was faster.
            404 if by_tag => assert!(self.tags.explains(&tag, begun, None), "{line} answers 404"),
            // The same, or its tag was moved, and it was collected.
            404 => assert!(!self.alone, "{line} answers 404"),
            other => panic!("{line} answers {other}"),
        }
        self.tags.written(&tag, begun);
        self.counts.deletes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Pulls what a tag leads to, and compares every byte with its digest.
    fn pull(&self, tag: &str) -> Result<(), Gone> {
        let repository = &self.repository;
        let (begun, asked) = (self.tags.read(), Instant::now());
        let (status, bytes) =
            self.send(&format!("GET /v2/{repository}/manifests/{tag}"), "", b"")?;
        let found = match status {
            200 => Some(Digest::sha256(&bytes)),
            404 => None,
            other => panic!("{repository}:{tag} answers {other}"),
        };
        let explained = self.tags.explains(tag, begun, found.as_ref());
        assert!(explained, "{repository}:{tag} is {found:?}, which nobody has made it");
        if self.alone {
            self.tags.settle(tag, found.as_ref());
        }
        if let Some(found) = found {
            let manifest: Value = serde_json::from_slice(&bytes).unwrap();
            let layers = manifest["layers"].as_array().unwrap().iter();
            for descriptor in layers.chain([&manifest["config"]]) {
                let digest = descriptor["digest"].as_str().unwrap();
                let line = format!("GET /v2/{repository}/blobs/{digest}");
                let (status, bytes) = self.send(&line, "", b"")?;
                if status == 404 {
                    // Whoever shares the repository may have deleted the manifest,
                    // or moved its tag so long ago that it was collected.
                    let late = asked.elapsed() > KEPT && self.tags.is_left(tag, begun, &found);
                    let gone = !self.alone && (late || self.tags.is_deleted(tag, &found));
                    assert!(gone, "{repository}:{tag} lost {digest}");
                    self.tags.over(begun);
                    return Ok(());
                }
                assert_eq!(status, 200, "{line}");
                assert_eq!(Digest::sha256(&bytes).to_string(), digest, "{repository}:{tag}");
            }
            self.counts.pulls.fetch_add(1, Ordering::Relaxed);
            if !self.alone {
                self.counts.shared.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.tags.over(begun);
        Ok(())
    }

    fn work(&mut self, over: &AtomicBool) -> Result<(), Gone> {
        while !over.load(Ordering::Relaxed) {
            match self.numbers.below(8) {
                0 => self.delete()?,
                1..=3 => {
                    let tag = self.tag();
                    self.pull(&tag)?;
                }
                _ => self.push_image()?,
            }
        }
        Ok(())
    }
}

/// Runs all workers on a server until `end` returns, or says so; gives those
/// that lost their connection, each with why.
fn run(
    server: &Process,
    known: &[Tags],
    seed: u64,
    counts: &Counts,
    end: impl FnOnce(&AtomicBool),
) -> Vec<(u64, Gone)> {
    let over = AtomicBool::new(false);
    let failed = Mutex::new(Vec::new());
    let shared = known.last().into_iter().cycle();
    std::thread::scope(|scope| {
        for (number, tags) in (0..OWNERS + SHARERS).zip(known.iter().chain(shared)) {
            let (over, failed) = (&over, &failed);
            scope.spawn(move || {
                let numbers = Numbers((seed + 1) * 7919 + number * 104_729 + 1);
                let (repository, alone) = (repository_of(number), number < OWNERS);
                let mut worker = Worker { server, repository, tags, alone, numbers, counts };
                if let Err(gone) = worker.work(over) {
                    failed.lock().unwrap().push((number, gone));
                }
            });
        }
        end(&over);
        over.store(true, Ordering::Relaxed);
    });
    for tags in known {
        tags.rest();
    }
    failed.into_inner().unwrap()
}

/// Pulls everything while nobody writes.
fn check(server: &Process, known: &[Tags], counts: &Counts) {
    for (number, tags) in (0..).zip(known) {
        let (repository, numbers) = (repository_of(number), Numbers(1));
        let worker = Worker { server, repository, tags, alone: true, numbers, counts };
        for tag in 0..TAGS {
            worker.pull(&format!("t{tag}")).unwrap();
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What came of the jobs that a server was asked for.
#[derive(Default)]
struct Jobs {
    collections: AtomicU64,
    removed: AtomicU64,
    scrubs: AtomicU64,
}

impl Jobs {
    /// Has a server collect and scrub in turn, until it is gone.
    fn ask(&self, data_dir: &Path) {
        for turn in 0.. {
            let collects = turn % 3 != 2;
            let job = if collects {
                json!({"job": "collect", "untagged": 3, "dry_run": false})
            } else {
                json!({"job": "scrub", "rate": null})
            };
            let Some(done) = answer(data_dir, &job) else { return };
            if collects {
                self.collections.fetch_add(1, Ordering::Relaxed);
                let removed = done["removed"].as_u64().unwrap_or(0);
                self.removed.fetch_add(removed, Ordering::Relaxed);
            } else {
                assert_eq!((&done["damaged"], &done["unreadable"]), (&json!([]), &json!([])));
                self.scrubs.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What came of a job; `None` where the server went away before it was done.
fn answer(data_dir: &Path, job: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(data_dir.join("control")).ok()?;
    stream.write_all(format!("{job}\n").as_bytes()).ok()?;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let mut reply: Value = serde_json::from_str(&line).ok()?;
        assert!(reply.get("error").is_none(), "{reply}");
        if let Some(done) = reply.get_mut("done") {
            return Some(done.take());
        }
    }
    None
}

/// Stops a server, which is to be killed, where it is, and says whether a
/// collection is under way in it: one holds a lock until it ends. Where there
/// must be one it is waited for.
fn freeze(server: &Process, data_dir: &Path, in_collection: bool) -> bool {
    let begun = Instant::now();
    loop {
        server.freeze();
        let held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        let collects = File::open(data_dir.join("collecting")).is_ok_and(held);
        if collects || !in_collection || begun.elapsed() > Duration::from_mins(1) {
            return collects;
        }
        server.thaw();
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn nothing_is_lost_however_often_the_server_is_killed() {
    let root = tempfile::tempdir().unwrap();
    let known = nothing_yet();
    let (rounds, counts) = (setting("WARREN_KILL_ROUNDS", 8), Counts::default());
    let (jobs, mut collecting) = (Jobs::default(), 0);
    // Jobs are asked for, so that one is under way when the end comes.
    let arguments = ["--gc-interval=off", "--scrub-interval=off", "--gc-lease=3s", UPKEEP[5]];
    let mut numbers = Numbers(1 + rounds);
    for round in 0..rounds {
        let server = Process::start(root.path(), &arguments);
        check(&server, &known, &counts);
        let wait = Duration::from_millis(20 + numbers.below(300));
        let alone = Duration::from_millis(numbers.below(300));
        run(&server, &known, round, &counts, |over| {
            std::thread::scope(|scope| {
                scope.spawn(|| jobs.ask(root.path()));
                std::thread::sleep(wait);
                // The jobs give way to clients. Every other time they go on
                // alone for a while, and the end comes in a collection, early in
                // it or late. So they do before the last one, which lives until
                // a collection has had something to take.
                let last = round + 1 == rounds;
                let quiet = last || round % 2 == 1;
                if quiet {
                    over.store(true, Ordering::Relaxed);
                    std::thread::sleep(alone);
                }
                let begun = Instant::now();
                while last
                    && jobs.removed.load(Ordering::Relaxed) == 0
                    && begun.elapsed() < Duration::from_mins(5)
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                collecting += u64::from(freeze(&server, root.path(), quiet));
                server.kill();
            });
        });
    }
    let server = Process::start(root.path(), &arguments);
    check(&server, &known, &counts);
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    eprintln!(
        "{rounds} times killed, {collecting} of them in a collection: {}; {} collections that ended removed {} contents, {} scrubs",
        tell(&counts),
        count(&jobs.collections),
        count(&jobs.removed),
        count(&jobs.scrubs),
    );
    assert!(count(&counts.pushes) > 0 && count(&jobs.removed) > 0);
    assert!(collecting > 0, "no end came in a collection");
}

#[test]
fn nothing_is_lost_while_the_server_collects_without_pause() {
    let root = tempfile::tempdir().unwrap();
    let known = nothing_yet();
    let (seconds, counts) = (setting("WARREN_SOAK_SECONDS", 3), Counts::default());
    let server = Process::start(root.path(), &UPKEEP);
    let begun = Instant::now();
    let wait = |_: &AtomicBool| {
        std::thread::sleep(Duration::from_secs(seconds));
        // On a busy machine there may not have been some of everything.
        while !counts.all() && begun.elapsed() < Duration::from_secs(seconds + 60) {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let failed = run(&server, &known, 0, &counts, wait);
    assert!(failed.is_empty(), "{failed:?}");
    let mut collected = server.lines();
    collected.retain(|line| line["message"] == "collected what nothing refers to");
    // On a busy machine the collector, who is polite, may not have come to it.
    let removes = |line: &Value| line["removed"].as_u64() > Some(0);
    if !collected.iter().any(removes) {
        collected.push(server.line(removes));
    }
    check(&server, &known, &counts);
    let sum = |key: &str| collected.iter().filter_map(|line| line[key].as_u64()).sum::<u64>();
    eprintln!(
        "{} s: {}; {} collections removed {} contents with {} bytes, {} manifests",
        begun.elapsed().as_secs(),
        tell(&counts),
        collected.len(),
        sum("removed"),
        sum("bytes"),
        sum("manifests"),
    );
    assert!(counts.all(), "{}", tell(&counts));
}

fn tell(counts: &Counts) -> String {
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    format!(
        "{} images pushed, {} pulled and compared ({} where others write too), {} blobs mounted, {} deletions",
        count(&counts.pushes),
        count(&counts.pulls),
        count(&counts.shared),
        count(&counts.mounts),
        count(&counts.deletes),
    )
}
