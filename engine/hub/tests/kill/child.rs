//! The `opshub` binary as a child process.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use ontology::LogPos;
use serde::Deserialize;

/// How long a start or an end may take before the test gives up on it: far above what slow machines need.
const PATIENCE: Duration = Duration::from_secs(300);
/// Lines of the child that may wait to be read.
const LINES_MAX: usize = 16;

/// What a hub says when it is ready.
#[derive(Debug, Deserialize)]
pub struct Ready {
    /// Where its API listens.
    pub api: String,
    /// Where sources deliver; none if it has no doors.
    pub doors: Option<String>,
    /// Where its metrics page is.
    pub metrics: String,
    /// Where its log ends.
    pub position: u64,
    /// What it is: `owner` of its store, or a `replica` that follows one.
    pub role: String,
}

/// A running hub. Killed when dropped.
pub struct Hub {
    child: Child,
    /// Lines of its standard output; the far end goes when the process does.
    lines: Receiver<String>,
}

impl Hub {
    /// Starts a hub on a store; what it tells people goes to a file beside the store.
    pub fn spawn(folder: &Path, crash_point: Option<&str>) -> Hub {
        Hub::spawn_with(folder, crash_point, &["--doors", "127.0.0.1:0"])
    }

    /// The same with further arguments, which say where its doors are.
    pub fn spawn_with(folder: &Path, crash_point: Option<&str>, arguments: &[&str]) -> Hub {
        let store = folder.join("store").display().to_string();
        Hub::serve(folder, crash_point, &[&["--store", &store], arguments].concat())
    }

    /// Starts a hub with these arguments, which say where its store is; what it tells people goes to a
    /// file in `folder`.
    pub fn serve(folder: &Path, crash_point: Option<&str>, arguments: &[&str]) -> Hub {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opshub"));
        if let Some(point) = crash_point {
            command.env("OPSHUB_CRASH_POINT", point);
        } else {
            command.env_remove("OPSHUB_CRASH_POINT");
        }
        Hub::launch(folder, command, arguments)
    }

    /// Starts a hub on a store in `folder` that is told when the system refuses to let a file grow, where
    /// it would be killed otherwise; see [`Hub::let_files_grow_to`].
    pub fn spawn_limited(folder: &Path) -> Hub {
        let store = folder.join("store").display().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_opshub")]);
        Hub::launch(folder, command, &["--store", &store, "--doors", "127.0.0.1:0"])
    }

    /// From now on the system refuses to write behind so many bytes of any file.
    pub fn let_files_grow_to(&self, bytes: u64) {
        let (process, limit) = (self.child.id().to_string(), format!("--fsize={bytes}"));
        assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
    }

    fn launch(folder: &Path, mut command: Command, arguments: &[&str]) -> Hub {
        let told = File::options().create(true).append(true).open(folder.join("stderr.txt")).unwrap();
        command.args(["serve", "--json"]);
        command.args(["--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(told).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Hub { child, lines }
    }

    /// Waits until the hub is ready and owns its store; none if it ended before that.
    pub fn ready(&self) -> Option<Ready> {
        std::iter::from_fn(|| self.says()).find(|ready| ready.role == "owner")
    }

    /// Waits until the hub says that it is ready, as what it is by then; none if it ended before that.
    pub fn says(&self) -> Option<Ready> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(Ready::read(&line)),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the hub was not ready within {PATIENCE:?}"),
        }
    }

    /// What the hub says within this time; none if it says nothing.
    pub fn says_within(&self, time: Duration) -> Option<Ready> {
        self.lines.recv_timeout(time).ok().map(|line| Ready::read(&line))
    }

    /// Waits for the hub's end, at most for `time`; whether it ended.
    pub fn ends_within(&self, time: Duration) -> bool {
        loop {
            match self.lines.recv_timeout(time) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    /// Waits for the hub to end by itself.
    pub fn end(mut self) -> ExitStatus {
        assert!(self.ends_within(PATIENCE), "the hub did not end within {PATIENCE:?}");
        self.child.wait().unwrap()
    }

    /// SIGKILL: nothing in the process gets to run any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: the hub is asked to stop.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs another command of the binary and returns what it printed.
pub fn run(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_opshub")).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "opshub {args:?} ended with {}: {told}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The end of the log, as the hub's own words.
impl Ready {
    fn read(line: &str) -> Ready {
        let ready = serde_json::from_str(line);
        ready.unwrap_or_else(|error| panic!("the hub said {line:?} when it was ready: {error}"))
    }

    pub fn log_pos(&self) -> LogPos {
        LogPos(self.position)
    }
}
