//! What quarantined records can be filtered by.

use storage::{QuarantineState, Quarantined};

use crate::convert::word;
use crate::filter::{Column, Kind, Operand};

/// States in the order of the wire.
const STATES: &[&str] = &["HELD", "REPLAYED", "DISCARDED"];
/// Systems in the order of the wire.
const SYSTEMS: &[&str] = &["SALESFORCE", "ORACLE", "WXCC", "SAP", "ENGINE", "HUMAN", "ZENDESK"];

/// The columns, in the order in which an error lists them.
pub(super) static COLUMNS: &[Column<Quarantined>] = &[
    Column {
        name: "system",
        kind: Kind::Word(SYSTEMS),
        get: |record| {
            super::system_of_partition(&record.source).map_or(Operand::Missing, |system| Operand::word(word(system)))
        },
    },
    Column { name: "partition", kind: Kind::Text, get: |record| Operand::text(&record.source) },
    Column { name: "reason", kind: Kind::Text, get: |record| Operand::text(&record.reason) },
    Column {
        name: "state",
        kind: Kind::Word(STATES),
        get: |record| match record.state {
            QuarantineState::Held => Operand::Rank(0),
            QuarantineState::Replayed(_) => Operand::Rank(1),
            QuarantineState::Discarded(_) => Operand::Rank(2),
        },
    },
    Column { name: "observe_time", kind: Kind::Time, get: |record| Operand::Time(record.received_at) },
    Column { name: "attempt_count", kind: Kind::Number, get: |record| Operand::Number(f64::from(record.attempts)) },
];
