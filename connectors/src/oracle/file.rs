//! Change envelopes from a JSON-lines file that another process appends to.
//!
//! The position is the number of bytes that are durable. A last line without its end is still being
//! written and is left for the next look. A file that is shorter than its position was replaced by
//! another one, which is read from its beginning.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ontology::System;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::sync::CancellationToken;

use super::relist::Relist;
use crate::contract::{BODY_BYTES_MAX, Framing, Sink, SinkError};
use crate::edge::Context;
use crate::edge::status::ConnectorState;

/// Bytes read at a time; a line longer than this is oversized.
const CHUNK_BYTES: usize = BODY_BYTES_MAX;

/// How a file is followed.
#[derive(Debug, Clone)]
pub struct FileConfig {
    /// The file.
    pub path: PathBuf,
    /// Time between looks.
    pub interval: Duration,
    /// Whether to go on looking at the end of the file.
    pub is_followed: bool,
}

/// Why following ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file was not read.
    #[error("a file of change envelopes was not read: {0}")]
    Read(#[from] std::io::Error),
    /// The log is closed.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Name of the position of `path`.
#[must_use]
pub fn position_name(path: &Path) -> String {
    format!("oracle/file/{}", path.display())
}

/// Reads the file from `position` (as stored under [`position_name`]) and returns at its end, or,
/// if it is followed, when `stop` says so.
pub async fn follow<S: Sink>(
    context: Context<S>,
    config: FileConfig,
    position: Option<Vec<u8>>,
    relist: Relist,
    stop: CancellationToken,
) -> Result<(), FileError> {
    let name = position_name(&config.path);
    let mut offset = position.and_then(|p| p.try_into().ok()).map_or(0, u64::from_be_bytes);
    context.status.enter(ConnectorState::Running);
    loop {
        let chunk = match read_lines(&config.path, &mut offset, config.is_followed).await {
            Ok(chunk) => chunk,
            // A file that is being followed may be away for a moment, while it is replaced.
            Err(error) if config.is_followed => {
                context.status.failed(&FileError::Read(error).to_string(), context.clock.now());
                None
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(lines) = chunk {
            offset += lines.len() as u64;
            let decoding = context.decode(System::Oracle, &name, &lines, Framing::Lines);
            let submission = relist.heed(&context, decoding).await?;
            context.submit_until_taken(submission.at(&name, &offset.to_be_bytes())).await?;
            context.status.position(&offset.to_be_bytes());
            if !stop.is_cancelled() {
                continue;
            }
        }
        if !config.is_followed || stop.is_cancelled() {
            break;
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(config.interval) => {}
        }
    }
    context.status.enter(ConnectorState::Stopped);
    Ok(())
}

/// Whole lines from `offset` on; a line that fills the chunk is given as it is, to be rejected.
async fn read_lines(path: &Path, offset: &mut u64, is_followed: bool) -> Result<Option<Bytes>, std::io::Error> {
    let mut file = tokio::fs::File::open(path).await?;
    if file.metadata().await?.len() < *offset {
        *offset = 0;
    }
    file.seek(SeekFrom::Start(*offset)).await?;
    let mut chunk = Vec::new();
    file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await?;
    let whole = chunk.iter().rposition(|b| *b == b'\n').map(|place| place + 1);
    let end = match whole {
        Some(end) => end,
        None if chunk.len() == CHUNK_BYTES || !is_followed => chunk.len(),
        None => 0,
    };
    chunk.truncate(end);
    Ok(Some(chunk).filter(|c| !c.is_empty()).map(Bytes::from))
}
