//! An end that arrives: where a client over HTTP/2 reads the last of an answer it
//! still says how much it has read. A socket that is closed before it took that in
//! resets the connection, and what the client has not read is lost to it. So what
//! still comes is read and dropped, until the client closes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a client may say nothing that reads to its end.
const SILENCE: Duration = Duration::from_secs(2);
/// How long it may take in all.
const MOST: Duration = Duration::from_secs(30);

/// The time after the last byte was written.
pub struct Linger {
    over: Instant,
    silent: Pin<Box<Sleep>>,
}

impl Linger {
    /// Begins now.
    pub fn begin() -> Self {
        Self { over: Instant::now() + MOST, silent: Box::pin(sleep(SILENCE)) }
    }

    /// Ready when the client has closed, or had its time.
    pub fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let mut space = [0; 1024];
        while self.silent.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            self.silent.as_mut().reset((Instant::now() + SILENCE).min(self.over));
        }
        Poll::Ready(())
    }
}
