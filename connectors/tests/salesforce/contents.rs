//! The list tells contents, not times alone: a change that is lost for good is found though a later one
//! of its record came.

use ontology::Field;

use super::*;
use crate::support::standing::{shown, standing};

/// A change of some fields of a case.
fn change(kind: SalesforceKind, at_ms: i64, said: &[(&'static str, &str)]) -> Happening {
    let mut happening = case("C1", kind, at_ms, "");
    if let Change::Salesforce(change) = &mut happening.change {
        change.fields = said.iter().map(|(name, text)| (*name, (*text).into())).collect();
    }
    happening
}

/// What the hub comes to hold of the case, and how often records were read, when `lost` is never told.
async fn held(told: &[Happening], lost: &Happening, later: &[Happening]) -> (Option<String>, usize) {
    let (vendor, log) = (vendor(Organisation::default()).await, MemoryLog::default());
    vendor.quiet_until(BEGIN);
    let audit = AuditConfig { interval: Duration::from_millis(20), settle: Duration::from_secs(1) };
    let running = vendor.run(&log, SalesforceConfig { audit: Some(audit), ..vendor.config() });
    log.until("a position", |log| log.position(TOPIC).is_some()).await;
    vendor.publish(told);
    vendor.server.change_untold(lost);
    vendor.publish(later);
    let end = BEGIN + 600 * S;
    vendor.quiet_until(end);
    log.until("the list to be compared", |log| {
        log.position(&position_name(TOPIC)).and_then(|place| compared_until(&place)) >= Some(Millis(end - S))
    })
    .await;
    running.stop().await;
    let (_, status) = standing(&log)[&("Case".to_owned(), "C1".to_owned(), Field::Status)].clone();
    (shown(&status), log.facts().iter().filter(|fact| fact.read_at.is_some()).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_within_one_list_the_first_is_found_when_it_is_lost() {
    let all = [("AccountId", "ACCT-1"), ("Status", "New"), ("Subject", "first")];
    let create = change(SalesforceKind::Create, BEGIN + 10 * S, &all);
    let lost = |at_ms| change(SalesforceKind::Update, at_ms, &[("Status", "Escalated")]);
    let later = |at_ms| [change(SalesforceKind::Update, at_ms, &[("Subject", "second")])];
    let created = std::slice::from_ref(&create);
    let (expected, reads) =
        held(&[create.clone(), lost(BEGIN + 20 * S)], &lost(BEGIN + 20 * S), &later(BEGIN + 25 * S)).await;
    assert_eq!(reads, 0, "what came is not read");
    assert_ne!(expected, None);
    assert_eq!(held(created, &lost(BEGIN + 20 * S), &later(BEGIN + 25 * S)).await, (expected.clone(), 1));
    // Within the second of what came, and after all that came of it.
    assert_eq!(held(created, &lost(BEGIN + 10 * S + 100), &later(BEGIN + 10 * S + 200)).await, (expected.clone(), 1));
    assert_eq!(held(created, &lost(BEGIN + 10 * S + 100), &[]).await, (expected, 1));
}
