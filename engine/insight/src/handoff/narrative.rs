//! The sentence that the receiver reads first (spec 6.6).

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use jiff::tz::TimeZone;
use ontology::entity::{Dispute, Interaction, Invoice, ServiceOrder};
use ontology::status::Channel;
use ontology::{EntityKey, Field, FieldReader};
use state::Entity;

use super::package::{Narrative, Part};
use super::relevant::{Relevant, RelevantInvoice, RelevantOrder, duration_s, finished_at, order_date};
use super::section::{Section, SectionName};
use crate::context::Context;
use crate::words;

/// How many records of one kind are named before the rest is counted.
const NAMED_MAX: usize = 3;

/// Tells `team` what is attached.
pub(super) fn tell(
    team: &str,
    case_key: Option<&EntityKey>,
    relevant: &Relevant<'_>,
    sections: &[Section],
    open_discrepancies: usize,
    context: &Context<'_>,
) -> Narrative {
    let mut parts = Vec::new();
    if let (Some(_), Some(key)) = (relevant.case, case_key) {
        parts.push(plain(SectionName::Case, format_compact!("case {}", key.id)));
    }
    tell_invoices(&relevant.invoices, &mut parts);
    for (channel, noun) in [(Channel::Call, "WXCC call"), (Channel::Chat, "WXCC chat")] {
        parts.extend(contacts(&relevant.interactions, channel, noun));
    }
    tell_orders(&relevant.orders, context, &mut parts);
    if open_discrepancies > 0 {
        let text = words::count(open_discrepancies, "open discrepancy", "open discrepancies");
        parts.push(plain(SectionName::Discrepancies, text.into()));
    }
    let gaps = sections.iter().filter(|section| section.name.is_required() && !section.status.is_settled());
    parts.extend(gaps.map(gap));
    Narrative { team: team.into(), parts }
}

fn plain(section: SectionName, text: CompactString) -> Part {
    Part { section, text_without_money: text.clone(), text }
}

fn gap(section: &Section) -> Part {
    use ontology::Vocabulary;
    let text = format_compact!("{} context unavailable ({})", section.name.name(), section.status.reason());
    plain(section.name, text)
}

fn tell_invoices(invoices: &[RelevantInvoice<'_>], parts: &mut Vec<Part>) {
    parts.extend(invoices.iter().take(NAMED_MAX).map(|invoice| Part {
        section: SectionName::Billing,
        text: tell_invoice(invoice, true),
        text_without_money: tell_invoice(invoice, false),
    }));
    if let Some(rest) = invoices.len().checked_sub(NAMED_MAX).filter(|rest| *rest > 0) {
        parts.push(plain(SectionName::Billing, format_compact!("+{rest} more invoices")));
    }
}

fn tell_invoice(relevant: &RelevantInvoice<'_>, is_with_money: bool) -> CompactString {
    let invoice = relevant.entity.map(|entity| Invoice::read(entity.as_ref()));
    let currency = invoice.and_then(|invoice| invoice.currency);
    let detail = match relevant.disputes.first() {
        Some(dispute) => {
            let dispute = Dispute::read(dispute.as_ref());
            let amount = words::money(dispute.amount, dispute.currency.or(currency)).filter(|_| is_with_money);
            let kind = dispute.dispute_type.map(words::plain);
            let words: Vec<String> = [amount.map(|money| money.display()), kind].into_iter().flatten().collect();
            if words.is_empty() { "dispute".to_owned() } else { format!("dispute: {}", words.join(" ")) }
        }
        None => invoice.map(|invoice| tell_balance(&invoice, is_with_money)).unwrap_or_default(),
    };
    in_brackets(format_compact!("Oracle invoice #{}", relevant.id), &detail)
}

fn tell_balance(invoice: &Invoice<'_>, is_with_money: bool) -> String {
    let amount = words::money(invoice.outstanding, invoice.currency).filter(|_| is_with_money);
    // A due date is a day, kept as its first instant in UTC.
    let due = invoice.due_date.map(|due| format!("due {}", words::date(due, &TimeZone::UTC)));
    let owed: Vec<String> = [amount.map(|money| money.display()), due].into_iter().flatten().collect();
    let owed = (!owed.is_empty()).then(|| owed.join(" "));
    let words: Vec<String> = [words::coded(invoice.status), owed].into_iter().flatten().collect();
    words.join(", ")
}

/// The contacts of one channel, oldest first; the latest are told with their lengths.
fn contacts(interactions: &[&Arc<Entity>], channel: Channel, noun: &str) -> Option<Part> {
    let is_of_channel = |entity: &&&Arc<Entity>| Interaction::read(entity.as_ref()).channel.known() == Some(channel);
    let contacts: Vec<&Arc<Entity>> = interactions.iter().filter(is_of_channel).copied().collect();
    if contacts.is_empty() {
        return None;
    }
    let untold = contacts.len().saturating_sub(NAMED_MAX);
    let lengths = contacts.iter().skip(untold).filter_map(|entity| duration_s(entity)).map(words::duration);
    let mut details: Vec<String> = lengths.collect();
    if untold > 0 {
        details.push(format!("+{untold} more"));
    }
    let head = words::count(contacts.len(), &format!("prior {noun}"), &format!("prior {noun}s"));
    Some(plain(SectionName::Interaction, in_brackets(head.into(), &details.join(", "))))
}

fn tell_orders(orders: &[RelevantOrder<'_>], context: &Context<'_>, parts: &mut Vec<Part>) {
    let told = orders.iter().take(NAMED_MAX).map(|order| {
        let head = format_compact!("SAP service order {}", order.entity.key.id);
        plain(SectionName::Service, in_brackets(head, &tell_progress(order.entity, context)))
    });
    parts.extend(told);
    if let Some(rest) = orders.len().checked_sub(NAMED_MAX).filter(|rest| *rest > 0) {
        parts.push(plain(SectionName::Service, format_compact!("+{rest} more service orders")));
    }
}

fn tell_progress(entity: &Entity, context: &Context<'_>) -> String {
    let tz = &context.settings.business_tz;
    let date = order_date(entity);
    let is_ahead = finished_at(entity).is_none()
        && entity.time(Field::ScheduledAt).is_some_and(|at| words::days_ago(at, context.now, tz) < 0);
    if let Some(at) = date.filter(|_| is_ahead) {
        return format!("scheduled for {}", words::date(at, tz));
    }
    let when = date.map(|at| words::when(at, context.now, tz));
    let status = words::coded(ServiceOrder::read(entity).status);
    [status, when].into_iter().flatten().collect::<Vec<String>>().join(" ")
}

fn in_brackets(head: CompactString, detail: &str) -> CompactString {
    if detail.is_empty() { head } else { format_compact!("{head} ({detail})") }
}
