//! The answer of the job: one line per customer and one MD5 over all lines.

use std::fmt::Write as _;

use md5::{Digest, Md5};

use crate::stream::event::{RecordKind, Sender};

/// How many of the newest interactions a line names.
const INTERACTIONS_MAX: usize = 5;

/// A record as far as the job needs it, in the canonical words of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRow<'a> {
    /// Kind of record.
    pub kind: RecordKind,
    /// Id of the record.
    pub id: &'a str,
    /// System that it comes from.
    pub system: Sender,
    /// Source time of its newest version, ms since epoch; also of a deletion.
    pub source_ts: i64,
    /// What stands in it; none once it is deleted.
    pub content: Option<RowContent<'a>>,
}

/// What the job reads of a live record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowContent<'a> {
    /// Whether its status counts: case open, invoice or credit note pending, dispute active,
    /// payment applied, order or dispatch in flight. Of no meaning for the other kinds.
    pub counts: bool,
    /// Amount in cents; 0 where there is none.
    pub amount_cents: i64,
    /// When an interaction began, ms since epoch; 0 for other kinds.
    pub started_ts: i64,
    /// Tier of a profile; empty for other kinds.
    pub tier: &'a str,
}

/// What the job says about one customer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BenchCustomer {
    /// Customer id of the workload.
    pub id: String,
    /// Open cases.
    pub open_cases: u64,
    /// Pending invoices.
    pub pending_invoices: u64,
    /// Sum of the pending invoices in cents.
    pub pending_cents: i64,
    /// Active disputes.
    pub active_disputes: u64,
    /// Sum of the active disputes in cents.
    pub disputed_cents: i64,
    /// Sum of the applied payments in cents.
    pub paid_cents: i64,
    /// Pending credit notes.
    pub pending_credit_notes: u64,
    /// Service orders in flight.
    pub orders_in_flight: u64,
    /// Dispatches in flight.
    pub dispatches_in_flight: u64,
    /// All live interactions: start in ms since epoch, id.
    pub interactions: Vec<(i64, String)>,
    /// Newest source time per system, in the order of [`Sender::ALL`]; 0 is never heard of.
    pub newest_ts: [i64; 4],
    /// Tier per system, in the order of [`Sender::ALL`]; empty is no profile.
    pub tiers: [String; 4],
}

impl BenchCustomer {
    /// A customer without records.
    pub fn new(id: impl Into<String>) -> Self {
        BenchCustomer { id: id.into(), ..BenchCustomer::default() }
    }

    /// Counts in one record, deleted ones too: they still say when the system was last heard of.
    pub fn add(&mut self, row: &RecordRow<'_>) {
        let place = Sender::ALL.iter().position(|sender| *sender == row.system).expect("ALL lists every sender");
        self.newest_ts[place] = self.newest_ts[place].max(row.source_ts);
        let Some(content) = row.content else { return };
        let (one, cents) = if content.counts { (1, content.amount_cents) } else { (0, 0) };
        match row.kind {
            RecordKind::Customer => content.tier.clone_into(&mut self.tiers[place]),
            RecordKind::Case => self.open_cases += one,
            RecordKind::Invoice => {
                self.pending_invoices += one;
                self.pending_cents += cents;
            }
            RecordKind::Payment => self.paid_cents += cents,
            RecordKind::Dispute => {
                self.active_disputes += one;
                self.disputed_cents += cents;
            }
            RecordKind::CreditNote => self.pending_credit_notes += one,
            RecordKind::Interaction => self.interactions.push((content.started_ts, row.id.to_owned())),
            RecordKind::ServiceOrder => self.orders_in_flight += one,
            RecordKind::Dispatch => self.dispatches_in_flight += one,
        }
    }

    /// The customer's line, ended by a line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let mut newest: Vec<&(i64, String)> = self.interactions.iter().collect();
        newest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        newest.truncate(INTERACTIONS_MAX);
        let interactions: Vec<&str> = newest.iter().map(|(_, id)| id.as_str()).collect();
        let mut line = format!(
            "{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|",
            self.id,
            self.open_cases,
            self.pending_invoices,
            self.pending_cents,
            self.active_disputes,
            self.disputed_cents,
            self.paid_cents,
            self.pending_credit_notes,
            self.orders_in_flight,
            self.dispatches_in_flight,
            interactions.join(","),
        );
        let [salesforce, oracle, wxcc, sap] = self.newest_ts;
        let [salesforce_tier, oracle_tier, _, sap_tier] = &self.tiers;
        writeln!(line, "{salesforce},{oracle},{wxcc},{sap}|{salesforce_tier},{oracle_tier},{sap_tier}")
            .expect("writing to memory does not fail");
        line
    }
}

/// The MD5 over the lines of all customers in the order of their ids, in lower-case hex.
#[must_use]
pub fn checksum(mut customers: Vec<BenchCustomer>) -> String {
    customers.sort_by(|a, b| a.id.cmp(&b.id));
    let mut hasher = Md5::new();
    for customer in &customers {
        hasher.update(customer.line());
    }
    hex::encode(hasher.finalize())
}

/// The MD5 of `bytes` in lower-case hex.
#[must_use]
pub fn checksum_of_bytes(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: RecordKind, id: &str, source_ts: i64, counts: bool) -> RecordRow<'_> {
        let content = RowContent { counts, amount_cents: 250, started_ts: source_ts, tier: "Gold" };
        RecordRow { kind, id, system: Sender::Oracle, source_ts, content: Some(content) }
    }

    #[test]
    fn a_line_names_counts_sums_the_newest_five_and_the_times() {
        let mut customer = BenchCustomer::new("C1");
        customer.add(&row(RecordKind::Invoice, "I1", 10, true));
        customer.add(&row(RecordKind::Invoice, "I2", 11, false));
        customer.add(&row(RecordKind::Customer, "AR-1", 12, false));
        for (id, at) in [("W1", 1), ("W2", 2), ("W4", 3), ("W3", 3), ("W5", 4), ("W6", 5)] {
            customer.add(&row(RecordKind::Interaction, id, at, false));
        }
        customer.add(&RecordRow { content: None, ..row(RecordKind::Dispute, "D1", 99, true) });
        assert_eq!(customer.line(), "C1|0|1|250|0|0|0|0|0|0|W6,W5,W3,W4,W2|0,99,0,0|,Gold,\n");
    }

    #[test]
    fn the_checksum_does_not_depend_on_the_order_of_customers() {
        let (a, b) = (BenchCustomer::new("A"), BenchCustomer::new("B"));
        assert_eq!(checksum(vec![a.clone(), b.clone()]), checksum(vec![b, a]));
        assert_eq!(checksum(Vec::new()), checksum_of_bytes(b""));
    }
}
