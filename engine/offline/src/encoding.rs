//! Tables in other encodings, read as UTF-8.

use std::io::{self, BufRead, Read};

use ontology::Vocabulary;

/// How the bytes of a table are text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, or UTF-16 where the file begins with its byte order mark.
    #[default]
    Utf8,
    /// Windows code page 1252, of which Latin 1 is a part: what spreadsheets of western Europe write.
    Windows1252,
}

impl Vocabulary for Encoding {
    const ALL: &'static [(Self, &'static str)] = &[(Encoding::Utf8, "utf-8"), (Encoding::Windows1252, "windows-1252")];
}

/// The characters of bytes 0x80 to 0x9f in Windows code page 1252, by the mapping of the Unicode
/// consortium; the five that it leaves open are the control characters of Latin 1.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}', '\u{2030}',
    '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}',
    '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}',
    '\u{17e}', '\u{178}',
];

/// A byte that no UTF-8 holds: a row with it is set aside, as every row that is no text.
const NO_TEXT: u8 = 0xff;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 14;

/// What bytes are turned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Windows1252,
    Utf16 { is_big_endian: bool },
}

/// `bytes` as UTF-8: as they are, unless the encoding or their byte order mark says otherwise.
///
/// # Errors
/// They cannot be read.
pub(crate) fn utf8(mut bytes: Box<dyn BufRead>, encoding: Encoding) -> io::Result<Box<dyn BufRead>> {
    let source = match (bytes.fill_buf()?, encoding) {
        ([0xff, 0xfe, ..], _) => Source::Utf16 { is_big_endian: false },
        ([0xfe, 0xff, ..], _) => Source::Utf16 { is_big_endian: true },
        (_, Encoding::Windows1252) => Source::Windows1252,
        (_, Encoding::Utf8) => return Ok(bytes),
    };
    let turned = Turned { bytes, source, pending: Vec::new(), out: Vec::new(), at: 0 };
    Ok(Box::new(io::BufReader::with_capacity(CHUNK, turned)))
}

/// A reader of UTF-8 over bytes in another encoding.
struct Turned {
    bytes: Box<dyn BufRead>,
    source: Source,
    /// Units of UTF-16 of which the rest has not come: a byte, or the first half of a pair.
    pending: Vec<u8>,
    out: Vec<u8>,
    at: usize,
}

impl Read for Turned {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() {
            let chunk = self.bytes.fill_buf()?;
            let (count, is_end) = (chunk.len(), chunk.is_empty());
            if is_end && self.pending.is_empty() {
                return Ok(0);
            }
            self.out.clear();
            self.at = 0;
            match self.source {
                Source::Windows1252 => turn_windows(chunk, &mut self.out),
                Source::Utf16 { is_big_endian } => {
                    self.pending.extend_from_slice(chunk);
                    let used = turn_utf16(&self.pending, is_big_endian, is_end, &mut self.out);
                    self.pending.drain(..used);
                }
            }
            self.bytes.consume(count);
        }
        let count = into.len().min(self.out.len() - self.at);
        into[..count].copy_from_slice(&self.out[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn turn_windows(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        let letter = match byte {
            0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
            0x00..=0x7f | 0xa0..=0xff => char::from(*byte),
        };
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Turns whole characters and says how many bytes they were; at the end what is left is no text.
fn turn_utf16(bytes: &[u8], is_big_endian: bool, is_end: bool, out: &mut Vec<u8>) -> usize {
    let unit = |pair: &[u8]| {
        let pair = [pair[0], pair[1]];
        if is_big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let mut units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
    if !is_end && units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
        units.pop();
    }
    for letter in char::decode_utf16(units.iter().copied()) {
        match letter {
            Ok(letter) => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(_) => out.push(NO_TEXT),
        }
    }
    if is_end && bytes.len() % 2 == 1 {
        out.push(NO_TEXT);
        return bytes.len();
    }
    2 * units.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The bytes turned, `step` of them at a time.
    fn turned(bytes: &[u8], encoding: Encoding, step: usize) -> Vec<u8> {
        let slow = io::BufReader::with_capacity(step, io::Cursor::new(bytes.to_vec()));
        let mut out = Vec::new();
        utf8(Box::new(slow), encoding).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    fn utf16(text: &str, is_big_endian: bool) -> Vec<u8> {
        let of = |unit: u16| if is_big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
        format!("\u{feff}{text}").encode_utf16().flat_map(of).collect()
    }

    #[test]
    fn what_is_utf8_stays_as_it_is() {
        assert_eq!(turned("J\u{fc}rgen,\u{20ac}\n".as_bytes(), Encoding::Utf8, 3), "J\u{fc}rgen,\u{20ac}\n".as_bytes());
        assert_eq!(turned(b"a,\xfc\n", Encoding::Utf8, 3), b"a,\xfc\n", "nobody said that it is anything else");
        assert_eq!(turned(b"", Encoding::Windows1252, 3), b"");
    }

    #[test]
    fn the_western_code_page_is_read_by_name() {
        let expected = "J\u{fc}rgen \u{20ac}5 \u{201c}x\u{201d}\n";
        assert_eq!(turned(b"J\xfcrgen \x805 \x93x\x94\n", Encoding::Windows1252, 2), expected.as_bytes());
    }

    #[test]
    fn sixteen_bits_are_known_by_their_mark_wherever_a_chunk_ends() {
        let text = "no,Zo\u{eb},\u{1f600},\u{4e2d}\n";
        for is_big_endian in [false, true] {
            for step in 2..9 {
                let found = turned(&utf16(text, is_big_endian), Encoding::Utf8, step);
                assert_eq!(String::from_utf8(found).unwrap(), format!("\u{feff}{text}"), "{step}");
            }
        }
    }

    #[test]
    fn half_a_character_is_no_text() {
        let mut bytes = utf16("a", false);
        bytes.extend([0x00, 0xd8]);
        assert_eq!(turned(&bytes, Encoding::Utf8, 4), [b"\xef\xbb\xbfa", &[NO_TEXT][..]].concat());
        let mut bytes = utf16("a", false);
        bytes.push(7);
        assert_eq!(turned(&bytes, Encoding::Utf8, 4), [b"\xef\xbb\xbfa", &[NO_TEXT][..]].concat());
    }
}
