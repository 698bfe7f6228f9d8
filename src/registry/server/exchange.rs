//! One request and its answer, as the connection sees them: the bytes of both
//! bodies are counted, and the connection is busy until the last of them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response, Version};
use hyper::body::{Frame, Incoming, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tower::ServiceExt as _;

use super::roster::{Busy, Member};
use super::trace::OpenSpan;
use crate::registry::http::base_url::Connection;
use crate::registry::http::handoff::Handoff;
use crate::registry::metrics::{Level, Metrics};

/// The largest piece of a body over HTTP/2. The library takes a piece as soon as
/// the client has room for one byte of it; the smaller they are, the better is
/// known whether the client goes on.
const PIECE: usize = 64 * 1024;

/// What the requests of one connection have in common.
pub struct Exchange {
    /// The application.
    pub app: Router,
    /// The connection's ends.
    pub connection: Connection,
    /// Its entry among the others.
    pub member: Arc<Member>,
    /// Where parts of files go that the connection sends itself.
    pub handoff: Option<Handoff>,
    /// What is counted.
    pub metrics: Metrics,
}

impl Exchange {
    /// Has the application answer a request.
    pub fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Counted<Body>>, Infallible>> + use<> {
        let multiplexed = request.version() >= Version::HTTP_2;
        let during = During {
            busy: self.member.busy(!multiplexed),
            _in_flight: self.metrics.http.request(),
            _span: None,
        };
        request.extensions_mut().insert(self.connection);
        if let Some(handoff) = &self.handoff {
            request.extensions_mut().insert(handoff.clone());
        }
        // Most requests have no body, and no need of this.
        if !request.body().is_end_stream() {
            request.extensions_mut().insert(self.member.waiting());
        }
        let received = self.metrics.http.received().clone();
        let sent = self.metrics.http.sent().clone();
        let app = self.app.clone();
        async move {
            let count = |body| Body::new(Counted::new(body, received, usize::MAX, None));
            let mut response: Response<Body> = app.oneshot(request.map(count)).await?;
            let mut during = During { _span: response.extensions_mut().remove(), ..during };
            during.busy.went_on();
            let piece = if multiplexed { PIECE } else { usize::MAX };
            Ok(response.map(|body| Counted::new(body, sent, piece, Some(during))))
        }
    }
}

/// What holds as long as a request is being answered.
struct During {
    busy: Busy,
    _in_flight: Level,
    _span: Option<OpenSpan>,
}

/// A body whose bytes are counted.
pub struct Counted<B> {
    body: B,
    bytes: Counter,
    /// The largest piece that is given away.
    piece: usize,
    /// What is left of a larger one.
    rest: Bytes,
    during: Option<During>,
}

impl<B> Counted<B> {
    fn new(body: B, bytes: Counter, piece: usize, during: Option<During>) -> Self {
        Self { body, bytes, piece, rest: Bytes::new(), during }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
                if let Some(during) = &mut this.during {
                    during.busy.held_up();
                }
                return Poll::Pending;
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(Err(no_data))) => return Poll::Ready(Some(Ok(no_data))),
                Some(Ok(Ok(data))) => this.rest = data,
            }
        }
        let data = this.rest.split_to(this.rest.len().min(this.piece));
        this.bytes.inc_by(data.len() as u64);
        if let Some(during) = &mut this.during {
            during.busy.went_on();
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        // The larger one first: a lower bound above the upper one is refused.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
