//! What an evaluation concludes about one customer.

use std::sync::Arc;

use ontology::canonical::Json;
use ontology::{EntityKey, EntityKind, Evidence, Field, Finding, Millis, Money, ObjectId, Vocabulary};
use state::composite::Micros;
use state::{Composite, Entity};

use crate::alerts::Alert;
use crate::correlate::{AnomalyKind, Candidate, Verdict};
use crate::findings;
use crate::reconcile::{DiscrepancyState, RuleCode, Span};
use crate::values::evidence_of;

/// Everything that is concluded about one customer at one instant. Each list is in the order of
/// rule and subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    /// Billing records with the service orders that may explain them.
    pub correlations: Arc<Vec<Arc<Correlation>>>,
    /// Invoices that are out of the ordinary.
    pub anomalies: Arc<Vec<Anomaly>>,
    /// Records that contradict each other, settled ones too.
    pub discrepancies: Vec<Discrepancy>,
    /// Conditions that somebody has to act on (11-2 and 11-4). The others depend on more than the
    /// customer.
    pub alerts: Vec<Alert>,
    /// What is wrong between the customer's records. What is wrong with one of them by itself stands
    /// with the record; [`Derived::all_findings`] has both.
    pub findings: Vec<Finding>,
    /// The next instant at which time alone may change any of this.
    pub wake_at: Option<Millis>,
    /// Contradictions that hold now, opened or not, each with when the hub noticed that it does.
    pub noticed: Vec<(ObjectId, Millis)>,
    /// Revision of the side inputs that all of it was concluded with.
    pub(crate) reference_revision: u64,
    /// What of the above follows from billing records alone, for the next evaluation.
    pub(crate) billing: Billing,
}

/// What the correlation of billing and service left behind besides its conclusions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Billing {
    /// When its conclusions change by time alone.
    pub wake_at: Option<Millis>,
    /// Whether a rate was asked for: then another rate may change them.
    pub depends_on_rates: bool,
    /// Whether service orders and visits had a part in them: not if there is nothing to explain and no
    /// invoice names an order.
    pub depends_on_orders: bool,
    /// Whether some dispute names an invoice.
    pub depends_on_disputes: bool,
    /// Orders that invoices name and that are not among the customer's, in order.
    pub unmet_orders: Vec<EntityKey>,
}

impl Derived {
    /// What is wrong with the customer's data, in order, each thing once. `composite` is what all of this
    /// was concluded from.
    #[must_use]
    pub fn all_findings(&self, composite: &Composite) -> Vec<Finding> {
        let of_records = composite.entities().flat_map(|entity| findings::of(entity));
        let mut all: Vec<Finding> = of_records.chain(self.findings.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Whether some amount was to be converted, with or without a rate for it: then another rate may change
    /// what is concluded.
    #[must_use]
    pub fn depends_on_rates(&self) -> bool {
        self.billing.depends_on_rates
    }

    /// Orders that the customer's invoices name and that are not among its own, in order: they may be
    /// another customer's, or not have arrived.
    #[must_use]
    pub fn unmet_orders(&self) -> &[EntityKey] {
        &self.billing.unmet_orders
    }

    /// Canonical form of what was concluded from `composite`: everything but what depends on arrival.
    #[must_use]
    pub fn canonical(&self, composite: &Composite) -> Json {
        Json::object([
            ("alerts", Json::array(self.alerts.iter().map(Alert::canonical))),
            ("anomalies", Json::array(self.anomalies.iter().map(Anomaly::canonical))),
            ("correlations", Json::array(self.correlations.iter().map(|correlation| correlation.canonical()))),
            ("discrepancies", Json::array(self.discrepancies.iter().map(Discrepancy::canonical))),
            ("findings", Json::array(self.all_findings(composite).iter().map(canonical_finding))),
        ])
    }

    /// Asks to be evaluated again at `at`, unless that is sooner.
    pub(crate) fn wake(&mut self, at: Millis) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

fn canonical_finding(finding: &Finding) -> Json {
    Json::object([
        ("entity", Json::text(finding.entity.to_string())),
        ("field", Json::maybe_text(finding.field.map(Vocabulary::name))),
        ("kind", Json::text(finding.kind.name())),
        ("severity", Json::text(finding.severity.name())),
        ("value", Json::text(&finding.value)),
    ])
}

/// What every conclusion says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounds {
    /// The records that it is about, in the order of the rule.
    pub subjects: Vec<EntityKey>,
    /// The records and fields that it rests on, of every side that it compares; read with
    /// [`Grounds::evidence`].
    pub cited: Vec<Cited>,
    /// Evidence that was written down earlier, as it was then.
    pub told: Vec<Evidence>,
    /// Version of the configuration that it was made with.
    pub config_version: u32,
    /// Confidence of the weakest link used, in millionths.
    pub link_confidence: Micros,
}

/// A record as it was, and the fields of it that something rests on. Entities never change in
/// place, so a citation keeps what was compared without copying it; most are never read.
#[derive(Debug, Clone)]
pub struct Cited {
    entity: Arc<Entity>,
    fields: &'static [Field],
}

impl Cited {
    /// Cites `fields` of an entity as it is now.
    #[must_use]
    pub fn new(entity: &Arc<Entity>, fields: &'static [Field]) -> Self {
        Cited { entity: entity.clone(), fields }
    }

    /// Whether both cite the same fields of the same state of the same record.
    fn is_same(&self, other: &Cited) -> bool {
        self.fields == other.fields && (Arc::ptr_eq(&self.entity, &other.entity) || self.entity == other.entity)
    }
}

impl PartialEq for Cited {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

impl Eq for Cited {}

impl Grounds {
    /// Whether what a correlation rests on begins with this state of its subject and of the invoice that the
    /// subject is about, and with no invoice if there is none.
    pub(crate) fn rests_on(&self, subject: &Arc<Entity>, invoice: Option<&Arc<Entity>>) -> bool {
        let invoice = invoice.filter(|invoice| !Arc::ptr_eq(invoice, subject));
        let mut cited = self.cited.iter().map(|cited| &cited.entity);
        let is_same = |cited: Option<&Arc<Entity>>, entity| cited.is_some_and(|cited| Arc::ptr_eq(cited, entity));
        is_same(cited.next(), subject)
            && match invoice {
                Some(invoice) => is_same(cited.next(), invoice),
                // Without an invoice nothing is explained.
                None => subject.key.kind == EntityKind::Invoice || cited.next().is_none(),
            }
    }

    /// A record that it rests on, as it was.
    pub(crate) fn record(&self, key: &EntityKey) -> Option<&Arc<Entity>> {
        self.cited.iter().map(|cited| &cited.entity).find(|entity| entity.key == *key)
    }

    /// The values that it rests on, of every side that it compares.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence> {
        let cited = self.cited.iter().flat_map(|cited| evidence_of(&cited.entity, cited.fields));
        cited.chain(self.told.iter().cloned()).collect()
    }

    pub(crate) fn canonical(&self) -> [(&'static str, Json); 4] {
        [
            ("config_version", Json::Int(i64::from(self.config_version))),
            ("evidence", Json::array(self.evidence().iter().map(Evidence::canonical))),
            ("link_confidence", Json::Int(i64::from(self.link_confidence))),
            ("subjects", keys(&self.subjects)),
        ]
    }
}

pub(crate) fn keys(keys: &[EntityKey]) -> Json {
    Json::array(keys.iter().map(|key| Json::text(key.to_string())))
}

pub(crate) fn instant(at: Millis) -> Json {
    Json::Int(at.0)
}

pub(crate) fn money(amount: Money) -> Json {
    Json::object([("currency", Json::text(amount.currency.code())), ("minor", Json::Int(amount.minor))])
}

/// An invoice that is out of the ordinary (spec 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Hash of kind and subjects.
    pub id: ObjectId,
    /// In which way.
    pub kind: AnomalyKind,
    /// The invoice.
    pub invoice: EntityKey,
    /// The service order that it is measured by, if it is measured by one.
    pub order: Option<EntityKey>,
    /// What was expected: the baseline, or the estimate in its own currency.
    pub expected: Option<Money>,
    /// What was billed, in the currency of what was expected.
    pub actual: Option<Money>,
    /// When the invoice was issued.
    pub at: Option<Millis>,
    /// When it began anew, if it had ended in between.
    pub began_at: Option<Millis>,
    /// What it rests on.
    pub grounds: Grounds,
    /// It in one sentence.
    pub sentence: Option<String>,
}

impl Anomaly {
    /// What it is about, in words that stay the same when its values change.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.order {
            Some(order) => format!("{} {order}", self.invoice),
            None => self.invoice.to_string(),
        }
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let own = [
            ("id", Json::text(self.id.to_string())),
            ("kind", Json::text(self.kind.name())),
            ("invoice", Json::text(self.invoice.to_string())),
            ("order", Json::maybe_text(self.order.as_ref().map(ToString::to_string))),
            ("expected", self.expected.map_or(Json::Null, money)),
            ("actual", self.actual.map_or(Json::Null, money)),
            ("sentence", Json::maybe_text(self.sentence.as_ref())),
        ];
        Json::object(own.into_iter().chain(self.grounds.canonical()))
    }
}

/// A billing record and the service orders that may explain it (spec 7.2, 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// Hash of kind and subject.
    pub id: ObjectId,
    /// The invoice, dispute or credit note.
    pub subject: EntityKey,
    /// What is out of the ordinary about it; none for a dispute or a credit note.
    pub anomaly: Option<AnomalyKind>,
    /// Service orders that score at least 0.50, best first.
    pub candidates: Vec<Candidate>,
    /// What the best accepted order says about the charge.
    pub verdict: Verdict,
    /// When the billing event happened.
    pub at: Option<Millis>,
    /// What it rests on.
    pub grounds: Grounds,
    /// It in one sentence; none if nothing is accepted or there is no sentence for it.
    pub sentence: Option<String>,
}

impl Correlation {
    /// The best service order that is accepted.
    #[must_use]
    pub fn accepted(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|candidate| candidate.is_accepted())
    }

    /// Whether the record counts as correlated, whatever the verdict.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.accepted().is_some()
    }

    /// What the subject is called: the kind of anomaly, `dispute` or `credit_note`.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        self.anomaly.map_or(self.subject.kind.name(), Vocabulary::name)
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let own = [
            ("id", Json::text(self.id.to_string())),
            ("kind", Json::text(self.kind_name())),
            ("subject", Json::text(self.subject.to_string())),
            ("candidates", Json::array(self.candidates.iter().map(Candidate::canonical))),
            ("verdict", Json::text(self.verdict.name())),
            ("sentence", Json::maybe_text(self.sentence.as_ref())),
        ];
        Json::object(own.into_iter().chain(self.grounds.canonical()))
    }
}

/// Whether two records are related because one says so, and how directly (spec 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Basis {
    /// A stored reference.
    Explicit,
    /// Both refer to one case, invoice, dispute or service order.
    Bridged,
    /// The same customer and an accepted correlation.
    Inferred,
}

impl Vocabulary for Basis {
    const ALL: &'static [(Self, &'static str)] =
        &[(Basis::Explicit, "explicit"), (Basis::Bridged, "bridged"), (Basis::Inferred, "inferred")];
    fn code(self) -> u8 {
        self as u8
    }
}

/// How bad something is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// Worth mending.
    Low,
    /// Worth a look.
    Medium,
    /// Act today.
    High,
    /// Act now.
    Critical,
}

impl Severity {
    /// One step lower; the lowest stays.
    #[must_use]
    pub fn lowered(self) -> Self {
        match self {
            Severity::Low | Severity::Medium => Severity::Low,
            Severity::High => Severity::Medium,
            Severity::Critical => Severity::High,
        }
    }
}

impl Vocabulary for Severity {
    const ALL: &'static [(Self, &'static str)] = &[
        (Severity::Low, "low"),
        (Severity::Medium, "medium"),
        (Severity::High, "high"),
        (Severity::Critical, "critical"),
    ];
    fn code(self) -> u8 {
        self as u8
    }
}

/// Records that contradict each other (spec 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// Hash of rule and subjects.
    pub id: ObjectId,
    /// The rule.
    pub rule: RuleCode,
    /// How bad it is; one step lower if the relation is inferred.
    pub severity: Severity,
    /// The team that has to act.
    pub owner_team: &'static str,
    /// What the relation between the records rests on.
    pub basis: Basis,
    /// Where it stands.
    pub state: DiscrepancyState,
    /// The case concerned, if one.
    pub case: Option<EntityKey>,
    /// The money that it is about.
    pub amount: Option<Money>,
    /// Event time since which the records contradict each other, or last did.
    pub since: Millis,
    /// When the hub could know; depends on arrival.
    pub noticed_at: Millis,
    /// When it opened: the grace time after the later of the two.
    pub opened_at: Millis,
    /// How many stretches of event time it has held for at least the grace time.
    pub occurrence: u32,
    /// Those stretches, oldest first.
    pub stretches: Vec<Span>,
    /// What it rests on.
    pub grounds: Grounds,
    /// It in one sentence.
    pub sentence: Option<String>,
}

impl Discrepancy {
    /// Whether somebody still has to act: it is open or acknowledged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Canonical form.
    #[must_use]
    pub fn canonical(&self) -> Json {
        let own = [
            ("id", Json::text(self.id.to_string())),
            ("rule", Json::text(self.rule.name())),
            ("severity", Json::text(self.severity.name())),
            ("owner_team", Json::text(self.owner_team)),
            ("basis", Json::text(self.basis.name())),
            ("state", self.state.canonical()),
            ("since_ms", instant(self.since)),
            ("occurrence", Json::Int(i64::from(self.occurrence))),
            ("stretches", Json::array(self.stretches.iter().map(Span::canonical))),
            ("amount", self.amount.map_or(Json::Null, money)),
            ("sentence", Json::maybe_text(self.sentence.as_ref())),
        ];
        Json::object(own.into_iter().chain(self.grounds.canonical()))
    }
}
