//! Composing at scale beside `kubectl kustomize`, whole processes from start to
//! end: many objects with a namespace, labels and ten patches; many environments;
//! one environment to files. `cargo bench --bench scale`; with `--test` small and
//! without kustomize. The figures stand in `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use warren::fs::{self, Access};

/// How many patches each side applies to every Deployment.
const PATCHES: usize = 10;

fn main() {
    let small = std::env::args().any(|argument| argument == "--test");
    let (sizes, environments, rounds): (&[usize], _, _) =
        if small { (&[20], 5, 1) } else { (&[2_000, 10_000, 20_000], 500, 5) };
    let folder = tempfile::tempdir().unwrap();
    let mut per_object = Vec::new();
    for pairs in sizes {
        let root = folder.path().join(format!("pairs-{pairs}"));
        repository(&root, *pairs);
        let ours = best(rounds, || warren(&root, &["render", "bench", "--output", "-"]));
        println!(
            "{pairs} pairs, {} objects: warren {:.3} s, {} MiB at its peak, {} bytes of output",
            2 * pairs,
            ours.seconds,
            ours.peak,
            ours.output
        );
        per_object.push(ours.seconds / *pairs as f64);
        if !small && *pairs == sizes[0] {
            kustomize(&root, *pairs, ours.seconds);
        }
    }
    for (pairs, each) in sizes.iter().zip(&per_object).skip(1) {
        let times = each / per_object[0];
        println!("cost for each object: {times:.2} times at {pairs} pairs");
    }
    many(&folder.path().join("many"), environments, rounds);
    one(&folder.path().join("one"), if small { 1 } else { 21 });
}

/// What one process took.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    /// MiB of memory at the peak.
    peak: u64,
    /// Bytes on stdout.
    output: u64,
}

/// The fastest of some rounds.
fn best(rounds: usize, run: impl Fn() -> Cost) -> Cost {
    let all = (0..rounds).map(|_| run());
    all.min_by(|one, other| one.seconds.total_cmp(&other.seconds)).unwrap()
}

fn warren(root: &Path, arguments: &[&str]) -> Cost {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
    command.arg("--root").arg(root).args(arguments);
    cost(command)
}

/// Runs a command to its end; it must succeed.
fn cost(mut command: Command) -> Cost {
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    // The kernel keeps the highest value itself; the last look before the end has it.
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(text) = fs::read_to_string(&status) {
            let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) else {
                break;
            };
            peak = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    });
    let output = std::io::copy(&mut child.stdout.take().unwrap(), &mut std::io::sink()).unwrap();
    let ended = child.wait().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert!(ended.success(), "{command:?}");
    Cost { seconds, peak: watch.join().unwrap() / 1024, output }
}

/// A repository whose environment `bench` has this many pairs of a Deployment and
/// a `ConfigMap` beside its own objects.
fn repository(root: &Path, pairs: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["environments", "vendor"] {
        copy(&here.join(part), &root.join(part));
    }
    write(&root.join("environments/base/pairs.yaml"), &manifests(pairs));
    let sandbox = fs::read_to_string(&here.join("environments/sandbox.toml")).unwrap();
    let mut toml =
        sandbox.replacen("namespace = ", "labels = { team = \"platform\" }\nnamespace = ", 1);
    for number in 0..PATCHES {
        let _ = write!(
            toml,
            "\n[[patch]]\ntarget = {{ kind = \"Deployment\" }}\nexpect = {pairs}\n\
             merge = {{ metadata = {{ annotations = {{ \"example.org/{number}\" = \"{number}\" }} }} }}\n"
        );
    }
    write(&root.join("environments/bench.toml"), &toml);
}

fn manifests(pairs: usize) -> String {
    let mut text = String::new();
    for number in 0..pairs {
        let _ = write!(
            text,
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-{number}\ndata:\n  key: \
             value-{number}\n  mode: \"0777\"\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  \
             name: app-{number}\nspec:\n  replicas: 1\n  selector:\n    matchLabels:\n      app: \
             app-{number}\n  template:\n    metadata:\n      labels:\n        app: app-{number}\n    \
             spec:\n      automountServiceAccountToken: false\n      securityContext:\n        \
             runAsNonRoot: true\n        runAsUser: 999\n        seccompProfile:\n          type: \
             RuntimeDefault\n      containers:\n        - name: main\n          image: \
             registry.example/app:1@sha256:{}\n          securityContext:\n            \
             allowPrivilegeEscalation: false\n            capabilities:\n              drop:\n                \
             - ALL\n          envFrom:\n            - configMapRef:\n                name: \
             config-{number}\n          resources:\n            requests:\n              cpu: 10m\n              \
             memory: 16Mi\n            limits:\n              memory: 32Mi\n---\n",
            "0".repeat(64)
        );
    }
    text
}

/// The same by kustomize.
fn kustomize(root: &Path, pairs: usize, ours: f64) {
    let overlay = root.join("overlay");
    let mut text = String::from(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: trow\n\
         labels:\n  - pairs:\n      team: platform\nresources:\n  - pairs.yaml\npatches:\n",
    );
    for number in 0..PATCHES {
        let _ = write!(
            text,
            "  - target:\n      kind: Deployment\n    patch: |-\n      apiVersion: apps/v1\n      \
             kind: Deployment\n      metadata:\n        name: any\n        annotations:\n          \
             example.org/{number}: \"{number}\"\n"
        );
    }
    write(&overlay.join("kustomization.yaml"), &text);
    write(&overlay.join("pairs.yaml"), &manifests(pairs));
    let is_there = Command::new("kubectl").arg("version").arg("--client").output().is_ok();
    if !is_there {
        println!("{pairs} pairs: there is no kubectl here to compare with");
        return;
    }
    let mut command = Command::new("kubectl");
    command.arg("kustomize").arg(&overlay);
    let theirs = cost(command);
    println!(
        "{pairs} pairs: kubectl kustomize {:.1} s, {} MiB at its peak, {} bytes of output: {:.0} \
         times as long",
        theirs.seconds,
        theirs.peak,
        theirs.output,
        theirs.seconds / ours
    );
}

/// Many environments, checked together as CI does.
fn many(root: &Path, environments: usize, rounds: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["environments", "vendor"] {
        copy(&here.join(part), &root.join(part));
    }
    let sandbox = fs::read_to_string(&here.join("environments/sandbox.toml")).unwrap();
    for number in 0..environments {
        let text =
            sandbox.replace("namespace = \"trow\"", &format!("namespace = \"trow-{number}\""));
        write(&root.join(format!("environments/e{number}.toml")), &text);
    }
    warren(root, &["render"]);
    let fastest = best(rounds, || warren(root, &["check"]));
    println!(
        "{environments} environments composed, checked and compared with deploy/: {:.3} s, {} MiB",
        fastest.seconds, fastest.peak
    );
}

/// One environment from the start of the process to its files: with nothing to
/// write, and with a folder to make; the median.
fn one(root: &Path, rounds: usize) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["environments", "vendor"] {
        copy(&here.join(part), &root.join(part));
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2] * 1000.0
    };
    let fresh = (0..rounds).map(|_| {
        fs::remove_dir_all_if_there(&root.join("deploy")).unwrap();
        warren(root, &["render", "sandbox"]).seconds
    });
    let fresh = median(fresh.collect());
    let again = median((0..rounds).map(|_| warren(root, &["render", "sandbox"]).seconds).collect());
    println!(
        "one environment to files: {fresh:.1} ms where there are none, {again:.1} ms where they are there"
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::list(from).unwrap() {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::write_atomic(&target, &fs::read(&path).unwrap(), Access::Everyone).unwrap();
        }
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write_atomic(path, text.as_bytes(), Access::Everyone).unwrap();
}
