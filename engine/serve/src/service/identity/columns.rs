//! What review items can be filtered and sorted by.

use std::borrow::Cow;

use proto::v1::ReviewItem;

use crate::filter::{Column, Kind, Operand};

/// The columns, in the order in which an error lists them.
pub(super) static COLUMNS: &[Column<ReviewItem>] = &[
    Column { name: "name", kind: Kind::Text, get: |item| Operand::text(&item.name) },
    Column { name: "match_probability", kind: Kind::Number, get: |item| Operand::Number(item.match_probability) },
    Column { name: "reason", kind: Kind::Text, get: |item| Operand::text(&item.reason) },
    Column { name: "records", kind: Kind::Texts, get: records },
    Column {
        name: "waiting_work_count",
        kind: Kind::Number,
        get: |item| Operand::Number(f64::from(item.waiting_work_count)),
    },
    Column { name: "open_time", kind: Kind::Time, get: |item| Operand::time(item.open_time.as_ref()) },
];

fn records(item: &ReviewItem) -> Operand<'_> {
    let both = item.left.iter().chain(&item.right);
    Operand::Texts(both.map(|record| Cow::Owned(format!("{}/{}", record.entity_type, record.native_id))).collect())
}
