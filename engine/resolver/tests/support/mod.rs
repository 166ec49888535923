//! Records for tests, written in a line each.

use compact_str::CompactString;
use ontology::status::{PartyType, Verdict};
use ontology::{EntityKey, EntityKind, Fields, Millis, PartyRecord};
use resolver::{Cluster, Judgement, Model, Resolver, ReviewItem};

/// Key of a Salesforce account.
#[allow(dead_code)]
pub fn account(id: &str) -> EntityKey {
    EntityKey::new(EntityKind::Account, id)
}

/// Key of an Oracle AR customer.
#[allow(dead_code)]
pub fn ar(id: &str) -> EntityKey {
    EntityKey::new(EntityKind::ArCustomer, id)
}

/// Key of a SAP business partner.
#[allow(dead_code)]
pub fn partner(id: &str) -> EntityKey {
    EntityKey::new(EntityKind::BusinessPartner, id)
}

/// Key of a Webex caller profile.
#[allow(dead_code)]
pub fn caller(id: &str) -> EntityKey {
    EntityKey::new(EntityKind::CallerProfile, id)
}

/// A record with `fields`; the names are those of [`PartyRecord`], a key is `scheme:value`.
#[allow(dead_code)]
pub fn record(key: &EntityKey, fields: &[(&str, &str)]) -> PartyRecord {
    let mut record = PartyRecord::read(key, &Fields::default());
    for (name, value) in fields {
        let text = CompactString::from(*value);
        match *name {
            "person" => record.party_type = Some(PartyType::Person),
            "organisation" => record.party_type = Some(PartyType::Organisation),
            "name" => record.name = text,
            "given_name" => record.given_name = text,
            "family_name" => record.family_name = text,
            "tax_id" => record.tax_id = text,
            "duns" => record.duns = text,
            "email" => record.email = text,
            "phone" => record.phone = text,
            "birth_date" => record.birth_date = text,
            "street" => record.street = text,
            "city" => record.city = text,
            "postal_code" => record.postal_code = text,
            "country" => record.country = text,
            "web_domain" => record.web_domain = text,
            "account" => record.xrefs.push(("account", text)),
            "ar_customer" => record.xrefs.push(("ar_customer", text)),
            "partner" => record.xrefs.push(("partner", text)),
            "customer" => record.xrefs.push(("customer", text)),
            other => panic!("no field {other}"),
        }
    }
    record
}

/// A judgement by a steward at second `at`, of which a record says no other.
#[allow(dead_code)]
pub fn judgement(verdict: Verdict, at: i64) -> Judgement {
    said_by(&format!("J-{at}"), verdict, at)
}

/// The same, by a record of this name.
#[allow(dead_code)]
pub fn said_by(record: &str, verdict: Verdict, at: i64) -> Judgement {
    let (actor, reason) = ("steward".into(), "checked".into());
    Judgement { record: record.into(), verdict, actor, reason, decided_at: Millis(at * 1000) }
}

/// A resolver over `records`, drained.
#[allow(dead_code)]
pub fn resolved(records: &[PartyRecord]) -> Resolver {
    let mut resolver = Resolver::new(Model::shipped());
    for record in records {
        resolver.upsert(record.clone());
    }
    resolver.drain();
    resolver
}

/// Everything that must not depend on order: customers and the review queue.
#[allow(dead_code)]
pub fn picture(resolver: &Resolver) -> (Vec<Cluster>, Vec<ReviewItem>) {
    let mut clusters: Vec<Cluster> = resolver.clusters().collect();
    clusters.sort_by(|x, y| x.members.cmp(&y.members));
    (clusters, resolver.review_items().collect())
}
