//! Of two decisions that a hub took one after the other the later holds, also where both come within one
//! millisecond, or the clock stood later before a restart.

use ontology::{CustomerId, Field, FieldReader as _, ObjectId};
use proto::v1::alert_service_client::AlertServiceClient;
use proto::v1::discrepancy_service_client::DiscrepancyServiceClient;
use proto::v1::handoff_service_client::HandoffServiceClient;
use proto::v1::watch_discrepancies_response::Event;

use super::queue::publish;
use super::*;

fn url(app: &App) -> String {
    format!("http://{}", app.api())
}

async fn merge(app: &App) {
    let mut api = IdentityServiceClient::connect(url(app)).await.unwrap();
    let (target, sources) = (record("1"), record("2").into_iter().collect());
    let reason = "one tax office".to_owned();
    let request = v1::MergeIdentitiesRequest { target, sources, reason, ..v1::MergeIdentitiesRequest::default() };
    api.merge_identities(request).await.unwrap();
}

async fn split(app: &App) {
    let mut api = IdentityServiceClient::connect(url(app)).await.unwrap();
    let customer = format!("customers/{}", CustomerId::of_member(&key("1")));
    let (members, reason) = (record("2").into_iter().collect(), "two firms of one name".to_owned());
    let request = v1::SplitIdentityRequest { customer, members, reason, ..v1::SplitIdentityRequest::default() };
    api.split_identity(request).await.unwrap();
}

/// When people decided on the pair, and what, in the order in which it counts.
async fn judgements(app: &App) -> Vec<(Millis, Verdict)> {
    let handle = app.handle();
    let asked = handle.ask(|engine| engine.identity().resolver().explain(&key("1"), &key("2"))).await.unwrap();
    asked.unwrap().judgements.into_iter().map(|judged| (judged.decided_at, judged.verdict)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_of_two_judgements_within_one_millisecond_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (store, shipped) = (dir.path().join("store"), Parameters::shipped());
    let app = hub(&store, &shipped).await;
    customer(&app, "1").await;
    customer(&app, "2").await;
    assert!(pair(&app).await.2);
    for _ in 0..3 {
        split(&app).await;
        assert!(!pair(&app).await.2, "the clock stands, and this came after all others");
        merge(&app).await;
        assert!(pair(&app).await.2);
    }
    app.stop().await.unwrap();

    // By the clock of another machine it is earlier.
    let app = hub_at(NOW - Millis::HOUR_MS, &store, &shipped).await;
    split(&app).await;
    assert!(!pair(&app).await.2);
    let expected: Vec<_> =
        (0..7).map(|n| (NOW + n, if n % 2 == 0 { Verdict::Unlink } else { Verdict::Link })).collect();
    assert_eq!(judgements(&app).await, expected, "each stays on record, the first at the instant that the clock shows");
    app.stop().await.unwrap();
}

/// What was said last of an alert or a discrepancy.
async fn said_of(app: &App, name: &str) -> Option<String> {
    let id = ObjectId(name.split_once('/').unwrap().1.into());
    let handle = app.handle();
    let asked = handle.ask(move |engine| {
        engine.reference().decisions.get(&id).and_then(|known| known.text(Field::Reason)).map(str::to_owned)
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_of_two_acknowledgements_within_one_millisecond_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(dir.path(), storage::Options::default()).unwrap());
    let clock = Arc::new(StoryClock::standing(NOW));
    let app = App::start(store, AppOptions::local(clock.clone())).await.unwrap();
    publish(&app, v1::System::Salesforce, "account", "A1", &[("name", "Fir Hotels")]).await;
    publish(&app, v1::System::Salesforce, "case", "C1", &[("account_ref", "A1"), ("status", "Resolved")]).await;
    publish(&app, v1::System::Salesforce, "case", "C2", &[("account_ref", "A1"), ("status", "InProgress")]).await;
    let note = [("case_ref", "C1"), ("status", "PendingApproval")];
    publish(&app, v1::System::Oracle, "credit_note", "N1", &note).await;
    clock.advance_to(NOW + Millis::MINUTE_MS);

    let mut discrepancies = DiscrepancyServiceClient::connect(url(&app)).await.unwrap();
    let watched = discrepancies.watch_discrepancies(v1::WatchDiscrepanciesRequest::default()).await.unwrap();
    let mut watched = watched.into_inner();
    let discrepancy = loop {
        let message = watched.message().await.unwrap().unwrap();
        if let Some(Event::Upsert(upsert)) = message.event {
            break upsert.discrepancy.unwrap().name;
        }
    };
    let request = v1::PrepareHandoffRequest {
        case_id: "C2".to_owned(),
        to_team: "billing".to_owned(),
        ..v1::PrepareHandoffRequest::default()
    };
    HandoffServiceClient::connect(url(&app)).await.unwrap().prepare_handoff(request).await.unwrap();
    let mut alerts = AlertServiceClient::connect(url(&app)).await.unwrap();
    let request = v1::ListAlertsRequest { filter: "rule = \"11-3\"".to_owned(), ..v1::ListAlertsRequest::default() };
    let alert = alerts.list_alerts(request).await.unwrap().into_inner().alerts.remove(0).name;

    for comment in ["first", "second", "third", "fourth"] {
        let comment = comment.to_owned();
        let request = v1::AcknowledgeDiscrepancyRequest {
            name: discrepancy.clone(),
            comment: comment.clone(),
            ..v1::AcknowledgeDiscrepancyRequest::default()
        };
        discrepancies.acknowledge_discrepancy(request).await.unwrap();
        assert_eq!(said_of(&app, &discrepancy).await.as_ref(), Some(&comment));
        let name = alert.clone();
        let request =
            v1::AcknowledgeAlertRequest { name, comment: comment.clone(), ..v1::AcknowledgeAlertRequest::default() };
        alerts.acknowledge_alert(request).await.unwrap();
        assert_eq!(said_of(&app, &alert).await.as_ref(), Some(&comment));
    }
    app.stop().await.unwrap();
}
