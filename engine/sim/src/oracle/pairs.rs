//! Every pair of living party records, scored one by one.
//!
//! How a pair is scored, and which records meet at all where many are alike, is the resolver's, asked
//! of one that was given everything at once. What people decided and what follows from it is found
//! here by trying everything.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use ontology::entity::Judgement;
use ontology::status::Verdict;
use ontology::{EntityKey, EntityKind, FieldReader, Millis, PartyRecord};
use resolver::{Explanation, Feature, Level, Model, Resolver};

use super::record::Record;

/// Two records, the smaller first.
pub type Pair = (EntityKey, EntityKey);

/// What is to be said of a pair.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Confidence in millionths, without people.
    pub confidence: u32,
    /// Whether the records meet: where blocks are too full, not all that are alike do.
    pub is_met: bool,
    /// Whether the records forbid the link.
    pub is_vetoed: bool,
    /// What a person decided last.
    pub verdict: Option<Verdict>,
    phone: Level,
    email: Level,
    keys: Level,
}

impl Scored {
    /// Whether clustering may use the pair.
    #[must_use]
    pub fn is_accepted(&self, model: &Model) -> bool {
        match self.verdict {
            Some(Verdict::Link) => true,
            Some(Verdict::Unlink) => false,
            None => self.is_met && !self.is_vetoed && self.confidence >= model.link_min.0,
        }
    }

    /// Whether the two must not be in one customer.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        match self.verdict {
            Some(Verdict::Link) => false,
            Some(Verdict::Unlink) => true,
            None => self.is_vetoed,
        }
    }

    /// Confidence as a link; a person's is certain.
    #[must_use]
    pub fn link_confidence(&self) -> u32 {
        if self.verdict == Some(Verdict::Link) { 1_000_000 } else { self.confidence }
    }

    /// Whether the records show the same telephone number, and the same mail address.
    #[must_use]
    pub fn shared_contacts(&self) -> [bool; 2] {
        [self.phone == Level::Exact, self.email == Level::Exact]
    }

    /// Whether the records show the same key.
    #[must_use]
    pub fn shares_key(&self) -> bool {
        self.keys == Level::Exact
    }
}

/// All pairs of `parties`, which are in the order of their keys.
#[must_use]
pub fn score_all(parties: &[PartyRecord], verdicts: &BTreeMap<Pair, Verdict>, model: &Model) -> BTreeMap<Pair, Scored> {
    // Not drained, a resolver scores a pair by the two records alone. Which values are generic can
    // only be known by looking at all; callers show none of those.
    let mut alone = Resolver::new(model.clone());
    parties.iter().for_each(|party| alone.upsert(party.clone()));
    let mut among_all = Resolver::new(model.clone());
    parties.iter().for_each(|party| among_all.upsert(party.clone()));
    among_all.drain();
    let mut met: BTreeSet<Pair> = BTreeSet::new();
    among_all.for_each_candidate(|a, b, _, _| {
        let (a, b) = (among_all.key_of(a).clone(), among_all.key_of(b).clone());
        met.insert(if a < b { (a, b) } else { (b, a) });
    });
    let has_generic = has_generic(parties, model);
    let is_caller = |key: &EntityKey| key.kind == EntityKind::CallerProfile;
    let mut scored = BTreeMap::new();
    for (place, left) in parties.iter().enumerate() {
        for right in &parties[place + 1..] {
            let pair = (left.key.clone(), right.key.clone());
            let asks_all = has_generic && !is_caller(&pair.1);
            let generic = asks_all.then(|| among_all.explain(&pair.0, &pair.1)).flatten();
            let explanation = generic.or_else(|| alone.explain(&pair.0, &pair.1)).expect("both records were given");
            let verdict = verdicts.get(&pair).copied();
            let is_met = met.contains(&pair);
            scored.insert(pair, Scored { is_met, ..of_explanation(&explanation, verdict) });
        }
    }
    scored
}

/// The confidence of a caller and another record if the contact that they share belongs to one
/// customer alone: as if there were no other records.
#[must_use]
pub fn confidence_alone(left: &PartyRecord, right: &PartyRecord, model: &Model) -> u32 {
    let mut scorer = Resolver::new(model.clone());
    scorer.upsert(left.clone());
    scorer.upsert(right.clone());
    scorer.drain();
    scorer.explain(&left.key, &right.key).expect("both records were given").confidence.0
}

/// Whether one key of `caller` is shown by all `others`: by leaving it no other.
#[must_use]
pub fn shares_one_key(caller: &PartyRecord, others: &[&PartyRecord], model: &Model) -> bool {
    caller.xrefs.iter().any(|key| {
        let mut scorer = Resolver::new(model.clone());
        let mut alone = caller.clone();
        alone.xrefs = std::iter::once(key.clone()).collect();
        scorer.upsert(alone);
        others.iter().all(|other| {
            scorer.upsert((*other).clone());
            let explanation = scorer.explain(&other.key, &caller.key).expect("both records were given");
            of_explanation(&explanation, None).shares_key()
        })
    })
}

fn of_explanation(explanation: &Explanation, verdict: Option<Verdict>) -> Scored {
    let level = |feature: Feature| {
        let found = explanation.features.iter().find(|explained| explained.feature == feature);
        found.map_or(Level::Silent, |explained| explained.level)
    };
    Scored {
        confidence: explanation.confidence.0,
        is_met: true,
        is_vetoed: !explanation.vetoes.is_empty(),
        verdict,
        phone: level(Feature::Phone),
        email: level(Feature::Email),
        keys: level(Feature::Key),
    }
}

/// Whether more records of one system than may be show one mail address. Histories share no other
/// value that widely.
fn has_generic(parties: &[PartyRecord], model: &Model) -> bool {
    let mut counts: BTreeMap<(EntityKind, CompactString), u32> = BTreeMap::new();
    for party in parties.iter().filter(|party| !party.email.is_empty()) {
        *counts.entry((party.key.kind, party.email.to_lowercase())).or_default() += 1;
    }
    counts.values().any(|count| *count > model.generic_max)
}

/// What people decided last on each pair: by time, then actor; an unlink after a link.
#[must_use]
pub fn verdicts(records: &BTreeMap<EntityKey, Record<'_>>) -> BTreeMap<Pair, Verdict> {
    let mut latest: BTreeMap<Pair, (Millis, CompactString, bool, Verdict)> = BTreeMap::new();
    let standing = records.values().filter(|record| record.key.kind == EntityKind::Judgement && record.is_alive());
    for record in standing {
        let Some((pair, decided)) = decided(record) else { continue };
        let known = latest.entry(pair).or_insert_with(|| decided.clone());
        if (decided.0, &decided.1, decided.2) > (known.0, &known.1, known.2) {
            *known = decided;
        }
    }
    latest.into_iter().map(|(pair, (_, _, _, verdict))| (pair, verdict)).collect()
}

fn decided(record: &impl FieldReader) -> Option<(Pair, (Millis, CompactString, bool, Verdict))> {
    let fields = Judgement::read(record);
    let (left, right) = (EntityKey::parse(fields.left_ref?)?, EntityKey::parse(fields.right_ref?)?);
    let verdict = fields.verdict.known()?;
    if left == right {
        return None;
    }
    let pair = if left < right { (left, right) } else { (right, left) };
    Some((pair, (fields.decided_at?, fields.actor.unwrap_or_default().into(), verdict == Verdict::Unlink, verdict)))
}
