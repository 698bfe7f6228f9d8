//! One request and its answer, as the connection sees them: the head is not
//! too large, the bytes of both bodies are counted, and the connection is busy
//! until the last of them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use axum::response::IntoResponse as _;
use hyper::body::{Frame, Incoming, SizeHint};
use prometheus_client::metrics::counter::Counter;
use tower::ServiceExt as _;

use super::roster::{Busy, Member};
use super::trace::OpenSpan;
use crate::registry::http::base_url::Connection;
use crate::registry::http::handoff::Handoff;
use crate::registry::metrics::{Level, Metrics};

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
    /// The largest head of a request, in bytes.
    pub max_head: usize,
}

impl Exchange {
    /// Has the application answer a request.
    pub fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Counted<Body>>, Infallible>> + use<> {
        let during = During {
            _busy: self.member.busy(request.version() < Version::HTTP_2),
            _in_flight: self.metrics.http.request(),
            _span: None,
        };
        let too_large = head_size(request.uri(), request.headers()) > self.max_head;
        request.extensions_mut().insert(self.connection);
        if let Some(handoff) = &self.handoff {
            request.extensions_mut().insert(handoff.clone());
        }
        let received = self.metrics.http.received().clone();
        let sent = self.metrics.http.sent().clone();
        let app = (!too_large).then(|| self.app.clone());
        async move {
            let response = match app {
                None => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response(),
                Some(app) => {
                    let count =
                        |body| Body::new(Counted { body, bytes: received.clone(), _during: None });
                    app.oneshot(request.map(count)).await?
                }
            };
            let mut response: Response<Body> = response;
            let during = During { _span: response.extensions_mut().remove(), ..during };
            Ok(response.map(|body| Counted { body, bytes: sent, _during: Some(during) }))
        }
    }
}

/// What HTTP/2 counts (RFC 9113, 10.5.1), also over HTTP/1.
fn head_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    path + fields.sum::<usize>()
}

/// What holds as long as a request is being answered.
struct During {
    _busy: Busy,
    _in_flight: Level,
    _span: Option<OpenSpan>,
}

/// A body whose bytes are counted.
pub struct Counted<B> {
    body: B,
    bytes: Counter,
    _during: Option<During>,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.bytes.inc_by(data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
