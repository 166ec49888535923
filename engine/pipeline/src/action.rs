//! What the engine wants done in the world. A step returns actions; one outer layer performs them,
//! at least once each and with the action's id as idempotency key.

use ontology::canonical::Json;
use ontology::id::ObjectId;
use ontology::{CustomerId, EntityKey, Millis};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionKind {
    /// Tell a team that something opened, changed or closed.
    Notify {
        /// The alert or discrepancy.
        subject: ObjectId,
        /// Rule or alert number.
        rule: String,
        /// Severity word.
        severity: String,
        /// Team to tell.
        team: String,
        /// What to say.
        text: String,
        /// Whether it is over.
        is_cleared: bool,
    },
    /// Give a team a task.
    CreateTask {
        /// The task.
        task: ObjectId,
        /// The discrepancy that it settles.
        subject: ObjectId,
        /// The team.
        team: String,
        /// When it is due.
        due_at: Millis,
        /// What to do.
        text: String,
    },
    /// Complete a task, because its cause is gone.
    CompleteTask {
        /// The task.
        task: ObjectId,
        /// Why.
        note: String,
    },
    /// Hold a transfer until its context is there.
    HoldTransfer {
        /// The transfer.
        transfer: EntityKey,
        /// At the latest until.
        until: Millis,
    },
    /// Let a transfer go, with this version of its package.
    ReleaseTransfer {
        /// The transfer.
        transfer: EntityKey,
        /// Version of the package.
        version: u32,
        /// Whether the package is complete.
        is_complete: bool,
    },
    /// Push a further version of a package to the receiver.
    PushPackage {
        /// The transfer.
        transfer: EntityKey,
        /// Version of the package.
        version: u32,
    },
    /// Raise something to a supervisor.
    Escalate {
        /// What.
        subject: EntityKey,
        /// Team whose supervisor is asked.
        team: String,
        /// Why.
        reason: String,
    },
    /// Mark an invoice for billing review, with the context of its order.
    FlagInvoice {
        /// The invoice.
        invoice: EntityKey,
        /// The context.
        text: String,
    },
}

impl ActionKind {
    /// Every verb that [`Action::verb`] gives.
    pub const VERBS: [&'static str; 8] = [
        "notify",
        "create_task",
        "complete_task",
        "hold_transfer",
        "release_transfer",
        "push_package",
        "escalate",
        "flag_invoice",
    ];
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Idempotency key: the same for the same effect, however often it is sent.
    pub id: ObjectId,
    /// The customer concerned, if one.
    pub customer: Option<CustomerId>,
    /// Engine time at which it was decided.
    pub at: Millis,
    /// What.
    pub kind: ActionKind,
}

impl Action {
    /// An action whose id follows from what it does (`verb`), to what, and which opening of it
    /// this is.
    #[must_use]
    pub fn new(
        verb: &str,
        subject: &str,
        opening: &str,
        at: Millis,
        customer: Option<CustomerId>,
        kind: ActionKind,
    ) -> Self {
        Action {
            id: ObjectId::new("action", &[format!("0{verb}"), format!("1{subject}"), format!("2{opening}")]),
            customer,
            at,
            kind,
        }
    }

    /// The verb, as receivers and metrics name it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        let place = match &self.kind {
            ActionKind::Notify { .. } => 0,
            ActionKind::CreateTask { .. } => 1,
            ActionKind::CompleteTask { .. } => 2,
            ActionKind::HoldTransfer { .. } => 3,
            ActionKind::ReleaseTransfer { .. } => 4,
            ActionKind::PushPackage { .. } => 5,
            ActionKind::Escalate { .. } => 6,
            ActionKind::FlagInvoice { .. } => 7,
        };
        ActionKind::VERBS[place]
    }

    /// What is stored in the outbox and sent to receivers.
    #[must_use]
    pub fn body(&self) -> Json {
        let mut members = vec![
            ("id", Json::text(self.id.to_string())),
            ("action", Json::text(self.verb())),
            ("at_ms", Json::Int(self.at.0)),
            ("customer", Json::maybe_text(self.customer.as_ref().map(|c| c.0.as_str()))),
        ];
        members.extend(self.details());
        Json::object(members)
    }

    fn details(&self) -> Vec<(&'static str, Json)> {
        match &self.kind {
            ActionKind::Notify { subject, rule, severity, team, text, is_cleared } => vec![
                ("subject", Json::text(subject.to_string())),
                ("rule", Json::text(rule)),
                ("severity", Json::text(severity)),
                ("team", Json::text(team)),
                ("text", Json::text(text)),
                ("cleared", Json::Bool(*is_cleared)),
            ],
            ActionKind::CreateTask { task, subject, team, due_at, text } => vec![
                ("task", Json::text(task.to_string())),
                ("subject", Json::text(subject.to_string())),
                ("team", Json::text(team)),
                ("due_at_ms", Json::Int(due_at.0)),
                ("text", Json::text(text)),
            ],
            ActionKind::CompleteTask { task, note } => {
                vec![("task", Json::text(task.to_string())), ("note", Json::text(note))]
            }
            ActionKind::HoldTransfer { transfer, until } => {
                vec![("transfer", Json::text(transfer.to_string())), ("until_ms", Json::Int(until.0))]
            }
            ActionKind::ReleaseTransfer { transfer, version, is_complete } => vec![
                ("transfer", Json::text(transfer.to_string())),
                ("version", Json::Int(i64::from(*version))),
                ("complete", Json::Bool(*is_complete)),
            ],
            ActionKind::PushPackage { transfer, version } => {
                vec![("transfer", Json::text(transfer.to_string())), ("version", Json::Int(i64::from(*version)))]
            }
            ActionKind::Escalate { subject, team, reason } => vec![
                ("subject", Json::text(subject.to_string())),
                ("team", Json::text(team)),
                ("reason", Json::text(reason)),
            ],
            ActionKind::FlagInvoice { invoice, text } => {
                vec![("invoice", Json::text(invoice.to_string())), ("text", Json::text(text))]
            }
        }
    }
}
