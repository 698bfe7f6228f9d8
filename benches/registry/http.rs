//! A small blocking client of HTTP/1.1. It drives every peer alike, reads
//! bodies into one buffer, and keeps nothing of what it pulls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::Result;

/// Where a server listens and how it is spoken to.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// TLS with this trust.
    pub tls: Option<Arc<ClientConfig>>,
    /// The value of the `Authorization` header.
    pub authorization: Option<String>,
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// One connection.
pub struct Client {
    wire: Box<dyn Wire>,
    authorization: Option<String>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// 200 and so on.
    pub status: u16,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// Whether the body comes in chunks.
    pub chunked: bool,
    /// `Location`.
    pub location: Option<String>,
}

const BUFFER: usize = 256 * 1024;

impl Client {
    /// Connects.
    pub fn connect(endpoint: &Endpoint) -> Result<Self> {
        let stream = TcpStream::connect(endpoint.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let wire: Box<dyn Wire> = match &endpoint.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost")?;
                let mut connection = ClientConnection::new(Arc::clone(config), name)?;
                connection.set_buffer_limit(None);
                Box::new(StreamOwned::new(connection, stream))
            }
        };
        Ok(Self {
            wire,
            authorization: endpoint.authorization.clone(),
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
        })
    }

    /// Sends the head of a request; `length` is that of the body to come.
    pub fn send(&mut self, method: &str, path: &str, headers: &str, length: u64) -> Result<()> {
        let request = head(
            method,
            path,
            self.authorization.as_deref(),
            headers,
            (length > 0 || method != "GET").then_some(length),
        );
        self.wire.write_all(request.as_bytes())?;
        Ok(())
    }

    /// Sends a part of a body.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.wire.write_all(bytes)?;
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let count = self.wire.read(&mut self.buffer[self.end..])?;
        if count == 0 {
            return Err("the server closed the connection".into());
        }
        self.end += count;
        Ok(())
    }

    /// Reads the head of an answer.
    pub fn head(&mut self) -> Result<Head> {
        self.wire.flush()?;
        loop {
            if let Some((head, size)) = parse(&self.buffer[self.start..self.end])? {
                self.start += size;
                return Ok(head);
            }
            self.fill()?;
        }
    }

    /// Reads a body and lets go of it; how many bytes it had.
    pub fn skip(&mut self, head: &Head) -> Result<u64> {
        if head.chunked {
            return Ok(self.body(head)?.len() as u64);
        }
        let length = head.length.unwrap_or_default();
        let mut left = length;
        while left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let taken = left.min((self.end - self.start) as u64);
            self.start += usize::try_from(taken)?;
            left -= taken;
        }
        Ok(length)
    }

    /// Reads a body of moderate size.
    pub fn body(&mut self, head: &Head) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if !head.chunked {
            self.take(usize::try_from(head.length.unwrap_or_default())?, &mut body)?;
            return Ok(body);
        }
        loop {
            let size = usize::from_str_radix(self.line()?.trim(), 16)?;
            self.take(size, &mut body)?;
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, size: usize, into: &mut Vec<u8>) -> Result<()> {
        let mut left = size;
        while left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let taken = left.min(self.end - self.start);
            into.extend_from_slice(&self.buffer[self.start..self.start + taken]);
            self.start += taken;
            left -= taken;
        }
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            self.take(1, &mut line)?;
        }
        Ok(String::from_utf8(line)?)
    }

    /// A whole exchange: what was answered, with its body.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<(Head, Vec<u8>)> {
        self.send(method, path, headers, body.len() as u64)?;
        self.write(body)?;
        let head = self.head()?;
        let body = if method == "HEAD" { Vec::new() } else { self.body(&head)? };
        Ok((head, body))
    }
}

/// The head of a request as it is sent.
pub fn head(
    method: &str,
    path: &str,
    authorization: Option<&str>,
    headers: &str,
    length: Option<u64>,
) -> String {
    let authorization =
        authorization.map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
    let length = length.map_or_else(String::new, |length| format!("Content-Length: {length}\r\n"));
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}{length}{headers}\r\n")
}

/// The head at the start of these bytes and how long it is, if it is all there.
pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end])?;
    let status = text.get(9..12).ok_or("a status line is too short")?.parse()?;
    let mut head = Head { status, length: None, chunked: false, location: None };
    for line in text.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = Some(value.parse()?),
            "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
            "location" => head.location = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(Some((head, end + 4)))
}
