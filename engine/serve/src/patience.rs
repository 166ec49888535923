//! How long the API waits for a client that has asked nothing yet.
//!
//! A connection takes a place, and nobody needs a credential to open one. Once HTTP/2 is spoken its
//! pings tell whether the other side lives; before that a client can hold its place by saying nothing
//! or half a word.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::connections::Connection;

/// How long a client may take for the steps up to its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To its first byte, and with TLS to the end of the handshake.
    pub handshake: Duration,
    /// From there to a whole head: of a request over HTTP/1.1, of the connection over HTTP/2.
    pub head: Duration,
    /// From there to its first request.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { handshake: Duration::from_secs(5), head: Duration::from_secs(10), idle: Duration::from_secs(60) }
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Handshake,
    Head,
    Request,
    /// It has asked: what follows has times of its own.
    Asked,
}

/// The client of a connection, as every request of it knows it.
#[derive(Debug, Clone, Default)]
pub struct Client {
    asked: Arc<AtomicBool>,
}

impl Client {
    /// Notes that it has asked.
    pub fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

/// A connection that ends when its client takes too long to ask for the first time.
#[derive(Debug)]
pub(crate) struct Awaited {
    connection: Connection,
    patience: Patience,
    /// Whether HTTP is spoken on it: from then on whatever is written answers a whole head.
    is_ready: AtomicBool,
    has_spoken: bool,
    is_answered: bool,
    client: Client,
    step: Step,
    /// When the step is given up.
    over: Option<Pin<Box<Sleep>>>,
}

impl Awaited {
    pub(crate) fn new(connection: Connection, patience: Patience) -> Self {
        Awaited {
            connection,
            patience,
            is_ready: AtomicBool::new(false),
            has_spoken: false,
            is_answered: false,
            client: Client::default(),
            step: Step::Handshake,
            over: None,
        }
    }

    fn step(&self) -> Step {
        if self.client.asked.load(Ordering::Relaxed) {
            Step::Asked
        } else if self.is_answered {
            Step::Request
        } else if self.has_spoken {
            Step::Head
        } else {
            Step::Handshake
        }
    }

    /// Whether the step takes too long; if not, it is looked at again when it does.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let step = self.step();
        let max = match step {
            Step::Handshake => self.patience.handshake,
            Step::Head => self.patience.head,
            Step::Request => self.patience.idle,
            Step::Asked => {
                self.over = None;
                return false;
            }
        };
        if step != self.step {
            (self.step, self.over) = (step, None);
        }
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(max)));
        over.as_mut().poll(cx).is_ready()
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) && self.is_ready.load(Ordering::Relaxed) {
            self.is_answered = true;
        }
    }
}

impl Connected for Awaited {
    type ConnectInfo = Client;

    /// Asked for once a handshake, where there is one, is over.
    fn connect_info(&self) -> Client {
        self.is_ready.store(true, Ordering::Relaxed);
        self.client.clone()
    }
}

impl AsyncRead for Awaited {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.connection).poll_read(cx, into);
        if read.is_ready() {
            self.has_spoken = true;
        } else if self.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Awaited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write_vectored(cx, bytes);
        self.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}
