use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::sendfile::FileStream;
use super::tls::TlsSwitch;
use crate::registry::http::base_url::Connection;
use crate::registry::http::handoff::Handoff;

/// How long a client may take to say its first words: the TLS handshake, the
/// protocol, the head of a request. A kept-alive connection which says nothing
/// for as long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a client over HTTP/2 is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest head of a request over HTTP/2, in bytes.
const MAX_HEAD: u32 = 64 * 1024;
/// The read buffer over HTTP/1 and so the largest head, in bytes.
const MAX_BUFFER: usize = 128 * 1024;

/// What every connection is served with.
pub struct Serving {
    /// The application.
    pub app: Router,
    /// Plain HTTP where there is none.
    pub tls: Option<TlsSwitch>,
    /// Cancelled when the server stops: who has not said anything by then is
    /// not waited for.
    pub stopping: CancellationToken,
}

impl Serving {
    /// Serves one connection to its end. What goes wrong is the client's
    /// affair and a line in the debug log.
    pub async fn serve(&self, stream: TcpStream, connection: Connection, watcher: Watcher) {
        if let Err(error) = self.try_serve(stream, connection, watcher).await {
            tracing::debug!(peer = %connection.peer, %error, "connection ended early");
        }
    }

    async fn try_serve(
        &self,
        stream: TcpStream,
        connection: Connection,
        watcher: Watcher,
    ) -> Result<(), Ended> {
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let protocol = self.opening(sniff(&stream)).await?;
            // HTTP/2 cuts bodies into frames, which is no work for the system.
            return match protocol {
                Protocol::Http1 => {
                    let handoff = Handoff::default();
                    let stream = FileStream::new(stream, handoff.clone());
                    self.http(stream, protocol, connection, Some(handoff), watcher).await
                }
                Protocol::Http2 => self.http(stream, protocol, connection, None, watcher).await,
            };
        };
        let acceptor = TlsAcceptor::from(tls.current());
        let stream = self.opening(acceptor.accept(stream)).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        self.http(stream, protocol, connection, None, watcher).await
    }

    /// Waits for the first words of a client, within their time and only as
    /// long as the server is not about to stop.
    async fn opening<T>(&self, first: impl Future<Output = io::Result<T>>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Ended::Stopping),
            opened = tokio::time::timeout(HEAD_TIMEOUT, first) => {
                Ok(opened.map_err(|_| Ended::Silent)??)
            }
        }
    }

    async fn http<S>(
        &self,
        stream: S,
        protocol: Protocol,
        connection: Connection,
        handoff: Option<Handoff>,
        watcher: Watcher,
    ) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let app = self.app.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection);
            if let Some(handoff) = &handoff {
                request.extensions_mut().insert(handoff.clone());
            }
            app.clone().oneshot(request.map(Body::new))
        });
        let builder = builder(protocol);
        let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        watcher.watch(served).await.map_err(Ended::Http)
    }
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// How a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the client said nothing for {} seconds", HEAD_TIMEOUT.as_secs())]
    Silent,
    #[error("the server stops")]
    Stopping,
    #[error(transparent)]
    Http(Box<dyn std::error::Error + Send + Sync>),
}

/// Tells HTTP/2 with prior knowledge from HTTP/1 by its first three bytes,
/// `PRI` (RFC 9113, section 3.4): no method that the registry has begins so.
/// The bytes stay where they are.
async fn sniff(stream: &TcpStream) -> io::Result<Protocol> {
    const PREFACE: &[u8] = b"PRI";
    let mut start = [0; PREFACE.len()];
    loop {
        let count = stream.peek(&mut start).await?;
        let seen = start.get(..count).unwrap_or_default();
        if seen == PREFACE {
            return Ok(Protocol::Http2);
        }
        // Nothing at all is a connection that was closed again.
        if seen.is_empty() || !PREFACE.starts_with(seen) {
            return Ok(Protocol::Http1);
        }
        // A peek at the same one or two bytes returns at once.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn builder(protocol: Protocol) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    }
}
