//! Customers: members, redirects and the sets of their composite state; single records.

use ontology::entity as read;
use ontology::entity::field_of;
use ontology::status::InteractionStatus;
use ontology::{Coded, CustomerId, EntityKey, EntityKind, Field, FieldReader, Op, ValueRef, Vocabulary};
use pipeline::effects::MembershipEvent;
use state::{Composite, Entity};

use super::{Differences, Scene};
use crate::scenario::expect::{ExpectCustomer, ExpectRecord};
use crate::scenario::fact::{self, entity};

/// Compares customers.
pub fn customers(expected: &[ExpectCustomer], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for customer in expected {
        let key = entity(&customer.of)?;
        let what = format!("customer of {key}");
        let Some(evaluated) = scene.customer(&key) else {
            found.note(what, "to be there", "nothing is known about the record");
            continue;
        };
        let composite = &evaluated.composite;
        let members = composite.members.iter().map(|member| member.key.to_string()).collect();
        found.same_set(&format!("{what}: members"), customer.members.as_ref(), members);
        redirects(customer, &what, composite, scene, found)?;
        split(customer, &key, &what, scene, found)?;
        for (name, expected, kind, is_in) in sets(customer) {
            let ids = composite.of_kind(kind).filter(|entity| is_in(entity)).map(|entity| entity.key.id.to_string());
            found.same_set(&format!("{what}: {name}"), expected, ids.collect());
        }
    }
    Ok(())
}

type Set<'a> = (&'static str, Option<&'a Vec<String>>, EntityKind, fn(&Entity) -> bool);

/// The sets of a composite state, with what puts a record into each. A word that the mapping does
/// not know counts as not finished.
fn sets(customer: &ExpectCustomer) -> [Set<'_>; 7] {
    [
        ("open cases", customer.open_cases.as_ref(), EntityKind::Case, |e| {
            not(read::Case::read(e).status, |status| status.is_resolved())
        }),
        ("pending invoices", customer.pending_invoices.as_ref(), EntityKind::Invoice, |e| {
            not(read::Invoice::read(e).status, |status| !status.is_pending())
        }),
        ("active disputes", customer.active_disputes.as_ref(), EntityKind::Dispute, |e| {
            not(read::Dispute::read(e).status, |status| !status.is_active())
        }),
        ("pending credit notes", customer.pending_credit_notes.as_ref(), EntityKind::CreditNote, |e| {
            not(read::CreditNote::read(e).status, |status| !status.is_pending())
        }),
        ("active interactions", customer.active_interactions.as_ref(), EntityKind::Interaction, |e| {
            not(read::Interaction::read(e).status, |status| status == InteractionStatus::Ended)
        }),
        ("service orders in flight", customer.in_flight_service_orders.as_ref(), EntityKind::ServiceOrder, |e| {
            not(read::ServiceOrder::read(e).status, |status| !status.is_in_flight())
        }),
        ("dispatches in flight", customer.in_flight_dispatches.as_ref(), EntityKind::FieldDispatch, |e| {
            not(read::FieldDispatch::read(e).status, |status| !status.is_in_flight())
        }),
    ]
}

fn not<S: Copy>(status: Coded<'_, S>, is_finished: impl Fn(S) -> bool) -> bool {
    match status {
        Coded::Known(status) => !is_finished(status),
        Coded::Unknown(_) => true,
        Coded::Missing => false,
    }
}

fn redirects(
    expected: &ExpectCustomer,
    what: &str,
    composite: &Composite,
    scene: &Scene<'_>,
    found: &mut Differences,
) -> Result<(), String> {
    for name in &expected.redirected_from {
        let own = CustomerId::of_member(&entity(name)?);
        let current = scene.engine.identity().resolver().redirect(&own);
        if own == composite.id || current.as_ref() != Some(&composite.id) {
            let current = current.map_or_else(|| "nowhere".to_owned(), |id| id.to_string());
            found.note(format!("{what}: redirected from {name}"), &composite.id, current);
        }
    }
    Ok(())
}

/// Where the members of the customer that `key` names have gone.
fn split(
    expected: &ExpectCustomer,
    key: &EntityKey,
    what: &str,
    scene: &Scene<'_>,
    found: &mut Differences,
) -> Result<(), String> {
    let own = CustomerId::of_member(key);
    let splits = scene.stage.membership().iter().filter(|event| match event {
        MembershipEvent::Split { before, .. } => *before == own,
        MembershipEvent::Merged { .. } => false,
    });
    found.same(&format!("{what}: splits"), expected.splits, splits.count());
    let Some(names) = &expected.split_into else { return Ok(()) };
    let identity = scene.engine.identity();
    let mut wanted = Vec::new();
    for name in names {
        let party = entity(name)?;
        wanted.push(
            identity.known_customer_of(&party).map_or_else(|| format!("customer of {party}"), ToString::to_string),
        );
    }
    let gone = identity.former_members(&own).unwrap_or_default();
    let gone = gone.iter().filter_map(|member| identity.known_customer_of(member)).filter(|id| **id != own);
    found.same_set(&format!("{what}: split into"), Some(&wanted), gone.map(ToString::to_string).collect());
    Ok(())
}

/// Compares single records.
pub fn records(expected: &[ExpectRecord], scene: &Scene<'_>, found: &mut Differences) -> Result<(), String> {
    for record in expected {
        let key = entity(&record.entity)?;
        let Some(known) = scene.engine.entity(&key).filter(|known| !known.rows().is_empty()) else {
            if record.alive != Some(false) || !record.fields.is_empty() {
                found.note(key.to_string(), "to be there", "nothing");
            }
            continue;
        };
        found.same(&format!("{key}: alive"), record.alive, known.is_alive());
        let fields =
            fact::fields(key.kind, Op::Patch, &record.fields, scene.times).map_err(|why| format!("{key}: {why}"))?;
        for (field, value) in fields.iter() {
            let actual = known.get(field);
            if !same_value(value, actual) {
                let (value, actual) = (told(key.kind, field, value), told(key.kind, field, actual));
                found.note(format!("{key}: {}", field.name()), value, actual);
            }
        }
    }
    Ok(())
}

/// Whether two values mean the same: decimals whatever their scale.
fn same_value(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match (a.decimal(), b.decimal()) {
        (Some(a), Some(b)) => normal(a) == normal(b),
        (Some(_), None) | (None, Some(_)) | (None, None) => a == b,
    }
}

fn normal((mut mantissa, mut scale): (i64, u8)) -> (i64, u8) {
    while scale > 0 && mantissa % 10 == 0 {
        (mantissa, scale) = (mantissa / 10, scale - 1);
    }
    (mantissa, scale)
}

fn told(kind: EntityKind, field: Field, value: ValueRef<'_>) -> String {
    if let ValueRef::Code(code) = value
        && field_of(kind, field).is_some()
        && let Some(name) = ontology::entity::word_name(kind, field, code)
    {
        return name.to_owned();
    }
    match value.decimal() {
        Some((mantissa, 0)) => mantissa.to_string(),
        Some((mantissa, scale)) => {
            let places = usize::from(scale);
            let digits = format!("{:0>1$}", mantissa.unsigned_abs(), places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            format!("{}{whole}.{fraction}", if mantissa < 0 { "-" } else { "" })
        }
        None => ontology::canonical::Json::value(value).to_string(),
    }
}
