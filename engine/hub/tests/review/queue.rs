//! The review queue as a steward reads it: what waits on a pair, for how long, and what comes first.

use proto::v1::field_value::Kind;
use proto::v1::handoff_service_client::HandoffServiceClient;
use proto::v1::ingest_service_client::IngestServiceClient;

use super::*;

fn url(app: &App) -> String {
    format!("http://{}", app.api())
}

/// Publishes a record of one system, as its source first tells it.
pub(super) async fn publish(app: &App, system: v1::System, kind: &str, id: &str, fields: &[(&str, &str)]) {
    publish_version(app, system, kind, id, 1, fields).await;
}

async fn publish_version(app: &App, system: v1::System, kind: &str, id: &str, major: u64, fields: &[(&str, &str)]) {
    let text = |value: &str| v1::FieldValue { kind: Some(Kind::Text(value.to_owned())) };
    let event = v1::Event {
        event_id: format!("{kind} {id} {major}"),
        system: system.into(),
        object: kind.to_owned(),
        record_id: id.to_owned(),
        entity_type: kind.to_owned(),
        operation: v1::Operation::Image.into(),
        version: Some(v1::Version { major, ..v1::Version::default() }),
        change_time: Some(prost_types::Timestamp { seconds: NOW.0 / 1_000, nanos: 0 }),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
        ..v1::Event::default()
    };
    let request = v1::PublishEventsRequest {
        events: vec![event],
        wait_until_applied: true,
        ..v1::PublishEventsRequest::default()
    };
    let mut api = IngestServiceClient::connect(url(app)).await.unwrap();
    let answer = api.publish_events(request).await.unwrap().into_inner();
    assert_eq!(answer.results[0].outcome(), v1::EventOutcome::Accepted, "{answer:?}");
}

/// An account and a customer of billing whose names and web domains agree and nothing else.
async fn doubtful(app: &App, id: &str, name: &str, domain: &str) {
    let fields = [("name", name), ("web_domain", domain)];
    publish(app, v1::System::Salesforce, "account", id, &fields).await;
    publish(app, v1::System::Oracle, "ar_customer", id, &fields).await;
}

async fn queue(app: &App) -> Vec<v1::ReviewItem> {
    let mut api = IdentityServiceClient::connect(url(app)).await.unwrap();
    let request = v1::ListReviewItemsRequest { include_explanation: true, ..v1::ListReviewItemsRequest::default() };
    api.list_review_items(request).await.unwrap().into_inner().review_items
}

fn ids(items: &[v1::ReviewItem]) -> Vec<&str> {
    items.iter().map(|item| item.left.as_ref().unwrap().native_id.as_str()).collect()
}

fn seconds(at: Millis) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: at.0 / 1_000, nanos: 0 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handoff_waits_for_comes_first_then_what_has_waited_longest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, shipped) = (dir.path().join("store"), Parameters::shipped());
    let app = hub(&store, &shipped).await;
    doubtful(&app, "A1", "Fir Hotels", "fir-hotels.example").await;
    app.stop().await.unwrap();

    let later = NOW + Millis::MINUTE_MS;
    let app = hub_at(later, &store, &shipped).await;
    doubtful(&app, "A2", "Quartz Bakery", "quartz-bakery.example").await;
    let waiting = queue(&app).await;
    assert_eq!(ids(&waiting), ["A1", "A2"], "nothing waits on either: the older comes first");
    assert_eq!((waiting[0].open_time, waiting[1].open_time), (seconds(NOW), seconds(later)));
    let age = |item: &v1::ReviewItem| item.age.map(|age| age.seconds);
    assert_eq!((age(&waiting[0]), age(&waiting[1])), (Some(60), Some(0)));
    let item = &waiting[0];
    assert_eq!((item.reason.as_str(), item.waiting_work_count), ("below_threshold", 0));
    let told: Vec<&str> = item.features.iter().map(|agreed| agreed.feature.as_str()).collect();
    assert!(told.contains(&"name") && told.contains(&"web_domain"), "{told:?}");
    assert_eq!(item.explanation.as_ref().map(|why| why.match_probability), Some(item.match_probability));

    let case = [("account_ref", "A2"), ("status", "InProgress")];
    publish(&app, v1::System::Salesforce, "case", "C2", &case).await;
    let request = v1::PrepareHandoffRequest {
        case_id: "C2".to_owned(),
        from_team: "care".to_owned(),
        to_team: "billing".to_owned(),
        ..v1::PrepareHandoffRequest::default()
    };
    let mut handoffs = HandoffServiceClient::connect(url(&app)).await.unwrap();
    let held = handoffs.prepare_handoff(request).await.unwrap().into_inner().handoff.unwrap().name;
    let waiting = queue(&app).await;
    assert_eq!(ids(&waiting), ["A2", "A1"], "work waits on the younger");
    assert_eq!((waiting[0].waiting_work.clone(), waiting[0].waiting_work_count), (vec![held], 1));
    app.stop().await.unwrap();

    // Another word of one side, and another start, make nothing younger.
    let app = hub_at(later + Millis::MINUTE_MS, &store, &shipped).await;
    let body = [("name", "Fir Hotels"), ("web_domain", "fir-hotels.example"), ("tier", "Gold")];
    publish_version(&app, v1::System::Salesforce, "account", "A1", 2, &body).await;
    let waiting = queue(&app).await;
    assert_eq!(ids(&waiting), ["A2", "A1"]);
    assert_eq!(waiting.iter().map(|item| item.open_time).collect::<Vec<_>>(), [seconds(later), seconds(NOW)]);

    // What is decided waits no longer.
    let mut api = IdentityServiceClient::connect(url(&app)).await.unwrap();
    let request = v1::DecideReviewItemRequest {
        name: waiting[0].name.clone(),
        decision: v1::ReviewState::Approved.into(),
        ..v1::DecideReviewItemRequest::default()
    };
    let decided = api.decide_review_item(request).await.unwrap().into_inner();
    assert_eq!(decided.review_item.unwrap().open_time, seconds(later));
    assert_eq!(ids(&queue(&app).await), ["A1"]);
    app.stop().await.unwrap();
}
