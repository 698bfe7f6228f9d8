//! Bodies in both directions.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};

use super::handoff::Handoff;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::store::{BlobStream, Piece, StoreError};

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

/// How long a client may send nothing of a body that it began.
const SILENCE: Duration = Duration::from_mins(1);

/// The next bytes of a request; `None` at its end.
///
/// # Errors
/// Where the connection was cut or the body is malformed.
pub(super) async fn next(body: &mut Body) -> Result<Option<Bytes>, RegistryError> {
    loop {
        // A client that vanished without a word must not hold its upload for ever.
        let Ok(frame) = tokio::time::timeout(SILENCE, body.frame()).await else {
            return Err(RegistryError::new(
                ErrorCode::BlobUploadInvalid,
                "nothing of the body came for a minute",
            )
            .with_status(408));
        };
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(error)) => {
                return Err(RegistryError::new(
                    ErrorCode::BlobUploadInvalid,
                    "the request ended before its body did",
                )
                .with_source(error));
            }
        }
    }
}

/// A whole body of at most `limit` bytes.
///
/// # Errors
/// `SIZE_INVALID` with 413 where it is larger, and as [`next`].
pub(super) async fn collect(mut body: Body, limit: usize) -> Result<Bytes, RegistryError> {
    let mut all = Vec::new();
    while let Some(bytes) = next(&mut body).await? {
        if all.len() + bytes.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&bytes);
    }
    Ok(all.into())
}

/// A manifest of more than `limit` bytes.
pub(super) fn too_large(limit: usize) -> RegistryError {
    let message = format!("a manifest has at most {limit} bytes here");
    RegistryError::new(ErrorCode::SizeInvalid, message).with_status(413)
}
