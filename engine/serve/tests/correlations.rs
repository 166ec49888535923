//! What explains a billing record, and what was weighed and does not.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use harness::{Running, T, billed, reason};
use ontology::Millis;
use proto::v1;
use proto::v1::correlation_service_client::CorrelationServiceClient;
use proto::v1::explain_correlation_request::Subject;

const DAY: i64 = Millis::DAY_MS;

fn of_invoice(id: &str) -> v1::ExplainCorrelationRequest {
    let source = v1::System::Oracle.into();
    let record = v1::SourceRef { source, entity_type: "invoice".to_owned(), native_id: id.to_owned() };
    v1::ExplainCorrelationRequest { subject: Some(Subject::BillingRef(record)) }
}

#[tokio::test]
async fn an_explanation_tells_the_orders_that_were_ruled_out_and_why() {
    let running = Running::start().await;
    let usual = |id, months: i64| (id, 10_000, T - months * 30 * DAY);
    let invoices = [usual("INV-1", 3), usual("INV-2", 2), usual("INV-3", 1), ("INV-4", 14_000, T)];
    let orders = [("SO-FAR", T - 46 * DAY), ("SO-EDGE", T - 45 * DAY), ("SO-NEAR", T)];
    running.hub.publish_views(vec![billed("AR-1", &invoices, &orders)]);
    let mut client = CorrelationServiceClient::new(running.channel.clone());
    let answer = client.explain_correlation(of_invoice("INV-4")).await.unwrap().into_inner();
    let correlation = answer.correlation.unwrap();
    assert_eq!((correlation.state(), correlation.candidates.len()), (v1::CorrelationState::None, 0));
    let told = |candidate: &v1::CorrelationCandidate| {
        let factors = candidate.factors.iter().map(|factor| (factor.rule.clone(), factor.weight)).collect::<Vec<_>>();
        let order = candidate.service_order.clone().unwrap().native_id;
        (order, candidate.gap_days, factors, candidate.why_not.clone())
    };
    let expected =
        [("SO-NEAR", 0, 0.4, "0.4000"), ("SO-EDGE", 45, 0.0, "0.0000")].map(|(order, gap, weight, score)| {
            let why = format!("scores {score}: below 0.50 it is not shown");
            (order.to_owned(), gap, vec![("nearness".to_owned(), weight)], why)
        });
    assert_eq!(answer.rejected.iter().map(told).collect::<Vec<_>>(), expected);

    let by_name = v1::ExplainCorrelationRequest { subject: Some(Subject::Name(correlation.name)) };
    let by_name = client.explain_correlation(by_name).await.unwrap().into_inner();
    assert_eq!(by_name.rejected, answer.rejected);
    // An invoice that is as usual is no subject.
    let none = client.explain_correlation(of_invoice("INV-3")).await.unwrap_err();
    assert_eq!(reason(&none), "NO_CORRELATION");
}
