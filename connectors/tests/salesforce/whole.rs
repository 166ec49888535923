//! What a full read says of a record is what its events said.

use super::*;
use crate::support::standing::{shown, standing};

/// Every field that has a value, by object, record and field; a decimal without zeros at its end. What
/// is deleted has none.
fn values(log: &MemoryLog) -> BTreeMap<String, String> {
    let newest = newest(log);
    let mut values = BTreeMap::new();
    for ((object, record, field), (_, bytes)) in standing(log) {
        if newest.get(&record).is_some_and(|fact| fact.op == Op::Delete) {
            continue;
        }
        let Some(told) = shown(&bytes) else { continue };
        values.insert(format!("{object}/{record}/{field:?}"), told);
    }
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_read_whole_says_what_its_events_said() {
    let all = changes(7, 150);
    let last_ms = all.iter().map(|happening| happening.at_ms).max().unwrap();
    let told = |is_renumbered: bool| {
        let all = &all;
        async move {
            let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
            let running = vendor.run(&log, vendor.config());
            log.until("a position", |log| log.position(TOPIC).is_some()).await;
            running.stop().await;
            vendor.publish(all);
            if is_renumbered {
                vendor.server.renumber();
            }
            vendor.quiet_until(last_ms + S);
            let running = vendor.run(&log, vendor.config());
            log.proven(TOPIC, last_ms + S).await;
            running.stop().await;
            values(&log)
        }
    };
    let (events, read) = (told(false).await, told(true).await);
    assert!(events.len() > 500, "{} values", events.len());
    let differ = events.iter().filter(|(place, value)| read.get(*place) != Some(value));
    let differ: Vec<_> =
        differ.map(|(place, value)| format!("{place}: {:?} and not {value}", read.get(place))).collect();
    let more: Vec<_> = read.keys().filter(|place| !events.contains_key(*place)).collect();
    assert!(differ.is_empty() && more.is_empty(), "{} differ, {} more: {differ:#?} {more:?}", differ.len(), more.len());
}
