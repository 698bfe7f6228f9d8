//! A connection that has the system send parts of files, from the memory that
//! it keeps of them straight to the network.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::registry::http::handoff::{Handoff, is_placeholder};
use crate::registry::store::FilePiece;

/// A TCP connection that sends what the [`Handoff`]'s placeholders stand for.
pub struct FileStream {
    stream: TcpStream,
    handoff: Handoff,
}

impl FileStream {
    /// Sends the parts that are put into this handoff.
    pub fn new(stream: TcpStream, handoff: Handoff) -> Self {
        Self { stream, handoff }
    }

    /// Tries until the connection takes something or has to be waited for.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let sent = self.stream.try_io(Interest::WRITABLE, || Ok(attempt()?));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn poll_send_file(&self, cx: &mut Context<'_>, piece: &FilePiece) -> Poll<io::Result<usize>> {
        let file = &piece.blob.file;
        let sent = ready!(self.poll_send(cx, || {
            let mut offset = piece.offset;
            rustix::fs::sendfile(&self.stream, file, Some(&mut offset), piece.length)
        }));
        let digest = &piece.blob.digest;
        Poll::Ready(match sent {
            // The file got shorter since it was opened: the client must not
            // take what it has for the whole, so the connection ends here.
            Ok(0) => {
                tracing::error!(%digest, offset = piece.offset, "a blob ended early on its way out");
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                self.handoff.advance(count);
                Ok(count)
            }
            Err(error) => {
                if error.raw_os_error() == Some(Errno::IO.raw_os_error()) {
                    tracing::error!(%digest, %error, "a blob broke off on its way out");
                }
                Err(error)
            }
        })
    }
}

impl AsyncRead for FileStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for FileStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.handoff.part(bytes) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(Some(piece)) => self.poll_send_file(cx, &piece),
            Ok(None) => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    /// Sends what comes before the first placeholder, or the part that it
    /// stands for.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let from = slices.iter().position(|slice| !slice.is_empty()).unwrap_or(slices.len());
        let slices = slices.get(from..).unwrap_or_default();
        let end = slices.iter().position(|slice| is_placeholder(slice)).unwrap_or(slices.len());
        match slices.get(..end).unwrap_or_default() {
            [] => match slices.first() {
                Some(first) => self.poll_write(cx, first),
                None => Poll::Ready(Ok(0)),
            },
            // A head before a file: one packet holds both.
            [head] if end < slices.len() => self
                .poll_send(cx, || send(&self.stream, head, SendFlags::MORE | SendFlags::NOSIGNAL)),
            before => Pin::new(&mut self.stream).poll_write_vectored(cx, before),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
