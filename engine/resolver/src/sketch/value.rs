//! Values in a few bytes that tell how far apart two of them are at least.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A value as its hash, its first letter, its length and the set of its letters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The lowest five bits are those of the first byte.
    hash: u32,
    /// A bit a letter, digits among them; the highest six bits are the length, 63 for that and more.
    letters: u32,
}

/// A number: how often each digit is in it, four bits a digit, and above them its hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digits(u64);

/// Bits of the counts of ten digits.
const COUNT_BITS: u32 = 40;

const LETTERS: u32 = (1 << 26) - 1;
const LENGTH_MAX: usize = 63;

pub(super) fn hash(value: &[u8]) -> u32 {
    // The lower half.
    xxh3_64_with_seed(value, 5) as u32
}

impl Word {
    pub(super) fn of(value: &[u8]) -> Self {
        let bit = |byte: &u8| match byte {
            b'a'..=b'z' => 1 << (byte - b'a'),
            b'0'..=b'9' => 1 << (byte - b'0'),
            _ => 0u32,
        };
        let first = u32::from(value.first().copied().unwrap_or_default()) & 31;
        let length = value.len().min(LENGTH_MAX) as u32;
        Word {
            hash: hash(value) & !31 | first,
            letters: value.iter().map(bit).fold(0, |all, bit| all | bit) | length << 26,
        }
    }

    fn length(self) -> usize {
        (self.letters >> 26) as usize
    }

    /// Whether the two may be equal.
    pub(super) fn may_be(self, other: Word) -> bool {
        self.hash == other.hash
    }

    /// Letters of the one that the other lacks, both ways.
    fn apart(self, other: Word) -> (u32, u32) {
        let lacks = |a: u32, b: u32| (a & !b & LETTERS).count_ones();
        (lacks(self.letters, other.letters), lacks(other.letters, self.letters))
    }

    /// Whether so many typing errors may part the two.
    pub(super) fn within(self, other: Word, edits: u32) -> bool {
        let (more, less) = self.apart(other);
        more <= edits && less <= edits && self.length().abs_diff(other.length()) <= edits as usize
    }

    /// Whether one may contain the other's letters.
    pub(super) fn may_contain(self, other: Word) -> bool {
        let (more, less) = self.apart(other);
        more == 0 || less == 0
    }

    /// Whether the Jaro-Winkler similarity of the two may reach `least`: letters that the other lacks
    /// match nothing.
    pub(super) fn may_be_alike(self, other: Word, least: f64) -> bool {
        let (a, b) = (self.length(), other.length());
        if a == 0 || b == 0 || a == LENGTH_MAX || b == LENGTH_MAX {
            return true;
        }
        let (more, less) = self.apart(other);
        let matched = (a - (more as usize).min(a)).min(b - (less as usize).min(b)) as f64;
        let jaro = (matched / a as f64 + matched / b as f64 + 1.0) / 3.0;
        let common = if self.hash & 31 == other.hash & 31 { 4.0 } else { 0.0 };
        // A little more than it can be, so that rounding does not matter.
        jaro + 0.1 * common * (1.0 - jaro) + 1e-9 >= least
    }
}

impl Digits {
    /// The digits of a value, with the hash of what tells it: that or a part of it.
    pub(super) fn of(value: &[u8], telling: &[u8]) -> Self {
        let mut counts = 0u64;
        for digit in value.iter().filter(|byte| byte.is_ascii_digit()) {
            let shift = (digit - b'0') * 4;
            if counts >> shift & 15 < 15 {
                counts += 1 << shift;
            }
        }
        Digits(counts | u64::from(hash(telling)) << COUNT_BITS)
    }

    /// Whether the two may be equal.
    pub(super) fn may_be(self, other: Digits) -> bool {
        self.0 >> COUNT_BITS == other.0 >> COUNT_BITS
    }

    /// Whether so many typing errors may part the two: each changes two counts at most.
    pub(super) fn within(self, other: Digits, edits: u64) -> bool {
        let count = |counts: u64, digit: u32| counts >> (digit * 4) & 15;
        let apart: u64 = (0..10).map(|digit| count(self.0, digit).abs_diff(count(other.0, digit))).sum();
        apart <= 2 * edits
    }
}
