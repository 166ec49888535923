#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;

use futures::StreamExt as _;
use ontology::{LogPos, Millis};

use super::*;
use crate::drain::DrainSwitch;

/// Numbers by name, each with the stamp of its last change.
#[derive(Clone)]
struct Numbers {
    all: Arc<Mutex<BTreeMap<&'static str, (Stamp, u32)>>>,
    feed: Arc<Feed>,
    last: Arc<Mutex<Stamp>>,
    drain: Arc<(DrainSwitch, Drain)>,
}

type Told = (String, Event<u32>);
type Messages = Pin<Box<dyn Stream<Item = Result<Told, Status>>>>;

impl Numbers {
    fn new() -> Self {
        let feed = Arc::new(Feed::new(Stamp::default(), 8, 8));
        Numbers { all: Arc::default(), feed, last: Arc::default(), drain: Arc::new(Drain::new()) }
    }

    /// Publishes what these are now.
    fn publish(&self, position: u64, now: i64, numbers: &[(&'static str, u32)]) {
        let stamp = lock(&self.last).next(LogPos(position), Millis(now), !numbers.is_empty());
        *lock(&self.last) = stamp;
        lock(&self.all).extend(numbers.iter().map(|(name, number)| (*name, (stamp, *number))));
        self.feed.publish(stamp, numbers.iter().map(|(name, _)| Change::of(*name)).collect());
    }

    fn watch(&self, resume_token: &str) -> Messages {
        let request = WatchRequest { resume_token: resume_token.to_owned(), ..WatchRequest::default() };
        let watch = Watch::begin(self.feed.clone(), self.drain.1.clone(), self.clone(), request).unwrap();
        Box::pin(watch.into_stream())
    }
}

impl Selection for Numbers {
    type State = u32;
    type Message = Told;
    const RESOURCE: &'static str = "numbers";

    fn keys(&self) -> Vec<CompactString> {
        lock(&self.all).keys().map(|name| CompactString::const_new(name)).collect()
    }

    fn load(&self, key: &str) -> Option<(Stamp, u32)> {
        lock(&self.all).get(key).copied()
    }

    fn is_filtered(&self) -> bool {
        false
    }

    fn message(&self, resume_token: String, event: Event<u32>) -> Told {
        (resume_token, event)
    }
}

async fn next(messages: &mut Messages) -> Told {
    messages.next().await.unwrap().unwrap()
}

/// The number of the upsert that comes next.
async fn number(messages: &mut Messages) -> u32 {
    match next(messages).await.1 {
        Event::Upsert(upsert) => upsert.state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_change_by_time_is_told_though_one_at_its_position_was_sent_ahead() {
    let numbers = Numbers::new();
    numbers.publish(5, 100, &[("a", 1)]);
    let mut messages = numbers.watch("");
    numbers.publish(6, 100, &[("a", 2)]);
    assert_eq!(number(&mut messages).await, 2, "the snapshot reads the newest state");
    numbers.publish(6, 200, &[("a", 3)]);
    assert_eq!(next(&mut messages).await.1, Event::Bookmark(true));
    assert_eq!(number(&mut messages).await, 3);
    // Two at one position and time are told apart as well.
    numbers.publish(6, 200, &[("a", 4)]);
    let (token, _) = next(&mut messages).await;
    numbers.publish(6, 200, &[("a", 5)]);
    assert_eq!(number(&mut numbers.watch(&token)).await, 5);
}

#[tokio::test]
async fn nothing_comes_twice_when_nothing_changed() {
    let numbers = Numbers::new();
    numbers.publish(5, 100, &[("a", 1)]);
    let mut messages = numbers.watch("");
    assert_eq!(number(&mut messages).await, 1);
    let (token, end) = next(&mut messages).await;
    assert_eq!(end, Event::Bookmark(true));
    numbers.publish(5, 100, &[]);
    let mut messages = numbers.watch(&token);
    numbers.publish(5, 101, &[]);
    numbers.publish(7, 101, &[("b", 2)]);
    assert_eq!(number(&mut messages).await, 2);
}

#[test]
fn watches_are_counted_with_what_they_folded_and_why_they_began_again() {
    let recorder = metrics::recorder().unwrap();
    let page = recorder.handle();
    let shows = |line: &str| {
        let page = page.render();
        assert!(page.lines().any(|shown| shown == line), "{line} is not on\n{page}");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let numbers = Numbers::new();
            let mut messages = numbers.watch("");
            let (token, _) = next(&mut messages).await;
            shows(r#"opshub_watch_streams{resource="numbers"} 1"#);
            (1..=3).for_each(|position| numbers.publish(position, 1, &[("a", 1)]));
            assert_eq!(number(&mut messages).await, 1);
            shows(r#"opshub_watch_folded_total{resource="numbers"} 2"#);
            numbers.feed.begin(Stamp::found(LogPos(3), Millis(1)));
            assert_eq!(next(&mut numbers.watch(&token)).await.1, Event::Reset("POSITION_TOO_OLD"));
            shows(r#"opshub_watch_resets_total{resource="numbers",reason="POSITION_TOO_OLD"} 1"#);
            shows(r#"opshub_watch_streams{resource="numbers"} 1"#);
            drop(messages);
        });
    });
    shows(r#"opshub_watch_streams{resource="numbers"} 0"#);
}
