//! Connections within bounds: how many one peer and all of them may hold, how long they may be idle,
//! how long a head and a request may take. An error of accepting never ends the listening.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::metrics::CONNECTIONS_REFUSED;

/// Pause after an error of accepting, such as no free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// How long connections may go on after the stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// From one address.
    pub per_peer: usize,
    /// From all of them.
    pub total: usize,
}

/// What HTTP connections are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many there may be.
    pub places: Places,
    /// How long no request may be under way.
    pub idle: Duration,
    /// How long the head of a request may take from its first byte.
    pub head: Duration,
    /// How long a request may take from its head to its answer.
    pub request: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            places: Places { per_peer: 64, total: 1_024 },
            idle: Duration::from_secs(60),
            head: Duration::from_secs(10),
            request: Duration::from_secs(30),
        }
    }
}

/// A listener that gives connections as far as there are places.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    places: Places,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Listener {
    pub(crate) fn new(listener: TcpListener, places: Places) -> Self {
        Listener { listener, places, taken: Arc::default() }
    }

    /// The next connection that there is a place for; one without is closed and counted.
    pub(crate) async fn accept(&self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.take(peer.ip()) {
                    Some(place) => {
                        // Without it an answer may wait for an acknowledgement; nothing else depends on it.
                        let _ = stream.set_nodelay(true);
                        return Connection { stream, _place: place };
                    }
                    None => CONNECTIONS_REFUSED.add(&[], 1),
                },
                Err(error) => {
                    tracing::warn!(%error, "accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&self, peer: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = taken.values().sum();
        // A peer that gets no place leaves nothing behind: else the table would grow with every address that
        // is turned away.
        let of_peer = taken.get(&peer).copied().unwrap_or_default();
        if total >= self.places.total || of_peer >= self.places.per_peer {
            return None;
        }
        taken.insert(peer, of_peer + 1);
        Some(Place { taken: Arc::clone(&self.taken), peer })
    }
}

/// A place that is free again when its connection ends.
#[derive(Debug)]
struct Place {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_peer) = taken.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                taken.remove(&self.peer);
            }
        }
    }
}

/// A connection with its place.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    _place: Place,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A connection of which no more is read once it was idle, or at a head, for too long.
struct Timed {
    connection: Connection,
    bounds: Bounds,
    /// Counts requests, each when it begins and when it ends: an odd one is under way.
    asked: Arc<AtomicUsize>,
    /// The count when something was read last.
    seen: usize,
    /// Whether the head of the next request began.
    is_head: bool,
    /// When what is waited for is given up; none while a request is under way.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    fn new(connection: Connection, bounds: Bounds, asked: Arc<AtomicUsize>) -> Self {
        Timed { connection, bounds, asked, seen: 0, is_head: false, patience: None }
    }

    /// Whether what is waited for takes too long.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let max = if self.is_head { self.bounds.head } else { self.bounds.idle };
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(max)));
        patience.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, into);
        let asked = self.asked.load(Ordering::Relaxed);
        if asked != self.seen {
            (self.seen, self.is_head, self.patience) = (asked, false, None);
        }
        // A request has a time of its own.
        if !asked.is_multiple_of(2) {
            return read;
        }
        if read.is_ready() && into.filled().len() > before && !self.is_head {
            (self.is_head, self.patience) = (true, None);
        }
        // An end without more bytes is what the other side would have sent.
        if read.is_pending() && self.is_over(cx) { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, bytes)
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
        Pin::new(&mut self.connection).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

/// Serves `router` over HTTP/1.1 until `stop` completes; then requests under way are finished.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stop: impl Future<Output = ()>) {
    let router = router.layer(from_fn_with_state(bounds.request, within));
    let listener = Listener::new(listener, bounds.places);
    let (closing, closed) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            connection = listener.accept() => {
                connections.spawn(speak(connection, router.clone(), bounds, closed.clone()));
            }
        }
    }
    drop((listener, closing));
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_MAX, ended).await.is_err() {
        tracing::warn!("connections were cut off that did not end");
    }
}

/// One connection to its end, or to the end of the request under way once `closed` says so.
async fn speak(connection: Connection, router: Router, bounds: Bounds, mut closed: watch::Receiver<()>) {
    let count = Arc::new(AtomicUsize::new(0));
    let connection = Timed::new(connection, bounds, count.clone());
    let router = router.layer(from_fn_with_state(count, asked));
    let mut http = http1::Builder::new();
    http.header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let mut spoken = pin!(http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = spoken.as_mut() => ended,
        // The sender is gone when the listening ends.
        _ = closed.changed() => {
            spoken.as_mut().graceful_shutdown();
            spoken.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Counts a request when it begins and when it ends.
async fn asked(State(count): State<Arc<AtomicUsize>>, request: Request, next: Next) -> Response {
    count.fetch_add(1, Ordering::Relaxed);
    let answer = next.run(request).await;
    count.fetch_add(1, Ordering::Relaxed);
    answer
}

/// A request within its time; what it was about to store may be stored all the same.
async fn within(State(max): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(max, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, [(header::CONNECTION, "close")]).into_response(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;

    use super::*;

    /// A server of one door that says how long its body was; where it listens, and what ends it.
    async fn door(bounds: Bounds) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(async |body: String| body.len().to_string()));
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listener, router, bounds, async { drop(stopped.await) }));
        (address, stop, served)
    }

    /// Sends a text and reads all that comes until the other side ends.
    async fn said(address: std::net::SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The other side may have ended already, which the reading shows.
        let _ = stream.write_all(text.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    const GOOD: &str = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab";

    #[tokio::test]
    async fn heads_and_bodies_that_never_end_are_ended() {
        let short = Duration::from_millis(40);
        let bounds = Bounds { idle: short, head: short, request: short, ..Bounds::default() };
        let (address, _stop, _served) = door(bounds).await;
        let (head, idle, body, good) = tokio::join!(
            said(address, "POST / HTTP/1.1\r\nhost:"),
            said(address, ""),
            said(address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab"),
            said(address, GOOD),
        );
        assert!(!head.contains("200") && !idle.contains("200"), "{head} {idle}");
        assert!(body.starts_with("HTTP/1.1 408"), "{body}");
        assert!(good.ends_with("\r\n\r\n2"), "{good}");
    }

    /// Asks once on `stream` and leaves it open.
    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(GOOD.replace("close", "keep-alive").as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let count = stream.read(&mut answer).await.unwrap();
        String::from_utf8(answer[..count].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn an_idle_connection_outlives_the_time_of_a_head() {
        let bounds = Bounds { head: Duration::from_millis(40), ..Bounds::default() };
        let (address, _stop, _served) = door(bounds).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut idle).await.ends_with("\r\n\r\n2"));
        assert_eq!(said(address, "POST / HTTP/1.1\r\nhost:").await, "", "a head was given up meanwhile");
        assert!(ask(&mut idle).await.ends_with("\r\n\r\n2"));
    }

    #[tokio::test]
    async fn a_connection_that_asked_once_is_idle_again() {
        let bounds = Bounds { idle: Duration::from_millis(40), ..Bounds::default() };
        let (address, _stop, _served) = door(bounds).await;
        let answer = said(address, &GOOD.replace("close", "keep-alive")).await;
        assert!(answer.ends_with("\r\n\r\n2"), "{answer}");
    }

    #[tokio::test]
    async fn heads_are_bounded() {
        let (address, _stop, _served) = door(Bounds::default()).await;
        let head = |filler: String| format!("POST / HTTP/1.1\r\nhost: x\r\n{filler}content-length: 0\r\n\r\n");
        let long = said(address, &head(format!("a: {}\r\n", "x".repeat(HEAD_BYTES_MAX)))).await;
        assert!(long.starts_with("HTTP/1.1 431"), "{long}");
        let many = said(address, &head("a: b\r\n".repeat(HEADERS_MAX))).await;
        assert!(many.starts_with("HTTP/1.1 431"), "{many}");
    }

    #[tokio::test]
    async fn a_peer_has_so_many_places_and_gets_them_back() {
        let two = Bounds { places: Places { per_peer: 2, total: 10 }, ..Bounds::default() };
        let (address, stop, served) = door(two).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(GOOD.replace("close", "keep-alive").as_bytes()).await.unwrap();
            // Its answer shows that it has its place.
            assert_eq!(stream.read(&mut [0; 4_096]).await.unwrap().min(1), 1);
            held.push(stream);
        }
        assert_eq!(said(address, GOOD).await, "", "closed without a word");
        held.pop();
        let again = async {
            while said(address, GOOD).await.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
        // An idle connection does not hold up the end.
        stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_is_turned_away_leaves_nothing_behind() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::new(listener, Places { per_peer: 1, total: 2 });
        let peer = |n: u8| IpAddr::from([10, 0, 0, n]);
        let held = [listener.take(peer(1)).unwrap(), listener.take(peer(2)).unwrap()];
        assert!((0..=255).all(|n| listener.take(peer(n)).is_none()), "there is no place for anybody");
        let known = || listener.taken.lock().unwrap().len();
        assert_eq!(known(), 2);
        drop(held);
        assert_eq!(known(), 0);
    }
}
