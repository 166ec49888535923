//! What handoff packages would say of systems of which nothing is linked to the customer: that there
//! is no counterpart must be true (spec 6.3).
//!
//! Every account of the world is handed over once, with all sources fresh and no record below it: then
//! what a section says follows from links and review alone, by the rule that real packages are made by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use benches::report::Figure;
use insight::handoff::{SectionName, SectionStatus, assess};
use insight::{Context, Derived, Reference, Settings};
use ontology::{EntityKey, EntityKind, LogPos, Millis, System};
use resolver::{LinkState, Resolver};
use state::{Composite, Entity, Freshness, Member, PartyTree, Possible};

use super::world::Truths;

/// The share of packages that may be wrong about it.
const WRONG_MAX: f64 = 0.01;

/// Sections and the systems that fill them.
const SECTIONS: [(SectionName, System); 3] = [
    (SectionName::Billing, System::Oracle),
    (SectionName::Interaction, System::Wxcc),
    (SectionName::Service, System::Sap),
];

/// Claims of one kind of section, and those of them that are wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Claims {
    made: u64,
    wrong: u64,
}

/// The packages of all accounts. `is_traced` says of a record whether anything could lead to it.
pub(super) fn measure(resolver: &Resolver, truth: &Truths, is_traced: impl Fn(&EntityKey) -> bool) -> Vec<Figure> {
    let mut known: BTreeMap<u32, BTreeSet<System>> = BTreeMap::new();
    for (key, customer) in truth.iter().filter(|(key, _)| is_traced(key)) {
        known.entry(*customer).or_default().extend(key.kind.party_system());
    }
    let mut claims: BTreeMap<SectionName, Claims> = BTreeMap::new();
    let (mut packages, mut wrong) = (0_u64, 0_u64);
    for (account, customer) in truth.iter().filter(|(key, _)| key.kind == EntityKind::Account) {
        let mut is_wrong = false;
        for (section, system) in claimed(resolver, account) {
            let is_known = known.get(customer).is_some_and(|systems| systems.contains(&system));
            let claims = claims.entry(section).or_default();
            claims.made += 1;
            claims.wrong += u64::from(is_known);
            is_wrong |= is_known;
        }
        packages += 1;
        wrong += u64::from(is_wrong);
    }
    let share = if packages == 0 { 0.0 } else { wrong as f64 / packages as f64 };
    let mut figure = Figure::at_most("R11.world.no_counterpart_wrong", share, "ratio", WRONG_MAX)
        .with("packages", packages)
        .with("packages_wrong", wrong);
    for (section, Claims { made, wrong }) in claims {
        figure = figure.with(&format!("{section:?}_claims"), made).with(&format!("{section:?}_wrong"), wrong);
    }
    vec![figure]
}

/// Sections of an account's package that claim that their system knows nobody.
fn claimed(resolver: &Resolver, account: &EntityKey) -> Vec<(SectionName, System)> {
    let now = Millis(0);
    let transfer = Entity::named(EntityKey::new(EntityKind::Transfer, "T"));
    let (settings, reference) = (Settings::default(), Reference::default());
    let context = Context::without_memory(&settings, &reference, now);
    let package = assess(&transfer, &composite(resolver, account, now), &Derived::default(), &context).package;
    let is_claimed = |(section, _): &(SectionName, System)| {
        let status = package.section(*section).map(|section| section.status);
        status == Some(SectionStatus::ConfirmedEmpty { is_without_counterpart: true })
    };
    SECTIONS.into_iter().filter(is_claimed).collect()
}

/// The customer of an account as the hub sees it: members, and records that may belong to it.
fn composite(resolver: &Resolver, account: &EntityKey, now: Millis) -> Composite {
    let id = resolver.customer_of(account);
    let members = resolver.cluster(&id).map_or_else(|| vec![account.clone()], |cluster| cluster.members);
    let mut possible = Vec::new();
    for member in &members {
        for candidate in resolver.candidates_of(member) {
            if candidate.state == LinkState::Review && !members.contains(&candidate.other) {
                let confidence = candidate.confidence.0;
                possible.push(Possible { key: candidate.other, member: member.clone(), confidence });
            }
        }
    }
    let mut freshness = Freshness::default();
    for system in System::SOURCES {
        freshness.source_mut(system).watermark = Some(now);
    }
    let tree = Arc::new(PartyTree::default());
    let member = |(place, key)| Member {
        key,
        confidence: 1_000_000,
        joined: (place > 0).then_some((0, 1_000_000)),
        tree: tree.clone(),
    };
    Composite {
        id,
        members: members.into_iter().enumerate().map(member).collect(),
        possible,
        elsewhere: Vec::new(),
        freshness,
        log_pos: LogPos(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ontology::{Fields, PartyRecord};
    use resolver::Model;

    /// What is claimed wrongly of an account and a customer of the register, linked by mail and name,
    /// held for review by mail alone, or strangers.
    fn wrong(mail: &str, name: &str) -> f64 {
        let keys = [EntityKey::new(EntityKind::Account, "1"), EntityKey::new(EntityKind::ArCustomer, "2")];
        let mut resolver = Resolver::new(Model::shipped());
        for (key, (mail, name)) in keys.iter().zip([("a@acme.example", "Acme Ltd"), (mail, name)]) {
            let mut record = PartyRecord::read(key, &Fields::default());
            (record.email, record.name) = (mail.into(), name.into());
            resolver.upsert(record);
        }
        resolver.drain();
        let truth = keys.into_iter().map(|key| (key, 7)).collect();
        measure(&resolver, &truth, |_| true)[0].value
    }

    #[test]
    fn a_counterpart_that_is_linked_or_in_review_is_not_denied() {
        assert!(wrong("a@acme.example", "Acme Ltd").abs() < f64::EPSILON);
        assert!((wrong("z@zenith.example", "Zenith AG") - 1.0).abs() < f64::EPSILON);
    }
}
