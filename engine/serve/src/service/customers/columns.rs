//! What customers can be filtered and sorted by.

use std::borrow::Cow;

use ontology::status::InteractionStatus;
use ontology::{EntityKind, Field, FieldReader, entity as read};

use crate::filter::{Column, Kind, Operand};
use crate::view::CustomerView;
use crate::views::Slot;

type Customer = Slot<CustomerView>;

/// The columns, in the order in which an error lists them.
pub(super) static COLUMNS: &[Column<Customer>] = &[
    Column {
        name: "name",
        kind: Kind::Text,
        get: |customer| Operand::Text(Cow::Owned(format!("customers/{}", customer.view.composite.id))),
    },
    Column { name: "members", kind: Kind::Texts, get: members },
    Column {
        name: "member_count",
        kind: Kind::Number,
        get: |customer| Operand::Number(customer.view.composite.members.len() as f64),
    },
    Column { name: "display_name", kind: Kind::Text, get: |customer| text(customer, Field::Name) },
    Column { name: "tier", kind: Kind::Text, get: |customer| text(customer, Field::Tier) },
    Column { name: "segment", kind: Kind::Text, get: |customer| text(customer, Field::Segment) },
    Column {
        name: "open_cases",
        kind: Kind::Number,
        get: |customer| {
            count(customer, EntityKind::Case, |record| {
                read::Case::read(record).status.known().is_none_or(|status| !status.is_resolved())
            })
        },
    },
    Column {
        name: "pending_invoices",
        kind: Kind::Number,
        get: |customer| {
            count(customer, EntityKind::Invoice, |record| {
                read::Invoice::read(record).status.known().is_none_or(|status| status.is_pending())
            })
        },
    },
    Column {
        name: "active_disputes",
        kind: Kind::Number,
        get: |customer| {
            count(customer, EntityKind::Dispute, |record| {
                read::Dispute::read(record).status.known().is_none_or(|status| status.is_active())
            })
        },
    },
    Column {
        name: "active_interactions",
        kind: Kind::Number,
        get: |customer| {
            count(customer, EntityKind::Interaction, |record| {
                read::Interaction::read(record).status.known() != Some(InteractionStatus::Ended)
            })
        },
    },
    Column {
        name: "in_flight_service_orders",
        kind: Kind::Number,
        get: |customer| {
            count(customer, EntityKind::ServiceOrder, |record| {
                read::ServiceOrder::read(record).status.known().is_none_or(|status| status.is_in_flight())
            })
        },
    },
    Column {
        name: "possible_members",
        kind: Kind::Number,
        get: |customer| Operand::Number(customer.view.composite.possible.len() as f64),
    },
];

fn members(customer: &Customer) -> Operand<'_> {
    let members = &customer.view.composite.members;
    Operand::Texts(members.iter().map(|member| Cow::Owned(member.key.to_string())).collect())
}

/// The text of the first member that has one; members stand in survivorship order.
fn text(customer: &Customer, field: Field) -> Operand<'_> {
    let records = customer.view.composite.members.iter().filter_map(|member| member.tree.get(&member.key));
    records.filter_map(|record| record.text(field)).map(Operand::text).next().unwrap_or(Operand::Missing)
}

fn count(customer: &Customer, kind: EntityKind, is_counted: fn(&state::Entity) -> bool) -> Operand<'_> {
    Operand::Number(customer.view.composite.of_kind(kind).filter(|record| is_counted(record)).count() as f64)
}
