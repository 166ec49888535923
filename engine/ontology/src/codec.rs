//! Compact integers and text in bytes: what stored facts and rows are written with.

use compact_str::CompactString;

/// A stored byte string that does not read as what it should be. Stored bytes carry a digest, so
/// this means a defect or damage, never bad input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt(
    /// What was being read.
    pub &'static str,
);

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stored bytes do not read as {}", self.0)
    }
}

impl std::error::Error for Corrupt {}

/// Appends `value` in base-128 groups, least significant first.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed integer, small magnitudes in few bytes.
#[inline]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length and the bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a byte slice.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// Next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt("a byte"))?;
        self.0 = rest;
        Ok(*first)
    }

    /// Next unsigned integer.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("an integer"))
    }

    /// Next signed integer.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, Corrupt> {
        let raw = self.u64()?;
        Ok(((raw >> 1) as i64) ^ -((raw & 1) as i64))
    }

    /// Next length-prefixed bytes.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let len = usize::try_from(self.u64()?).map_err(|_| Corrupt("a length"))?;
        if len > self.0.len() {
            return Err(Corrupt("bytes"));
        }
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }

    /// Next length-prefixed text.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Corrupt("text"))
    }

    /// Next length-prefixed text, owned.
    #[inline]
    pub fn compact(&mut self) -> Result<CompactString, Corrupt> {
        self.text().map(CompactString::new)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_and_text_read_back(u in any::<u64>(), i in any::<i64>(), s in ".*") {
            let mut out = Vec::new();
            put_u64(&mut out, u);
            put_i64(&mut out, i);
            put_bytes(&mut out, s.as_bytes());
            let mut cursor = Cursor(&out);
            prop_assert_eq!(cursor.u64().unwrap(), u);
            prop_assert_eq!(cursor.i64().unwrap(), i);
            prop_assert_eq!(cursor.text().unwrap(), s);
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn damaged_bytes_are_an_error_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut cursor = Cursor(&bytes);
            while cursor.u64().is_ok() && cursor.text().is_ok() && cursor.i64().is_ok() {}
        }
    }
}
