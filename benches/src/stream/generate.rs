//! Writes the workload as JSON lines, the same bytes for the same parameters.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::stream::twister::Twister;

const WORDS: &[&str] = &[
    "router",
    "fiber",
    "line",
    "outage",
    "billing",
    "credit",
    "plan",
    "upgrade",
    "install",
    "technician",
    "visit",
    "reschedule",
    "refund",
    "dispute",
    "overcharge",
    "modem",
    "signal",
    "account",
    "contact",
    "transfer",
    "escalation",
    "warranty",
    "replacement",
    "meter",
    "contract",
    "renewal",
    "discount",
    "invoice",
    "balance",
    "payment",
    "portal",
    "login",
    "address",
    "appointment",
    "delay",
    "confirmation",
    "callback",
    "voicemail",
    "resolved",
    "pending",
    "review",
    "approval",
    "finance",
    "service",
    "order",
    "dispatch",
];
const TIERS: &[&str] = &["Gold", "Silver", "Bronze", "Platinum"];
const SEGMENTS: &[&str] = &["Consumer", "SMB", "Enterprise", "Public Sector"];

/// Source time of the first event, ms since epoch.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// Source time between two events: a million of them make one day.
const EVENT_GAP_MS: u64 = 86;
/// A customer has at most this many live records of one kind.
const LIVE_MAX: usize = 64;

/// One kind of record: its share of the events, its life, and how often an event is an update.
struct Kind {
    entity: &'static str,
    system: &'static str,
    share_ratio: f64,
    stages: &'static [&'static str],
    prefix: &'static str,
    update_ratio: f64,
}

const CUSTOMER: usize = 0;
const INVOICE: usize = 2;
const SERVICE_ORDER: usize = 7;
const KINDS: &[Kind] = &[
    kind("customer", "", 0.07, &["Active"], "", 0.0),
    kind("case", "salesforce", 0.20, &["New", "Working", "Escalated", "Resolved", "Closed"], "SF", 0.65),
    kind("invoice", "oracle", 0.14, &["Open", "Disputed", "PastDue", "Paid"], "INV", 0.55),
    kind("payment", "oracle", 0.08, &["Applied", "Reversed"], "PAY", 0.03),
    kind("dispute", "oracle", 0.03, &["Open", "UnderReview", "Resolved"], "DSP", 0.6),
    kind("credit_note", "oracle", 0.02, &["PendingApproval", "Approved"], "CN", 0.45),
    kind("interaction", "wxcc", 0.30, &["Active", "Ended"], "WX", 0.48),
    kind("service_order", "sap", 0.10, &["Created", "Released", "InProgress", "Completed"], "SO", 0.7),
    kind("dispatch", "sap", 0.06, &["Scheduled", "EnRoute", "OnSite", "Completed"], "FD", 0.7),
];

const fn kind(
    entity: &'static str,
    system: &'static str,
    share_ratio: f64,
    stages: &'static [&'static str],
    prefix: &'static str,
    update_ratio: f64,
) -> Kind {
    Kind { entity, system, share_ratio, stages, prefix, update_ratio }
}

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

/// A live record.
#[derive(Clone)]
struct Live {
    id: String,
    version: u64,
    stage: usize,
    created_ms: u64,
    cents: u64,
}

struct Generator<'a> {
    workload: &'a Workload,
    random: Twister,
    /// Popularity added up by rank, and kinds' shares added up.
    ranks: Vec<f64>,
    shares: Vec<f64>,
    /// Multiplier that spreads ranks over customer numbers.
    stride: u64,
    live: HashMap<(u32, usize), Vec<Live>>,
    profiles: HashMap<(u32, usize), u64>,
    issued: [u64; KINDS.len()],
    /// Lines waiting for their position, then for their turn.
    waiting: BinaryHeap<Reverse<(u64, u64, String)>>,
    turns: u64,
}

fn running_sum(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut total = 0.0;
    let mut sums: Vec<f64> = values
        .map(|value| {
            total += value;
            total
        })
        .collect();
    sums.shrink_to_fit();
    sums
}

/// The first place in ascending `sums` that is not below `value`, at most the last place.
fn place(sums: &[f64], value: f64) -> usize {
    sums.partition_point(|sum| *sum < value).min(sums.len() - 1)
}

impl<'a> Generator<'a> {
    fn new(workload: &'a Workload) -> Self {
        let customers = workload.customers.max(1);
        let popularity = |rank: u32| 1.0 / (f64::from(rank + 1) + workload.zipf_q).powf(workload.zipf_s);
        let coprime = [7_919, 104_729, 1_299_709, 15_485_863].into_iter().find(|prime| customers % prime != 0);
        Generator {
            workload,
            random: Twister::new(workload.seed),
            ranks: running_sum((0..customers).map(popularity)),
            shares: running_sum(KINDS.iter().map(|kind| kind.share_ratio)),
            stride: u64::from(coprime.unwrap_or(1)),
            live: HashMap::new(),
            profiles: HashMap::new(),
            issued: [0; KINDS.len()],
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
            if repeats_left > 0 && (must_repeat || self.random.draw() < repeat_chance) {
                repeats_left -= 1;
                let again = position + 1 + u64::from(self.random.below(1_000));
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
        let late = self.random.draw();
        if late >= self.workload.late_ratio {
            return index;
        }
        let mut position = index + 1 + u64::from(self.random.below(1_000));
        if late < self.workload.late_ratio * 0.1 {
            position = index + 1 + u64::from(self.random.below(20_000));
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
        let draw = self.random.draw() * most;
        let rank = place(&self.ranks, draw) as u64;
        let customer = (rank * self.stride % u64::from(self.workload.customers.max(1))) as u32;
        let all = self.shares.last().copied().unwrap_or_default();
        let draw = self.random.draw() * all;
        let kind = place(&self.shares, draw);
        let body = if kind == CUSTOMER { self.profile(customer) } else { self.record(customer, kind, index) };
        let Body { system, op, id, version, data } = body;
        let entity = KINDS[kind].entity;
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

    fn text(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(words * 8);
        for word in 0..words {
            if word > 0 {
                text.push(' ');
            }
            text.push_str(WORDS[self.random.below(WORDS.len() as u32) as usize]);
        }
        text
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.random.below(words.len() as u32) as usize]
    }

    fn profile(&mut self, c: u32) -> Body {
        let master = self.random.below(3) as usize;
        let version = self.profiles.entry((c, master)).or_insert(0);
        *version += 1;
        let version = *version;
        let (system, id) = match master {
            0 => ("salesforce", format!("001{c:012}")),
            1 => ("oracle", format!("AR-{c:010}")),
            _ => ("sap", format!("BP{c:010}")),
        };
        let word = |place: u64| WORDS[(place % WORDS.len() as u64) as usize];
        let wide = u64::from(c);
        let (first, second, city) = (title(word(wide)), title(word(wide / WORDS.len() as u64)), title(word(wide * 17)));
        let tier = self.one_of(TIERS);
        let balance = self.random.below(1_000_000);
        let credit = if self.random.draw() < 0.05 { "HOLD" } else { "OK" };
        let terms = self.one_of(&["NET30", "NET45", "NET60"]);
        let data = format!(
            r#""name":"{first} {second} {c}","tier":"{tier}","segment":"{segment}","email":"ops{c}@example{host}.test","phone":"+1555{phone:07}","street":"{number} {street} street","city":"{city}","postal":"{postal:05}","country":"US","ar_balance_cents":{balance},"credit_status":"{credit}","payment_terms":"{terms}","status":"Active""#,
            segment = SEGMENTS[(c & 3) as usize],
            host = c % 997,
            phone = c % 10_000_000,
            number = c % 9_999 + 1,
            street = word(wide * 31),
            postal = wide * 7 % 100_000,
        );
        Body { system, op: "upsert", id, version, data }
    }

    fn record(&mut self, customer: u32, kind: usize, index: u64) -> Body {
        let (live, deleted) = self.next_version(customer, kind, EPOCH_MS + index * EVENT_GAP_MS);
        let status = KINDS[kind].stages[live.stage];
        let data = if deleted { String::new() } else { self.data(kind, status, &live) };
        let op = if deleted { "delete" } else { "upsert" };
        Body { system: KINDS[kind].system, op, id: live.id, version: live.version, data }
    }

    /// Moves a live record on, deletes one, or begins one; and whether it was deleted.
    fn next_version(&mut self, customer: u32, kind: usize, now_ms: u64) -> (Live, bool) {
        let records = self.live.entry((customer, kind)).or_default();
        let last = KINDS[kind].stages.len() - 1;
        if !records.is_empty() && self.random.draw() < KINDS[kind].update_ratio {
            let at = self.random.below(records.len() as u32) as usize;
            records[at].version += 1;
            // About half of all events are updates, so deletes are twice as likely among them.
            if self.random.draw() < self.workload.delete_ratio / 0.50 {
                return (records.swap_remove(at), true);
            }
            let leap = usize::from(self.random.draw() < 0.2);
            records[at].stage = (records[at].stage + 1 + leap).min(last);
            let live = if records[at].stage == last { records.swap_remove(at) } else { records[at].clone() };
            return (live, false);
        }
        self.issued[kind] += 1;
        let id = format!("{}-2026-{:08}", KINDS[kind].prefix, self.issued[kind]);
        let cents = u64::from(self.random.below(50_000)) + 500;
        let live = Live { id, version: 1, stage: 0, created_ms: now_ms, cents };
        records.push(live.clone());
        if records.len() > LIVE_MAX {
            records.remove(0);
        }
        (live, false)
    }

    /// The fields of one version, in the order in which they are drawn.
    fn data(&mut self, kind: usize, status: &str, live: &Live) -> String {
        let (created, cents) = (live.created_ms, live.cents);
        match KINDS[kind].entity {
            "case" => self.case(status, created),
            "invoice" => self.invoice(status, created, cents),
            "payment" => {
                let method = self.one_of(&["ACH", "CARD", "WIRE"]);
                let (memo, bank) = (self.text(14), self.text(4));
                format!(
                    r#""status":"{status}","amount_cents":{cents},"currency":"USD","method":"{method}","received_ts":{created},"reference":"RF{:012}","memo":"{memo}","bank":"{bank}""#,
                    cents * 7_919
                )
            }
            "dispute" => {
                let dispute_type = self.one_of(&["Overcharge", "NotReceived", "Quality"]);
                let (invoice, reason) = (self.issued[INVOICE].max(1), self.text(20));
                format!(
                    r#""status":"{status}","amount_cents":{cents},"dispute_type":"{dispute_type}","invoice_id":"INV-2026-{invoice:08}","raised_ts":{created},"reason":"{reason}""#
                )
            }
            "credit_note" => {
                let (invoice, approver) = (self.issued[INVOICE].max(1), self.random.below(300));
                let reason = self.text(20);
                format!(
                    r#""status":"{status}","amount_cents":{cents},"invoice_id":"INV-2026-{invoice:08}","created_ts":{created},"approver":"u{approver:05}","reason":"{reason}""#
                )
            }
            "interaction" => self.interaction(status, created),
            "service_order" => {
                let order_type = self.one_of(&["Install", "Repair", "Upgrade"]);
                let (plant, notes) = (self.random.below(30), self.text(20));
                format!(
                    r#""status":"{status}","type":"{order_type}","scheduled_ts":{},"estimate_cents":{cents},"plant":"P{plant:03}","notes":"{notes}""#,
                    created + 172_800_000
                )
            }
            _ => self.dispatch(status, created),
        }
    }

    fn case(&mut self, status: &str, created: u64) -> String {
        let case_type = self.one_of(&["Billing", "Outage", "Install", "Other"]);
        let priority = self.one_of(&["P1", "P2", "P3", "P4"]);
        let origin = self.one_of(&["Phone", "Web", "Email"]);
        let (owner, escalation) = (self.random.below(200), self.random.below(3));
        let (subject, description) = (self.text(6), self.text(16));
        format!(
            r#""type":"{case_type}","status":"{status}","priority":"{priority}","origin":"{origin}","owner_id":"005{owner:012}","escalation_level":{escalation},"opened_ts":{created},"subject":"{subject}","description":"{description}""#
        )
    }

    fn invoice(&mut self, status: &str, created: u64, cents: u64) -> String {
        let (sku, quantity, text) = (self.random.below(99_999), 1 + self.random.below(3), self.text(3));
        let (other_sku, other_text) = (self.random.below(99_999), self.text(3));
        format!(
            r#""status":"{status}","amount_cents":{cents},"currency":"USD","due_ts":{due},"issued_ts":{created},"po":"PO{po:08}","terms":"NET30","lines":[{{"sku":"SKU{sku:05}","qty":{quantity},"cents":{half},"text":"{text}"}},{{"sku":"SKU{other_sku:05}","qty":1,"cents":{rest},"text":"{other_text}"}}]"#,
            due = created + 2_592_000_000,
            po = cents * 13,
            half = cents / 2,
            rest = cents - cents / 2,
        )
    }

    fn interaction(&mut self, status: &str, created: u64) -> String {
        let channel = self.one_of(&["voice", "chat", "email"]);
        let (agent, duration) = (self.random.below(200), self.random.below(900));
        let disposition = self.one_of(&["resolved", "transfer", "callback"]);
        let sentiment = i64::from(self.random.below(200)) - 100;
        let (queue, summary) = (self.random.below(40), self.text(18));
        format!(
            r#""status":"{status}","channel":"{channel}","agent_id":"A{agent:05}","started_ts":{created},"duration_s":{duration},"disposition":"{disposition}","sentiment":{sentiment},"queue":"Q{queue:03}","summary":"{summary}""#
        )
    }

    fn dispatch(&mut self, status: &str, created: u64) -> String {
        let (order, technician) = (self.issued[SERVICE_ORDER].max(1), self.random.below(50));
        let outcome = self.one_of(&["", "fixed", "revisit"]);
        let lat = 4_000_000 + self.random.below(99_999);
        let lon = -7_400_000 - i64::from(self.random.below(99_999));
        let notes = self.text(18);
        format!(
            r#""status":"{status}","service_order_id":"SO-2026-{order:08}","technician_id":"T{technician:04}","eta_ts":{},"outcome":"{outcome}","lat":{lat},"lon":{lon},"notes":"{notes}""#,
            created + 7_200_000
        )
    }
}

struct Body {
    system: &'static str,
    op: &'static str,
    id: String,
    version: u64,
    data: String,
}

fn title(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
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
