//! Documents that SAP lays into a folder.
//!
//! A file is read when it is whole: its name is not one of a transfer under way, it has not changed
//! between two looks, and it ends where a document can end. It is read in portions, each of whole
//! documents, and moved only after the log has them all: to `done`, or to `failed` if any of it went
//! to quarantine. A kill in between reads it again, which changes nothing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ontology::System;
use tokio::fs;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use super::flat;
use crate::contract::{
    BODY_BYTES_MAX, Decoded, Framing, OVERSIZED_KEPT_BYTES, Reject, RejectCode, Sink, SinkError, Submission,
};
use crate::edge::Context;
use crate::edge::status::ConnectorState;

/// Endings of names that files have while they are being transferred.
const UNDER_WAY: &[&str] = &[".tmp", ".part", ".filepart", ".partial", ".crdownload", ".lock"];

/// Size that a portion grows to, in bytes.
const PORTION_BYTES: usize = 256 << 10;

/// Longest line that is read, in bytes: a record has 1,063 characters.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// How a folder is watched.
#[derive(Debug, Clone)]
pub struct SapFolderConfig {
    /// The folder.
    pub path: PathBuf,
    /// Where files go that were read.
    pub done: PathBuf,
    /// Where files go of which something was not understood.
    pub failed: PathBuf,
    /// Partition that documents belong to.
    pub partition: String,
    /// Time between looks; a file must stay as it is for that long.
    pub interval: Duration,
    /// After how long a file is read that does not change and does not end as it should.
    pub patience: Duration,
}

impl SapFolderConfig {
    /// A folder with `done` and `failed` in it, looked at every two seconds.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, partition: &str) -> Self {
        let path = path.into();
        SapFolderConfig {
            done: path.join("done"),
            failed: path.join("failed"),
            path,
            partition: partition.to_owned(),
            interval: Duration::from_secs(2),
            patience: Duration::from_secs(300),
        }
    }

    /// Looks at an unchanged file until patience ends.
    fn looks_max(&self) -> u32 {
        let looks = self.patience.as_millis() / self.interval.as_millis().max(1);
        u32::try_from(looks).unwrap_or(u32::MAX)
    }
}

/// A file as it was at the last look, and how often it looked like that.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    bytes: u64,
    changed: SystemTime,
    count: u32,
    /// It was read, and could not be moved.
    is_read: bool,
}

/// Watches a folder until `stop`.
pub async fn watch<S: Sink>(context: Context<S>, config: SapFolderConfig, stop: CancellationToken) {
    let mut looks = BTreeMap::new();
    loop {
        match look(&context, &config, &mut looks, &stop).await {
            Ok(()) => context.status.enter(ConnectorState::Running),
            Err(Trouble::Closed) => return,
            Err(Trouble::Io(error)) => {
                context.status.failed(&format!("watch a folder: {}", error.kind()), context.clock.now());
                context.status.enter(ConnectorState::Retrying);
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(config.interval) => {}
        }
    }
}

/// Why a look ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("read the folder: {0}")]
    Io(#[from] io::Error),
    #[error("the log is closed")]
    Closed,
}

impl From<SinkError> for Trouble {
    fn from(_: SinkError) -> Self {
        Trouble::Closed
    }
}

/// Reads every file that is whole, the oldest first. One that cannot be read is told of and left where
/// it is: it keeps none of the others waiting.
async fn look<S: Sink>(
    context: &Context<S>,
    config: &SapFolderConfig,
    looks: &mut BTreeMap<OsString, Look>,
    stop: &CancellationToken,
) -> Result<(), Trouble> {
    fs::create_dir_all(&config.done).await?;
    fs::create_dir_all(&config.failed).await?;
    let mut ready = Vec::new();
    let mut now = BTreeMap::new();
    let mut entries = fs::read_dir(&config.path).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        // Between listing and looking a file may have been taken away.
        let Ok(about) = entry.metadata().await else { continue };
        if !about.is_file() || is_under_way(&name.to_string_lossy()) {
            continue;
        }
        let (bytes, changed) = (about.len(), about.modified()?);
        let earlier = looks.get(&name).filter(|look| (look.bytes, look.changed) == (bytes, changed));
        let count = earlier.map_or(0, |look| look.count.saturating_add(1));
        let is_read = earlier.is_some_and(|look| look.is_read);
        if count > 0 && !is_read {
            ready.push((changed, name.clone()));
        }
        now.insert(name, Look { bytes, changed, count, is_read });
    }
    *looks = now;
    ready.sort();
    let mut trouble = Ok(());
    for (_, name) in ready {
        if stop.is_cancelled() {
            return trouble;
        }
        let Some(look) = looks.get_mut(&name) else { continue };
        match take(context, config, &name, look).await {
            Ok(false) => {}
            Ok(true) => {
                looks.remove(&name);
            }
            Err(Trouble::Closed) => return Err(Trouble::Closed),
            Err(error) => trouble = trouble.and(Err(error)),
        }
    }
    trouble
}

/// Reads one file, if it is whole, and moves it; whether it is gone.
async fn take<S: Sink>(
    context: &Context<S>,
    config: &SapFolderConfig,
    name: &OsStr,
    look: &mut Look,
) -> Result<bool, Trouble> {
    let path = config.path.join(name);
    if look.count < config.looks_max() && !is_whole(&path, look.bytes).await? {
        return Ok(false);
    }
    let rejects = read(context, config, &path, look.bytes).await?;
    look.is_read = true;
    let target = if rejects == 0 { &config.done } else { &config.failed };
    move_to(&path, target, name).await?;
    Ok(true)
}

fn is_under_way(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    name.starts_with('.') || name.ends_with('~') || UNDER_WAY.iter().any(|ending| lower.ends_with(ending))
}

/// Whether a file ends where a document can end: at the end of a line, or of an element.
async fn is_whole(path: &Path, bytes: u64) -> io::Result<bool> {
    const TAIL_BYTES: u64 = 64;
    let mut file = fs::File::open(path).await?;
    let mut head = [0_u8; 6];
    let is_flat = file.read(&mut head).await? == head.len() && flat::is_flat(&head);
    file.seek(io::SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES))).await?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).await?;
    Ok(match tail.last() {
        None => false,
        Some(last) if is_flat => *last == b'\n',
        Some(_) => tail.trim_ascii_end().last() == Some(&b'>'),
    })
}

/// Reads a file into the log; how many parts of it went to quarantine.
async fn read<S: Sink>(
    context: &Context<S>,
    config: &SapFolderConfig,
    path: &Path,
    bytes: u64,
) -> Result<usize, Trouble> {
    let mut file = BufReader::new(fs::File::open(path).await?);
    let head = file.fill_buf().await?;
    if !flat::is_flat(head) {
        return read_whole(context, config, file, bytes).await;
    }
    let mut portion = Portion::default();
    let mut rejects = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut file).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if read == 0 || (flat::is_flat(&line) && portion.is_full()) {
            rejects += portion.hand_over(context, &config.partition).await?;
        }
        if read == 0 {
            return Ok(rejects);
        }
        portion.add(&line);
    }
}

/// Reads a file that has no lines.
async fn read_whole<S: Sink>(
    context: &Context<S>,
    config: &SapFolderConfig,
    file: BufReader<fs::File>,
    bytes: u64,
) -> Result<usize, Trouble> {
    let mut portion = Portion::default();
    let mut raw = Vec::new();
    file.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut raw).await?;
    portion.add(&raw);
    portion.seen = usize::try_from(bytes).unwrap_or(usize::MAX).max(portion.seen);
    Ok(portion.hand_over(context, &config.partition).await?)
}

/// Whole documents on their way to the log.
#[derive(Debug, Default)]
struct Portion {
    kept: Vec<u8>,
    /// Bytes that were put in; of a document that is too long only the beginning is kept.
    seen: usize,
}

impl Portion {
    fn is_full(&self) -> bool {
        self.seen >= PORTION_BYTES
    }

    fn add(&mut self, line: &[u8]) {
        self.seen += line.len();
        if self.seen <= BODY_BYTES_MAX {
            self.kept.extend_from_slice(line);
        }
    }

    /// Stores the portion and empties it; how many parts of it went to quarantine.
    async fn hand_over<S: Sink>(&mut self, context: &Context<S>, partition: &str) -> Result<usize, SinkError> {
        let Portion { mut kept, seen } = std::mem::take(self);
        if kept.is_empty() {
            return Ok(0);
        }
        let submission = if seen > BODY_BYTES_MAX {
            kept.truncate(OVERSIZED_KEPT_BYTES);
            let detail = format!("a document of {seen} bytes, of which the first {} are kept", kept.len());
            let rejects = vec![Reject::new(RejectCode::Oversized, detail, 0..kept.len())];
            let decoded = Decoded { rejects, ..Decoded::default() };
            Submission::new(System::Sap, partition, decoded, Bytes::from(kept), context.clock.now())
        } else {
            context.decode(System::Sap, partition, &Bytes::from(kept), Framing::Document).submission
        };
        let rejects = submission.rejects.len();
        context.submit_until_taken(submission).await?;
        Ok(rejects)
    }
}

/// Moves a file, under another name where one of its name is there already.
async fn move_to(path: &Path, folder: &Path, name: &OsStr) -> io::Result<()> {
    let mut target = folder.join(name);
    let mut n = 1;
    while fs::try_exists(&target).await? {
        let mut other = name.to_owned();
        other.push(format!(".{n}"));
        target = folder.join(other);
        n += 1;
    }
    fs::rename(path, target).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_under_way_are_left_alone() {
        for (name, expected) in [
            ("order.txt", false),
            ("order.xml", false),
            ("order", false),
            (".order", true),
            ("order.tmp", true),
            ("order.FilePart", true),
            ("order~", true),
            ("tmp", false),
        ] {
            assert_eq!(is_under_way(name), expected, "{name}");
        }
    }
}
