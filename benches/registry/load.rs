//! Many connections from one thread: heads are read into one buffer that all share,
//! and the system lets go of bodies, so that the client costs as little as it can
//! beside the server.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

use super::http::{Endpoint, Head, head, parse};
use super::{Result, content};

/// What a number of clients did in a time.
pub struct Outcome {
    /// Exchanges that were finished in the time.
    pub done: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// How long each exchange took, sorted.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// Exchanges a second.
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that this part of all is under, in milliseconds.
    pub fn percentile(&self, part: f64) -> f64 {
        percentile(&self.latencies, part)
    }
}

/// The latency that this part of all is under, in milliseconds.
pub fn percentile(sorted: &[Duration], part: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a length"
    )]
    let index = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[index].as_secs_f64() * 1000.0
}

/// How much is let go of at a time, in bytes.
const BUFFER: usize = 1024 * 1024;
/// How much is read where a head may be.
const HEAD: usize = 8192;

thread_local! {
    static SINK: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

/// One connection of many.
struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
}

impl Connection {
    async fn open(endpoint: &Endpoint) -> Result<Self> {
        let stream = TcpStream::connect(endpoint.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, head: Vec::new() })
    }

    /// Reads what is there into the shared buffer and hands it over.
    async fn read<T>(&self, mut take: impl FnMut(&[u8]) -> T) -> Result<T> {
        loop {
            self.stream.readable().await?;
            let taken =
                SINK.with_borrow_mut(|sink| match self.stream.try_read(&mut sink[..HEAD]) {
                    Ok(0) => Some(Err("the server closed the connection".into())),
                    Ok(count) => Some(Ok(take(&sink[..count]))),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
                    Err(error) => Some(Err(error.into())),
                });
            if let Some(taken) = taken {
                return taken;
            }
        }
    }

    /// Has the system let go of what is there, at most so many bytes, without a copy
    /// (`MSG_TRUNC` on a stream, tcp(7)); how many they were.
    async fn discard(&self, most: usize) -> Result<usize> {
        let most = most.min(BUFFER);
        loop {
            self.stream.readable().await?;
            let gone = SINK.with_borrow_mut(|sink| {
                self.stream.try_io(Interest::READABLE, || {
                    Ok(recv(&self.stream, &mut sink[..most], RecvFlags::TRUNC)?.1)
                })
            });
            match gone {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads an answer and lets go of its body.
    async fn answer(&mut self) -> Result<Head> {
        self.head.clear();
        let (head, size) = loop {
            let mut collected = std::mem::take(&mut self.head);
            self.read(|bytes| collected.extend_from_slice(bytes)).await?;
            self.head = collected;
            if let Some((head, size)) = parse(&self.head)? {
                break (head, self.head.len() - size);
            }
        };
        let length = usize::try_from(head.length.unwrap_or_default())?;
        if head.chunked {
            return Err("a body without a length".into());
        }
        let mut got = size;
        while got < length {
            got += self.discard(length - got).await?;
        }
        if got > length {
            return Err("more came than was announced".into());
        }
        Ok(head)
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Runs `clients` tasks, each of which does `step` over its connection until
/// the time is over or `most` were done.
fn run(
    endpoint: &Endpoint,
    clients: usize,
    time: Duration,
    most: usize,
    step: impl AsyncFn(&mut Connection, usize) -> Result<()> + 'static,
) -> Result<Outcome> {
    let (endpoint, step) = (endpoint.clone(), Rc::new(step));
    runtime()?.block_on(tokio::task::LocalSet::new().run_until(async move {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(Connection::open(&endpoint).await?);
        }
        let next = Rc::new(std::cell::Cell::new(0_usize));
        let start = Instant::now();
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|mut connection| {
                let (step, next) = (Rc::clone(&step), Rc::clone(&next));
                tokio::task::spawn_local(async move {
                    let mut latencies = Vec::new();
                    while start.elapsed() < time && next.get() < most {
                        let number = next.replace(next.get() + 1);
                        let begun = Instant::now();
                        step(&mut connection, number).await?;
                        latencies.push(begun.elapsed());
                    }
                    Result::Ok(latencies)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await??);
        }
        let elapsed = start.elapsed();
        latencies.sort_unstable();
        Ok(Outcome { done: latencies.len(), elapsed, latencies })
    }))
}

/// `clients` connections that pull these paths, one after the other, for a time.
pub fn pull(
    endpoint: &Endpoint,
    clients: usize,
    time: Duration,
    paths: &[String],
    size: usize,
) -> Result<Outcome> {
    let authorization = endpoint.authorization.clone();
    let accept = format!("Accept: {}\r\n", content::MANIFEST);
    let requests: Vec<String> = paths
        .iter()
        .map(|path| head("GET", path, authorization.as_deref(), &accept, None))
        .collect();
    run(endpoint, clients, time, usize::MAX, async move |connection, number| {
        let request = &requests[number % requests.len()];
        connection.stream.write_all(request.as_bytes()).await?;
        let head = connection.answer().await?;
        if head.status != 200 || head.length != Some(size as u64) {
            return Err(format!("{request} was answered with {head:?}").into());
        }
        Ok(())
    })
}

/// `clients` connections that push small blobs, each another one, with a POST
/// and a PUT as clients do, until all are there.
pub fn push(
    endpoint: &Endpoint,
    clients: usize,
    repository: &str,
    blobs: &[(String, Vec<u8>)],
) -> Result<Outcome> {
    let blobs = blobs.to_vec();
    let authorization = endpoint.authorization.clone();
    let start = format!("/v2/{repository}/blobs/uploads/");
    run(endpoint, clients, Duration::MAX, blobs.len(), async move |connection, number| {
        let (digest, bytes) = &blobs[number];
        let authorization = authorization.as_deref();
        let post = head("POST", &start, authorization, "", Some(0));
        connection.stream.write_all(post.as_bytes()).await?;
        let answer = connection.answer().await?;
        let location = answer.location.ok_or("an upload without a location")?;
        let path = finish_path(&location, digest);
        let mut put =
            head("PUT", &path, authorization, OCTETS, Some(bytes.len() as u64)).into_bytes();
        put.extend_from_slice(bytes);
        connection.stream.write_all(&put).await?;
        let answer = connection.answer().await?;
        if answer.status != 201 {
            return Err(format!("PUT {path} was answered with {answer:?}").into());
        }
        Ok(())
    })
}

/// The header of a blob that is pushed.
pub const OCTETS: &str = "Content-Type: application/octet-stream\r\n";

/// Where an upload is finished under this digest.
pub fn finish_path(location: &str, digest: &str) -> String {
    let path = location
        .split_once("://")
        .map_or(location, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}digest={}", digest.replace(':', "%3A"))
}
