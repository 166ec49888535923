//! What is told of customers that were others before, by a hub that started again too, and of a handoff
//! that several people accept.

use std::collections::HashSet;

use ontology::CustomerId;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::field_value::Kind;
use proto::v1::get_customer_state_request::{At, Customer};
use proto::v1::handoff_service_client::HandoffServiceClient;
use proto::v1::ingest_service_client::IngestServiceClient;
use proto::v1::watch_customer_states_response::Event;
use tokio::task::JoinSet;

use super::*;

/// A hub whose clock stands at `now`: of two decisions about one pair the later counts.
async fn hub_at(dir: &Path, now: Millis) -> App {
    let store = Arc::new(Embedded::open(dir, storage::Options::default()).unwrap());
    App::start(store, AppOptions::local(Arc::new(StoryClock::standing(now)))).await.unwrap()
}

fn url(app: &App) -> String {
    format!("http://{}", app.api())
}

fn name_of(account: &str) -> String {
    format!("customers/{}", CustomerId::of_member(&EntityKey::new(EntityKind::Account, account)))
}

fn account(id: &str) -> Option<v1::SourceRef> {
    let source = v1::System::Salesforce.into();
    Some(v1::SourceRef { source, entity_type: "account".to_owned(), native_id: id.to_owned() })
}

/// Facts of Salesforce: kind, id and fields of each.
/// Kind and id of an entity, and what is said of it.
type Said<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

async fn publish(app: &App, facts: &[Said<'_>]) {
    let text = |value: &str| v1::FieldValue { kind: Some(Kind::Text(value.to_owned())) };
    let event = |(kind, id, fields): &(&str, &str, &[(&str, &str)])| v1::Event {
        event_id: format!("{kind} {id}"),
        system: v1::System::Salesforce.into(),
        object: (*kind).to_owned(),
        record_id: (*id).to_owned(),
        entity_type: (*kind).to_owned(),
        operation: v1::Operation::Patch.into(),
        version: Some(v1::Version { major: 1, ..v1::Version::default() }),
        change_time: Some(prost_types::Timestamp { seconds: NOW.0 / 1_000, nanos: 0 }),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
        ..v1::Event::default()
    };
    let events = facts.iter().map(event).collect();
    let request = v1::PublishEventsRequest { events, wait_until_applied: true, ..v1::PublishEventsRequest::default() };
    let mut api = IngestServiceClient::connect(url(app)).await.unwrap();
    let answer = api.publish_events(request).await.unwrap().into_inner();
    let is_taken = |result: &v1::EventResult| result.outcome() == v1::EventOutcome::Accepted;
    assert!(answer.results.iter().all(is_taken), "{answer:?}");
}

async fn state(app: &App, name: &str, at: At) -> v1::GetCustomerStateResponse {
    let (customer, at) = (Some(Customer::Name(name.to_owned())), Some(at));
    let request = v1::GetCustomerStateRequest { customer, at, ..v1::GetCustomerStateRequest::default() };
    let mut api = CustomerStateServiceClient::connect(url(app)).await.unwrap();
    api.get_customer_state(request).await.unwrap().into_inner()
}

/// Where an account's customer went, read when `position` is applied and again as of it; both say the same.
async fn split_into(app: &App, account: &str, position: &str) -> Vec<String> {
    let now = state(app, &name_of(account), At::MinPosition(position.to_owned())).await;
    let then = state(app, &name_of(account), At::AsOfPosition(position.to_owned())).await;
    let told = [now, then].map(|read| read.customer_state.unwrap().split_into);
    assert_eq!(told[0], told[1], "now and as of now");
    told[0].clone()
}

async fn merge(app: &App) -> String {
    let mut api = IdentityServiceClient::connect(url(app)).await.unwrap();
    let request = v1::MergeIdentitiesRequest {
        target: account("A1"),
        sources: account("A2").into_iter().collect(),
        reason: "one company".to_owned(),
        ..v1::MergeIdentitiesRequest::default()
    };
    api.merge_identities(request).await.unwrap().into_inner().position
}

async fn split(app: &App) -> String {
    let mut api = IdentityServiceClient::connect(url(app)).await.unwrap();
    let request = v1::SplitIdentityRequest {
        customer: name_of("A1"),
        members: account("A2").into_iter().collect(),
        reason: "two companies".to_owned(),
        ..v1::SplitIdentityRequest::default()
    };
    api.split_identity(request).await.unwrap().into_inner().position
}

/// The first event of a watch, and the token with which a snapshot ended if it began with one.
async fn watch(app: &App, resume_token: &str) -> (Event, String) {
    let mut api = CustomerStateServiceClient::connect(url(app)).await.unwrap();
    let request = v1::WatchCustomerStatesRequest {
        resume_token: resume_token.to_owned(),
        ..v1::WatchCustomerStatesRequest::default()
    };
    let mut messages = api.watch_customer_states(request).await.unwrap().into_inner();
    let mut first = None;
    loop {
        let message = messages.message().await.unwrap().unwrap();
        let event = message.event.unwrap();
        let is_end = matches!(&event, Event::Bookmark(bookmark) if bookmark.snapshot_complete);
        let first = first.get_or_insert(event);
        if is_end || !resume_token.is_empty() {
            return (first.clone(), message.resume_token);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_that_was_another_is_found_then_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let app = hub_at(dir.path(), NOW).await;
    publish(&app, &[("account", "A1", &[("name", "Cedar Retail")]), ("account", "A2", &[("name", "Zebra Works")])])
        .await;
    let (_, token) = watch(&app, "").await;
    let merged = merge(&app).await;
    for at in [At::MinPosition(merged.clone()), At::AsOfPosition(merged.clone())] {
        let found = state(&app, &name_of("A2"), at).await;
        assert_eq!(found.redirected_from, name_of("A2"));
        let told = found.customer_state.unwrap();
        assert_eq!((told.name, told.members.len()), (name_of("A1"), 2));
        let last = told.freshness.iter().find(|known| known.system() == v1::System::Salesforce).unwrap();
        assert_eq!(last.last_event_time.map(|at| at.seconds), Some(NOW.0 / 1_000));
    }
    assert_eq!(split_into(&app, "A1", &merged).await, Vec::<String>::new());
    app.stop().await.unwrap();

    let app = hub_at(dir.path(), NOW + 1_000).await;
    let (event, _) = watch(&app, &token).await;
    assert!(matches!(&event, Event::Reset(_)), "the other customer went before the start: {event:?}");
    let parted = split(&app).await;
    assert_eq!(split_into(&app, "A1", &parted).await, [name_of("A2")]);
    app.stop().await.unwrap();

    let app = hub_at(dir.path(), NOW + 2_000).await;
    assert_eq!(split_into(&app, "A1", &parted).await, [name_of("A2")]);
    assert_eq!(split_into(&app, "A2", &parted).await, Vec::<String>::new());
    let merged = merge(&app).await;
    assert_eq!(split_into(&app, "A1", &merged).await, Vec::<String>::new(), "they are one again");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_accepts_a_handoff_and_its_alert_is_known_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let app = hub_at(dir.path(), NOW).await;
    let case = [("account_ref", "A1"), ("status", "InProgress"), ("subject", "no signal")];
    publish(&app, &[("account", "A1", &[("name", "Cedar Retail")]), ("case", "C1", &case)]).await;
    let api = HandoffServiceClient::connect(url(&app)).await.unwrap();
    let request = v1::PrepareHandoffRequest {
        case_id: "C1".to_owned(),
        from_team: "care".to_owned(),
        to_team: "billing".to_owned(),
        ..v1::PrepareHandoffRequest::default()
    };
    let prepared = api.clone().prepare_handoff(request).await.unwrap().into_inner();
    let handoff = prepared.handoff.unwrap();
    let mut told = Vec::new();
    for at in [At::MinPosition(prepared.position.clone()), At::AsOfPosition(prepared.position)] {
        let read = state(&app, &name_of("A1"), at).await.customer_state.unwrap();
        told.push(read.open_alerts.into_iter().map(|alert| alert.rule).collect::<Vec<_>>());
    }
    assert_eq!(told[0], ["11-3"], "billing is not known to be complete");
    assert_eq!(told[0], told[1], "now and as of now");

    let mut accepting = JoinSet::new();
    for agent in 0..8 {
        let (mut api, name, etag) = (api.clone(), handoff.name.clone(), handoff.etag.clone());
        accepting.spawn(async move {
            let request =
                v1::AcceptHandoffRequest { name, etag, agent_id: format!("agent-{agent}"), ..Default::default() };
            match api.accept_handoff(request).await {
                Ok(_) => "accepted".to_owned(),
                Err(refused) => refused.get_details_error_info().unwrap().reason,
            }
        });
    }
    let answers = accepting.join_all().await;
    assert_eq!(answers.iter().filter(|answer| *answer == "accepted").count(), 1, "{answers:?}");
    let distinct: HashSet<&str> = answers.iter().map(String::as_str).collect();
    assert_eq!(distinct, HashSet::from(["accepted", "HANDOFF_CLOSED"]));
    app.stop().await.unwrap();
}
