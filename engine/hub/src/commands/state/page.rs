//! A customer's state as a page of tables. A section without content is left out.

use std::fmt::Write as _;

use proto::v1;

use crate::client::{instant, money, reference, since, table, word};

/// The page.
pub(super) fn page(state: &v1::CustomerState) -> String {
    let mut page = Page(String::new());
    page.line(&format!("{}  version {}  position {}", state.name, state.version, state.position));
    if !state.split_into.is_empty() {
        page.line(&format!("some of its records went to {}", state.split_into.join(", ")));
    }
    identity(&mut page, state);
    work(&mut page, state);
    billing(&mut page, &state.billing.clone().unwrap_or_default());
    field_service(&mut page, state);
    findings(&mut page, state);
    page.section("Freshness", ["source", "state", "lag", "last event"], state.freshness.iter().map(freshness));
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        writeln!(self.0, "{text}").expect("writing to a string cannot fail");
    }

    fn section<const N: usize>(&mut self, title: &str, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
        let mut rows = rows.peekable();
        if rows.peek().is_some() {
            let table = table(head, rows);
            self.line(&format!("\n{title}\n{table}"));
        }
    }
}

fn identity(page: &mut Page, state: &v1::CustomerState) {
    let members = state.members.iter().map(|member| {
        [reference(member.r#ref.as_ref()), member.name.clone(), format!("{:.3}", member.link_confidence)]
    });
    page.section("Records", ["record", "name", "confidence"], members);
    let golden = state.golden_record.iter();
    let golden = golden.map(|field| [field.field.clone(), field.value.clone(), reference(field.source.as_ref())]);
    page.section("Golden record", ["field", "value", "from"], golden);
    let possible = state.possible_members.iter().map(|record| [reference(Some(record))]);
    page.section("In review", ["record"], possible);
}

fn work(page: &mut Page, state: &v1::CustomerState) {
    let head = ["case", "status", "priority", "type", "subject", "opened"];
    page.section("Open cases", head, state.open_cases.iter().map(case));
    page.section("Resolved cases", head, state.recent_cases.iter().map(case));
    let interactions = state.interactions.clone().unwrap_or_default();
    let head = ["interaction", "status", "channel", "started", "duration", "case", "reason"];
    page.section("Live interactions", head, interactions.active.iter().map(interaction));
    page.section("Recent interactions", head, interactions.recent.iter().map(interaction));
}

fn case(case: &v1::Case) -> [String; 6] {
    [
        reference(case.r#ref.as_ref()),
        word(case.status().as_str_name(), "CASE_STATUS"),
        case.priority.clone(),
        case.r#type.clone(),
        case.subject.clone(),
        instant(case.open_time.as_ref()),
    ]
}

fn interaction(interaction: &v1::Interaction) -> [String; 7] {
    [
        reference(interaction.r#ref.as_ref()),
        word(interaction.status().as_str_name(), "INTERACTION_STATUS"),
        word(interaction.channel().as_str_name(), "CHANNEL"),
        instant(interaction.start_time.as_ref()),
        since(interaction.duration.as_ref()),
        interaction.case_id.clone(),
        interaction.reason.clone(),
    ]
}

fn billing(page: &mut Page, billing: &v1::BillingState) {
    if !billing.balances.is_empty() {
        let balances: Vec<String> = billing.balances.iter().map(|balance| money(Some(balance))).collect();
        page.line(&format!("\nBalance {}", balances.join(", ")));
    }
    let invoices = billing.pending_invoices.iter().map(|invoice| {
        [
            reference(invoice.r#ref.as_ref()),
            word(invoice.status().as_str_name(), "INVOICE_STATUS"),
            money(invoice.amount.as_ref()),
            money(invoice.outstanding.as_ref()),
            instant(invoice.due_time.as_ref()),
        ]
    });
    page.section("Pending invoices", ["invoice", "status", "amount", "outstanding", "due"], invoices);
    let disputes = billing.active_disputes.iter().map(|dispute| {
        [
            reference(dispute.r#ref.as_ref()),
            word(dispute.status().as_str_name(), "DISPUTE_STATUS"),
            money(dispute.amount.as_ref()),
            dispute.invoice_id.clone(),
            dispute.case_id.clone(),
        ]
    });
    page.section("Active disputes", ["dispute", "status", "amount", "invoice", "case"], disputes);
    let notes = billing.pending_credit_notes.iter().map(|note| {
        [
            reference(note.r#ref.as_ref()),
            word(note.status().as_str_name(), "CREDIT_NOTE_STATUS"),
            money(note.amount.as_ref()),
            note.invoice_id.clone(),
        ]
    });
    page.section("Pending credit notes", ["credit note", "status", "amount", "invoice"], notes);
    let payments = billing.recent_payments.iter().map(|payment| {
        [
            reference(payment.r#ref.as_ref()),
            money(payment.amount.as_ref()),
            payment.invoice_id.clone(),
            instant(payment.receive_time.as_ref()),
        ]
    });
    page.section("Payments", ["payment", "amount", "invoice", "received"], payments);
}

fn field_service(page: &mut Page, state: &v1::CustomerState) {
    let head = ["service order", "status", "type", "scheduled", "completed", "estimate"];
    page.section("Service orders", head, state.in_flight_service_orders.iter().map(order));
    page.section("Finished service orders", head, state.recent_service_orders.iter().map(order));
    let dispatches = state.in_flight_dispatches.iter().map(|dispatch| {
        [
            reference(dispatch.r#ref.as_ref()),
            word(dispatch.status().as_str_name(), "FIELD_DISPATCH_STATUS"),
            dispatch.service_order_id.clone(),
            dispatch.technician_id.clone(),
            instant(dispatch.eta_time.as_ref()),
        ]
    });
    page.section("Dispatches", ["dispatch", "status", "service order", "technician", "expected"], dispatches);
}

fn order(order: &v1::ServiceOrder) -> [String; 6] {
    [
        reference(order.r#ref.as_ref()),
        word(order.status().as_str_name(), "SERVICE_ORDER_STATUS"),
        order.r#type.clone(),
        instant(order.schedule_time.as_ref()),
        instant(order.completion_time.as_ref()),
        money(order.estimate.as_ref()),
    ]
}

fn findings(page: &mut Page, state: &v1::CustomerState) {
    let discrepancies = state.open_discrepancies.iter().map(|discrepancy| {
        [
            discrepancy.rule.clone(),
            word(discrepancy.severity().as_str_name(), "SEVERITY"),
            discrepancy.owner_team.clone(),
            money(discrepancy.amount_at_stake.as_ref()),
            discrepancy.sentence.clone(),
        ]
    });
    page.section("Discrepancies", ["rule", "severity", "owner", "at stake", "what"], discrepancies);
    let alerts = state.open_alerts.iter().map(|alert| {
        [
            alert.rule.clone(),
            word(alert.severity().as_str_name(), "SEVERITY"),
            alert.owner_team.clone(),
            instant(alert.due_time.as_ref()),
            alert.sentence.clone(),
        ]
    });
    page.section("Alerts", ["alert", "severity", "owner", "due", "what"], alerts);
    let correlations = state.correlations.iter().map(|correlation| {
        [
            reference(correlation.billing_ref.as_ref()),
            word(correlation.verdict().as_str_name(), "CORRELATION_VERDICT"),
            format!("{:.2}", correlation.confidence),
            correlation.sentence.clone(),
        ]
    });
    page.section("Explained by", ["billing record", "verdict", "confidence", "what"], correlations);
}

fn freshness(freshness: &v1::Freshness) -> [String; 4] {
    [
        word(freshness.system().as_str_name(), "SYSTEM"),
        word(freshness.state().as_str_name(), "FRESHNESS_STATE"),
        since(freshness.lag.as_ref()),
        instant(freshness.last_event_time.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sections_with_content_are_on_the_page() {
        let record = v1::SourceRef { source: 1, entity_type: "case".to_owned(), native_id: "SF-1".to_owned() };
        let case = v1::Case {
            r#ref: Some(record),
            status: v1::CaseStatus::Escalated.into(),
            subject: "Line is down".to_owned(),
            ..v1::Case::default()
        };
        let state = v1::CustomerState {
            name: "customers/1f".to_owned(),
            open_cases: vec![case],
            ..v1::CustomerState::default()
        };
        let page = page(&state);
        for text in ["customers/1f", "Open cases", "case/SF-1", "escalated", "Line is down"] {
            assert!(page.contains(text), "{text} is not on:\n{page}");
        }
        assert!(!page.contains("Alerts") && !page.contains("Resolved cases"), "{page}");
    }
}
