//! Reads the manifests of the library's trees before the library does.
//!
//! Beside each manifest the library keeps its checksum, but does not compare it on opening (fjall
//! 3.1): a changed manifest is believed, or ends the process by an assertion while a lock is held.
//! A tree's folder holds `current` (`version:u64 xxh3_128(manifest) 0:u8`, little-endian) and the
//! manifest `v<version>` that it names.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::codec::Decoder;
use crate::{Error, Result};

const KEYSPACES_FOLDER: &str = "keyspaces";
const CURRENT_FILE: &str = "current";

/// Checks the manifest of every tree of the store in `library_dir`.
pub(super) fn examine(library_dir: &Path) -> Result<()> {
    let keyspaces = library_dir.join(KEYSPACES_FOLDER);
    let doing = || format!("list {}", keyspaces.display());
    for entry in std::fs::read_dir(&keyspaces).map_err(Error::io(doing()))? {
        let tree = entry.map_err(Error::io(doing()))?.path();
        let current = tree.join(CURRENT_FILE);
        // A tree whose creation died has no `current`; the library removes and creates it anew.
        if let Some(pointer) = read_if_there(&current)? {
            check(&tree, &pointer).map_err(|why| Error::damaged(current.display().to_string(), why))?;
        }
    }
    Ok(())
}

fn check(tree: &Path, pointer: &[u8]) -> std::result::Result<(), String> {
    let (version, checksum) = parse(pointer).ok_or("it does not point to a manifest")?;
    let manifest = tree.join(format!("v{version}"));
    let bytes = std::fs::read(&manifest).map_err(|error| format!("it points to {}: {error}", manifest.display()))?;
    if xxh3_128(&bytes) != checksum {
        return Err(format!("the checksum in it does not fit {}", manifest.display()));
    }
    Ok(())
}

fn parse(pointer: &[u8]) -> Option<(u64, u128)> {
    let mut from = Decoder(pointer);
    let (version, checksum) = (from.u64()?, u128::from_le_bytes(from.array()?));
    (from.u8()? == 0 && from.is_empty()).then_some((version, checksum))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { doing: format!("read {}", path.display()), source }),
    }
}
