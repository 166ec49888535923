//! What stands in the records of the workload: their kinds, their lives, and the draws behind every
//! field. The order of the draws is part of the workload.

use std::collections::HashMap;

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

/// Share of the events that are customer profiles.
pub(super) const PROFILE_RATIO: f64 = 0.07;

/// One kind of record: its share of the events, its life, and how often an event is an update.
pub(super) struct Kind {
    pub entity: &'static str,
    pub system: &'static str,
    pub share_ratio: f64,
    pub stages: &'static [&'static str],
    pub prefix: &'static str,
    pub update_ratio: f64,
    /// Draws and writes the fields of one version.
    pub fields: fn(&mut Content, &str, &Live) -> String,
}

const INVOICE: usize = 1;
const SERVICE_ORDER: usize = 6;
/// The kinds that are no profiles.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        entity: "case",
        system: "salesforce",
        share_ratio: 0.20,
        stages: &["New", "Working", "Escalated", "Resolved", "Closed"],
        prefix: "SF",
        update_ratio: 0.65,
        fields: Content::case,
    },
    Kind {
        entity: "invoice",
        system: "oracle",
        share_ratio: 0.14,
        stages: &["Open", "Disputed", "PastDue", "Paid"],
        prefix: "INV",
        update_ratio: 0.55,
        fields: Content::invoice,
    },
    Kind {
        entity: "payment",
        system: "oracle",
        share_ratio: 0.08,
        stages: &["Applied", "Reversed"],
        prefix: "PAY",
        update_ratio: 0.03,
        fields: Content::payment,
    },
    Kind {
        entity: "dispute",
        system: "oracle",
        share_ratio: 0.03,
        stages: &["Open", "UnderReview", "Resolved"],
        prefix: "DSP",
        update_ratio: 0.6,
        fields: Content::dispute,
    },
    Kind {
        entity: "credit_note",
        system: "oracle",
        share_ratio: 0.02,
        stages: &["PendingApproval", "Approved"],
        prefix: "CN",
        update_ratio: 0.45,
        fields: Content::credit_note,
    },
    Kind {
        entity: "interaction",
        system: "wxcc",
        share_ratio: 0.30,
        stages: &["Active", "Ended"],
        prefix: "WX",
        update_ratio: 0.48,
        fields: Content::interaction,
    },
    Kind {
        entity: "service_order",
        system: "sap",
        share_ratio: 0.10,
        stages: &["Created", "Released", "InProgress", "Completed"],
        prefix: "SO",
        update_ratio: 0.7,
        fields: Content::service_order,
    },
    Kind {
        entity: "dispatch",
        system: "sap",
        share_ratio: 0.06,
        stages: &["Scheduled", "EnRoute", "OnSite", "Completed"],
        prefix: "FD",
        update_ratio: 0.7,
        fields: Content::dispatch,
    },
];

/// A live record.
#[derive(Clone)]
pub(super) struct Live {
    pub id: String,
    pub version: u64,
    pub stage: usize,
    pub created_ms: u64,
    pub cents: u64,
}

/// What an event says of a record.
pub(super) struct Body {
    pub system: &'static str,
    pub entity: &'static str,
    pub op: &'static str,
    pub id: String,
    pub version: u64,
    pub data: String,
}

/// Draws what records say, and numbers the new ones.
pub(super) struct Content {
    pub random: Twister,
    profiles: HashMap<(u32, usize), u64>,
    issued: [u64; KINDS.len()],
}

impl Content {
    pub fn new(seed: u64) -> Self {
        Content { random: Twister::new(seed), profiles: HashMap::new(), issued: [0; KINDS.len()] }
    }

    /// The next version of a customer's profile in one of its three master systems.
    pub fn profile(&mut self, c: u32) -> Body {
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
        Body { system, entity: "customer", op: "upsert", id, version, data }
    }

    /// A new record of a kind.
    pub fn begin(&mut self, kind: usize, created_ms: u64) -> Live {
        self.issued[kind] += 1;
        let id = format!("{}-2026-{:08}", KINDS[kind].prefix, self.issued[kind]);
        let cents = u64::from(self.random.below(50_000)) + 500;
        Live { id, version: 1, stage: 0, created_ms, cents }
    }

    fn payment(&mut self, status: &str, live: &Live) -> String {
        let (created, cents) = (live.created_ms, live.cents);
        let method = self.one_of(&["ACH", "CARD", "WIRE"]);
        let (memo, bank) = (self.text(14), self.text(4));
        format!(
            r#""status":"{status}","amount_cents":{cents},"currency":"USD","method":"{method}","received_ts":{created},"reference":"RF{:012}","memo":"{memo}","bank":"{bank}""#,
            cents * 7_919
        )
    }

    fn dispute(&mut self, status: &str, live: &Live) -> String {
        let (created, cents) = (live.created_ms, live.cents);
        let dispute_type = self.one_of(&["Overcharge", "NotReceived", "Quality"]);
        let (invoice, reason) = (self.issued[INVOICE].max(1), self.text(20));
        format!(
            r#""status":"{status}","amount_cents":{cents},"dispute_type":"{dispute_type}","invoice_id":"INV-2026-{invoice:08}","raised_ts":{created},"reason":"{reason}""#
        )
    }

    fn credit_note(&mut self, status: &str, live: &Live) -> String {
        let (created, cents) = (live.created_ms, live.cents);
        let (invoice, approver) = (self.issued[INVOICE].max(1), self.random.below(300));
        let reason = self.text(20);
        format!(
            r#""status":"{status}","amount_cents":{cents},"invoice_id":"INV-2026-{invoice:08}","created_ts":{created},"approver":"u{approver:05}","reason":"{reason}""#
        )
    }

    fn service_order(&mut self, status: &str, live: &Live) -> String {
        let (created, cents) = (live.created_ms, live.cents);
        let order_type = self.one_of(&["Install", "Repair", "Upgrade"]);
        let (plant, notes) = (self.random.below(30), self.text(20));
        format!(
            r#""status":"{status}","type":"{order_type}","scheduled_ts":{},"estimate_cents":{cents},"plant":"P{plant:03}","notes":"{notes}""#,
            created + 172_800_000
        )
    }

    fn case(&mut self, status: &str, live: &Live) -> String {
        let created = live.created_ms;
        let case_type = self.one_of(&["Billing", "Outage", "Install", "Other"]);
        let priority = self.one_of(&["P1", "P2", "P3", "P4"]);
        let origin = self.one_of(&["Phone", "Web", "Email"]);
        let (owner, escalation) = (self.random.below(200), self.random.below(3));
        let (subject, description) = (self.text(6), self.text(16));
        format!(
            r#""type":"{case_type}","status":"{status}","priority":"{priority}","origin":"{origin}","owner_id":"005{owner:012}","escalation_level":{escalation},"opened_ts":{created},"subject":"{subject}","description":"{description}""#
        )
    }

    fn invoice(&mut self, status: &str, live: &Live) -> String {
        let (created, cents) = (live.created_ms, live.cents);
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

    fn interaction(&mut self, status: &str, live: &Live) -> String {
        let created = live.created_ms;
        let channel = self.one_of(&["voice", "chat", "email"]);
        let (agent, duration) = (self.random.below(200), self.random.below(900));
        let disposition = self.one_of(&["resolved", "transfer", "callback"]);
        let sentiment = i64::from(self.random.below(200)) - 100;
        let (queue, summary) = (self.random.below(40), self.text(18));
        format!(
            r#""status":"{status}","channel":"{channel}","agent_id":"A{agent:05}","started_ts":{created},"duration_s":{duration},"disposition":"{disposition}","sentiment":{sentiment},"queue":"Q{queue:03}","summary":"{summary}""#
        )
    }

    fn dispatch(&mut self, status: &str, live: &Live) -> String {
        let created = live.created_ms;
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
}

/// `word` with a capital.
fn title(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
