//! Spans on their way to a collector: OTLP over HTTP with JSON, from a thread
//! of its own. A request hands its span over and never waits: what comes
//! faster than the collector takes it is dropped and counted.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::ServerError;
use super::trace::Span;
use crate::registry::metrics::TraceMetrics;

/// Spans that wait for the thread.
const QUEUE: usize = 4096;
/// Spans of one request to the collector.
const BATCH: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take for a request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of the server waits for the last spans.
const FLUSH: Duration = Duration::from_secs(3);
/// How often the log says that the collector can't be reached.
const COMPLAINT: Duration = Duration::from_mins(1);

enum Message {
    Span(Box<Span>),
    Flush(oneshot::Sender<()>),
}

/// Hands spans to the thread that sends them.
pub struct Exporter {
    queue: SyncSender<Message>,
    metrics: TraceMetrics,
}

impl Exporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`ServerError::System`] when the system gives no thread.
    pub fn start(endpoint: &str, metrics: TraceMetrics) -> Result<Self, ServerError> {
        let (queue, messages) = sync_channel(QUEUE);
        let mut sender = Sender {
            agent: agent(endpoint),
            url: format!("{endpoint}/v1/traces"),
            metrics: metrics.clone(),
            complained: None,
        };
        std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || sender.run(&messages))
            .map_err(|source| ServerError::System { step: "start a thread", source })?;
        Ok(Self { queue, metrics })
    }

    /// Hands a span over, or drops it where there are too many.
    pub fn send(&self, span: Span) {
        if self.queue.try_send(Message::Span(Box::new(span))).is_err() {
            self.metrics.dropped(1);
        }
    }

    /// Waits until what was handed over has been sent, or for a few seconds.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(FLUSH, wait).await;
        }
    }
}

/// What speaks to the collector. It believes the authorities that the system
/// believes; those are read only where they are needed.
fn agent(endpoint: &str) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0);
    if endpoint.starts_with("https:") {
        let found = rustls_native_certs::load_native_certs().certs;
        let roots = found.iter().map(|root| Certificate::from_der(root).to_owned());
        let tls =
            TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots.collect::<Vec<_>>()));
        config = config.tls_config(tls.build());
    }
    config.build().new_agent()
}

/// The thread's half.
struct Sender {
    agent: ureq::Agent,
    url: String,
    metrics: TraceMetrics,
    complained: Option<Instant>,
}

impl Sender {
    /// Sends until nobody hands anything over any more.
    fn run(&mut self, messages: &Receiver<Message>) {
        let mut batch = Vec::new();
        let mut due = Instant::now();
        loop {
            let wait = if batch.is_empty() {
                messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                messages.recv_timeout(due.saturating_duration_since(Instant::now()))
            };
            let flush = match wait {
                Ok(Message::Span(span)) => {
                    if batch.is_empty() {
                        due = Instant::now() + DELAY;
                    }
                    batch.push(*span);
                    if batch.len() < BATCH {
                        continue;
                    }
                    None
                }
                Ok(Message::Flush(done)) => Some(done),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    self.post(&batch);
                    return;
                }
            };
            self.post(&batch);
            batch.clear();
            if let Some(done) = flush {
                // Who asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn post(&mut self, batch: &[Span]) {
        if batch.is_empty() {
            return;
        }
        let body = request(batch).to_string();
        let sent = self.agent.post(&self.url).content_type("application/json").send(body);
        match sent {
            Ok(_) => self.metrics.exported(batch.len()),
            Err(error) => {
                self.metrics.dropped(batch.len());
                if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT) {
                    tracing::warn!(%error, spans = batch.len(), "the collector of traces took nothing");
                    self.complained = Some(Instant::now());
                }
            }
        }
    }
}

/// `ExportTraceServiceRequest` as the protocol writes it in JSON: ids in
/// hexadecimal, 64-bit numbers as text.
fn request(batch: &[Span]) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", "warren-registry"),
            text("service.version", env!("WARREN_VERSION")),
        ]},
        "scopeSpans": [{
            "scope": {"name": "warren-registry"},
            "spans": batch.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(span: &Span) -> Value {
    const SERVER: u8 = 2;
    const ERROR: u8 = 2;
    let mut attributes = vec![
        text("http.request.method", span.method.name()),
        text("url.path", &span.path),
        text("warren.operation", span.operation.name()),
        text("warren.request_id", &span.request_id),
        json!({"key": "http.response.status_code",
               "value": {"intValue": span.status.to_string()}}),
    ];
    attributes.extend(span.peer.as_deref().map(|peer| text("client.address", peer)));
    attributes.extend(span.user.as_deref().map(|user| text("user.name", user)));
    let mut value = json!({
        "traceId": format!("{:032x}", span.context.trace),
        "spanId": format!("{:016x}", span.id),
        "name": format!("{} {}", span.method.name(), span.operation.name()),
        "kind": SERVER,
        "startTimeUnixNano": nanoseconds(span.start),
        "endTimeUnixNano": nanoseconds(span.end),
        "attributes": attributes,
        "status": if span.status >= 500 { json!({"code": ERROR}) } else { json!({}) },
    });
    if let (Some(parent), Some(fields)) = (span.context.parent, value.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), format!("{parent:016x}").into());
    }
    value
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}
