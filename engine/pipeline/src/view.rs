//! Published views: immutable pictures of a customer at one position, which any thread may read
//! without waiting for the engine.

use std::sync::Arc;

use insight::Derived;
use insight::alerts::Alert;
use insight::handoff::{Assessment, TransferMemory};
use ontology::{CustomerId, EntityKey, LogPos, Millis};
use state::Composite;

/// A transfer as it stands.
#[derive(Debug, Clone)]
pub struct TransferView {
    /// The transfer.
    pub key: EntityKey,
    /// Its life so far, with every version of its package.
    pub memory: Arc<TransferMemory>,
    /// The context that it would be given now.
    pub assessment: Arc<Assessment>,
}

/// One customer at one position.
#[derive(Debug, Clone)]
pub struct CustomerView {
    /// Members, records, review candidates.
    pub composite: Composite,
    /// What is concluded from them.
    pub derived: Arc<Derived>,
    /// Transfers of the customer's cases, in key order.
    pub transfers: Vec<TransferView>,
    /// Alerts on handoffs (11-3); the others of the customer stand in `derived`.
    pub handoff_alerts: Vec<Alert>,
    /// Engine time of the evaluation.
    pub evaluated_at: Millis,
}

impl CustomerView {
    /// A customer without transfers.
    #[must_use]
    pub fn settled(composite: Composite, derived: Arc<Derived>, evaluated_at: Millis) -> Self {
        CustomerView { composite, derived, transfers: Vec::new(), handoff_alerts: Vec::new(), evaluated_at }
    }

    /// The customer.
    #[must_use]
    pub fn id(&self) -> &CustomerId {
        &self.composite.id
    }

    /// Position that the view reflects.
    #[must_use]
    pub fn position(&self) -> LogPos {
        self.composite.log_pos
    }
}
