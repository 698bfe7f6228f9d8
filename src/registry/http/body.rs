//! Bodies in both directions.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::call::Call;
use super::handoff::Handoff;
use crate::registry::bodies::Part;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::service::Limits;
use crate::registry::store::{BlobStream, Piece, Store, StoreError};

/// A blob as a response body. Its length is known; when the store fails half
/// way the connection is cut, so that no client takes a part for the whole.
pub(super) struct BlobBody {
    stream: BlobStream,
    left: u64,
    /// Where the connection can send parts of files.
    handoff: Option<Handoff>,
}

impl BlobBody {
    pub(super) fn new(stream: BlobStream, handoff: Option<Handoff>) -> Self {
        Self { left: stream.length(), stream, handoff }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        let Some(handoff) = &self.handoff else { return self.stream.poll_chunk(cx) };
        self.stream.poll_piece(cx).map(|piece| {
            Some(piece?.and_then(|piece| match piece {
                Piece::Bytes(bytes) => Ok(bytes),
                Piece::File(piece) => {
                    let damaged = |error: std::io::Error| StoreError::Damaged {
                        digest: piece.blob.digest.clone(),
                        what: error.to_string(),
                    };
                    handoff.put(piece.clone()).map_err(damaged)
                }
            }))
        })
    }
}

impl hyper::body::Body for BlobBody {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.poll_bytes(cx).map(|chunk| {
            let chunk = chunk?;
            match &chunk {
                Ok(bytes) => self.left = self.left.saturating_sub(bytes.len() as u64),
                Err(error) => tracing::error!(%error, "a blob broke off on its way out"),
            }
            Some(chunk.map(Frame::data))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// How much of a manifest is taken in before there is room for it: nearly all
/// are smaller, and wait for nobody.
const SMALL: usize = 16 * 1024;

/// From how many bytes on manifests are read one after the other.
const LARGE: usize = 256 * 1024;

/// How long whoever has room for a manifest may take in any case.
const IN_ANY_CASE: Duration = Duration::from_secs(10);

/// How many bytes of it come in a second at least beyond that.
const LARGE_RATE: usize = 64 * 1024;

/// The body of a request as it arrives. A client that vanished without a word,
/// or that sends next to nothing, must not hold what others wait for.
pub(super) struct Arriving {
    body: Body,
    window: Duration,
    /// The bytes that must come in a window.
    least: u64,
    /// How long this window has been waited for the client, and what came.
    waited: Duration,
    came: u64,
}

impl Arriving {
    pub(super) fn new(body: Body, limits: &Limits) -> Self {
        let window = limits.body_window;
        let least = limits.body_rate.saturating_mul(window.as_secs()).max(1);
        Self { body, window, least, waited: Duration::ZERO, came: 0 }
    }

    /// The next bytes of the request; `None` at its end. Only the time that is
    /// spent here counts: that the disk is slow is no fault of the client.
    ///
    /// # Errors
    /// Where the connection was cut, the body is malformed, or too little of
    /// it came.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            let begun = Instant::now();
            let left = self.window.saturating_sub(self.waited);
            let frame = tokio::time::timeout(left, self.body.frame()).await;
            self.waited += begun.elapsed();
            let bytes = match frame {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame.into_data().ok(),
                Ok(Some(Err(error))) => return Err(cut(error)),
                Err(_) => None,
            };
            self.came += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
            if self.waited >= self.window {
                if self.came < self.least {
                    return Err(self.too_slow());
                }
                (self.waited, self.came) = (Duration::ZERO, 0);
            }
            if bytes.is_some() {
                return Ok(bytes);
            }
        }
    }

    fn too_slow(&self) -> RegistryError {
        let (least, seconds) = (self.least, self.window.as_secs());
        let message = format!("less than {least} bytes of the body came in {seconds} seconds");
        RegistryError::new(ErrorCode::BlobUploadInvalid, message).with_status(408)
    }
}

fn cut(error: axum::Error) -> RegistryError {
    RegistryError::new(ErrorCode::BlobUploadInvalid, "the request ended before its body did")
        .with_source(error)
}

/// A manifest of a request, with the room that it takes.
pub(super) struct Collected {
    pub(super) bytes: Bytes,
    pub(super) room: Option<Part>,
    /// Whose turn it is to be read, where it is large.
    pub(super) turn: Option<OwnedSemaphorePermit>,
}

/// A whole body, which is a manifest.
///
/// # Errors
/// `SIZE_INVALID` with 413 where it is larger than the limit, and as
/// [`Arriving::next`] and [`Room::take`](crate::registry::bodies::Room::take).
pub(super) async fn manifest<S: Store>(
    call: &Call<S>,
    body: Body,
) -> Result<Collected, RegistryError> {
    let limit = call.registry.limits.manifest_bytes;
    let announced = call.header(&CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let room = async |bytes| call.registry.room().take(call.client(), bytes).await;
    let mut arriving = call.arriving(body);
    let (mut all, mut part) = (Vec::new(), None);
    let mut patience = Duration::MAX;
    if let Some(length) = announced.filter(|length| *length > SMALL) {
        part = Some(room(length).await?);
        patience = large(length);
        all.reserve_exact(length);
    }
    let mut waited = Duration::ZERO;
    loop {
        let begun = Instant::now();
        let next = tokio::time::timeout(patience.saturating_sub(waited), arriving.next()).await;
        let Some(bytes) = next.map_err(|_| too_long())?? else { break };
        if part.is_some() {
            waited += begun.elapsed();
        }
        let length = all.len() + bytes.len();
        if length > limit {
            return Err(too_large(limit));
        }
        if part.is_none() && length > SMALL {
            part = Some(room(limit).await?);
            patience = large(limit);
        }
        all.extend_from_slice(&bytes);
    }
    let turn = match &part {
        Some(part) if all.len() > LARGE => Some(part.turn().await?),
        _ => None,
    };
    Ok(Collected { bytes: all.into(), room: part, turn })
}

/// How long a large manifest may take: others wait for its room.
fn large(bytes: usize) -> Duration {
    IN_ANY_CASE + Duration::from_secs((bytes / LARGE_RATE) as u64)
}

fn too_long() -> RegistryError {
    let message = format!("a large manifest has to come with {LARGE_RATE} bytes a second");
    RegistryError::new(ErrorCode::ManifestInvalid, message).with_status(408)
}

/// A manifest of more than `limit` bytes.
fn too_large(limit: usize) -> RegistryError {
    let message = format!("a manifest has at most {limit} bytes here");
    RegistryError::new(ErrorCode::SizeInvalid, message).with_status(413)
}
