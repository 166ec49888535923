//! What a hub says of its sources when it begins to read them.
#![allow(clippy::unwrap_used)]
use std::path::Path;

use super::*;
use crate::clock::StoryClock;

const NOON: Millis = Millis(1_773_144_000_000);

async fn started(dir: &Path) -> App {
    let store = Arc::new(storage::Embedded::open(dir, storage::Options::default()).unwrap());
    App::start(store, AppOptions::local(Arc::new(StoryClock::standing(NOON)))).await.unwrap()
}

/// Up to when Oracle and SAP are received, in minutes before noon, and where the log ends.
async fn received(app: &App) -> (Option<i64>, Option<i64>, LogPos) {
    let handle = app.handle();
    let asked = handle.ask(|engine| {
        let minutes = |system| engine.sources().watermark(system).map(|until| NOON.since(until) / Millis::MINUTE_MS);
        (minutes(System::Oracle), minutes(System::Sap), engine.position())
    });
    asked.await.unwrap()
}

async fn proven(app: &App, system: System, partition: &str, minutes: i64) {
    let until = NOON - minutes * Millis::MINUTE_MS;
    app.context(system, partition).heartbeat(system, partition, until).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_configured_no_longer_holds_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let app = started(dir.path()).await;
    for (system, partition, minutes) in
        [(System::Oracle, "erp", 1), (System::Oracle, "queue", 60), (System::Sap, "p", 90)]
    {
        proven(&app, system, partition, minutes).await;
    }
    let (oracle, sap, before) = received(&app).await;
    assert_eq!((oracle, sap), (Some(60), Some(90)));
    app.retire_partitions().await.unwrap();
    assert_eq!(received(&app).await, (oracle, sap, before), "all of them are connected");
    app.stop().await.unwrap();

    let app = started(dir.path()).await;
    drop(app.context(System::Oracle, "erp"));
    app.retire_partitions().await.unwrap();
    let (oracle, sap, retired) = received(&app).await;
    assert_eq!((oracle, sap), (Some(1), Some(90)), "a system that nothing is configured for keeps what it said");
    assert_eq!(retired, LogPos(before.0 + 1));
    app.retire_partitions().await.unwrap();
    assert_eq!(received(&app).await.2, retired, "it was said");
    app.stop().await.unwrap();

    // What is in the log holds for every start, and ends when the partition speaks again.
    let app = started(dir.path()).await;
    drop(app.context(System::Oracle, "erp"));
    app.retire_partitions().await.unwrap();
    assert_eq!(received(&app).await, (Some(1), Some(90), retired));
    proven(&app, System::Oracle, "queue", 30).await;
    assert_eq!(received(&app).await.0, Some(30));
    app.stop().await.unwrap();
}
