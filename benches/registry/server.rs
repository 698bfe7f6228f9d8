//! A process that serves, and what the system says of it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use warren::fs;

use super::Result;
use super::http::{Client, Endpoint};

/// A running server. Dropping it ends it.
pub struct Server {
    child: Child,
    /// How it is spoken to.
    pub endpoint: Endpoint,
    /// From its start to the first answer.
    pub started: Duration,
}

/// A port that nobody listens on.
pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Server {
    /// Starts it and waits for its first answer, whatever that is.
    pub fn start(
        mut command: Command,
        address: SocketAddr,
        tls: Option<Arc<ClientConfig>>,
        log: &Path,
    ) -> Result<Self> {
        let log_file = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(log_file.try_clone()?).stderr(log_file);
        let endpoint = Endpoint { address, tls, authorization: None };
        let start = Instant::now();
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut server = Self { child, endpoint, started: Duration::ZERO };
        loop {
            if Client::connect(&server.endpoint)
                .and_then(|mut client| client.call("GET", "/v2/", "", b""))
                .is_ok()
            {
                server.started = start.elapsed();
                return Ok(server);
            }
            if start.elapsed() > Duration::from_secs(20) || server.child.try_wait()?.is_some() {
                let said = fs::read_to_string(log)?;
                return Err(format!("{command:?} did not answer; it said:\n{said}").into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Its number in the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever had, in KiB.
    pub fn peak(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// The memory it has, in KiB.
    pub fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let text = fs::read_to_string(Path::new(&path))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        Ok(line.and_then(|rest| rest.split_whitespace().next()).ok_or(field)?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that does not stop when asked to is ended the hard way.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for _ in 0..200 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
