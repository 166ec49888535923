//! What a story expects. Doc comments here are the descriptions in the JSON Schema.
//!
//! Every part is partial: only what is written is compared. Lists of ids are compared as sets, and
//! `none: true` says that there is no such thing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// What must be so at the story's clock, or at an earlier position.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Asks for what the hub knew earlier instead of what it knows now.
    #[serde(default)]
    pub as_of: Option<AsOf>,
    /// Pairs of party records.
    #[serde(default)]
    pub links: Vec<ExpectLink>,
    /// Customers, each by one of its records.
    #[serde(default)]
    pub customers: Vec<ExpectCustomer>,
    /// Single records.
    #[serde(default)]
    pub records: Vec<ExpectRecord>,
    /// Discrepancies.
    #[serde(default)]
    pub discrepancies: Vec<ExpectDiscrepancy>,
    /// Alerts.
    #[serde(default)]
    pub alerts: Vec<ExpectAlert>,
    /// Correlations of billing records with service orders.
    #[serde(default)]
    pub correlations: Vec<ExpectCorrelation>,
    /// Invoices out of the ordinary.
    #[serde(default)]
    pub anomalies: Vec<ExpectAnomaly>,
    /// Transfers, each the latest of its case.
    #[serde(default)]
    pub handoffs: Vec<ExpectHandoff>,
    /// Tasks by the discrepancy that they settle.
    #[serde(default)]
    pub tasks: Vec<ExpectTask>,
    /// Actions that were decided.
    #[serde(default)]
    pub actions: Vec<ExpectAction>,
    /// Data findings.
    #[serde(default)]
    pub findings: Vec<ExpectFinding>,
    /// Number of records held in quarantine by reason.
    #[serde(default)]
    pub quarantine: BTreeMap<String, usize>,
    /// State of sources: `fresh`, `stale`, `unknown`, `unmonitored`.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// How long the last fact about an entity took from its source to its view: `case/SF-1: 420s`.
    #[serde(default)]
    pub latency: BTreeMap<String, String>,
    /// Figures by their code.
    #[serde(default)]
    pub kpis: BTreeMap<String, ExpectKpi>,
    /// Number of open things over all customers: `discrepancies`, `alerts`, `tasks`.
    #[serde(default)]
    pub open: BTreeMap<String, usize>,
    /// The canonical digest is the one remembered under this name; the first use remembers it.
    #[serde(default)]
    pub digest: Option<String>,
}

impl Expect {
    /// Whether it would hold whatever the hub knows.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        // Taken apart, so that a part that is added to the format is not forgotten here.
        let Expect {
            as_of: _,
            links,
            customers,
            records,
            discrepancies,
            alerts,
            correlations,
            anomalies,
            handoffs,
            tasks,
            actions,
            findings,
            quarantine,
            sources,
            latency,
            kpis,
            open,
            digest,
        } = self;
        links.is_empty()
            && customers.is_empty()
            && records.is_empty()
            && discrepancies.is_empty()
            && alerts.is_empty()
            && correlations.is_empty()
            && anomalies.is_empty()
            && handoffs.is_empty()
            && tasks.is_empty()
            && actions.is_empty()
            && findings.is_empty()
            && quarantine.is_empty()
            && sources.is_empty()
            && latency.is_empty()
            && kpis.is_empty()
            && open.is_empty()
            && digest.is_none()
    }
}

/// An earlier position. Exactly one of these.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// Everything that was ingested at or before this instant.
    #[serde(default)]
    pub time: Option<String>,
    /// Everything before the first fact about this entity.
    #[serde(default)]
    pub before: Option<String>,
}

/// One pair of party records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectLink {
    /// The records.
    pub pair: [String; 2],
    /// `linked`, `review`, `below` or `unlinked` (by a person).
    #[serde(default)]
    pub state: Option<String>,
    /// Lowest confidence.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// Confidence that it stays under.
    #[serde(default)]
    pub below: Option<f64>,
    /// Why it waits: `review_band`, `tax_id_veto`, `key_veto`, `cluster_conflict`.
    #[serde(default)]
    pub why: Option<String>,
    /// Features whose values are generic, for example `email`.
    #[serde(default)]
    pub generic: Option<Vec<String>>,
    /// Whether both are in one customer, by this pair or by others.
    #[serde(default)]
    pub same_customer: Option<bool>,
    /// Who judged last.
    #[serde(default)]
    pub judged_by: Option<String>,
}

/// One customer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectCustomer {
    /// One of its party records.
    pub of: String,
    /// All its party records.
    #[serde(default)]
    pub members: Option<Vec<String>>,
    /// Records whose own customer ids redirect here.
    #[serde(default)]
    pub redirected_from: Vec<String>,
    /// Records whose customers the others of `of`'s own customer id went to.
    #[serde(default)]
    pub split_into: Option<Vec<String>>,
    /// Ids of open cases.
    #[serde(default)]
    pub open_cases: Option<Vec<String>>,
    /// Ids of pending invoices.
    #[serde(default)]
    pub pending_invoices: Option<Vec<String>>,
    /// Ids of active disputes.
    #[serde(default)]
    pub active_disputes: Option<Vec<String>>,
    /// Ids of pending credit notes.
    #[serde(default)]
    pub pending_credit_notes: Option<Vec<String>>,
    /// Ids of active interactions.
    #[serde(default)]
    pub active_interactions: Option<Vec<String>>,
    /// Ids of service orders in flight.
    #[serde(default)]
    pub in_flight_service_orders: Option<Vec<String>>,
    /// Ids of dispatches in flight.
    #[serde(default)]
    pub in_flight_dispatches: Option<Vec<String>>,
    /// How often a merge made it, and a split unmade it, so far in the story.
    #[serde(default)]
    pub splits: Option<usize>,
}

/// One record.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectRecord {
    /// Kind and id.
    pub entity: String,
    /// Whether it lives.
    #[serde(default)]
    pub alive: Option<bool>,
    /// Values of fields, as facts write them; null for none.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

/// One discrepancy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectDiscrepancy {
    /// Rule, for example `RC1`.
    pub rule: String,
    /// The records that it is about, in any order.
    pub of: Vec<String>,
    /// Whether there is none, open or settled.
    #[serde(default)]
    pub none: bool,
    /// `open`, `acknowledged`, `resolved`, `waived`.
    #[serde(default)]
    pub state: Option<String>,
    /// What resolved it, for example `case_reopened`.
    #[serde(default)]
    pub cause: Option<String>,
    /// `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub severity: Option<String>,
    /// Team that has to act.
    #[serde(default)]
    pub owner: Option<String>,
    /// How many stretches it has held.
    #[serde(default)]
    pub occurrence: Option<u32>,
    /// Event time since which the records contradict each other.
    #[serde(default)]
    pub since: Option<String>,
    /// When it opened.
    #[serde(default)]
    pub opened_at: Option<String>,
    /// The sentence, word for word.
    #[serde(default)]
    pub sentence: Option<String>,
    /// Amount with currency, for example `342.00 USD`.
    #[serde(default)]
    pub amount: Option<String>,
    /// Records that evidence must come from.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// One alert.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectAlert {
    /// Number, for example `11-2`.
    pub alert: String,
    /// What it is about: a record such as `case/SF-1`, for 11-1 also a source such as `oracle`, for
    /// 11-3 the case of the transfer.
    pub of: String,
    /// Whether it never fired.
    #[serde(default)]
    pub none: bool,
    /// `firing`, `acknowledged`, `resolved`.
    #[serde(default)]
    pub state: Option<String>,
    /// `low`, `medium`, `high`, `critical`.
    #[serde(default)]
    pub severity: Option<String>,
    /// Team that was told.
    #[serde(default)]
    pub team: Option<String>,
    /// Words that its text holds.
    #[serde(default)]
    pub says: Option<String>,
    /// How often it has opened.
    #[serde(default)]
    pub openings: Option<u64>,
}

/// One correlation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectCorrelation {
    /// The invoice, dispute or credit note.
    pub of: String,
    /// Kind of anomaly, for example `spike`; absent for disputes and credit notes.
    #[serde(default)]
    pub anomaly: Option<String>,
    /// Whether there is no candidate at all.
    #[serde(default)]
    pub none: bool,
    /// The best service order.
    #[serde(default)]
    pub order: Option<String>,
    /// Its score, compared to as many decimals as are written.
    #[serde(default)]
    pub score: Option<f64>,
    /// Whether it is accepted.
    #[serde(default)]
    pub accepted: Option<bool>,
    /// `likely_error`, `needs_review`, `likely_correct_charge`, `uncorrelated`.
    #[serde(default)]
    pub verdict: Option<String>,
    /// The sentence, word for word.
    #[serde(default)]
    pub sentence: Option<String>,
}

/// One anomaly.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectAnomaly {
    /// The invoice.
    pub of: String,
    /// `spike`, `drop`, `estimate_deviation`, `duplicate_charge`, `charge_without_service`,
    /// `foreign_order`.
    pub kind: String,
    /// Whether there is none.
    #[serde(default)]
    pub none: bool,
    /// The service order that it is measured by.
    #[serde(default)]
    pub order: Option<String>,
}

/// The latest transfer of a case.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectHandoff {
    /// Id of the case.
    pub case: String,
    /// State, for example `held` or `released_complete`.
    #[serde(default)]
    pub state: Option<String>,
    /// Whether the package was complete when it was released.
    #[serde(default)]
    pub complete: Option<bool>,
    /// The narrative of the newest version, word for word.
    #[serde(default)]
    pub narrative: Option<String>,
    /// How the narrative ends.
    #[serde(default)]
    pub narrative_ends: Option<String>,
    /// Newest version of the package.
    #[serde(default)]
    pub version: Option<u32>,
    /// Lowest version that agents may read.
    #[serde(default)]
    pub readable_from: Option<u32>,
    /// What a change of identity did to the newest version: `merged`, `split`, `none`.
    #[serde(default)]
    pub identity_changed: Option<String>,
    /// Latest instant of release.
    #[serde(default)]
    pub released_by: Option<String>,
    /// Exact instant of release.
    #[serde(default)]
    pub released_at: Option<String>,
    /// Status of sections: `present`, `confirmed_empty`, `stale`, `unavailable`, with a reason in
    /// brackets where one is to be compared: `confirmed_empty (no_counterpart)`.
    #[serde(default)]
    pub sections: BTreeMap<String, String>,
    /// Records in sections of the newest version.
    #[serde(default)]
    pub items: BTreeMap<String, Vec<String>>,
    /// Codes of recommendations that must be among those of the newest version.
    #[serde(default)]
    pub recommends: Vec<String>,
}

/// Tasks of one discrepancy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectTask {
    /// Rule of the discrepancy.
    pub rule: String,
    /// The records that it is about.
    pub of: Vec<String>,
    /// How many were issued.
    #[serde(default)]
    pub issued: Option<usize>,
    /// How many are not completed.
    #[serde(default)]
    pub open: Option<usize>,
    /// Team that has them.
    #[serde(default)]
    pub team: Option<String>,
}

/// Actions of one kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectAction {
    /// Verb: `notify`, `create_task`, `complete_task`, `hold_transfer`, `release_transfer`,
    /// `push_package`, `escalate`, `flag_invoice`.
    pub action: String,
    /// Only those about this entity, or about the transfer of this case.
    #[serde(default)]
    pub of: Option<String>,
    /// How many different ones were decided.
    #[serde(default)]
    pub count: Option<usize>,
    /// How many of them reached their receiver.
    #[serde(default)]
    pub delivered: Option<usize>,
}

/// One data finding.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectFinding {
    /// Kind, for example `version_conflict`.
    pub kind: String,
    /// The record.
    pub of: String,
    /// Whether there is none.
    #[serde(default)]
    pub none: bool,
    /// Field.
    #[serde(default)]
    pub field: Option<String>,
    /// `info`, `warn`, `block`.
    #[serde(default)]
    pub severity: Option<String>,
}

/// One figure.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectKpi {
    /// Whether there is nothing to measure.
    #[serde(default)]
    pub not_measured: Option<bool>,
    /// Value in the figure's unit: milliseconds, millionths or a count.
    #[serde(default)]
    pub value: Option<i64>,
    /// What was counted.
    #[serde(default)]
    pub numerator: Option<u64>,
    /// Out of how many.
    #[serde(default)]
    pub denominator: Option<u64>,
    /// Whether the target is reached.
    #[serde(default)]
    pub met: Option<bool>,
}
