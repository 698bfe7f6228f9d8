use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{AuthFailure, Closed, Level, Method, Operation, Outcome, StatusClass};

/// Upper bounds of latencies in seconds: a manifest from the page cache takes
/// less than the first, a large push more than the last.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: Operation,
    method: Method,
    status: StatusClass,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: Operation,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    reason: AuthFailure,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClosedLabels {
    reason: Closed,
}

/// What clients do and what they get.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<OperationLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    uploads: Gauge,
    uploads_refused: Counter,
    received: Counter,
    sent: Counter,
    connections: Gauge,
    accepted: Counter,
    closed: Family<ClosedLabels, Counter>,
    handshakes: Family<OutcomeLabels, Counter>,
    auth_failures: Family<FailureLabels, Counter>,
}

impl HttpMetrics {
    /// Registers everything; counters that have labels appear with their first
    /// event, except those that alerts compare with nothing.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let new = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Gauge::default(),
            uploads: Gauge::default(),
            uploads_refused: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            closed: Family::default(),
            handshakes: Family::default(),
            auth_failures: Family::default(),
        };
        for reason in AuthFailure::ALL {
            let _ = new.auth_failures.get_or_create(&FailureLabels { reason: *reason });
        }
        for reason in Closed::ALL {
            let _ = new.closed.get_or_create(&ClosedLabels { reason: *reason });
        }
        for outcome in Outcome::ALL {
            let _ = new.handshakes.get_or_create(&OutcomeLabels { outcome: *outcome });
        }
        new.register(registry);
        new
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "http_request_seconds",
            "Time from a request's head to that of its answer",
            self.seconds.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests whose answer has not been sent whole",
            self.in_flight.clone(),
        );
        registry.register("uploads_in_flight", "Requests that bring a blob", self.uploads.clone());
        registry.register(
            "uploads_refused",
            "Uploads refused because too many were under way",
            self.uploads_refused.clone(),
        );
        registry.register(
            "http_received_bytes",
            "Bytes of requests' bodies",
            self.received.clone(),
        );
        registry.register("http_sent_bytes", "Bytes of answers' bodies", self.sent.clone());
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("connections_accepted", "Connections taken", self.accepted.clone());
        registry.register(
            "connections_closed_early",
            "Connections that the server ended, by reason",
            self.closed.clone(),
        );
        registry.register(
            "tls_handshakes",
            "TLS handshakes by their outcome",
            self.handshakes.clone(),
        );
        registry.register(
            "auth_failures",
            "Requests whose credentials did not suffice; a first challenge is none",
            self.auth_failures.clone(),
        );
    }
}

impl HttpMetrics {
    /// A request is there; it counts as in flight until the guard goes.
    #[must_use]
    pub fn request(&self) -> Level {
        Level::up(&self.in_flight)
    }

    /// The head of the answer to a request is there.
    pub fn answered(&self, operation: Operation, method: Method, status: u16, after: Duration) {
        let labels = RequestLabels { operation, method, status: StatusClass::of(status) };
        self.requests.get_or_create(&labels).inc();
        self.seconds.get_or_create(&OperationLabels { operation }).observe(after.as_secs_f64());
    }

    /// A request that brings a blob has begun; it counts until the guard goes.
    #[must_use]
    pub fn upload(&self) -> Level {
        Level::up(&self.uploads)
    }

    /// An upload was refused because there were too many.
    pub fn upload_refused(&self) {
        self.uploads_refused.inc();
    }

    /// Counts the bytes of requests' bodies.
    #[must_use]
    pub fn received(&self) -> &Counter {
        &self.received
    }

    /// Counts the bytes of answers' bodies. Whoever sends some past the
    /// application says so here.
    #[must_use]
    pub fn sent(&self) -> &Counter {
        &self.sent
    }

    /// A connection is there; it counts as open until the guard goes.
    #[must_use]
    pub fn connection(&self) -> Level {
        self.accepted.inc();
        Level::up(&self.connections)
    }

    /// The server ended a connection.
    pub fn closed(&self, reason: Closed) {
        self.closed.get_or_create(&ClosedLabels { reason }).inc();
    }

    /// A TLS handshake is over.
    pub fn handshake(&self, outcome: Outcome) {
        self.handshakes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Someone was not let in.
    pub fn auth_failure(&self, reason: AuthFailure) {
        self.auth_failures.get_or_create(&FailureLabels { reason }).inc();
    }
}
