//! Stands: rows as they stood at earlier positions, so that a read of the past begins near its moment
//! and the log need not reach back to the first fact.
//!
//! The oldest stand that is still needed is the *base*: what lies before it can no longer be asked, and
//! blocks before it go. A stand costs only the rows that changed since the stand before.

use bytes::Bytes;

use crate::codec::{Decoder, Encoder};
use crate::{Digest, Error, Log, Position, Result, Table};

/// Where rows stood that are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The rows hold every fact up to here; a block ends here.
    pub position: Position,
    /// Digest of that block: the chain of the blocks behind it goes on from it.
    pub digest: Digest,
    /// What the row of [`Table::Meta`] held that the stand was kept with; empty if there was none.
    pub head: Bytes,
}

/// Rows of a stand, by table and key; an error ends the reading.
pub type StandRows = Box<dyn Iterator<Item = Result<(Table, Bytes, Bytes)>> + Send>;

/// Stands beside the newest rows. Where Kafka's retention keeps the log short there are none.
pub trait Stands: Log {
    /// The stands, oldest first.
    ///
    /// # Errors
    /// [`Error::Damaged`] or a failed read.
    fn stands(&self) -> Result<Vec<Stand>> {
        Ok(Vec::new())
    }

    /// All rows of the stand at a position but those of [`Table::Meta`], whatever happens to it meanwhile.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such stand any more; the items, [`Error::Damaged`].
    fn stand_rows(&self, position: Position) -> Result<StandRows> {
        no_stand(self, position)
    }

    /// Keeps the rows as they stand now, with what the row `head` of [`Table::Meta`] holds. It is asked
    /// `is_wanted` between small parts, and writers go on meanwhile. Gives none when that said no, when
    /// nothing was applied since the newest stand, and where no stands are kept.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Stop`], or a failed read. What was written by then is no stand, and is
    /// taken up by the next.
    fn keep_stand(&self, head: &[u8], is_wanted: &dyn Fn() -> bool) -> Result<Option<Stand>> {
        let _ = (head, is_wanted);
        Ok(None)
    }

    /// Makes the stand at `base` the oldest: drops older stands, rows that only they needed, and the blocks
    /// that end before it. Gives the number of blocks, as far as `is_wanted` let it come: the same call
    /// again goes on, also after a death at any instant.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when there is no such stand, [`Error::Stop`], or a failed read.
    fn forget_before(&self, base: Position, is_wanted: &dyn Fn() -> bool) -> Result<u64> {
        let _ = is_wanted;
        no_stand(self, base)
    }
}

/// What is told of a stand that is not there.
pub(crate) fn no_stand<T>(store: &(impl Stands + ?Sized), asked: Position) -> Result<T> {
    let start = store.stands()?.first().map_or(store.start()?, |stand| stand.position);
    Err(Error::OutOfRange { asked, start, last: store.last() })
}

/// Tables whose rows a stand holds: what is derived. [`Table::Meta`] also has what is remembered of the
/// world outside, such as which events were sent, and that has no past.
pub(crate) const TABLES: [Table; 5] = [Table::Entity, Table::Resolver, Table::Customer, Table::Timer, Table::Redirect];

impl Stand {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u64(self.position.0).raw(&self.digest).bytes(&self.head);
        out.0
    }

    pub(crate) fn decode(stored: &[u8]) -> Option<Stand> {
        let mut from = Decoder(stored);
        let (position, digest) = (Position(from.u64()?), from.array()?);
        let head = Bytes::copy_from_slice(from.bytes()?);
        from.is_empty().then_some(Stand { position, digest, head })
    }
}

/// A row from the position on from which stands see it, up to the next one of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowVersion {
    pub(crate) table: Table,
    pub(crate) key: Vec<u8>,
    pub(crate) since: Position,
    /// None where the row was removed.
    pub(crate) value: Option<Bytes>,
}

const GONE: u8 = 0;
const HERE: u8 = 1;

impl RowVersion {
    pub(crate) fn is_of(&self, other: &RowVersion) -> bool {
        self.table == other.table && self.key == other.key
    }

    /// `table:u8`, the key with each 0 as `0 255` and `0 0` behind it, `since:u64` with its highest byte
    /// first: in the order of tables, keys and positions.
    pub(crate) fn stored_key(&self) -> Vec<u8> {
        let mut out = vec![tag(self.table)];
        for byte in &self.key {
            out.push(*byte);
            if *byte == 0 {
                out.push(u8::MAX);
            }
        }
        out.extend([0, 0]);
        out.extend(self.since.0.to_be_bytes());
        out
    }

    pub(crate) fn stored_value(&self) -> Vec<u8> {
        match &self.value {
            Some(value) => [&[HERE][..], value].concat(),
            None => vec![GONE],
        }
    }

    pub(crate) fn read(stored_key: &[u8], stored_value: &Bytes) -> Option<RowVersion> {
        let (tag, rest) = stored_key.split_first()?;
        let table = *TABLES.get(usize::from(*tag))?;
        let (escaped, since) = rest.split_last_chunk::<8>()?;
        let mut bytes = escaped.strip_suffix(&[0, 0])?.iter();
        let mut key = Vec::with_capacity(bytes.len());
        while let Some(byte) = bytes.next() {
            key.push(*byte);
            if *byte == 0 && bytes.next() != Some(&u8::MAX) {
                return None;
            }
        }
        let value = match stored_value.split_first()? {
            (&HERE, _) => Some(stored_value.slice(1..)),
            (&GONE, []) => None,
            (_, _) => return None,
        };
        Some(RowVersion { table, key, since: Position(u64::from_be_bytes(*since)), value })
    }
}

/// First byte of the stored keys of a table's rows.
pub(crate) fn tag(table: Table) -> u8 {
    match table {
        Table::Entity => 0,
        Table::Resolver => 1,
        Table::Customer => 2,
        Table::Timer => 3,
        Table::Redirect => 4,
        Table::Meta => u8::MAX,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn version(table: Table, key: &[u8], since: u64) -> RowVersion {
        RowVersion { table, key: key.to_vec(), since: Position(since), value: Some(Bytes::from_static(b"v")) }
    }

    #[test]
    fn versions_are_stored_in_the_order_of_tables_keys_and_positions() {
        let ordered = [
            version(Table::Entity, b"a", 1),
            version(Table::Entity, b"a", 256),
            version(Table::Entity, b"a\0", 1),
            version(Table::Entity, b"a\0\0\0\0\0\0\0\0\x01", 1),
            version(Table::Entity, b"a\x01", 1),
            version(Table::Entity, b"ab", 2),
            version(Table::Customer, b"a", 1),
            version(Table::Redirect, b"", 1),
        ];
        assert!(ordered.is_sorted_by_key(RowVersion::stored_key));
        for version in ordered {
            let gone = RowVersion { value: None, ..version.clone() };
            for version in [version, gone] {
                let read = RowVersion::read(&version.stored_key(), &version.stored_value().into());
                assert_eq!(read, Some(version));
            }
        }
    }

    #[test]
    fn what_was_changed_is_no_version_and_no_stand() {
        let (key, value) = (version(Table::Entity, b"a\0", 1).stored_key(), Bytes::from_static(b"\x01v"));
        assert!(RowVersion::read(&key, &value).is_some());
        assert_eq!(RowVersion::read(&key[..key.len() - 1], &value), None);
        assert_eq!(RowVersion::read(&key, &Bytes::new()), None);
        assert_eq!(RowVersion::read(&key, &Bytes::from_static(b"\x00v")), None);
        assert_eq!(RowVersion::read(&key, &Bytes::from_static(b"\x02v")), None);
        let unescaped = [&[0][..], b"a\0b", &[0, 0], &[0; 8]].concat();
        assert_eq!(RowVersion::read(&unescaped, &value), None);
        let other_table = [&[5][..], &key[1..]].concat();
        assert_eq!(RowVersion::read(&other_table, &value), None);

        let stand = Stand { position: Position(7), digest: [3; 32], head: Bytes::from_static(b"head") };
        let stored = stand.encode();
        assert_eq!(Stand::decode(&stored), Some(stand));
        assert_eq!(Stand::decode(&stored[1..]), None);
        assert_eq!(Stand::decode(&[&stored[..], b"x"].concat()), None);
    }
}
