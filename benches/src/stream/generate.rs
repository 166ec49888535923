//! Writes the workload as JSON lines, the same bytes for the same parameters.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::stream::content::{Body, Content, KINDS, Kind, Live, PROFILE_RATIO};

/// Source time of the first event, ms since epoch.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// Source time between two events: a million of them make one day.
const EVENT_GAP_MS: u64 = 86;
/// A customer has at most this many live records of one kind.
const LIVE_MAX: usize = 64;

/// What the workload looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Number of customers that events may name.
    pub customers: u32,
    /// Number of lines, repeats included.
    pub events: u64,
    /// Seed of every draw.
    pub seed: u64,
    /// Exponent of the popularity of customers; greater is more skewed.
    pub zipf_s: f64,
    /// Shift of the popularity; 0 makes the first customer hot.
    pub zipf_q: f64,
    /// Repeats per event.
    pub repeat_ratio: f64,
    /// Share of events that arrive late.
    pub late_ratio: f64,
    /// Share of events that delete.
    pub delete_ratio: f64,
}

impl Workload {
    /// The workload with its usual skew, repeats, lateness and deletes.
    #[must_use]
    pub fn new(customers: u32, events: u64, seed: u64) -> Self {
        Workload {
            customers,
            events,
            seed,
            zipf_s: 0.9,
            zipf_q: 100.0,
            repeat_ratio: 0.05,
            late_ratio: 0.10,
            delete_ratio: 0.01,
        }
    }

    /// 5,000 customers, 100,000 events: for a quick look.
    #[must_use]
    pub fn smoke() -> Self {
        Self::new(5_000, 100_000, 7)
    }

    /// 50,000 customers, 1,000,000 events: the one that figures are quoted for.
    #[must_use]
    pub fn main() -> Self {
        Self::new(50_000, 1_000_000, 7)
    }

    /// A source time that no event of the workload is later than, ms since epoch.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        EPOCH_MS + self.events * EVENT_GAP_MS
    }

    /// All lines in memory, each ended by a line feed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.events).map_or(0, |events| events * 590));
        self.write(&mut bytes).expect("writing to memory does not fail");
        bytes
    }

    /// Writes all lines and returns how many there are.
    ///
    /// # Errors
    /// What `out` reports.
    pub fn write(&self, out: &mut impl Write) -> io::Result<u64> {
        Generator::new(self).run(out)
    }
}

struct Generator<'a> {
    workload: &'a Workload,
    content: Content,
    /// Popularity added up by rank, and the kinds' shares added up: profiles first.
    ranks: Vec<f64>,
    shares: Vec<f64>,
    /// Multiplier that spreads ranks over customer numbers.
    stride: u64,
    live: HashMap<(u32, usize), Vec<Live>>,
    /// Lines waiting for their position, then for their turn.
    waiting: BinaryHeap<Reverse<(u64, u64, String)>>,
    turns: u64,
}

fn running_sum(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let add = |total: &mut f64, value: f64| {
        *total += value;
        Some(*total)
    };
    values.scan(0.0, add).collect()
}

/// The first place in ascending `sums` that is not below `value`, at most the last place.
fn place(sums: &[f64], value: f64) -> usize {
    sums.partition_point(|sum| *sum < value).min(sums.len() - 1)
}

impl<'a> Generator<'a> {
    fn new(workload: &'a Workload) -> Self {
        let customers = workload.customers.max(1);
        let popularity = |rank: u32| 1.0 / (f64::from(rank + 1) + workload.zipf_q).powf(workload.zipf_s);
        let coprime =
            [7_919, 104_729, 1_299_709, 15_485_863].into_iter().find(|prime| !customers.is_multiple_of(*prime));
        Generator {
            workload,
            content: Content::new(workload.seed),
            ranks: running_sum((0..customers).map(popularity)),
            shares: running_sum([PROFILE_RATIO].into_iter().chain(KINDS.iter().map(|kind| kind.share_ratio))),
            stride: u64::from(coprime.unwrap_or(1)),
            live: HashMap::new(),
            waiting: BinaryHeap::new(),
            turns: 0,
        }
    }

    fn run(mut self, out: &mut impl Write) -> io::Result<u64> {
        let base = (self.workload.events as f64 / (1.0 + self.workload.repeat_ratio)).round_ties_even() as u64;
        let mut repeats_left = self.workload.events.saturating_sub(base);
        let repeat_chance = repeats_left as f64 / base as f64;
        let mut written = 0;
        for index in 0..base {
            let line = self.event(index);
            let position = self.position(index);
            // Repeats are extra lines: whatever is still owed at the end is paid there.
            let must_repeat = repeats_left >= base - index;
            if repeats_left > 0 && (must_repeat || self.content.random.draw() < repeat_chance) {
                repeats_left -= 1;
                let again = position + 1 + u64::from(self.content.random.below(1_000));
                self.push(position, line.clone());
                self.push(again, line);
            } else {
                self.push(position, line);
            }
            written += self.release(index, out)?;
        }
        Ok(written + self.release(u64::MAX, out)?)
    }

    fn push(&mut self, position: u64, line: String) {
        self.turns += 1;
        self.waiting.push(Reverse((position, self.turns, line)));
    }

    /// Where the event at `index` stands in the stream: there, or up to 1,000 later, or 20,000.
    fn position(&mut self, index: u64) -> u64 {
        let late = self.content.random.draw();
        if late >= self.workload.late_ratio {
            return index;
        }
        let mut position = index + 1 + u64::from(self.content.random.below(1_000));
        if late < self.workload.late_ratio * 0.1 {
            position = index + 1 + u64::from(self.content.random.below(20_000));
        }
        position
    }

    fn release(&mut self, up_to: u64, out: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        while self.waiting.peek().is_some_and(|Reverse((position, _, _))| *position <= up_to) {
            let Some(Reverse((_, _, line))) = self.waiting.pop() else { break };
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
            written += 1;
        }
        Ok(written)
    }

    fn event(&mut self, index: u64) -> String {
        let most = self.ranks.last().copied().unwrap_or_default();
        let draw = self.content.random.draw() * most;
        let rank = place(&self.ranks, draw) as u64;
        let customer = (rank * self.stride % u64::from(self.workload.customers.max(1))) as u32;
        let all = self.shares.last().copied().unwrap_or_default();
        let draw = self.content.random.draw() * all;
        let Body { system, entity, op, id, version, data } = match place(&self.shares, draw).checked_sub(1) {
            None => self.content.profile(customer),
            Some(kind) => self.record(customer, kind, index),
        };
        let mut line = String::with_capacity(640);
        write!(
            line,
            r#"{{"event_id":"e{index:012}","system":"{system}","entity":"{entity}","op":"{op}","entity_id":"{id}","customer_id":"C{customer:08}","version":{version},"source_ts":{source_ts},"schema":1,"source":{{"object":"{system}.{entity}","txn":"{txn:016x}","partition":{partition}}},"data":{{{data}}}}}"#,
            source_ts = EPOCH_MS + index * EVENT_GAP_MS,
            txn = index.wrapping_mul(2_654_435_761),
            partition = customer % 64,
        )
        .expect("writing to memory does not fail");
        line
    }

    fn record(&mut self, customer: u32, kind: usize, index: u64) -> Body {
        let (live, is_deleted) = self.next_version(customer, kind, EPOCH_MS + index * EVENT_GAP_MS);
        let Kind { entity, system, stages, fields, .. } = &KINDS[kind];
        let (op, data) = if is_deleted {
            ("delete", String::new())
        } else {
            ("upsert", fields(&mut self.content, stages[live.stage], &live))
        };
        Body { system, entity, op, id: live.id, version: live.version, data }
    }

    /// Moves a live record on, deletes one, or begins one; and whether it was deleted.
    fn next_version(&mut self, customer: u32, kind: usize, now_ms: u64) -> (Live, bool) {
        let records = self.live.entry((customer, kind)).or_default();
        let last = KINDS[kind].stages.len() - 1;
        if !records.is_empty() && self.content.random.draw() < KINDS[kind].update_ratio {
            let at = self.content.random.below(records.len() as u32) as usize;
            records[at].version += 1;
            // About half of all events are updates, so deletes are twice as likely among them.
            if self.content.random.draw() < self.workload.delete_ratio / 0.50 {
                return (records.swap_remove(at), true);
            }
            let leap = usize::from(self.content.random.draw() < 0.2);
            records[at].stage = (records[at].stage + 1 + leap).min(last);
            let live = if records[at].stage == last { records.swap_remove(at) } else { records[at].clone() };
            return (live, false);
        }
        let live = self.content.begin(kind, now_ms);
        records.push(live.clone());
        if records.len() > LIVE_MAX {
            records.remove(0);
        }
        (live, false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::stream::summary::checksum_of_bytes;

    #[test]
    fn the_smoke_workload_is_the_published_one_byte_for_byte() {
        let bytes = Workload::smoke().to_bytes();
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 100_000);
        assert_eq!(checksum_of_bytes(&bytes), "0b35ed2df70c20c70d58b7209981bd4a");
    }

    #[test]
    fn a_hot_customer_takes_about_a_tenth_of_the_events() {
        let mut hot = Workload::new(10_000, 5_000, 7);
        (hot.zipf_s, hot.zipf_q) = (1.0, 0.0);
        let text = String::from_utf8(hot.to_bytes()).unwrap();
        let share = text.matches("\"customer_id\":\"C00000000\"").count();
        assert!((400..=650).contains(&share), "{share} of 5000");
    }

    #[test]
    fn the_number_of_lines_is_exact_and_the_seed_decides() {
        let one = Workload::new(1, 7, 1).to_bytes();
        assert_eq!(one.iter().filter(|byte| **byte == b'\n').count(), 7);
        assert_ne!(one, Workload::new(1, 7, 2).to_bytes());
        assert!(Workload::new(1, 0, 1).to_bytes().is_empty());
    }
}
