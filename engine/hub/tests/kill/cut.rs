//! A line between a hub and a server that can be cut: bytes wait, in one direction or both, or it breaks.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// What gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    Everything,
    /// What the hub says, and no answer.
    NoAnswers,
    Nothing,
}

/// A line that listens; dropping it ends all of it.
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    passes: Mutex<Passes>,
    changed: Condvar,
    is_over: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// Listens at `listen`, of which port 0 is a free one, and leads to `to`.
    pub fn open(listen: &str, to: &str) -> Line {
        let listener = TcpListener::bind(listen).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            passes: Mutex::new(Passes::Everything),
            changed: Condvar::new(),
            is_over: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let (to, of_line) = (to.to_owned(), shared.clone());
        let listening = std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if of_line.is_over.load(Ordering::Acquire) {
                    return;
                }
                // A server that is away is a line that breaks at once.
                if let Ok(far) = TcpStream::connect(&to) {
                    of_line.join(near, far);
                }
            }
        });
        Line { address, shared, listening: Some(listening) }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on this gets through; what waited goes on when it may.
    pub fn set(&self, passes: Passes) {
        *self.shared.passes.lock().unwrap() = passes;
        self.shared.changed.notify_all();
    }

    /// Breaks every connection; new ones may be made.
    pub fn break_all(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            // One that has ended already is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.set(Passes::Everything);
        self.break_all();
        // Wakes the thread that listens; when it has ended, another may listen there.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            listening.join().unwrap();
        }
    }
}

impl Shared {
    fn join(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        let mut open = self.open.lock().unwrap();
        open.extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
        drop(open);
        let ways = [(near.try_clone().unwrap(), far.try_clone().unwrap(), false), (far, near, true)];
        for (from, to, is_answer) in ways {
            let shared = self.clone();
            std::thread::spawn(move || shared.pass(from, to, is_answer));
        }
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
        let mut bytes = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            self.wait(is_answer);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        // Either may have ended already.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    /// Waits until bytes of this direction get through.
    fn wait(&self, is_answer: bool) {
        let is_held = |passes: &mut Passes| match passes {
            Passes::Everything => false,
            Passes::NoAnswers => is_answer,
            Passes::Nothing => true,
        };
        drop(self.changed.wait_while(self.passes.lock().unwrap(), is_held).unwrap());
    }
}

#[test]
fn a_line_holds_back_what_does_not_get_through() {
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = Line::open("127.0.0.1:0", &echo.local_addr().unwrap().to_string());
    let mut near = TcpStream::connect(line.address()).unwrap();
    let (mut far, _) = echo.accept().unwrap();
    line.set(Passes::NoAnswers);
    let mut byte = [0];
    near.write_all(b"a").unwrap();
    far.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"a", "what is said gets through");
    far.write_all(b"b").unwrap();
    near.set_nonblocking(true).unwrap();
    assert!(near.read(&mut byte).is_err(), "the answer waits");
    near.set_nonblocking(false).unwrap();
    line.set(Passes::Everything);
    near.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"b");
    line.break_all();
    assert_eq!(near.read(&mut byte).unwrap_or(0), 0);
}
