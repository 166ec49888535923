//! The watch contract, over a real socket.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use harness::{Running, name_of};
use proto::v1;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::watch_customer_states_response::Event;
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

type Messages = Streaming<v1::WatchCustomerStatesResponse>;

async fn watch(running: &Running, request: v1::WatchCustomerStatesRequest) -> Messages {
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    client.watch_customer_states(request).await.unwrap().into_inner()
}

async fn next(messages: &mut Messages) -> (String, Event) {
    let message = messages.message().await.unwrap().unwrap();
    (message.resume_token, message.event.unwrap())
}

/// The name and open cases of an upsert, and how many changes were folded into it.
fn upsert(event: Event) -> (String, usize, i64) {
    let Event::Upsert(upsert) = event else { panic!("{event:?}") };
    let state = upsert.customer_state.unwrap();
    (state.name, state.open_cases.len(), upsert.coalesced_count)
}

fn is_snapshot_end(event: &Event) -> bool {
    matches!(event, Event::Bookmark(bookmark) if bookmark.snapshot_complete)
}

fn request() -> v1::WatchCustomerStatesRequest {
    v1::WatchCustomerStatesRequest::default()
}

#[tokio::test]
async fn the_state_comes_first_then_a_bookmark_then_changes() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1), ("A2", 2)]);
    let mut messages = watch(&running, request()).await;
    let mut names = [upsert(next(&mut messages).await.1).0, upsert(next(&mut messages).await.1).0];
    names.sort();
    let mut expected = [name_of("A1"), name_of("A2")];
    expected.sort();
    assert_eq!(names, expected);
    assert!(is_snapshot_end(&next(&mut messages).await.1));
    running.hub.publish(&[("A1", 5)]);
    assert_eq!(upsert(next(&mut messages).await.1), (name_of("A1"), 5, 1));
}

#[tokio::test]
async fn a_token_resumes_with_only_what_came_after_it() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1), ("A2", 1), ("A3", 1)]);
    let mut messages = watch(&running, request()).await;
    let (after_first, first) = next(&mut messages).await;
    let first = upsert(first).0;
    drop(messages);

    let mut messages = watch(&running, v1::WatchCustomerStatesRequest { resume_token: after_first, ..request() }).await;
    let (second, third) = (upsert(next(&mut messages).await.1).0, upsert(next(&mut messages).await.1).0);
    assert!(first != second && second != third && first != third);
    let (complete, end) = next(&mut messages).await;
    assert!(is_snapshot_end(&end));
    drop(messages);

    running.hub.publish(&[("A2", 7), ("A3", 7)]);
    let mut messages = watch(&running, v1::WatchCustomerStatesRequest { resume_token: complete, ..request() }).await;
    let (half, changed) = next(&mut messages).await;
    let changed = upsert(changed);
    drop(messages);
    let mut messages = watch(&running, v1::WatchCustomerStatesRequest { resume_token: half, ..request() }).await;
    let other = upsert(next(&mut messages).await.1);
    assert_ne!(changed.0, other.0);
    assert_eq!((changed.1, other.1), (7, 7));
    running.hub.publish(&[("A1", 8)]);
    assert_eq!(upsert(next(&mut messages).await.1), (name_of("A1"), 8, 1));
}

#[tokio::test]
async fn a_token_of_another_selection_resets_and_a_malformed_one_is_refused() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1)]);
    let mut messages = watch(&running, request()).await;
    let (token, _) = next(&mut messages).await;
    let other =
        v1::WatchCustomerStatesRequest { resume_token: token, filter: "open_cases > 0".to_owned(), ..request() };
    let mut messages = watch(&running, other).await;
    let (_, event) = next(&mut messages).await;
    assert!(matches!(event, Event::Reset(reset) if reset.reason == "RESUME_TOKEN_MISMATCH"));
    assert_eq!(upsert(next(&mut messages).await.1).0, name_of("A1"));

    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let malformed = v1::WatchCustomerStatesRequest { resume_token: "nonsense".to_owned(), ..request() };
    let status = client.watch_customer_states(malformed).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_error_info().unwrap().reason, "RESUME_TOKEN_INVALID");
}

#[tokio::test]
async fn changes_of_one_customer_are_folded_for_a_slow_reader() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 0)]);
    let mut messages = watch(&running, v1::WatchCustomerStatesRequest { skip_snapshot: true, ..request() }).await;
    // The watch listens from the first answer of the server on, which a bookmark shows.
    for cases in 1..=200 {
        running.hub.publish(&[("A1", cases % 7)]);
    }
    running.hub.publish(&[("A1", 9)]);
    let (mut seen, mut states) = (0, 0);
    loop {
        let (_, cases, folded) = upsert(next(&mut messages).await.1);
        seen += folded;
        states += 1;
        if cases == 9 {
            break;
        }
    }
    assert!(seen <= 201 && states < 201, "{seen} changes in {states} states");
}

#[tokio::test]
async fn leaving_the_filter_is_told_once_and_names_select() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1), ("A2", 1)]);
    let filtered =
        v1::WatchCustomerStatesRequest { filter: "open_cases > 0".to_owned(), names: vec![name_of("A1")], ..request() };
    let mut messages = watch(&running, filtered).await;
    assert_eq!(upsert(next(&mut messages).await.1).0, name_of("A1"));
    assert!(is_snapshot_end(&next(&mut messages).await.1));
    running.hub.publish(&[("A2", 5)]);
    running.hub.publish(&[("A1", 0)]);
    let (_, event) = next(&mut messages).await;
    assert!(matches!(event, Event::RemovedName(name) if name == name_of("A1")));
    running.hub.publish(&[("A1", 0)]);
    running.hub.publish(&[("A1", 2)]);
    assert_eq!(upsert(next(&mut messages).await.1).1, 2);
}

#[tokio::test]
async fn a_quiet_stream_gets_bookmarks_that_can_be_resumed() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1)]);
    let quiet = v1::WatchCustomerStatesRequest {
        skip_snapshot: true,
        bookmark_interval: Some(prost_types::Duration { seconds: 0, nanos: 1 }),
        ..request()
    };
    let mut messages = watch(&running, quiet).await;
    let (token, event) = next(&mut messages).await;
    assert!(matches!(event, Event::Bookmark(bookmark) if !bookmark.snapshot_complete));
    drop(messages);
    running.hub.publish(&[("A1", 4)]);
    let mut messages = watch(&running, v1::WatchCustomerStatesRequest { resume_token: token, ..request() }).await;
    assert_eq!(upsert(next(&mut messages).await.1).1, 4);
}

#[tokio::test]
async fn a_draining_server_ends_watches_with_a_retry() {
    let mut running = Running::start().await;
    running.hub.publish(&[("A1", 1)]);
    let mut messages = watch(&running, request()).await;
    next(&mut messages).await;
    next(&mut messages).await;
    running.drain();
    let status = messages.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DRAINING");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn what_time_alone_changed_comes_after_a_token_of_the_same_position() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1)]);
    let mut messages = watch(&running, request()).await;
    assert_eq!(upsert(next(&mut messages).await.1).1, 1);
    let (token, end) = next(&mut messages).await;
    assert!(is_snapshot_end(&end));
    drop(messages);
    let resumed = || v1::WatchCustomerStatesRequest { resume_token: token.clone(), ..request() };
    let mut early = watch(&running, resumed()).await;
    running.hub.tick(harness::T + 4_000, &[("A1", 2)]);
    let mut late = watch(&running, resumed()).await;
    for messages in [&mut early, &mut late] {
        assert_eq!(upsert(next(messages).await.1), (name_of("A1"), 2, 1));
    }
}

#[tokio::test]
async fn a_watch_begins_again_at_a_hub_that_found_everything_that_the_token_tells_of() {
    let before = Running::start().await;
    before.hub.publish(&[("A1", 1)]);
    let position = before.hub.publish(&[("A2", 1)]);
    let mut messages = watch(&before, request()).await;
    for _ in 0..2 {
        next(&mut messages).await;
    }
    let (token, end) = next(&mut messages).await;
    assert!(is_snapshot_end(&end));
    // The other customer went meanwhile: the hub that started again cannot know who was told of it.
    let after = Running::start().await;
    after.hub.found(position, &[("A1", 2)]);
    let mut messages = watch(&after, v1::WatchCustomerStatesRequest { resume_token: token, ..request() }).await;
    let (_, event) = next(&mut messages).await;
    assert!(matches!(event, Event::Reset(reset) if reset.reason == "POSITION_TOO_OLD"));
    assert_eq!(upsert(next(&mut messages).await.1).0, name_of("A1"));
    let (token, end) = next(&mut messages).await;
    assert!(is_snapshot_end(&end));
    after.hub.publish(&[("A1", 3)]);
    let mut messages = watch(&after, v1::WatchCustomerStatesRequest { resume_token: token, ..request() }).await;
    assert_eq!(upsert(next(&mut messages).await.1), (name_of("A1"), 3, 1));
}

#[tokio::test]
async fn whoever_watches_by_a_former_name_follows_where_it_leads() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1), ("A2", 1), ("A3", 1)]);
    let followed = |token: &str| v1::WatchCustomerStatesRequest {
        names: vec![name_of("A2")],
        resume_token: token.to_owned(),
        ..request()
    };
    let mut messages = watch(&running, followed("")).await;
    assert_eq!(upsert(next(&mut messages).await.1).0, name_of("A2"));
    let (before, end) = next(&mut messages).await;
    assert!(is_snapshot_end(&end));
    running.hub.merge("A1", "A2");
    let (after, event) = next(&mut messages).await;
    assert!(matches!(event, Event::RemovedName(name) if name == name_of("A2")));
    assert_eq!(upsert(next(&mut messages).await.1).0, name_of("A1"));
    running.hub.publish(&[("A1", 4), ("A3", 4)]);
    assert_eq!(upsert(next(&mut messages).await.1), (name_of("A1"), 4, 1));
    drop(messages);
    // The same from a token of before, from one between the two messages, and with none.
    let mut messages = watch(&running, followed(&before)).await;
    let mut told = [next(&mut messages).await.1, next(&mut messages).await.1].map(|event| match event {
        Event::RemovedName(name) => name,
        other => upsert(other).0,
    });
    told.sort();
    let mut expected = [name_of("A1"), name_of("A2")];
    expected.sort();
    assert_eq!(told, expected);
    let mut messages = watch(&running, followed(&after)).await;
    let mut named = String::new();
    while named != name_of("A1") {
        if let Event::Upsert(upsert) = next(&mut messages).await.1 {
            named = upsert.customer_state.unwrap().name;
        }
    }
    let mut messages = watch(&running, followed("")).await;
    assert_eq!(upsert(next(&mut messages).await.1), (name_of("A1"), 4, 1));
    assert!(is_snapshot_end(&next(&mut messages).await.1));
}

#[tokio::test]
async fn an_upsert_names_the_events_that_caused_it() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1)]);
    let mut messages = watch(&running, v1::WatchCustomerStatesRequest { skip_snapshot: true, ..request() }).await;
    running.hub.publish(&[("A1", 2)]);
    let Event::Upsert(upsert) = next(&mut messages).await.1 else { panic!("a change") };
    assert_eq!(upsert.cause_event_ids, ["e-2"]);
}

#[tokio::test]
async fn a_state_that_no_message_carries_is_sent_without_its_largest_field_and_the_stream_goes_on() {
    let running = Running::start().await;
    // Each case is named after its account.
    let large = format!("A1{}", "x".repeat(180));
    running.hub.publish(&[(&large, 1), ("A2", 1)]);
    let mut messages = watch(&running, request()).await;
    while !is_snapshot_end(&next(&mut messages).await.1) {}
    running.hub.publish(&[(&large, 22_000)]);
    let Event::Upsert(upsert) = next(&mut messages).await.1 else { panic!("no upsert") };
    let state = upsert.customer_state.unwrap();
    assert_eq!(upsert.omitted_paths, ["open_cases"]);
    assert!(upsert.changed_paths.contains(&"open_cases".to_owned()), "what changed is told all the same");
    assert_eq!((state.name, state.version, state.open_cases.len()), (name_of(&large), 2, 0));
    assert_eq!((state.members.len(), state.golden_record.is_empty()), (1, false));
    running.hub.publish(&[("A2", 2)]);
    let Event::Upsert(upsert) = next(&mut messages).await.1 else { panic!("no upsert") };
    assert_eq!((upsert.customer_state.unwrap().name, upsert.omitted_paths), (name_of("A2"), Vec::new()));

    // A watch that begins while it is large, and one that is small again.
    let mut messages =
        watch(&running, v1::WatchCustomerStatesRequest { names: vec![name_of(&large)], ..request() }).await;
    let Event::Upsert(upsert) = next(&mut messages).await.1 else { panic!("no upsert") };
    assert_eq!(upsert.omitted_paths, ["open_cases"]);
    assert!(is_snapshot_end(&next(&mut messages).await.1));
    running.hub.publish(&[(&large, 3)]);
    let Event::Upsert(upsert) = next(&mut messages).await.1 else { panic!("no upsert") };
    assert_eq!((upsert.customer_state.unwrap().open_cases.len(), upsert.omitted_paths), (3, Vec::new()));
}
