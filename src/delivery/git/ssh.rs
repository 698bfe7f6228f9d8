//! Remotes over SSH, by the `ssh` of this machine: it knows the user's keys,
//! agents, jump hosts and known hosts better than any library.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};

use super::remote::SshPlace;

/// The scheme of our own, so that what else uses libgit2 in this process keeps
/// its `ssh`.
pub(super) const SCHEME: &str = "warren+ssh";

/// The command line that the repository's configuration names: `core.sshCommand`.
static CONFIGURED: Mutex<Option<String>> = Mutex::new(None);

/// Registers the transport, once per process, for a repository.
#[allow(unsafe_code, reason = "libgit2's list of transports is a global")]
pub(super) fn register(command: Option<&str>) {
    static ONCE: Once = Once::new();
    *CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner) = command.map(str::to_owned);
    ONCE.call_once(|| {
        // SAFETY: the list must not change while another thread reads it. Every
        // use of an ssh remote passes through here before libgit2 looks at it.
        let registered = unsafe { git2::transport::register(SCHEME, transport) };
        drop(registered);
    });
}

fn transport(remote: &git2::Remote<'_>) -> Result<Transport, git2::Error> {
    Transport::smart(remote, false, Ssh::default())
}

/// One connection: a process, whose first answer lists the refs and which then
/// goes on talking.
#[derive(Default)]
struct Ssh {
    talk: Mutex<Option<Arc<Mutex<Talk>>>>,
}

struct Talk {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SmartSubtransport for Ssh {
    fn action(
        &self,
        url: &str,
        service: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let program = match service {
            Service::UploadPackLs => "git-upload-pack",
            Service::ReceivePackLs => "git-receive-pack",
            // The process that listed the refs waits for what comes next.
            Service::UploadPack | Service::ReceivePack => {
                let talk = talk.as_ref().ok_or_else(|| git2::Error::from_str("nothing is open"))?;
                return Ok(Box::new(Stream(Arc::clone(talk))));
            }
        };
        let begun = begin(url, program).map_err(|error| git2::Error::from_str(&error))?;
        let begun = Arc::new(Mutex::new(begun));
        *talk = Some(Arc::clone(&begun));
        Ok(Box::new(Stream(begun)))
    }

    fn close(&self) -> Result<(), git2::Error> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

struct Stream(Arc<Mutex<Talk>>);

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).output.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).input.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).input.flush()
    }
}

fn begin(url: &str, program: &str) -> Result<Talk, String> {
    let place = url.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix("://"));
    let place = place.and_then(SshPlace::parse).ok_or_else(|| format!("{url} is no ssh url"))?;
    let mut command = ssh();
    // Nobody can be asked here: a key that needs a passphrase needs an agent.
    command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]);
    if let Some(port) = place.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg("--").arg(&place.host).arg(format!("{program} {}", quoted(&place.path)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok(Talk { child, input, output }),
        _ => Err(format!("{name} has no pipes")),
    }
}

/// The program that git uses: a command line in `GIT_SSH_COMMAND` or in
/// `core.sshCommand`, a program in `GIT_SSH`, else `ssh`.
fn ssh() -> Command {
    let read = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let configured = || CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(line) = read("GIT_SSH_COMMAND").or_else(|| configured().map(OsString::from)) {
        let mut shell = Command::new("sh");
        let mut script = line;
        script.push(OsString::from(" \"$@\""));
        shell.arg("-c").arg(script).arg("ssh");
        return shell;
    }
    Command::new(read("GIT_SSH").unwrap_or_else(|| "ssh".into()))
}

/// A word as the shell of the other side takes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
