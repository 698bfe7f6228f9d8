//! Reading blobs, a large chunk at a time and only when the client takes it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::digest::Digest;
use crate::fs::At as _;
use crate::registry::store::{BlobStream, ChunkSource, StoreError};

/// How much is read at a time, in bytes: few calls, and little to hold for
/// each of many clients.
const CHUNK: u64 = 256 * 1024;

/// A stream of `length` bytes of an open file from `start` on.
pub(super) fn stream(
    mut file: File,
    path: &Path,
    digest: &Digest,
    start: u64,
    length: u64,
) -> Result<BlobStream, StoreError> {
    file.seek(SeekFrom::Start(start)).at("read", path)?;
    let source = FileSource {
        path: path.to_owned(),
        digest: digest.clone(),
        left: length,
        state: State::Idle(file),
    };
    Ok(BlobStream::new(length, source))
}

/// No thread waits for a slow client: each chunk is a task of its own.
struct FileSource {
    path: PathBuf,
    digest: Digest,
    left: u64,
    state: State,
}

enum State {
    Idle(File),
    Reading(JoinHandle<(File, io::Result<Vec<u8>>)>),
    Over,
}

impl FileSource {
    fn finish(&mut self, result: io::Result<Vec<u8>>, wanted: u64) -> Result<Bytes, StoreError> {
        let bytes = result.at("read", &self.path)?;
        if bytes.len() as u64 != wanted {
            let what = format!("{} ends {} bytes early", self.path.display(), self.left);
            return Err(StoreError::Damaged { digest: self.digest.clone(), what });
        }
        self.left -= wanted;
        Ok(Bytes::from(bytes))
    }
}

impl ChunkSource for FileSource {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StoreError>>> {
        let wanted = self.left.min(CHUNK);
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Idle(_) if wanted == 0 => return Poll::Ready(None),
                State::Idle(file) => {
                    self.state = State::Reading(tokio::task::spawn_blocking(move || {
                        let mut bytes = Vec::new();
                        bytes.reserve_exact(usize::try_from(wanted).unwrap_or_default());
                        let read = (&file).take(wanted).read_to_end(&mut bytes);
                        (file, read.map(|_| bytes))
                    }));
                }
                State::Reading(mut task) => match Pin::new(&mut task).poll(cx) {
                    Poll::Pending => {
                        self.state = State::Reading(task);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    Poll::Ready(Ok((file, result))) => {
                        let chunk = self.finish(result, wanted);
                        if chunk.is_ok() {
                            self.state = State::Idle(file);
                        }
                        return Poll::Ready(Some(chunk));
                    }
                },
            }
        }
    }
}
