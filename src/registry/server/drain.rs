//! A refusal that arrives: a client that is still sending a body when the
//! answer comes would see a reset connection instead of the answer, so what it
//! still sends is read and dropped, up to a limit (RFC 9112, 9.6).

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};

use crate::registry::http::waiting::Waiting;

/// How much of a refused body is read.
const MOST_BYTES: usize = 8 << 20;
/// How long is waited for it.
const MOST_TIME: Duration = Duration::from_secs(2);

/// Reads the rest of the body of a request that was refused.
pub async fn drain(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who waits for a word to go on has sent nothing: reading would be that word.
    let waits = request.headers().contains_key(EXPECT);
    let waiting = request.extensions().get::<Waiting>().cloned();
    let mut rest = None;
    let request = request.map(|body| {
        let shared = Shared { body: Arc::new(Mutex::new(body)), polled: Arc::default() };
        rest = Some(shared.clone());
        Body::new(shared)
    });
    let response = next.run(request).await;
    if let Some(rest) = rest
        && response.status().as_u16() >= 400
        && (!waits || rest.polled.load(Ordering::Relaxed))
    {
        let _waits = waiting.as_ref().map(Waiting::begin);
        // Whatever comes of it, the answer is the one that is there.
        let _ = tokio::time::timeout(MOST_TIME, read_away(rest)).await;
    }
    response
}

async fn read_away(mut body: Shared) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST_BYTES {
            return;
        }
    }
}

/// A body that the handler reads, and of which something is left afterwards.
/// The two never read at the same time.
#[derive(Clone)]
struct Shared {
    body: Arc<Mutex<Body>>,
    polled: Arc<AtomicBool>,
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.polled.store(true, Ordering::Relaxed);
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(ready!(Pin::new(&mut *body).poll_frame(context)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
