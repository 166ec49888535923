//! What the organisation does not show at first, and what it refuses, comes once it does.

use ontology::{Field, FieldReader as _};

use super::*;
use crate::support::standing::{shown, standing};

/// The subject that the hub comes to hold of a case.
fn subject(log: &MemoryLog, id: &str) -> Option<String> {
    let standing = standing(log);
    standing.get(&("Case".to_owned(), id.to_owned(), Field::Subject)).and_then(|(_, bytes)| shown(bytes))
}

fn reads_all(vendor: &Vendor) -> SalesforceConfig {
    SalesforceConfig { is_full_read_first: true, look_every: Duration::from_millis(20), ..vendor.config() }
}

/// Waits for a finding of `kind`, or for its end.
async fn found(running: &Running, kind: &str, is_open: bool) -> String {
    let looking = async {
        loop {
            let found = running.status.get().findings.get(kind).map(|found| found.text.clone());
            if found.is_some() == is_open {
                return found.unwrap_or_default();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looking).await.expect("a finding that opens or closes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_granted_later_is_read_whole_once() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.server.change_untold(&case("C1", SalesforceKind::Create, BEGIN, "first"));
    vendor.quiet_until(BEGIN + S);
    vendor.server.hide("Case");
    let running = vendor.run(&log, reads_all(&vendor));
    log.proven(TOPIC, BEGIN).await;
    let told = found(&running, "objects_not_there", true).await;
    assert!(told.starts_with("Case: not there"), "{told}");
    assert!(!newest(&log).contains_key("C1"));
    vendor.server.show_all();
    log.until("the case", |log| newest(log).contains_key("C1")).await;
    found(&running, "objects_not_there", false).await;
    log.until("it to be kept", |log| log.position("/data/ChangeEvents#whole/Case").is_some()).await;
    running.stop().await;

    // What was read is not read again; what joins the mapping is, and so is a column that joins it.
    vendor.server.change_untold(&case("C2", SalesforceKind::Create, BEGIN + 2 * S, "second"));
    vendor.quiet_until(BEGIN + 3 * S);
    let running = vendor.run(&log, reads_all(&vendor));
    log.proven(TOPIC, BEGIN + 3 * S).await;
    running.stop().await;
    assert!(!newest(&log).contains_key("C2"));
    for kept in [None, Some(b"Id,SystemModstamp,IsDeleted,Status".to_vec())] {
        for submission in log.submissions.lock().unwrap().iter_mut() {
            submission.position = submission.position.take().and_then(|(name, position)| match &kept {
                _ if !name.ends_with("#whole/Case") => Some((name, position)),
                Some(columns) => Some((name, columns.clone())),
                None => None,
            });
            submission.facts.retain(|fact| fact.record_id != "C2");
        }
        let running = vendor.run(&log, reads_all(&vendor));
        log.until("the case that nobody told of", |log| newest(log).contains_key("C2")).await;
        log.until("it to be kept", |log| {
            log.position("/data/ChangeEvents#whole/Case").is_some_and(|p| p.ends_with(b",Type"))
        })
        .await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_is_granted_later_is_read_and_nothing_is_wiped_before() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.publish(&[case("C1", SalesforceKind::Create, BEGIN, "told")]);
    vendor.server.change_untold(&case("C2", SalesforceKind::Create, BEGIN, "untold"));
    vendor.server.hide("Case.Subject");
    let running = vendor.run(&log, reads_all(&vendor));
    let told = found(&running, "columns_not_shown", true).await;
    assert!(told.starts_with("Case.Subject: not there"), "{told}");
    log.until("the cases to be read", |log| {
        log.facts().iter().filter(|fact| fact.object == "Case" && fact.read_at.is_some()).count() >= 2
    })
    .await;
    log.until("the event", |log| subject(log, "C1").is_some()).await;
    assert_eq!(subject(&log, "C2"), None);
    let read = log.facts().into_iter().filter(|fact| fact.read_at.is_some());
    assert!(read.clone().all(|fact| !fact.fields.iter().any(|(field, _)| field == Field::Subject)));
    assert!(read.clone().any(|fact| fact.fields.get(Field::Status) != ontology::ValueRef::Null));
    vendor.server.show_all();
    log.until("the subject of what nobody told of", |log| subject(log, "C2").is_some()).await;
    found(&running, "columns_not_shown", false).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_refused_holds_up_no_other_and_is_read_in_the_end() {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.faults.set(Faults { gap: Rate::ALWAYS, ..Faults::default() });
    let create = |n: i64| case(&format!("C{n}"), SalesforceKind::Create, BEGIN + n * S, "first");
    vendor.publish(&[create(1), create(2)]);
    vendor.faults.clear();
    vendor.server.hide("C1");
    let running = vendor.run(&log, vendor.config());
    log.until("the other", |log| newest(log).contains_key("C2")).await;
    let told = found(&running, "records_not_read", true).await;
    assert!(told.contains("cannot be read: salesforce answered QUERY_TIMEOUT"), "{told}");
    assert!(!newest(&log).contains_key("C1"));
    vendor.server.show_all();
    log.until("the one that was refused", |log| newest(log).contains_key("C1")).await;
    found(&running, "records_not_read", false).await;
    running.stop().await;
}
