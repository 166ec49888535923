//! The four-system world: companies with subsidiaries, persons in households, callers known by
//! number, and no common key on nearly a third of the rows.

use std::collections::{BTreeMap, BTreeSet};

use benches::cpu::Stopwatch;
use benches::report::Figure;
use fixtures::story::{Change, Fields, Value};
use fixtures::world::{PartyKey, Size, Truth, World};
use offline::wilson;
use ontology::status::PartyType;
use ontology::{EntityKey, EntityKind, PartyRecord, Vocabulary};
use resolver::{LinkState, Model, Resolver};

use super::packages;

/// Callers known by number alone that a record of their customer shows: so many are linked or wait for
/// a person (spec 4.2). The others call from a line of a household that two customers show.
const BARE_REACHED_MIN: f64 = 0.95;

/// What a true pair shares, by which recall is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    /// A cross-reference key.
    Key,
    /// No key.
    None,
}

/// Resolves the parties of a world of about `customers` customers with the shipped model.
pub(super) fn measure(seed: u64, customers: u32) -> Vec<Figure> {
    let world = World::generate(seed, Size { customers, live_ms: 0 });
    let parties = parties(&world);
    let watch = Stopwatch::start();
    let mut resolver = Resolver::new(Model::shipped());
    for party in parties.values() {
        resolver.upsert(party.clone());
    }
    resolver.drain();
    let cpu_s = watch.spent().cpu_s;
    let truth = truths(world.truth(), &parties);
    let mut figures = precision(&resolver, &truth);
    figures.extend(recall(&resolver, &truth, &parties));
    let traced = traced(&truth, &parties);
    figures.extend(packages::measure(&resolver, &truth, |key| {
        key.kind != EntityKind::CallerProfile || traced.contains(key)
    }));
    figures.push(Figure::told("R11.world.records", parties.len() as f64, "").with("cpu_s", cpu_s).with("seed", seed));
    figures
}

/// Callers to whom something leads: a number that they entered, or a number or address that a record
/// of their customer shows. Of the others nobody could know whose they are.
fn traced(truth: &Truths, parties: &BTreeMap<EntityKey, PartyRecord>) -> BTreeSet<EntityKey> {
    let mut firms: BTreeMap<u32, Vec<&PartyRecord>> = BTreeMap::new();
    for (key, customer) in truth.iter().filter(|(key, _)| key.kind != EntityKind::CallerProfile) {
        firms.entry(*customer).or_default().push(&parties[key]);
    }
    let leads = |key: &EntityKey, customer: &u32| {
        let caller = &parties[key];
        let shows = |firm: &&PartyRecord| same_number(firm, caller) || same_address(firm, caller);
        caller.xrefs.len() > 1 || firms.get(customer).is_some_and(|firms| firms.iter().any(shows))
    };
    let callers = truth.iter().filter(|(key, _)| key.kind == EntityKind::CallerProfile);
    callers.filter(|(key, customer)| leads(key, customer)).map(|(key, _)| key.clone()).collect()
}

fn same_address(one: &PartyRecord, other: &PartyRecord) -> bool {
    !one.email.is_empty() && one.email.eq_ignore_ascii_case(&other.email)
}

/// True customer of each record.
pub(super) type Truths = BTreeMap<EntityKey, u32>;

fn truths(truth: &Truth, parties: &BTreeMap<EntityKey, PartyRecord>) -> Truths {
    let known = |key: &EntityKey| {
        let system = key.kind.party_system()?.name();
        truth.party.get(&PartyKey { system, id: key.id.to_string() }).copied()
    };
    parties.keys().filter_map(|key| Some((key.clone(), known(key)?))).collect()
}

/// Precision of links by pair of sources, each with its interval.
fn precision(resolver: &Resolver, truth: &Truths) -> Vec<Figure> {
    let mut links: BTreeMap<(EntityKind, EntityKind), [u64; 2]> = BTreeMap::new();
    resolver.for_each_edge(|edge| {
        let (Some(left), Some(right)) = (truth.get(edge.left), truth.get(edge.right)) else { return };
        if edge.state == LinkState::Linked {
            let kinds = (edge.left.kind.min(edge.right.kind), edge.left.kind.max(edge.right.kind));
            let counts = links.entry(kinds).or_default();
            counts[0] += u64::from(left == right);
            counts[1] += 1;
        }
    });
    let figure = |((left, right), [right_links, links]): ((EntityKind, EntityKind), [u64; 2])| {
        let name = format!("R11.world.precision_low.{}-{}", left.name(), right.name());
        let (low, _) = wilson(right_links, links);
        Figure::at_least(name, low, "", 0.95).with("links", links).with("right", right_links)
    };
    links.into_iter().map(figure).collect()
}

/// Recall over true pairs of the three record systems, with and without a common key; and how many
/// callers known by number alone are linked or wait for a person.
fn recall(resolver: &Resolver, truth: &Truths, parties: &BTreeMap<EntityKey, PartyRecord>) -> Vec<Figure> {
    let mut by_customer: BTreeMap<u32, Vec<&EntityKey>> = BTreeMap::new();
    for (key, customer) in truth {
        by_customer.entry(*customer).or_default().push(key);
    }
    let mut found: BTreeMap<Shared, [u64; 2]> = BTreeMap::new();
    let (mut callers, mut seen) = (0_u64, 0_u64);
    for members in by_customer.values() {
        let (people, firms): (Vec<&EntityKey>, Vec<&EntityKey>) =
            members.iter().copied().partition(|member| member.kind == EntityKind::CallerProfile);
        for (at, one) in firms.iter().enumerate() {
            for other in &firms[at + 1..] {
                let counts = found.entry(shared(&parties[*one], &parties[*other])).or_default();
                counts[0] += u64::from(resolver.customer_of(one) == resolver.customer_of(other));
                counts[1] += 1;
            }
        }
        for caller in people {
            let is_bare = parties[caller].xrefs.len() == 1;
            let is_known = firms.iter().any(|firm| same_number(&parties[*firm], &parties[caller]));
            if is_bare && is_known {
                callers += 1;
                let reaches = |state| matches!(state, LinkState::Linked | LinkState::Review);
                seen += u64::from(resolver.candidates_of(caller).iter().any(|candidate| reaches(candidate.state)));
            }
        }
    }
    let share = |part: u64, all: u64| if all == 0 { 1.0 } else { part as f64 / all as f64 };
    let figure = |(shared, name, goal): (Shared, &str, f64)| {
        let [hits, all] = found.get(&shared).copied().unwrap_or_default();
        Figure::at_least(name, share(hits, all), "", goal).with("true_pairs", all)
    };
    let goals =
        [(Shared::Key, "R11.world.recall_with_key", 0.95), (Shared::None, "R11.world.recall_without_key", 0.75)];
    let mut figures: Vec<Figure> = goals.into_iter().map(figure).collect();
    figures.push(
        Figure::at_least("R11.world.bare_callers_reached", share(seen, callers), "", BARE_REACHED_MIN)
            .with("callers", callers),
    );
    figures
}

fn shared(one: &PartyRecord, other: &PartyRecord) -> Shared {
    if one.xrefs.iter().any(|key| other.xrefs.contains(key)) { Shared::Key } else { Shared::None }
}

/// Whether the last nine digits of two numbers are equal: notations differ in front of them.
fn same_number(one: &PartyRecord, other: &PartyRecord) -> bool {
    let tail = |record: &PartyRecord| -> String {
        let digits: String = record.phone.chars().filter(char::is_ascii_digit).collect();
        digits.chars().rev().take(9).collect()
    };
    let (one, other) = (tail(one), tail(other));
    one.len() == 9 && one == other
}

/// The party records of a world's history, each as it last was.
fn parties(world: &World) -> BTreeMap<EntityKey, PartyRecord> {
    let mut rows: BTreeMap<EntityKey, Fields> = BTreeMap::new();
    let mut callers: BTreeMap<EntityKey, PartyRecord> = BTreeMap::new();
    for happening in world.history() {
        match &happening.change {
            Change::Salesforce(change) if change.object == "Account" => {
                for id in &change.ids {
                    let key = EntityKey::new(EntityKind::Account, id.as_str());
                    rows.entry(key).or_default().extend(change.fields.clone());
                }
            }
            Change::Oracle(change) if change.table == "AR_CUSTOMER" => {
                let key = EntityKey::new(EntityKind::ArCustomer, change.id.as_str());
                rows.entry(key).or_default().extend(change.after.clone().unwrap_or_default());
            }
            Change::Sap(change) if change.idoc_type == "DEBMAS07" => {
                let key = EntityKey::new(EntityKind::BusinessPartner, change.id.as_str());
                rows.entry(key).or_default().extend(change.fields.clone());
            }
            Change::Webex(change) => note_caller(&change.data, &mut callers),
            Change::Salesforce(_)
            | Change::Oracle(_)
            | Change::Sap(_)
            | Change::TransferRequest(_)
            | Change::Bad(_) => {}
        }
    }
    let records = rows.into_iter().map(|(key, fields)| (key.clone(), party(&key, &fields)));
    records.chain(callers).collect()
}

/// A caller as a contact tells of it: a number or an address, and what was entered.
fn note_caller(contact: &serde_json::Value, callers: &mut BTreeMap<EntityKey, PartyRecord>) {
    let Some(origin) = contact["origin"].as_str() else { return };
    let is_bare = origin.len() == 10 && origin.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_bare { format!("+1{origin}") } else { origin.to_owned() };
    let key = EntityKey::new(EntityKind::CallerProfile, id.as_str());
    let caller = callers.entry(key.clone()).or_insert_with(|| PartyRecord::read(&key, &ontology::Fields::default()));
    if origin.contains('@') {
        caller.email = origin.into();
    } else {
        caller.phone = id.as_str().into();
    }
    if let Some(number) = contact["globalVariables"]["accountNumber"].as_str() {
        let entered = ("account", number.into());
        if !caller.xrefs.contains(&entered) {
            caller.xrefs.push(entered);
        }
    }
}

/// Fields of a system, and where the resolver reads them.
type Reads = &'static [(&'static str, fn(&mut PartyRecord, &str))];

const READS: Reads = &[
    ("Phone", |p, v| p.phone = v.into()),
    ("Website", |p, v| p.web_domain = v.into()),
    ("DunsNumber", |p, v| p.duns = v.into()),
    ("Email__c", |p, v| p.email = v.into()),
    ("PersonEmail", |p, v| p.email = v.into()),
    ("PersonBirthdate", |p, v| p.birth_date = v.into()),
    ("Tax_Id__c", |p, v| p.tax_id = v.into()),
    ("AccountNumber", |p, v| p.xrefs.push(("account", v.into()))),
    ("Name", |p, v| p.name = v.into()),
    ("NAME", |p, v| p.name = v.into()),
    ("TAX_ID", |p, v| p.tax_id = v.into()),
    ("EMAIL", |p, v| p.email = v.into()),
    ("PHONE", |p, v| p.phone = v.into()),
    ("ADDRESS1", |p, v| p.street = v.into()),
    ("HOUSE_NO", |p, v| p.house_number = v.into()),
    ("CITY", |p, v| p.city = v.into()),
    ("POSTAL_CODE", |p, v| p.postal_code = v.into()),
    ("REGION", |p, v| p.region = v.into()),
    ("COUNTRY", |p, v| p.country = v.into()),
    ("WEB_DOMAIN", |p, v| p.web_domain = v.into()),
    ("SF_ACCOUNT_NO", |p, v| p.xrefs.push(("account", v.into()))),
    ("BIRTH_DATE", |p, v| p.birth_date = v.into()),
    ("DUNS", |p, v| p.duns = v.into()),
    ("STRAS", |p, v| p.street = v.into()),
    ("HAUSN", |p, v| p.house_number = v.into()),
    ("ORT01", |p, v| p.city = v.into()),
    ("PSTLZ", |p, v| p.postal_code = v.into()),
    ("REGIO", |p, v| p.region = v.into()),
    ("LAND1", |p, v| p.country = v.into()),
    ("TELF1", |p, v| p.phone = v.into()),
    ("SMTP_ADDR", |p, v| p.email = v.into()),
    ("STCEG", |p, v| p.tax_id = v.into()),
    ("SFACC", |p, v| p.xrefs.push(("account", v.into()))),
    ("ARNO", |p, v| p.xrefs.push(("ar_customer", v.into()))),
    ("DOMAIN", |p, v| p.web_domain = v.into()),
    ("GBDAT", |p, v| p.birth_date = v.into()),
];

fn party(key: &EntityKey, fields: &Fields) -> PartyRecord {
    let mut party = PartyRecord::read(key, &ontology::Fields::default());
    for (name, read) in READS {
        match fields.get(name) {
            Some(Value::Text(text)) if !text.is_empty() => read(&mut party, text),
            Some(Value::Date(ms)) => read(&mut party, &day(*ms)),
            Some(Value::Person { first, last, .. }) => {
                (party.given_name, party.family_name) = (first.as_str().into(), last.as_str().into());
            }
            Some(_) | None => {}
        }
    }
    if let Some(Value::Address(address)) = fields.get("BillingAddress") {
        party.street = address.street.as_str().into();
        party.house_number = address.house_no.as_str().into();
        party.city = address.city.as_str().into();
        party.region = address.region.as_str().into();
        party.postal_code = address.postal_code.as_str().into();
        party.country = address.country.into();
    }
    let says = |name: &str, word: &str| fields.get(name) == Some(&Value::from(word));
    let is_person = fields.get("IsPersonAccount") == Some(&Value::Bool(true))
        || says("PARTY_TYPE", "PERSON")
        || says("KTOKD", "PERS");
    party.party_type = Some(if is_person { PartyType::Person } else { PartyType::Organisation });
    if let (Some(Value::Text(last)), true) = (fields.get("NAME1"), is_person) {
        party.family_name = last.as_str().into();
        if let Some(Value::Text(first)) = fields.get("NAME2") {
            party.given_name = first.as_str().into();
        }
    } else if let Some(Value::Text(name)) = fields.get("NAME1") {
        party.name = name.as_str().into();
    }
    party.xrefs.sort();
    party.xrefs.dedup();
    party
}

fn day(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_world_is_resolved_and_told() {
        let figures = measure(5, 60);
        let value = |name: &str| figures.iter().find(|figure| figure.measure == name).map(|figure| figure.value);
        assert!(value("R11.world.recall_with_key").is_some_and(|recall| recall > 0.9), "{figures:?}");
        assert!(value("R11.world.records").is_some_and(|records| records > 150.0), "{figures:?}");
        let precise = figures.iter().filter(|figure| figure.measure.starts_with("R11.world.precision_low"));
        assert!(precise.count() >= 3, "{figures:?}");
    }

    #[test]
    fn days_before_the_epoch_are_days() {
        assert_eq!(day(-86_400_000), "1969-12-31");
    }
}
