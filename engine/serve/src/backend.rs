//! What the server asks of the hub. Reads come from published views; everything that needs the
//! engine or the store is a future, so that no runtime thread waits in it.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use insight::correlate::Candidate;
use insight::derived::Correlation;
use insight::kpis::KpiValue;
use ontology::{CustomerId, EntityKey, Fact, LogPos, Millis, ObjectId, PartyRecord, System, Traced};
use pipeline::InReview;
use pipeline::sources::LastEvents;
use resolver::Explanation;
use storage::{QuarantineFilter, QuarantineId, QuarantinePage, Quarantined, Store};

use crate::reason::Refusal;
use crate::view::CustomerView;
use crate::views::Published;

/// An answer that takes a while.
pub type Reply<'a, T> = BoxFuture<'a, Result<T, Refusal>>;

/// Parts of a backup, in order; an error ends them, and then what came before is no backup.
pub type Parts = BoxStream<'static, Result<Vec<u8>, Refusal>>;

/// The hub as the server sees it.
pub trait Backend: Send + Sync + 'static {
    /// The published views.
    fn published(&self) -> &Arc<Published<CustomerView>>;

    /// The store, for what is kept beside the facts. It is read and written off the runtime's threads.
    fn store(&self) -> &Arc<dyn Store>;

    /// Engine time.
    fn now(&self) -> Millis;

    /// Customers as the hub knew them then, each found by its own id, a former one or that of a record; none for those
    /// that were not known then. Refuses with `POSITION_TOO_OLD`, `POSITION_IN_FUTURE` or `OVERLOADED`.
    fn customers_as_of(&self, customers: Vec<Lookup>, at: AsOf) -> Reply<'_, Vec<Option<Then>>>;

    /// Makes facts and rejected input durable and answers with the position of the last fact: reads
    /// see it from there on. Refuses with `DISK_FULL`, `LOG_UNREACHABLE`,
    /// `OVERLOADED` or `DRAINING`.
    fn submit(&self, submission: Submission) -> Reply<'_, LogPos>;

    /// Tells why two records are linked or not.
    fn explain(&self, left: EntityKey, right: EntityKey) -> Reply<'_, Explanation>;

    /// The service orders that were weighed for a correlation of a published view and score too little to be
    /// shown, best first.
    fn rejected(&self, view: Arc<CustomerView>, correlation: Arc<Correlation>) -> Reply<'_, Vec<Candidate>>;

    /// Compares a described party with all records; best first, at most `limit`.
    fn resolve(&self, party: PartyRecord, limit: usize) -> Reply<'_, Vec<Explanation>>;

    /// All pairs that wait for a decision.
    fn review_items(&self) -> Reply<'_, Vec<InReview>>;

    /// When people last decided on any of these; none if nobody did. Whatever was answered before is counted.
    fn last_decided(&self, about: Vec<About>) -> Reply<'_, Option<Millis>>;

    /// What is known about each connector partition, in a fixed order.
    fn sources(&self) -> Vec<SourceReport>;

    /// One page of quarantined records, in order of id.
    fn list_quarantine(
        &self,
        filter: QuarantineFilter,
        after: Option<QuarantineId>,
        limit: usize,
    ) -> Reply<'_, QuarantinePage>;

    /// One quarantined record with its payload; none if there is no such record.
    fn quarantined(&self, id: QuarantineId) -> Reply<'_, Option<(Quarantined, Vec<u8>)>>;

    /// Decodes quarantined records again; writes nothing if `is_trial`.
    fn replay(&self, ids: Vec<QuarantineId>, is_trial: bool) -> Reply<'_, Replayed>;

    /// Gives quarantined records up that are held, and tells which; writes nothing if `is_trial`.
    fn discard(&self, ids: Vec<QuarantineId>, is_trial: bool) -> Reply<'_, Vec<QuarantineId>>;

    /// Digest of all derived objects at an instant, now if none is given, with the position it stands for.
    fn digest(&self, at: Option<Millis>) -> Reply<'_, (String, LogPos)>;

    /// What this process does with the store, and how far it is.
    fn process(&self) -> Process;

    /// A backup of the store, taken while it is read. Refuses with `OVERLOADED` while another is taken.
    fn backup(&self) -> Result<Parts, Refusal>;

    /// All key figures.
    fn kpis(&self) -> Reply<'_, Vec<KpiValue>>;
}

/// A process of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Whether it owns the store.
    pub is_owner: bool,
    /// Where the owner's API is, if that is another process and known.
    pub owner: Option<String>,
    /// Facts in the log that are not readable here yet.
    pub lag_positions: u64,
    /// Time since the newest instant that is readable here, in milliseconds; none before there is one.
    pub lag_ms: Option<i64>,
}

/// A customer as it was.
#[derive(Debug, Clone)]
pub struct Then {
    /// The customer.
    pub view: Arc<CustomerView>,
    /// The other customers that records went to which once belonged to the id that was asked for.
    pub split_into: Vec<CustomerId>,
    /// When the newest event of each source had happened.
    pub last_events: LastEvents,
}

/// What a person decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Whether two party records are one customer.
    Pair(EntityKey, EntityKey),
    /// A discrepancy or an alert.
    Object(ObjectId),
}

/// How a customer is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// By its id or a former one.
    Customer(CustomerId),
    /// By one of its records.
    Record(EntityKey),
}

/// A point in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// A place in the log.
    Position(LogPos),
    /// An instant, with all that the log had taken by then.
    Time(Millis),
}

impl AsOf {
    /// The request field that asks for it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            AsOf::Position(_) => "as_of_position",
            AsOf::Time(_) => "as_of_time",
        }
    }
}

/// What a write hands over, in one atom.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Facts, in order.
    pub facts: Vec<Fact>,
    /// Which of them came with a trace.
    pub traces: Traced,
    /// Input that could not become facts.
    pub rejected: Vec<Rejected>,
    /// Why they are submitted.
    pub purpose: Purpose,
}

/// Input that could not become a fact, on its way into quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Stable code, such as `contract_breach`.
    pub reason: &'static str,
    /// The system it claims to come from.
    pub system: Option<System>,
    /// The input, as received.
    pub raw: Vec<u8>,
}

/// Why facts are submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Facts of a source.
    Intake,
    /// Decisions of people, which may use the reserve of a full disk.
    Decision,
}

/// What is known about one partition of a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// Its system.
    pub system: System,
    /// Its name within the system.
    pub partition: String,
    /// The source's own position, as people read it.
    pub source_position: String,
    /// Up to when everything is known received.
    pub watermark: Option<Millis>,
    /// Source time of the last event.
    pub last_event_at: Option<Millis>,
    /// Facts received since start.
    pub received_count: u64,
    /// Records that are held in quarantine.
    pub quarantined_count: u64,
    /// The last error, empty if there was none.
    pub last_error: String,
}

/// What a replay did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// Records that became facts.
    pub replayed: Vec<QuarantineId>,
    /// Records that are still refused.
    pub refused: Vec<QuarantineId>,
    /// Position of the last fact written.
    pub position: Option<LogPos>,
}
