//! Reads the manifests of the library's trees, and the files they name, before the library does.
//!
//! Beside each manifest and table the library keeps a checksum, but does not compare it on opening
//! (fjall 3.1): a changed manifest is believed, or ends the process by an assertion while a lock is
//! held; a changed count in a file's contents list asks for more memory than there is.
//!
//! A tree's folder holds `current` (`version:u64 xxh3_128(manifest) 0:u8`, little-endian) and the
//! manifest `v<version>` that it names, an archive with the sections `tables` and `blob_files`.
//! Files that no manifest names are left by a flush that died; the library removes them.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::codec::Decoder;
use crate::{Error, Result};

const KEYSPACES_FOLDER: &str = "keyspaces";
const CURRENT_FILE: &str = "current";
const TABLES_FOLDER: &str = "tables";
const BLOBS_FOLDER: &str = "blobs";

const TRAILER_MAGIC: [u8; 4] = *b"SFA!";
const TRAILER_BYTES: u64 = 4 + 1 + 1 + 16 + 8 + 8;

/// Longest contents list: a file of the library has about a dozen sections.
const LIST_BYTES_MAX: u64 = 1 << 20;

const READ_BYTES: usize = 64 << 10;

/// Checks every tree of the store in `library_dir`: its manifest and tables by checksum, and that
/// the contents lists of its value files are whole. Values carry checksums of their own.
pub(super) fn examine(library_dir: &Path) -> Result<()> {
    let keyspaces = library_dir.join(KEYSPACES_FOLDER);
    let doing = || format!("list {}", keyspaces.display());
    for entry in std::fs::read_dir(&keyspaces).map_err(Error::io(doing()))? {
        let tree = entry.map_err(Error::io(doing()))?.path();
        let current = tree.join(CURRENT_FILE);
        // A tree whose creation died has no `current`; the library removes and creates it anew.
        if current.exists() {
            check_tree(&tree, &current)?;
        }
    }
    Ok(())
}

fn check_tree(tree: &Path, current: &Path) -> Result<()> {
    let pointer = std::fs::read(current).map_err(read_error(current))?;
    let damaged = |path: &Path, why: &str| Error::damaged(path.display().to_string(), why);
    let (version, checksum) = parse_pointer(&pointer).ok_or_else(|| damaged(current, "it points to no manifest"))?;
    let manifest = tree.join(format!("v{version}"));
    if checksum_of(&manifest)? != checksum {
        return Err(damaged(&manifest, "it does not fit the checksum beside it"));
    }
    let named = read_names(&manifest).ok_or_else(|| damaged(&manifest, "it does not have its layout"))?;
    for (id, checksum) in named.tables {
        let table = tree.join(TABLES_FOLDER).join(id.to_string());
        if checksum_of(&table)? != checksum {
            return Err(damaged(&table, "it does not fit its checksum in the manifest"));
        }
    }
    for id in named.blobs {
        let blobs = tree.join(BLOBS_FOLDER).join(id.to_string());
        if !contents_fit(&blobs).map_err(read_error(&blobs))? {
            return Err(damaged(&blobs, "its contents list does not fit its checksum"));
        }
    }
    Ok(())
}

fn parse_pointer(pointer: &[u8]) -> Option<(u64, u128)> {
    let mut from = Decoder(pointer);
    let (version, checksum) = (from.u64()?, u128::from_le_bytes(from.array()?));
    (from.u8()? == 0 && from.is_empty()).then_some((version, checksum))
}

/// The files that a manifest names.
struct Named {
    tables: Vec<(u64, u128)>,
    blobs: Vec<u64>,
}

fn read_names(manifest: &Path) -> Option<Named> {
    let archive = sfa::Reader::new(manifest).ok()?;
    let section = |name: &[u8]| {
        let mut bytes = Vec::new();
        archive.toc().section(name)?.buf_reader(manifest).ok()?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    Some(Named { tables: parse_tables(&section(b"tables")?)?, blobs: parse_blobs(&section(b"blob_files")?)? })
}

/// `levels:u8`, per level `runs:u8`, per run `tables:u32`, per table
/// `id:u64 0:u8 checksum:u128 seqno:u64`.
fn parse_tables(section: &[u8]) -> Option<Vec<(u64, u128)>> {
    let mut from = Decoder(section);
    let mut tables = Vec::new();
    for _level in 0..from.u8()? {
        for _run in 0..from.u8()? {
            for _table in 0..from.u32()? {
                let (id, _checksum_type) = (from.u64()?, from.u8()?);
                tables.push((id, u128::from_le_bytes(from.array()?)));
                from.u64()?;
            }
        }
    }
    from.is_empty().then_some(tables)
}

/// `files:u32`, per file `id:u64 0:u8 checksum:u128`.
fn parse_blobs(section: &[u8]) -> Option<Vec<u64>> {
    let mut from = Decoder(section);
    let mut blobs = Vec::new();
    for _file in 0..from.u32()? {
        blobs.push(from.u64()?);
        from.take(1 + 16)?;
    }
    from.is_empty().then_some(blobs)
}

fn checksum_of(path: &Path) -> Result<u128> {
    let mut file = File::open(path).map_err(read_error(path))?;
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer).map_err(read_error(path))? {
            0 => return Ok(hasher.digest128()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Whether the contents list at the end of a file fits the checksum in its trailer:
/// `"SFA!" 1:u8 0:u8 xxh3_128(list) list_position:u64 list_len:u64`.
fn contents_fit(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(trailer_at) = file.metadata()?.len().checked_sub(TRAILER_BYTES) else { return Ok(false) };
    let mut trailer = Vec::new();
    file.seek(SeekFrom::Start(trailer_at))?;
    file.read_to_end(&mut trailer)?;
    let Some((checksum, at, len)) = parse_trailer(&trailer) else { return Ok(false) };
    if len > LIST_BYTES_MAX || at.checked_add(len).is_none_or(|end| end > trailer_at) {
        return Ok(false);
    }
    let mut contents = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(len).read_to_end(&mut contents)?;
    Ok(xxh3_128(&contents) == checksum)
}

fn parse_trailer(trailer: &[u8]) -> Option<(u128, u64, u64)> {
    let mut from = Decoder(trailer);
    let known = from.array()? == TRAILER_MAGIC && from.u8()? == 1 && from.u8()? == 0;
    let parsed = (u128::from_le_bytes(from.array()?), from.u64()?, from.u64()?);
    known.then_some(parsed)
}

/// A file that a manifest names and that is not there is damage, whatever else is an I/O error.
fn read_error(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::damaged(path.display().to_string(), "it is missing"),
        _ => Error::Io { doing: format!("read {}", path.display()), source },
    }
}
