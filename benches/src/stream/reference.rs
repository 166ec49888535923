//! The job done plainly: parse, keep the newest version of each record, fold. The answer that every
//! other way of doing it must reach.

use std::collections::HashMap;

use crate::stream::event::{Data, Event, OwnedEvent, RecordKind};
use crate::stream::summary::{BenchCustomer, RecordRow, RowContent};

/// Answer for [`Workload::smoke`](crate::stream::Workload::smoke).
pub const SMOKE_MD5: &str = "902c172954e754bb9ac564d62bcd130d";
/// Answer for [`Workload::main`](crate::stream::Workload::main).
pub const MAIN_MD5: &str = "f9c272b725b0774b87c043a80a86db82";

/// All lines of the workload; the empty one after the last line feed is left out.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// Does the job over all lines.
///
/// # Errors
/// At the first line that is not an event of the workload.
pub fn fold(bytes: &[u8]) -> serde_json::Result<Vec<BenchCustomer>> {
    let mut customers: HashMap<&str, HashMap<(RecordKind, &str), Event<&str>>> = HashMap::new();
    for line in lines(bytes) {
        let event = Event::parse(line)?;
        let records = customers.entry(event.customer_id).or_default();
        // A profile is one record per system; its ids differ by system, so the id is enough.
        match records.get_mut(&(event.entity, event.entity_id)) {
            Some(known) if known.version >= event.version => {}
            Some(known) => *known = event,
            None => {
                records.insert((event.entity, event.entity_id), event);
            }
        }
    }
    Ok(customers.into_iter().map(|(id, records)| customer(id, records.values())).collect())
}

fn customer<'a>(id: &str, records: impl Iterator<Item = &'a Event<&'a str>>) -> BenchCustomer {
    let mut customer = BenchCustomer::new(id);
    for event in records {
        customer.add(&RecordRow {
            kind: event.entity,
            id: event.entity_id,
            system: event.system,
            source_ts: event.source_ts,
            content: content(&event.data),
        });
    }
    customer
}

fn content<'a>(data: &Data<&'a str>) -> Option<RowContent<'a>> {
    let row = |status: &str, counted: &[&str], amount_cents| RowContent {
        counts: counted.contains(&status),
        amount_cents,
        started_ts: 0,
        tier: "",
    };
    Some(match data {
        Data::Deleted => return None,
        Data::Customer(profile) => RowContent { tier: profile.tier, ..row("", &[], 0) },
        Data::Case(case) => row(case.status, &["New", "Working", "Escalated"], 0),
        Data::Invoice(invoice) => row(invoice.status, &["Open", "Disputed", "PastDue"], invoice.amount_cents),
        Data::Payment(payment) => row(payment.status, &["Applied"], payment.amount_cents),
        Data::Dispute(dispute) => row(dispute.status, &["Open", "UnderReview"], dispute.amount_cents),
        Data::CreditNote(note) => row(note.status, &["PendingApproval"], note.amount_cents),
        Data::Interaction(interaction) => RowContent { started_ts: interaction.started_ts, ..row("", &[], 0) },
        Data::ServiceOrder(order) => row(order.status, &["Created", "Released", "InProgress"], order.estimate_cents),
        Data::Dispatch(dispatch) => row(dispatch.status, &["Scheduled", "EnRoute", "OnSite"], 0),
    })
}

/// Reads every line into types that borrow from it, and gives how many there are.
///
/// # Errors
/// At the first line that is not an event of the workload.
pub fn parse_borrowed(bytes: &[u8]) -> serde_json::Result<u64> {
    let mut events = 0;
    for line in lines(bytes) {
        std::hint::black_box(Event::parse(line)?);
        events += 1;
    }
    Ok(events)
}

/// Reads every line into types that own their strings, and gives how many there are.
///
/// # Errors
/// At the first line that is not an event of the workload.
pub fn parse_owned(bytes: &[u8]) -> serde_json::Result<u64> {
    let mut events = 0;
    for line in lines(bytes) {
        std::hint::black_box(OwnedEvent::parse_owned(line)?);
        events += 1;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::stream::{Workload, checksum};

    #[test]
    fn the_fold_reaches_the_published_answer() {
        let bytes = Workload::smoke().to_bytes();
        assert_eq!(checksum(fold(&bytes).unwrap()), SMOKE_MD5);
        assert_eq!(parse_borrowed(&bytes).unwrap(), 100_000);
        assert_eq!(parse_owned(&bytes).unwrap(), 100_000);
    }

    #[test]
    fn order_and_repeats_change_nothing() {
        let bytes = Workload::new(50, 2_000, 3).to_bytes();
        let mut backwards: Vec<&[u8]> = lines(&bytes).collect();
        backwards.reverse();
        backwards.extend_from_within(..500);
        let shuffled = backwards.join(&b'\n');
        assert_eq!(checksum(fold(&bytes).unwrap()), checksum(fold(&shuffled).unwrap()));
    }

    #[test]
    fn a_line_that_is_no_event_is_an_error() {
        assert!(fold(b"{}\n").is_err());
        assert!(parse_borrowed(b"nonsense").is_err());
        assert!(fold(b"").unwrap().is_empty());
    }
}
