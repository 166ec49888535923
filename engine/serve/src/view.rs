//! The view of a customer as it is published: the pipeline's, made findable.

use std::ptr;
use std::sync::Arc;

use insight::derived::{Correlation, Discrepancy};
use ontology::CustomerId;
pub use pipeline::CustomerView;
use sha2::{Digest as _, Sha256};

use crate::convert::customer;
use crate::views::{Collection, Object, ObjectChanges, Publication, View};

impl View for CustomerView {
    fn id(&self) -> &CustomerId {
        CustomerView::id(self)
    }

    fn objects_since(&self, before: Option<&Self>) -> ObjectChanges {
        let (was, is) = (before.map(|before| &*before.derived), &*self.derived);
        let mut changes = ObjectChanges::default();
        if was.is_none_or(|was| !ptr::eq(was, is)) {
            tell_discrepancies(was.map_or(&[], |was| &was.discrepancies), &is.discrepancies, &mut changes);
            let alerts = came(was.map_or(&[], |was| &was.alerts), &is.alerts, |a, b| a.id == b.id);
            changes.came.extend(alerts.map(|it| object(Collection::Alerts, &it.id.0)));
            // Explanations that were taken over are the same object.
            let is_same = |a: &Arc<Correlation>, b: &Arc<Correlation>| Arc::ptr_eq(a, b) || a.id == b.id;
            let correlations = came(was.map_or(&[], |was| &was.correlations), &is.correlations, is_same);
            changes.came.extend(correlations.map(|it| object(Collection::Correlations, &it.id.0)));
        }
        let alerts = before.map_or(&[][..], |before| &before.handoff_alerts);
        let alerts = came(alerts, &self.handoff_alerts, |a, b| a.id == b.id);
        changes.came.extend(alerts.map(|it| object(Collection::Alerts, &it.id.0)));
        let transfers = before.map_or(&[][..], |before| &before.transfers);
        let transfers = came(transfers, &self.transfers, |a, b| a.key.id == b.key.id);
        changes.came.extend(transfers.map(|it| object(Collection::Handoffs, &it.key.id)));
        changes
    }

    fn changed_paths(&self, before: &Self) -> u32 {
        customer::changed_paths(before, self)
    }
}

fn object(collection: Collection, id: &str) -> Object {
    Object { collection, id: id.into() }
}

/// Discrepancies are watched: those that changed or went are told, too.
fn tell_discrepancies(was: &[Discrepancy], is: &[Discrepancy], changes: &mut ObjectChanges) {
    let named = |it: &Discrepancy| object(Collection::Discrepancies, &it.id.0);
    let is_same = |a: &Discrepancy, b: &Discrepancy| a.id == b.id;
    for (now, then) in with_earlier(was, is, is_same) {
        match then {
            None => changes.came.push(named(now)),
            Some(then) if then != now => changes.changed.push(named(now)),
            Some(_) => {}
        }
    }
    changes.changed.extend(came(is, was, is_same).map(named));
}

/// What stands in `now` alone.
fn came<'a, T>(then: &'a [T], now: &'a [T], is_same: impl Fn(&T, &T) -> bool + Copy) -> impl Iterator<Item = &'a T> {
    with_earlier(then, now, is_same).filter(|(_, then)| then.is_none()).map(|(now, _)| now)
}

/// Everything in `now` with the same thing in `then`, if it was there. Most stand in the same order in
/// both, so each is looked for from where the one before it was found.
fn with_earlier<'a, T>(
    then: &'a [T],
    now: &'a [T],
    is_same: impl Fn(&T, &T) -> bool + Copy,
) -> impl Iterator<Item = (&'a T, Option<&'a T>)> {
    let mut next = 0;
    now.iter().map(move |it| {
        let (before, behind) = then.split_at(next);
        let is_it = |known: &T| is_same(known, it);
        let place = behind.iter().position(is_it).map(|place| next + place).or_else(|| before.iter().position(is_it));
        next = place.map_or(next, |place| place + 1);
        (it, place.map(|place| &then[place]))
    })
}

/// What a client hands back to say which state of an object it has seen; differs whenever the object does.
pub(crate) fn etag_of(object: &impl std::fmt::Debug) -> String {
    let digest = Sha256::digest(format!("{object:?}").as_bytes());
    let mark = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
    format!("\"{mark:016x}\"")
}

impl From<pipeline::Effects> for Publication<CustomerView> {
    /// What a step of the engine makes readable.
    fn from(effects: pipeline::Effects) -> Self {
        let causes = effects.applied.into_iter().map(|applied| (applied.entity, applied.event_id)).collect();
        Publication {
            position: effects.position,
            now: effects.now,
            views: effects.views,
            retired: effects.retired,
            memberships: effects.memberships,
            roots: effects.roots,
            splits: effects.splits,
            causes,
            source_alerts: effects.source_alerts,
            freshness: effects.freshness,
            last_events: effects.last_events,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_find_their_earlier_selves_in_whatever_order() {
        let check = |then: &[(u8, char)], now: &[(u8, char)], expected: &str| {
            let told = with_earlier(then, now, |a, b| a.0 == b.0);
            let told = told.map(|(now, then)| format!("{}{}", now.1, then.map_or('-', |then| then.1)));
            assert_eq!(told.collect::<Vec<_>>().join(" "), expected);
        };
        check(&[], &[], "");
        check(&[], &[(1, 'a')], "a-");
        check(&[(1, 'A'), (2, 'B'), (3, 'C')], &[(1, 'a'), (2, 'b'), (3, 'c')], "aA bB cC");
        check(&[(1, 'A'), (3, 'C')], &[(1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')], "aA b- cC d-");
        check(&[(1, 'A'), (2, 'B'), (3, 'C')], &[(3, 'c'), (1, 'a'), (2, 'b')], "cC aA bB");
        check(&[(1, 'A'), (2, 'B')], &[(2, 'b')], "bB");
    }

    #[test]
    fn only_discrepancies_are_told_when_they_go() {
        let (was, is) = ([(1, 'A'), (2, 'B')], [(2, 'b'), (3, 'c')]);
        let names = |then, now| came(then, now, |a: &(u8, char), b| a.0 == b.0).map(|it| it.1).collect::<String>();
        assert_eq!((names(&was, &is), names(&is, &was)), ("c".to_owned(), "A".to_owned()));
    }
}
