//! A backup: everything a store holds at one instant, as one stream of bytes.
//!
//! `opshub backup format 1\n`, then frames `kind:u8 len:u32 digest:32 body`, little-endian. The digest
//! of a frame is SHA-256 over the digest of the frame before it, its kind and its body, so a frame that
//! is changed, missing or in another's place shows at once. Frames of kind 1 hold entries of one key
//! space, `name key value key value ...`, each behind its length. The one frame of kind 2 ends the
//! backup and says where the store stood; without it the backup was broken off and is refused.

use std::io::{Read, Write};

use sha2::{Digest as _, Sha256};

use crate::codec::{Decoder, Encoder};
use crate::{BLOCK_BYTES_MAX, DIGEST_START, Digest, Error, Position, Result};

/// Format of the backups that this program writes; it reads this and every older one.
pub const BACKUP_FORMAT: u32 = 1;

const PREFIX: &str = "opshub backup format ";
/// Longest first line: the prefix and a number.
const LINE_BYTES_MAX: usize = 64;

const ENTRIES: u8 = 1;
const END: u8 = 2;
const FRAME_HEAD_BYTES: usize = 1 + 4 + 32;

/// Bytes after which a frame is closed.
const FRAME_BYTES: usize = 1 << 20;
/// No frame is longer: it is closed by its first entry behind [`FRAME_BYTES`], and no entry is larger
/// than a block or its payloads, which compression may make a little longer.
const FRAME_BYTES_MAX: usize = 2 * BLOCK_BYTES_MAX;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Format of the store that it was taken of.
    pub store_format: u32,
    /// Position of the newest fact.
    pub position: Position,
    /// Digest of the chain of blocks up to there: equal digests, equal facts.
    pub digest: Digest,
    /// Position up to which facts are in the rows; what lies behind is applied at the next start.
    pub applied: Position,
    /// Entries of all key spaces.
    pub entries: u64,
    /// Length of the backup in bytes.
    pub bytes: u64,
}

/// Reads a whole backup, checks every frame, and tells what it holds.
///
/// # Errors
/// [`Error::BackupDamaged`] names the first frame that is not as it was written,
/// [`Error::BackupNewer`] a format of a newer program; or a failed read.
pub fn read_backup(from: impl Read) -> Result<Backup> {
    let mut frames = FrameReader::begin(from)?;
    loop {
        if let Frame::End(backup) = frames.read_next()? {
            return Ok(backup);
        }
    }
}

fn write_error(source: std::io::Error) -> Error {
    Error::Io { doing: "write the backup".to_owned(), source }
}

fn damaged(what: impl Into<String>, why: &str) -> Error {
    Error::BackupDamaged { what: what.into(), why: why.to_owned() }
}

fn digest_of(previous: &Digest, kind: u8, body: &[u8]) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update([kind]);
    hasher.update(body);
    hasher.finalize().into()
}

/// Writes frames.
pub(crate) struct FrameWriter<'a> {
    out: &'a mut dyn Write,
    digest: Digest,
    /// Entries that wait for their frame, behind the name of their key space.
    body: Encoder,
    space: &'static str,
    entries: u64,
    bytes: u64,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn begin(out: &'a mut dyn Write) -> Result<Self> {
        let line = format!("{PREFIX}{BACKUP_FORMAT}\n");
        out.write_all(line.as_bytes()).map_err(write_error)?;
        let bytes = line.len() as u64;
        Ok(FrameWriter { out, digest: DIGEST_START, body: Encoder::default(), space: "", entries: 0, bytes })
    }

    pub(crate) fn entry(&mut self, space: &'static str, key: &[u8], value: &[u8]) -> Result<()> {
        if space != self.space || self.body.0.len() >= FRAME_BYTES {
            self.close()?;
            self.space = space;
        }
        if self.body.0.is_empty() {
            self.body.bytes(space.as_bytes());
        }
        self.body.bytes(key).bytes(value);
        self.entries += 1;
        Ok(())
    }

    /// Ends the backup; of `end`, entries and bytes are filled in here.
    pub(crate) fn finish(mut self, end: Backup) -> Result<Backup> {
        self.close()?;
        let mut body = Encoder::default();
        body.u32(end.store_format).u64(end.position.0).raw(&end.digest).u64(end.applied.0).u64(self.entries);
        self.frame(END, &body.0)?;
        self.out.flush().map_err(write_error)?;
        Ok(Backup { entries: self.entries, bytes: self.bytes, ..end })
    }

    fn close(&mut self) -> Result<()> {
        if self.body.0.is_empty() {
            return Ok(());
        }
        let mut body = std::mem::take(&mut self.body.0);
        self.frame(ENTRIES, &body)?;
        body.clear();
        self.body.0 = body;
        Ok(())
    }

    fn frame(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        self.digest = digest_of(&self.digest, kind, body);
        let len = u32::try_from(body.len()).expect("a frame is far below 4 GiB: FRAME_BYTES_MAX");
        let mut head = Encoder::with_capacity(FRAME_HEAD_BYTES);
        head.u8(kind).u32(len).raw(&self.digest);
        self.out.write_all(&head.0).and_then(|()| self.out.write_all(body)).map_err(write_error)?;
        self.bytes += (FRAME_HEAD_BYTES + body.len()) as u64;
        Ok(())
    }
}

/// A frame that fits its digest.
pub(crate) enum Frame {
    /// Entries of one key space.
    Entries(Entries),
    /// The end, and what the whole backup holds.
    End(Backup),
}

/// Keys with their values.
type Pairs<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Entries of one key space, as they lie in a frame.
pub(crate) struct Entries {
    body: Vec<u8>,
    number: u64,
}

impl Entries {
    /// The key space and its entries, in order.
    pub(crate) fn read(&self) -> Result<(&str, Pairs<'_>)> {
        let damaged = || damaged(format!("frame {}", self.number), "its entries do not fill it");
        let mut rest = Decoder(&self.body);
        let space = rest.text().ok_or_else(damaged)?;
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let key = rest.bytes().ok_or_else(damaged)?;
            entries.push((key, rest.bytes().ok_or_else(damaged)?));
        }
        Ok((space, entries))
    }
}

/// Reads frames, each checked against the one before.
pub(crate) struct FrameReader<R> {
    from: R,
    digest: Digest,
    /// Frames read so far.
    number: u64,
    entries: u64,
    bytes: u64,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn begin(from: R) -> Result<Self> {
        let mut reader = FrameReader { from, digest: DIGEST_START, number: 0, entries: 0, bytes: 0 };
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') && line.len() < LINE_BYTES_MAX {
            match reader.take(1)?.pop() {
                Some(byte) => line.push(byte),
                None => break,
            }
        }
        let number = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix(PREFIX)?.strip_suffix('\n'));
        match number.and_then(|number| number.parse().ok()) {
            None | Some(0) => Err(damaged("its first line", "it does not state the format of a backup")),
            Some(found) if found > BACKUP_FORMAT => Err(Error::BackupNewer { found, supported: BACKUP_FORMAT }),
            Some(_) => Ok(reader),
        }
    }

    pub(crate) fn read_next(&mut self) -> Result<Frame> {
        self.number += 1;
        let what = format!("frame {} at byte {}", self.number, self.bytes);
        let head = self.take(FRAME_HEAD_BYTES)?;
        let mut rest = Decoder(&head);
        let (Some(kind), Some(len), Some(digest)) = (rest.u8(), rest.u32(), rest.array()) else {
            return Err(damaged(what, "the backup ends there, so it was not finished"));
        };
        let len = usize::try_from(len).ok().filter(|len| *len <= FRAME_BYTES_MAX);
        let len = len.ok_or_else(|| damaged(what.as_str(), "its stated length is too large"))?;
        let body = self.take(len)?;
        if body.len() < len {
            return Err(damaged(what, "the backup ends within it, so it was not finished"));
        }
        self.digest = digest_of(&self.digest, kind, &body);
        if self.digest != digest {
            return Err(damaged(what, "its digest does not fit its bytes"));
        }
        match kind {
            ENTRIES => {
                let entries = Entries { body, number: self.number };
                self.entries += entries.read()?.1.len() as u64;
                Ok(Frame::Entries(entries))
            }
            END => self.end(&body).map(Frame::End),
            _ => Err(damaged(what, "it is of a kind that this format does not have")),
        }
    }

    fn end(&mut self, body: &[u8]) -> Result<Backup> {
        let mut rest = Decoder(body);
        let mut read = || {
            let store_format = rest.u32()?;
            let (position, digest) = (Position(rest.u64()?), rest.array()?);
            let (applied, entries) = (Position(rest.u64()?), rest.u64()?);
            Some(Backup { store_format, position, digest, applied, entries, bytes: 0 })
        };
        let backup = read().ok_or_else(|| damaged("its end", "it is cut short"))?;
        let is_over = self.take(1)?.is_empty();
        if !rest.is_empty() || backup.entries != self.entries || !is_over {
            return Err(damaged("its end", "it does not fit what stands before and behind it"));
        }
        Ok(Backup { bytes: self.bytes, ..backup })
    }

    /// The next bytes: fewer than asked for only where the backup ends.
    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        let read = self.from.by_ref().take(count as u64).read_to_end(&mut taken);
        read.map_err(Error::io("read the backup"))?;
        self.bytes += taken.len() as u64;
        Ok(taken)
    }
}
