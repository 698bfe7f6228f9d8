//! Who takes part: our registry, its peers, and nginx as the limit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use warren::fs;

use super::Result;
use super::secrets::Secrets;
use super::server::{Server, free_port};

/// What a peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ours.
    Warren,
    /// The reference registry, version 2 or 3.
    Distribution,
    /// zot, without extensions.
    Zot,
    /// A static file server with sendfile.
    Nginx,
}

/// How a peer is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Anyone may do anything.
    Open,
    /// With an htpasswd file.
    Users,
    /// Anyone, over TLS.
    Tls,
}

/// One that takes part.
pub struct Peer {
    /// What the table calls it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says that it is.
    pub version: String,
    program: PathBuf,
}

/// Everyone who is on this machine: in `tools`, or in the usual places.
pub fn find(tools: &Path) -> Vec<Peer> {
    let candidates = [
        ("warren", Kind::Warren, PathBuf::from(env!("CARGO_BIN_EXE_warren-registry")), "--version"),
        ("distribution 2", Kind::Distribution, "docker-registry".into(), "--version"),
        ("distribution 3", Kind::Distribution, tools.join("registry"), "--version"),
        ("zot", Kind::Zot, tools.join("zot"), "--version"),
        ("nginx", Kind::Nginx, "/usr/sbin/nginx".into(), "-v"),
    ];
    let mut found = Vec::new();
    for (name, kind, program, ask) in candidates {
        match Command::new(&program).arg(ask).output() {
            Ok(said) => {
                let text = [said.stdout, said.stderr].concat();
                let text = String::from_utf8_lossy(&text).into_owned();
                // What `peers.sh` built and does not say its version itself.
                let beside = fs::read_to_string(&program.with_extension("version"));
                let version = beside.map_or_else(|_| version(&text), |text| text.trim().to_owned());
                found.push(Peer { name, kind, version, program });
            }
            Err(_) => eprintln!("{name}: not here ({} does not start)", program.display()),
        }
    }
    found
}

/// The first word of what a program says of itself that looks like a version.
fn version(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || "\",/:=".contains(c));
    let mut versions = words.map(|word| word.trim_start_matches('v')).filter(|word| {
        // Two dots: a date with fractions of a second has one.
        word.starts_with(|c: char| c.is_ascii_digit()) && word.split('.').count() >= 3
    });
    versions.next().unwrap_or("unknown").to_owned()
}

impl Peer {
    /// Whether it can be pushed to.
    pub fn is_registry(&self) -> bool {
        self.kind != Kind::Nginx
    }

    /// A command of its program.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts it over this data, with a port of its own. What it writes to its
    /// log and how it is configured goes to `folder`.
    pub fn start(
        &self,
        mode: Mode,
        data: &Path,
        folder: &Path,
        secrets: &Secrets,
    ) -> Result<Server> {
        fs::create_dir_all(data)?;
        let address = free_port()?;
        let stem = format!("{}-{mode:?}-{}", self.name.replace(' ', "-"), address.port());
        let config = folder.join(format!("{stem}.conf"));
        let mut command = Command::new(&self.program);
        let text = match self.kind {
            Kind::Warren => {
                warren(&mut command, mode, data, address, secrets);
                String::new()
            }
            Kind::Distribution => {
                command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
                distribution(mode, data, address, secrets)
            }
            Kind::Zot => {
                command.arg("serve").arg(&config);
                zot(mode, data, address, secrets)
            }
            Kind::Nginx => {
                command.arg("-c").arg(&config).arg("-e").arg("stderr");
                nginx(mode, data, address, secrets, &folder.join(format!("{stem}.pid")))
            }
        };
        std::fs::File::create(&config)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))?;
        let tls = (mode == Mode::Tls).then(|| Arc::clone(&secrets.trust));
        Server::start(command, address, tls, &folder.join(format!("{stem}.log")))
    }
}

fn warren(command: &mut Command, mode: Mode, data: &Path, address: SocketAddr, secrets: &Secrets) {
    command
        .args(["--hostname", "localhost", "--log-level", "warn"])
        // For the reviews of pods: pulls and pushes don't ask it.
        .args(["--allow-prefixes", "quay.io/", "--bind"])
        .arg(address.to_string());
    command.arg("--data-dir").arg(data).env_remove("RUST_LOG");
    let (certificate, key) = (secrets.certificate.display(), secrets.key.display());
    match mode {
        Mode::Open => {}
        Mode::Users => {
            command.arg("--htpasswd").arg(&secrets.htpasswd);
        }
        Mode::Tls => {
            command.arg(format!("--tls={certificate},{key}"));
        }
    }
}

/// Its own sample configuration, without a log line for each request.
fn distribution(mode: Mode, data: &Path, address: SocketAddr, secrets: &Secrets) -> String {
    let extra = match mode {
        Mode::Open => String::new(),
        Mode::Users => {
            format!("auth: {{htpasswd: {{realm: bench, path: {}}}}}\n", secrets.htpasswd.display())
        }
        Mode::Tls => format!(
            "  tls: {{certificate: {}, key: {}}}\n",
            secrets.certificate.display(),
            secrets.key.display()
        ),
    };
    format!(
        "version: 0.1\n\
         log: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage:\n  cache: {{blobdescriptor: inmemory}}\n  filesystem: {{rootdirectory: {}}}\n  maintenance: {{uploadpurging: {{enabled: false}}}}\n\
         http:\n  addr: {address}\n  secret: only-for-benchmarks\n{extra}",
        data.display()
    )
}

/// `commit` makes it sync what it stores.
fn zot(mode: Mode, data: &Path, address: SocketAddr, secrets: &Secrets) -> String {
    let mut http = serde_json::json!({"address": address.ip().to_string(), "port": address.port().to_string()});
    match mode {
        Mode::Open => {}
        Mode::Users => http["auth"] = serde_json::json!({"htpasswd": {"path": secrets.htpasswd}}),
        Mode::Tls => {
            http["tls"] = serde_json::json!({"cert": secrets.certificate, "key": secrets.key});
        }
    }
    serde_json::json!({
        "distSpecVersion": "1.1.1",
        "storage": {"rootDirectory": data, "commit": true, "gc": false},
        "http": http,
        "log": {"level": "error"},
    })
    .to_string()
}

/// Files as fast as it can: sendfile, and open files are remembered.
fn nginx(mode: Mode, data: &Path, address: SocketAddr, secrets: &Secrets, pid: &Path) -> String {
    let listen = if mode == Mode::Tls {
        format!(
            "listen {address} ssl; ssl_certificate {}; ssl_certificate_key {};",
            secrets.certificate.display(),
            secrets.key.display()
        )
    } else {
        format!("listen {address};")
    };
    // Workers that change to another user could not read the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    format!(
        "{user}daemon off;\nworker_processes auto;\npid {};\nevents {{ worker_connections 2048; }}\n\
         http {{\n  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;\n\
         keepalive_requests 1000000000; open_file_cache max=1000;\n\
         server {{ {listen} root {}; location / {{ }} }}\n}}\n",
        pid.display(),
        data.display()
    )
}
