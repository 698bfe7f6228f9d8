//! A git server over smart HTTP, small enough to misbehave on purpose:
//! protocol version 0, stateless; upload-pack, shallow too, and receive-pack.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use git2::{Buf, Oid, Repository};

/// What the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// What it should.
    Serve,
    /// Takes the connection and never answers.
    Hang,
    /// Sends half of the pack and then nothing, with the connection open.
    HangInPack,
    /// Sends half of the pack and closes the connection.
    Truncate,
    /// As `Truncate`, but with a length that says that this is all.
    TruncateQuietly,
    /// Redirects every request to this prefix.
    Redirect(String),
    /// Answers 404.
    NotFound,
    /// Answers a page.
    Page,
    /// What it should, for who has this Authorization header.
    Guard(String),
    /// What it should, but takes no push: a hook refuses it.
    Refuse,
}

/// A running server; it stops when this goes out of scope.
pub struct GitServer {
    port: u16,
    requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl GitServer {
    /// Serves the repository at `path` on a port of its own.
    pub fn start(path: &Path, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let server = Self { port, requests: requests.clone(), stop: stop.clone() };
        let path = path.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (path, behaviour) = (path.clone(), behaviour.clone());
                let (requests, stop) = (requests.clone(), stop.clone());
                std::thread::spawn(move || {
                    requests.fetch_add(1, Ordering::SeqCst);
                    // The client may go away at any time: that is its right.
                    let _ = answer(stream.unwrap(), &path, &behaviour, &stop);
                });
            }
        });
        server
    }

    /// The repository's url.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/repo.git", self.port)
    }

    /// The same server by another host name.
    pub fn url_by_name(&self) -> String {
        format!("http://localhost:{}/repo.git", self.port)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn answer(
    mut stream: TcpStream,
    path: &PathBuf,
    behaviour: &Behaviour,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let (head, body) = read_request(&mut stream)?;
    let target = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
    match behaviour {
        Behaviour::Hang => {
            hold(&stream, stop);
            return Ok(());
        }
        Behaviour::NotFound => return respond(&mut stream, "404 Not Found", "", b"", 0),
        Behaviour::Page => {
            let page = b"<html>sign in</html>";
            return respond(&mut stream, "200 OK", "Content-Type: text/html\r\n", page, page.len());
        }
        Behaviour::Redirect(to) if !target.starts_with("/moved") => {
            let rest = target.strip_prefix("/repo.git").unwrap_or(&target);
            let location = format!("Location: {to}{rest}\r\n");
            return respond(&mut stream, "302 Found", &location, b"", 0);
        }
        _ => {}
    }
    if let Behaviour::Guard(authorization) = behaviour {
        let sent = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("authorization").then(|| value.trim())
        });
        if sent != Some(authorization.as_str()) {
            let challenge = "WWW-Authenticate: Basic realm=\"git\"\r\n";
            return respond(&mut stream, "401 Unauthorized", challenge, b"", 0);
        }
    }
    let repository = Repository::open(path).unwrap();
    for service in ["git-upload-pack", "git-receive-pack"] {
        if target.ends_with(&format!("/info/refs?service={service}")) {
            let refs = advertise(&repository, service);
            let kind = format!("Content-Type: application/x-{service}-advertisement\r\n");
            return respond(&mut stream, "200 OK", &kind, &refs, refs.len());
        }
    }
    if target.ends_with("/git-receive-pack") {
        let result = receive_pack(&repository, &body, *behaviour == Behaviour::Refuse);
        let kind = "Content-Type: application/x-git-receive-pack-result\r\n";
        return respond(&mut stream, "200 OK", kind, &result, result.len());
    }
    let result = upload_pack(&repository, &body);
    let kind = "Content-Type: application/x-git-upload-pack-result\r\n";
    let half = &result[..result.len() / 2];
    let has_pack = result.windows(4).any(|four| four == b"PACK");
    match behaviour {
        Behaviour::Truncate if has_pack => respond(&mut stream, "200 OK", kind, half, result.len()),
        Behaviour::TruncateQuietly if has_pack => {
            respond(&mut stream, "200 OK", kind, half, half.len())
        }
        Behaviour::HangInPack if has_pack => {
            respond(&mut stream, "200 OK", kind, half, result.len())?;
            hold(&stream, stop);
            Ok(())
        }
        _ => respond(&mut stream, "200 OK", kind, &result, result.len()),
    }
}

/// Keeps the connection open until the server stops.
fn hold(_stream: &TcpStream, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..count]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
        })
        .unwrap_or(0_usize);
    let mut body = bytes.split_off(end);
    let mut rest = vec![0; length - body.len()];
    stream.read_exact(&mut rest)?;
    body.extend_from_slice(&rest);
    Ok((head, body))
}

fn respond(
    stream: &mut TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
    length: usize,
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)?;
    stream.flush()
}

fn packet(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(format!("{:04x}", content.len() + 4).as_bytes());
    out.extend_from_slice(content);
}

fn advertise(repository: &Repository, service: &str) -> Vec<u8> {
    let push = service == "git-receive-pack";
    let capabilities = if push {
        "report-status delete-refs ofs-delta"
    } else {
        "multi_ack_detailed side-band-64k ofs-delta shallow no-progress"
    };
    let mut lines = Vec::new();
    for reference in repository.references().unwrap() {
        let reference = reference.unwrap();
        let name = String::from_utf8(reference.name_bytes().to_vec()).unwrap();
        let Some(id) = reference.target() else { continue };
        lines.push(format!("{id} {name}"));
        let peeled = reference.peel_to_commit().unwrap().id();
        if peeled != id && !push {
            lines.push(format!("{peeled} {name}^{{}}"));
        }
    }
    let mut out = Vec::new();
    packet(&mut out, format!("# service={service}\n").as_bytes());
    out.extend_from_slice(b"0000");
    for (index, line) in lines.iter().enumerate() {
        let line =
            if index == 0 { format!("{line}\0{capabilities}\n") } else { format!("{line}\n") };
        packet(&mut out, line.as_bytes());
    }
    out.extend_from_slice(b"0000");
    out
}

/// Answers one request: the shallow lines, and after `done` the pack.
fn upload_pack(repository: &Repository, request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let wants: Vec<Oid> = text
        .split("want ")
        .skip(1)
        .map(|rest| Oid::from_str(rest.get(..40).unwrap()).unwrap())
        .collect();
    let shallow = text.contains("deepen 1");
    let mut out = Vec::new();
    let mut builder = repository.packbuilder().unwrap();
    for want in wants {
        let object = repository.find_object(want, None).unwrap();
        let commit = object.peel_to_commit().unwrap();
        if object.id() != commit.id() {
            builder.insert_object(object.id(), None).unwrap();
        }
        if shallow {
            packet(&mut out, format!("shallow {}", commit.id()).as_bytes());
            builder.insert_object(commit.id(), None).unwrap();
            builder.insert_tree(commit.tree_id()).unwrap();
        } else {
            builder.insert_commit(commit.id()).unwrap();
        }
    }
    if shallow {
        out.extend_from_slice(b"0000");
    }
    if !text.contains("done") {
        return out;
    }
    packet(&mut out, b"NAK\n");
    let mut pack = Buf::new();
    builder.write_buf(&mut pack).unwrap();
    for part in pack.chunks(60_000) {
        let mut band = vec![1];
        band.extend_from_slice(part);
        packet(&mut out, &band);
    }
    out.extend_from_slice(b"0000");
    out
}

/// Takes one push: the commands, then the pack; `refuse` as a hook does.
fn receive_pack(repository: &Repository, request: &[u8], refuse: bool) -> Vec<u8> {
    let mut rest = request;
    let mut commands = Vec::new();
    loop {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..4]).unwrap(), 16).unwrap();
        if length == 0 {
            rest = &rest[4..];
            break;
        }
        let line = std::str::from_utf8(&rest[4..length]).unwrap();
        let line = line.split('\0').next().unwrap().trim_end();
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        commands.push([(); 3].map(|()| words.next().unwrap()));
        rest = &rest[length..];
    }
    if rest.starts_with(b"PACK") {
        let odb = repository.odb().unwrap();
        let mut writer = odb.packwriter().unwrap();
        writer.write_all(rest).unwrap();
        writer.commit().unwrap();
    }
    let mut out = Vec::new();
    packet(&mut out, b"unpack ok\n");
    for [old, new, name] in commands {
        let now = repository.find_reference(&name).ok().and_then(|found| found.target());
        let is_now = now.map_or_else(|| "0".repeat(40), |id| id.to_string()) == old;
        let status = if refuse {
            format!("ng {name} pre-receive hook declined\n")
        } else if is_now {
            let new = Oid::from_str(&new).unwrap();
            if new.is_zero() {
                repository.find_reference(&name).unwrap().delete().unwrap();
            } else {
                repository.reference(&name, new, true, "push").unwrap();
            }
            format!("ok {name}\n")
        } else {
            format!("ng {name} fetch first\n")
        };
        packet(&mut out, status.as_bytes());
    }
    out.extend_from_slice(b"0000");
    out
}
