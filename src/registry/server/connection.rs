use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::exchange::Exchange;
use super::roster::{Member, Patience, Roster};
use super::sendfile::FileStream;
use super::tls::TlsSwitch;
use super::watched::Watched;
use super::windows::{Window, Windows};
use crate::registry::http::base_url::Connection;
use crate::registry::http::handoff::Handoff;
use crate::registry::metrics::{Closed, Method, Metrics, Operation, Outcome};
use crate::registry::service::Limits;
use crate::registry::settings::Settings;

/// How often a client over HTTP/2 is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The read buffer over HTTP/1, in bytes: bodies come in pieces as large. A head
/// must fit in as well, whose limit is lower.
const MAX_BUFFER: usize = 128 * 1024;
/// How many bytes above its limit a head is still read whole, so that we refuse
/// it ourselves and write that down; what is larger the HTTP library refuses
/// before all of it is there. It leaves room for what one version of HTTP counts
/// and the other doesn't.
const HEAD_MARGIN: usize = 4 * 1024;

/// What every connection is served with.
pub struct Serving {
    /// The application.
    pub app: Router,
    /// Plain HTTP where there is none.
    pub tls: Option<Arc<TlsSwitch>>,
    /// Cancelled when the server stops: who has not said anything by then is
    /// not waited for.
    pub stopping: CancellationToken,
    /// Who is connected.
    pub roster: Arc<Roster>,
    /// What is counted.
    pub metrics: Metrics,
    /// The largest head of a request, in bytes.
    pub max_head: usize,
    /// What may come over HTTP/2 before it is read.
    pub windows: Arc<Windows>,
}

impl Serving {
    /// Serves an application as the settings say.
    pub fn new(
        app: Router,
        tls: Option<Arc<TlsSwitch>>,
        settings: &Settings,
        metrics: Metrics,
    ) -> Self {
        let operating = &settings.operating;
        let patience = Patience {
            head: operating.head_timeout.value,
            idle: operating.idle_timeout.value,
            rate: operating.min_body_rate.value,
            window: Limits::default().body_window,
        };
        Self {
            app,
            tls,
            stopping: CancellationToken::new(),
            roster: Arc::new(Roster::new(patience, metrics.clone())),
            metrics,
            max_head: operating.max_head_size.value,
            windows: Arc::default(),
        }
    }

    /// Serves one connection to its end. What goes wrong is the client's
    /// affair and a line in the debug log.
    pub async fn serve(&self, stream: TcpStream, connection: Connection, watcher: Watcher) {
        let _open = self.metrics.http.connection();
        let member = Arc::new(self.roster.enter());
        let served = tokio::select! {
            served = self.try_serve(stream, connection, &member, watcher) => served,
            () = member.ended() => Err(Ended::Closed),
        };
        if let Err(error) = served {
            tracing::debug!(peer = %connection.peer, %error, "connection ended early");
            match error {
                Ended::Silent => self.metrics.http.closed(Closed::Idle),
                Ended::Io(_) => self.metrics.http.closed(Closed::Broken),
                Ended::Http(error) => {
                    if error.is_parse_too_large() {
                        self.refused_unread(connection);
                    }
                    self.metrics.http.closed(Closed::Broken);
                }
                Ended::Stopping | Ended::Closed => {}
            }
        }
    }

    /// Writes down that the HTTP library refused a head that was too large to be
    /// read: nobody else sees that request.
    fn refused_unread(&self, connection: Connection) {
        let (operation, method) = (Operation::Other, Method::Other);
        self.metrics.http.answered(operation, method, 431, Duration::ZERO);
        tracing::info!(peer = %connection.peer, "the head of a request was too large to be read");
    }

    async fn try_serve(
        &self,
        stream: TcpStream,
        connection: Connection,
        member: &Arc<Member>,
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
                    let exchange = self.exchange(connection, member, Some(handoff));
                    self.http(stream, protocol, exchange, watcher).await
                }
                Protocol::Http2 => {
                    let exchange = self.exchange(connection, member, None);
                    self.http(stream, protocol, exchange, watcher).await
                }
            };
        };
        let acceptor = TlsAcceptor::from(tls.current());
        let accepted = self.opening(acceptor.accept(stream)).await;
        let outcome = if accepted.is_ok() { Outcome::Ok } else { Outcome::Failed };
        self.metrics.http.handshake(outcome);
        let stream = accepted?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Protocol::Http2,
            _ => Protocol::Http1,
        };
        let exchange = self.exchange(connection, member, None);
        self.http(stream, protocol, exchange, watcher).await
    }

    /// What the requests of a connection have in common.
    fn exchange(
        &self,
        connection: Connection,
        member: &Arc<Member>,
        handoff: Option<Handoff>,
    ) -> Exchange {
        Exchange {
            app: self.app.clone(),
            connection,
            member: Arc::clone(member),
            handoff,
            metrics: self.metrics.clone(),
        }
    }

    /// Waits for the first words of a client, within their time and only as
    /// long as the server is not about to stop.
    async fn opening<T>(&self, first: impl Future<Output = io::Result<T>>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => Err(Ended::Stopping),
            opened = tokio::time::timeout(self.roster.patience().head, first) => {
                Ok(opened.map_err(|_| Ended::Silent)??)
            }
        }
    }

    async fn http<S>(
        &self,
        stream: S,
        protocol: Protocol,
        exchange: Exchange,
        watcher: Watcher,
    ) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream =
            Watched::new(stream, Arc::clone(&exchange.member), protocol == Protocol::Http1);
        let stream = TokioIo::new(stream);
        let service = hyper::service::service_fn(move |request| exchange.answer(request));
        let largest = self.max_head + HEAD_MARGIN;
        let served = match protocol {
            Protocol::Http1 => {
                let served = http1_builder(largest).serve_connection(stream, service);
                watcher.watch(served).await
            }
            Protocol::Http2 => {
                let window = self.windows.open();
                let served = http2_builder(largest, &window).serve_connection(stream, service);
                watcher.watch(served).await
            }
        };
        served.map_err(Ended::Http)
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
    #[error("the client did not say its first words in time")]
    Silent,
    #[error("it did nothing for too long, or made room for another one")]
    Closed,
    #[error("the server stops")]
    Stopping,
    #[error(transparent)]
    Http(hyper::Error),
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

/// Over HTTP/1, with heads of so many bytes at most.
fn http1_builder(max_head: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // The roster looks after silent clients. What hyper has for that would also
    // end a connection that is kept alive.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER)
        .max_header_size(max_head);
    builder
}

/// Over HTTP/2, with heads of so many bytes at most.
fn http2_builder(max_head: usize, window: &Window) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
        .max_concurrent_streams(window.streams())
        .initial_stream_window_size(window.stream())
        .initial_connection_window_size(window.connection());
    builder
}
