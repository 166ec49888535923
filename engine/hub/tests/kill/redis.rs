//! A Redis of a test's own, which may be stopped, emptied and put back.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// How often a Redis that starts is asked, and how often at the most.
const ASK_EVERY: Duration = Duration::from_millis(20);
const ASKED_MAX: usize = 3_000;

pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Redis {
    pub fn start() -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&folder, port);
        let redis = Redis { folder, port, child };
        redis.await_it();
        redis
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Runs a command and gives what is answered.
    pub fn ask(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port]).args(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Keeps on disk what it holds now.
    pub fn save(&self) {
        assert_eq!(self.ask(&["SAVE"]), "OK");
    }

    /// Stops it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it with what was saved last.
    pub fn come_back(&mut self) {
        self.child = spawn(&self.folder, self.port);
        self.await_it();
    }

    pub fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    fn await_it(&self) {
        let (held, waited) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
        for _ in 0..ASKED_MAX {
            if self.ask(&["PING"]) == "PONG" {
                return;
            }
            drop(waited.wait_timeout(held.lock().unwrap(), ASK_EVERY).unwrap());
        }
        panic!("Redis does not answer at {}", self.address());
    }
}

fn spawn(folder: &TempDir, port: u16) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--maxmemory-policy", "noeviction", "--dir"]).arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Both fail when it has been stopped already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
