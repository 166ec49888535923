//! A mutator whose every choice comes from its seed.

/// Pieces that decoders are known to stumble over.
const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"-",
    b"0",
    b"9223372036854775808",
    b"99999999999999999999999999999999999999",
    b"0.000000000000000000001",
    b"NaN",
    b"<",
    b">",
    b"</",
    b"/>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE z [",
    b"&amp;",
    b"&#0;",
    b"&x;",
    b"<?xml version=\"1.0\"?>",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"EDI_DC40",
    b"IDOC",
    b"after",
    b"before",
    b"op",
    b"source",
    b"payload",
    b"data",
    b"type",
    b"id",
    b"10000-01-01",
    b"2026-02-30",
    b"99991231",
    b"00000000",
    b"240000",
    b"PT1S",
    b"+00:00",
    b"\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
];

/// Longest input that is made.
const BYTES_MAX: usize = 128 << 10;

/// One damage, decided by a seed.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Mutator(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        // xorshift64*, which any other would do as well.
        self.0 |= 1;
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let most = if self.below(4) == 0 { len - start } else { (len - start).min(16) };
        start..start + self.below(most + 1)
    }

    /// An entry of the corpus with one to eight damages.
    pub fn damaged(mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let chosen = self.below(corpus.len());
        let mut input = corpus[chosen].clone();
        for _ in 0..=self.below(8) {
            self.damage(&mut input, corpus);
            input.truncate(BYTES_MAX);
        }
        input
    }

    fn damage(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = self.below(input.len() + 1);
        match self.below(9) {
            0 if !input.is_empty() => {
                let place = self.below(input.len());
                input[place] ^= 1 << self.below(8);
            }
            1 if !input.is_empty() => {
                let place = self.below(input.len());
                input[place] = self.next() as u8;
            }
            2 => input.truncate(place),
            3 => {
                let gone = self.range(input.len());
                input.drain(gone);
            }
            4 => {
                let piece = PIECES[self.below(PIECES.len())];
                input.splice(place..place, piece.iter().copied());
            }
            5 => {
                let piece = PIECES[self.below(PIECES.len())];
                let gone = self.range(input.len());
                input.splice(gone, piece.iter().copied());
            }
            6 => {
                let copied = self.range(input.len());
                let times = if self.below(8) == 0 { 1 + self.below(500) } else { 1 };
                let copy = input[copied].repeat(times);
                input.splice(place..place, copy.into_iter().take(BYTES_MAX));
            }
            7 => {
                let other = &corpus[self.below(corpus.len())];
                let copied = self.range(other.len());
                let gone = self.range(input.len());
                input.splice(gone, other[copied].iter().copied());
            }
            _ => self.renumber(input, place),
        }
    }

    /// Another number in place of one.
    fn renumber(&mut self, input: &mut Vec<u8>, from: usize) {
        let Some(start) = input.iter().skip(from).position(u8::is_ascii_digit).map(|at| at + from) else { return };
        let len = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = match self.below(5) {
            0 => "0".to_owned(),
            1 => self.next().to_string(),
            2 => i64::MAX.to_string(),
            3 => "9".repeat(1 + self.below(60)),
            _ => format!("-{}", self.below(1_000)),
        };
        input.splice(start..start + len, number.into_bytes());
    }
}
