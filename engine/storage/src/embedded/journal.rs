//! Reads the library's journal before the library does.
//!
//! The library ends its replay at the first entry that it cannot read and cuts the file there. For
//! an unfinished commit that is right; for a damaged byte in the middle it would drop acknowledged
//! facts without a word. It also trusts the sequence number of a batch, which no checksum covers.
//! So before opening, every journal is read here with the layout of format 3 (fjall 3.1) and one
//! question is answered: is the first unreadable batch a torn tail, or damage?
//!
//! A batch is `1 count:u32 seqno:u64`, then per entry `2 type:u8 compression:u8 keyspace:u64
//! key_len:u16 value_len:u32 stored_len:u32 key value` or `4 keyspace:u64`, then
//! `3 xxh3(entries):u64 "FJL\x03"`, all little-endian.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::format::sync_dir;
use super::seal::Seal;
use crate::codec::Decoder;
use crate::{Error, Result};

const TRAILER: &[u8; 4] = b"FJL\x03";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// The unit in which a disk loses unsynced writes.
const SECTOR_BYTES: usize = 512;

/// Checks all journals in `dir`, cuts an unfinished commit off the newest, refuses damage.
pub(super) fn examine(dir: &Path) -> Result<()> {
    let mut journals = list(dir)?;
    journals.sort_unstable();
    let newest = journals.last().map(|(id, _)| *id);
    let mut seqno_before = None;
    for (id, path) in &journals {
        let bytes = read_written(path)?;
        let (valid, seqno) = read_batches(&bytes, seqno_before).map_err(|why| damaged(path, why))?;
        seqno_before = seqno;
        if valid == bytes.len() {
            continue;
        }
        if Some(*id) != newest {
            return Err(damaged(
                path,
                format!("it is unreadable at byte {valid}, and it was complete when it was closed"),
            ));
        }
        judge_tail(&bytes, valid).map_err(|why| damaged(path, why))?;
        cut(path, valid, bytes.len())?;
        sync_dir(dir)?;
    }
    Ok(())
}

fn damaged(path: &Path, why: String) -> Error {
    Error::damaged(format!("journal {}", path.display()), why)
}

fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let doing = || format!("list {}", dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(doing()))? {
        let path = entry.map_err(Error::io(doing()))?.path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let id = id.ok_or_else(|| damaged(&path, "its name is not a number".to_owned()))?;
            found.push((id, path));
        }
    }
    Ok(found)
}

/// The file up to its last byte that is not zero: journals are allocated ahead.
fn read_written(path: &Path) -> Result<Vec<u8>> {
    let doing = || format!("read {}", path.display());
    let file = File::open(path).map_err(Error::io(doing()))?;
    let mut bytes = Vec::new();
    let end = end_of_data(&file).map_err(Error::io(doing()))?;
    file.take(end).read_to_end(&mut bytes).map_err(Error::io(doing()))?;
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    bytes.truncate(written);
    Ok(bytes)
}

/// Where the last part of the file that takes space on disk ends.
#[cfg(target_os = "linux")]
fn end_of_data(file: &File) -> std::io::Result<u64> {
    use rustix::fs::SeekFrom;
    let mut end = 0;
    loop {
        match rustix::fs::seek(file, SeekFrom::Data(end)) {
            Ok(data) => end = rustix::fs::seek(file, SeekFrom::Hole(data))?,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        }
    }
    rustix::fs::seek(file, SeekFrom::Start(0))?;
    Ok(end)
}

#[cfg(not(target_os = "linux"))]
fn end_of_data(file: &File) -> std::io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Reads whole batches from the front: gives where they end and the last sequence number.
/// Sequence numbers that do not rise are damage: the library would apply batches out of order.
fn read_batches(bytes: &[u8], before: Option<u64>) -> std::result::Result<(usize, Option<u64>), String> {
    let mut rest = Decoder(bytes);
    let mut seqno_before = before;
    loop {
        let start = bytes.len() - rest.0.len();
        let Some(seqno) = read_batch(&mut rest) else { return Ok((start, seqno_before)) };
        if seqno_before.is_some_and(|before| seqno <= before) {
            return Err(format!("the commit at byte {start} is numbered out of order"));
        }
        seqno_before = Some(seqno);
    }
}

/// The sequence number of the batch at the front, if that is whole.
fn read_batch(rest: &mut Decoder<'_>) -> Option<u64> {
    if rest.u8()? != START {
        return None;
    }
    let count = rest.u32()?;
    let seqno = rest.u64()?;
    let entries = rest.0;
    for _ in 0..count {
        skip_entry(rest)?;
    }
    let entries = &entries[..entries.len() - rest.0.len()];
    let whole = rest.u8()? == END && rest.u64()? == xxh3_64(entries) && rest.array::<4>()? == *TRAILER;
    whole.then_some(seqno)
}

fn skip_entry(rest: &mut Decoder<'_>) -> Option<()> {
    match rest.u8()? {
        CLEAR => rest.take(8).map(drop),
        ITEM => {
            rest.take(1 + 1 + 8)?;
            let key_len = u16::from_le_bytes(rest.array()?);
            let value_len = rest.u32()?;
            let stored_len = rest.u32()?;
            // Nothing is compressed in our journals, so the two lengths agree.
            (value_len == stored_len).then_some(())?;
            rest.take(usize::from(key_len))?;
            rest.take(usize::try_from(stored_len).ok()?).map(drop)
        }
        _ => None,
    }
}

/// Says why the unreadable rest from `valid` on cannot be a torn tail, if it cannot.
///
/// It cannot if a synced commit lies in it with another commit after it: that one was acknowledged.
/// It also cannot if the last commit is there to its trailer and no sector of it is missing: a
/// crash loses whole sectors or the end, a changed byte loses neither.
fn judge_tail(bytes: &[u8], valid: usize) -> std::result::Result<(), String> {
    let rest = &bytes[valid..];
    let seals = Seal::find_all(rest);
    let acknowledged = seals.iter().rev().skip(1).find(|seal| seal.synced);
    if let Some(seal) = acknowledged {
        let commit = seal.state.commit;
        return Err(format!("it is unreadable at byte {valid}, and acknowledged commit {commit} lies behind that"));
    }
    if rest.ends_with(TRAILER) && !has_missing_sector(bytes, valid) {
        return Err(format!("the commit at byte {valid} is complete but its bytes were changed"));
    }
    Ok(())
}

fn has_missing_sector(bytes: &[u8], from: usize) -> bool {
    let first = from.div_ceil(SECTOR_BYTES) * SECTOR_BYTES;
    let sectors = bytes.get(first..).unwrap_or_default().chunks_exact(SECTOR_BYTES);
    sectors.into_iter().any(|sector| sector.iter().all(|byte| *byte == 0))
}

fn cut(path: &Path, valid: usize, written: usize) -> Result<()> {
    tracing::warn!(journal = %path.display(), dropped_bytes = written - valid, "cut an unfinished commit off the journal");
    let doing = || format!("cut {}", path.display());
    let file = File::options().write(true).open(path).map_err(Error::io(doing()))?;
    file.set_len(valid as u64).map_err(Error::io(doing()))?;
    file.sync_all().map_err(Error::io(doing()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::Encoder;

    fn batch(seqno: u64, value: &[u8]) -> Vec<u8> {
        let mut entry = Encoder::default();
        entry.u8(ITEM).raw(&[0, 0]).u64(1).raw(&3u16.to_le_bytes());
        entry.u32(value.len() as u32).u32(value.len() as u32).raw(b"key").raw(value);
        let mut out = Encoder::default();
        out.u8(START).u32(1).u64(seqno).raw(&entry.0).u8(END).u64(xxh3_64(&entry.0)).raw(TRAILER);
        out.0
    }

    #[test]
    fn whole_batches_are_read_to_their_end_and_cut_ones_to_the_last_whole() {
        let two = [batch(4, b"a"), batch(6, b"b")].concat();
        let one = batch(4, b"a").len();
        assert_eq!(read_batches(&two, Some(3)), Ok((two.len(), Some(6))));
        for len in one..two.len() {
            assert_eq!(read_batches(&two[..len], None), Ok((one, Some(4))));
        }
    }

    #[test]
    fn sequence_numbers_must_rise_across_batches_and_journals() {
        let two = [batch(4, b"a"), batch(4, b"b")].concat();
        assert!(read_batches(&two, None).is_err());
        assert!(read_batches(&batch(4, b"a"), Some(4)).is_err());
        assert!(read_batches(&batch(4, b"a"), Some(3)).is_ok());
    }

    #[test]
    fn a_changed_byte_is_damage_and_a_missing_sector_is_a_torn_tail() {
        let whole = batch(1, &[7; 3 * SECTOR_BYTES]);
        let mut changed = whole.clone();
        changed[100] ^= 1;
        assert!(judge_tail(&changed, 0).is_err());
        let mut torn = whole.clone();
        torn[SECTOR_BYTES..2 * SECTOR_BYTES].fill(0);
        assert!(judge_tail(&torn, 0).is_ok());
        assert!(judge_tail(&whole[..whole.len() - 1], 0).is_ok());
    }
}
