use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::linger::Linger;
use super::roster::Member;

/// A stream that tells the roster when bytes come in, how many go out, and when
/// the client takes none of them; and that ends only when the client has what
/// was sent.
pub struct Watched<S> {
    stream: S,
    member: Arc<Member>,
    /// Whether bytes without a request begin one.
    heads: bool,
    /// Once everything was written.
    linger: Option<Linger>,
}

impl<S> Watched<S> {
    /// The stream of a connection; `heads` where each byte that comes between
    /// two requests belongs to the head of the next.
    pub fn new(stream: S, member: Arc<Member>, heads: bool) -> Self {
        Self { stream, member, heads, linger: None }
    }

    /// Passes on what came of a write.
    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = polled {
            self.member.sent(*count);
        }
        self.member.taken(polled.is_ready());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.heads && buffer.filled().len() > before {
            self.member.heard();
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.member.taken(polled.is_ready());
        // It is flushed only when everything has been written.
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.member.flushed();
        }
        polled
    }

    /// A client over HTTP/1 says nothing while it reads.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.heads {
            return Pin::new(&mut self.stream).poll_shutdown(context);
        }
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        let Self { stream, linger, .. } = &mut *self;
        linger.get_or_insert_with(Linger::begin).poll(stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::roster::{Patience, Roster};
    use super::*;
    use crate::registry::metrics::Metrics;

    #[tokio::test]
    async fn what_was_sent_arrives_although_the_client_still_speaks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = listener.accept().await.unwrap().0;
        let long = Duration::from_hours(1);
        let patience = Patience { head: long, idle: long, rate: 0, window: long };
        let roster = Arc::new(Roster::new(patience, Metrics::default()));
        let member = Arc::new(roster.enter());
        // More than the client has room for, and words of it that nobody reads.
        let mut sent = 0;
        stream.writable().await.unwrap();
        while let Ok(count) = stream.try_write(&vec![7; 1 << 16]) {
            sent += count;
        }
        client.write_all(b"frames").await.unwrap();
        let ended = tokio::spawn(async move {
            let mut stream = Watched::new(stream, member, false);
            stream.shutdown().await.unwrap();
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut read = vec![0; 1 << 16];
        let mut received = 0;
        loop {
            match client.read(&mut read).await.unwrap() {
                0 => break,
                count => received += count,
            }
            client.write_all(b"more").await.unwrap();
        }
        assert_eq!(received, sent);
        assert!(!ended.is_finished(), "the client has not closed yet");
        drop(client);
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
    }
}
