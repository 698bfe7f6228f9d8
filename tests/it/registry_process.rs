//! The registry's binary as a process of its own, with its log.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running binary. Dropping it kills it.
pub struct Process {
    pub address: String,
    child: Child,
    lines: Mutex<Receiver<String>>,
    agent: ureq::Agent,
}

impl Process {
    /// Starts the binary with a log in JSON and waits until it listens.
    pub fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(Command::new(env!("CARGO_BIN_EXE_warren-registry")), data_dir, arguments)
    }

    /// The same on what is a full disk for this process.
    pub fn start_full(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(Self::full(&[]), data_dir, arguments)
    }

    /// The same on a disk that takes files of so many KiB, in whole half KiB.
    pub fn start_limited(data_dir: &Path, kibibytes: usize, arguments: &[&str]) -> Self {
        Self::start_with(Self::limited(kibibytes, &[]), data_dir, arguments)
    }

    /// The binary with these arguments and more, which may write to no file.
    pub fn full(arguments: &[&str]) -> Command {
        Self::limited(0, arguments)
    }

    fn limited(kibibytes: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        let script = format!(r#"trap '' XFSZ; ulimit -f {}; exec "$0" "$@""#, kibibytes * 2);
        command.args(["-c", &script, env!("CARGO_BIN_EXE_warren-registry")]).args(arguments);
        command
    }

    fn start_with(mut command: Command, data_dir: &Path, arguments: &[&str]) -> Self {
        command.arg("--data-dir").arg(data_dir).args(["--log-format=json"]).args(arguments);
        if !arguments.iter().any(|argument| argument.starts_with("--bind")) {
            command.arg("--bind=127.0.0.1:0");
        }
        let mut child = command.env_clear().stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let lines = Mutex::new(lines);
        let mut process = Self { address: String::new(), child, lines, agent: config.new_agent() };
        let listening = process.line(|line| line["message"] == "listening");
        listening["address"].as_str().unwrap().clone_into(&mut process.address);
        process
    }

    /// The next line of the log that is the one.
    pub fn line(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let lines = self.lines.lock().unwrap();
        while let Ok(line) = lines.recv_timeout(Duration::from_mins(1)) {
            let line = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if is_it(&line) {
                return line;
            }
        }
        panic!("the log has no such line");
    }

    /// The lines of the log that nobody has looked at yet.
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.try_iter().filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// SIGKILL: it is gone in the middle of whatever it does.
    pub fn kill(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    /// SIGSTOP: all of it stands still where it is, until it goes on or is killed.
    pub fn freeze(&self) {
        use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).unwrap();
        // The signal is only on its way by then; this waits for the last thread.
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "it ended by itself");
    }

    /// SIGCONT: it goes on.
    pub fn thaw(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    }

    /// [`Process::ended`], which must not take longer than this.
    pub fn ended_within(mut self, time: Duration) -> Vec<String> {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < time, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.ended()
    }

    /// Waits for its end, which must be a good one, and gives the log's rest.
    pub fn ended(mut self) -> Vec<String> {
        assert!(self.child.wait().unwrap().success());
        self.lines.lock().unwrap().iter().collect()
    }

    /// A request; a body where there is one.
    pub fn send(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(line, headers, body).unwrap()
    }

    /// The same, with a process that may be gone by then.
    pub fn try_send(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let (method, path) = line.split_once(' ').unwrap();
        let url = if path.contains("://") {
            path.to_owned()
        } else {
            format!("http://{}{path}", self.address)
        };
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let config = self.agent.configure_request(request.body(body).unwrap());
        let request = config.allow_non_standard_methods(true).build();
        let mut response = self.agent.run(request)?;
        let body = response.body_mut().read_to_vec()?;
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer, all of it.
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
