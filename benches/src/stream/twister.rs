//! Mersenne Twister MT19937 and the 53-bit draw that the workload is defined by.
//!
//! Source: Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
//! pseudo-random number generator" (1998), with the array seeding of their 2002 revision.

/// Words of state.
const N: usize = 624;
/// Distance between the words that a new word is made of.
const M: usize = 397;
const MATRIX: u32 = 0x9908_b0df;
const UPPER: u32 = 0x8000_0000;
const LOWER: u32 = 0x7fff_ffff;

/// A generator of uniform draws, the same ones for the same seed for ever.
#[derive(Debug, Clone)]
pub struct Twister {
    words: [u32; N],
    next: usize,
}

impl Twister {
    /// Seeds with one number; larger ones fill as many key words as they need.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let low = (seed & 0xffff_ffff) as u32;
        let high = (seed >> 32) as u32;
        if high == 0 { Self::from_key(&[low]) } else { Self::from_key(&[low, high]) }
    }

    fn from_key(key: &[u32]) -> Self {
        let mut words = Self::spread(19_650_218);
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let previous = words[i - 1] ^ (words[i - 1] >> 30);
            words[i] = (words[i] ^ previous.wrapping_mul(1_664_525)).wrapping_add(key[j]).wrapping_add(j as u32);
            i = Self::step(&mut words, i);
            j = (j + 1) % key.len();
        }
        for _ in 0..N - 1 {
            let previous = words[i - 1] ^ (words[i - 1] >> 30);
            words[i] = (words[i] ^ previous.wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i = Self::step(&mut words, i);
        }
        words[0] = UPPER;
        Twister { words, next: N }
    }

    /// The next place of the seeding loops, which run over the places 1 to N - 1.
    fn step(words: &mut [u32; N], i: usize) -> usize {
        if i + 1 < N {
            return i + 1;
        }
        words[0] = words[N - 1];
        1
    }

    fn spread(seed: u32) -> [u32; N] {
        let mut words = [seed; N];
        for i in 1..N {
            let previous = words[i - 1] ^ (words[i - 1] >> 30);
            words[i] = previous.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        words
    }

    fn refill(&mut self) {
        for i in 0..N {
            let joined = (self.words[i] & UPPER) | (self.words[(i + 1) % N] & LOWER);
            let odd = if joined & 1 == 1 { MATRIX } else { 0 };
            self.words[i] = self.words[(i + M) % N] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next >= N {
            self.refill();
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn draw(&mut self) -> f64 {
        let high = f64::from(self.word() >> 5);
        let low = f64::from(self.word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// A whole number in [0, `below`).
    pub fn below(&mut self, below: u32) -> u32 {
        (self.draw() * f64::from(below)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_words_of_the_array_seed_come_out() {
        let mut twister = Twister::from_key(&[0x123, 0x234, 0x345, 0x456]);
        let words: Vec<u32> = (0..5).map(|_| twister.word()).collect();
        assert_eq!(words, [1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476]);
    }

    #[test]
    fn draws_of_a_seed_stay_what_they_are() {
        let mut twister = Twister::new(7);
        assert_eq!(twister.draw().to_string(), "0.32383276483316237");
        assert_eq!(twister.draw().to_string(), "0.15084917392450192");
        let mut wide = Twister::new(1 << 33);
        assert_ne!(wide.word(), Twister::new(0).word());
    }

    #[test]
    fn a_draw_below_stays_below() {
        let mut twister = Twister::new(1);
        assert!((0..10_000).all(|_| twister.below(3) < 3));
        assert_eq!(twister.below(1), 0);
    }
}
