//! The parts of a record in one piece of memory.

use compact_str::CompactString;

use super::{BETWEEN, Part};

/// A part longer than this is cut: nobody is told apart by what follows.
const PART_BYTES_MAX: usize = 1000;

/// Where parts begin and end: each begins where the one before it ends.
const ENDS: usize = Part::COUNT + 1;

/// Parts behind a table of their ends. A table of all parts is read without counting which of them the
/// record has; nearly all records are so short that an end takes a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    /// Bit per part that the record has.
    pub(super) present: u64,
    /// Whether an end takes two bytes.
    is_wide: bool,
    bytes: Box<[u8]>,
}

impl Packed {
    /// A part's bytes; empty if there are none.
    #[inline]
    pub(super) fn part(&self, part: Part) -> &[u8] {
        let place = part as usize;
        let (start, end) = if self.is_wide {
            let end_at =
                |place: usize| usize::from(u16::from_le_bytes([self.bytes[place * 2], self.bytes[place * 2 + 1]]));
            (end_at(place), end_at(place + 1))
        } else {
            (usize::from(self.bytes[place]), usize::from(self.bytes[place + 1]))
        };
        &self.bytes[start..end]
    }

    /// A number that depends on the first and the last of the bytes.
    pub(super) fn touch(&self) -> u8 {
        self.bytes[0] ^ self.bytes[self.bytes.len() - 1]
    }
}

/// Parts while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Parts(pub(super) Vec<(Part, CompactString)>);

impl Parts {
    /// Adds a value; parts may have several, equal ones count once.
    pub(super) fn add(&mut self, part: Part, value: CompactString) {
        if !value.is_empty() {
            self.0.push((part, value));
        }
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.0.iter().any(|(known, _)| *known == part)
    }

    pub(super) fn pack(mut self) -> Packed {
        self.0.sort_unstable();
        self.0.dedup();
        let mut present = 0u64;
        let mut values = Vec::with_capacity(self.0.iter().map(|(_, value)| value.len() + 1).sum());
        let mut ends = [0usize; ENDS];
        let mut rest = self.0.as_slice();
        for (place, end) in ends.iter_mut().skip(1).enumerate() {
            let count = rest.iter().take_while(|(part, _)| *part as usize == place).count();
            present |= u64::from(count > 0) << place;
            let start = values.len();
            for (at, (_, value)) in rest[..count].iter().enumerate() {
                let room = PART_BYTES_MAX.saturating_sub(values.len() - start);
                if value.len() >= room {
                    break;
                }
                if at > 0 {
                    values.push(BETWEEN);
                }
                values.extend_from_slice(value.as_bytes());
            }
            rest = &rest[count..];
            *end = values.len();
        }
        let is_wide = ENDS + values.len() > usize::from(u8::MAX);
        let table = if is_wide { ENDS * 2 } else { ENDS };
        let mut bytes = Vec::with_capacity(table + values.len());
        for end in ends {
            let end = u16::try_from(table + end).expect("all parts of 1,000 bytes fit in two bytes");
            let width = if is_wide { 2 } else { 1 };
            bytes.extend_from_slice(&end.to_le_bytes()[..width]);
        }
        bytes.extend_from_slice(&values);
        Packed { present, is_wide, bytes: bytes.into_boxed_slice() }
    }
}

const _: () = assert!(Part::COUNT <= 64 && ENDS * 2 + Part::COUNT * PART_BYTES_MAX < u16::MAX as usize);
