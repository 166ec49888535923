//! What was known when: the part of the engine's state that depends on arrival and is therefore
//! remembered instead of derived. Transfers with their packages, what was notified as open, and
//! the tasks that were issued.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::CompactString;
use insight::Reference;
use insight::handoff::TransferMemory;
use insight::reconcile::RuleCode;
use ontology::codec::{Corrupt, Cursor, put_bytes, put_i64, put_u64};
use ontology::entity::{Decided, ExchangeRate};
use ontology::id::ObjectId;
use ontology::{CustomerId, EntityKey, Field, FieldReader, Millis, Vocabulary};
use state::Entity;

use crate::naming::Naming;
use crate::noticed::NoticedBook;
use crate::review::{Pair, ReviewQueue};

/// Something that was notified as open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// A party record of the customer concerned; none for a source.
    pub party: Option<EntityKey>,
    /// The record that it is about first, as kind and id.
    pub subject: String,
    /// Rule or alert number.
    pub rule: String,
    /// Severity word.
    pub severity: String,
    /// Team that was told.
    pub team: String,
    /// What it was told.
    pub text: String,
    /// How often it has opened.
    pub openings: u64,
    /// Whether it is open now.
    pub is_open: bool,
    /// When it opened last.
    pub since: Millis,
}

/// A task that was issued for a discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The task.
    pub task: ObjectId,
    /// Event time at which the stretch began that it was issued for.
    pub since: Millis,
    /// Whether it has been completed.
    pub is_done: bool,
}

/// What changed since the last flush.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    Transfer(EntityKey),
    Opened(ObjectId),
    Tasks(ObjectId),
    Split(CustomerId),
    Review(Pair),
    Noticed(ObjectId),
}

/// How many alerts and discrepancies are open, by rule or alert number. A rule under which nothing is
/// open any more stays, with 0.
pub type OpenByRule = BTreeMap<CompactString, u64>;

/// What was known when.
#[derive(Debug, Default)]
pub struct Memory {
    transfers: BTreeMap<EntityKey, Arc<TransferMemory>>,
    opened: BTreeMap<ObjectId, Opened>,
    /// Ids of what is open, below a party record or, under none, on a source.
    open: BTreeMap<Option<EntityKey>, BTreeSet<ObjectId>>,
    /// How much is open, by rule.
    open_by_rule: OpenByRule,
    tasks: BTreeMap<ObjectId, Vec<Issued>>,
    /// Records that belonged to customers which became several. Kept for good: a former id answers where the
    /// others went for as long as anybody asks by it, not only as far as the past can be read. Of a customer
    /// there is one row however often it parts, and there are no more customers than party records.
    splits: BTreeMap<CustomerId, Vec<EntityKey>>,
    review: ReviewQueue,
    noticed: NoticedBook,
    /// Whether what was stored tells since when contradictions hold.
    has_noticed: bool,
    naming: Naming,
    waiting: BTreeSet<EntityKey>,
    lacking: BTreeSet<EntityKey>,
    converted: BTreeSet<EntityKey>,
    dirty: BTreeSet<Dirty>,
}

impl Memory {
    /// A transfer's life so far.
    #[must_use]
    pub fn transfer(&self, key: &EntityKey) -> Option<&Arc<TransferMemory>> {
        self.transfers.get(key)
    }

    /// All transfers.
    pub fn transfers(&self) -> impl Iterator<Item = (&EntityKey, &Arc<TransferMemory>)> {
        self.transfers.iter()
    }

    /// Replaces a transfer's life.
    pub fn set_transfer(&mut self, key: &EntityKey, memory: Arc<TransferMemory>) {
        self.transfers.insert(key.clone(), memory);
        self.dirty.insert(Dirty::Transfer(key.clone()));
    }

    /// Everything that was ever notified, by id.
    pub fn opened(&self) -> impl Iterator<Item = (&ObjectId, &Opened)> {
        self.opened.iter()
    }

    /// What was notified under an id.
    #[must_use]
    pub fn get_opened(&self, id: &ObjectId) -> Option<&Opened> {
        self.opened.get(id)
    }

    /// Adds the ids of what is open below a party record.
    pub fn open_of(&self, party: &EntityKey, open: &mut BTreeSet<ObjectId>) {
        open.extend(self.open.get(&Some(party.clone())).into_iter().flatten().cloned());
    }

    /// Ids of what is open on sources, in order.
    pub fn open_of_sources(&self) -> impl Iterator<Item = &ObjectId> {
        self.open.get(&None).into_iter().flatten()
    }

    /// How much is open, by rule.
    #[must_use]
    pub fn open_by_rule(&self) -> &OpenByRule {
        &self.open_by_rule
    }

    /// Replaces what was notified under an id.
    pub fn set_opened(&mut self, id: &ObjectId, new: Opened) {
        let old = self.opened.insert(id.clone(), new.clone());
        if let Some(old) = old.as_ref().filter(|old| old.is_open) {
            *self.open_by_rule.entry(old.rule.as_str().into()).or_default() -= 1;
        }
        *self.open_by_rule.entry(new.rule.as_str().into()).or_default() += u64::from(new.is_open);
        if let Some(party) = old.map(|old| old.party)
            && let Some(ids) = self.open.get_mut(&party)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.open.remove(&party);
            }
        }
        if new.is_open {
            self.open.entry(new.party).or_default().insert(id.clone());
        }
        self.dirty.insert(Dirty::Opened(id.clone()));
    }

    /// Tasks issued for a discrepancy.
    #[must_use]
    pub fn tasks(&self, discrepancy: &ObjectId) -> &[Issued] {
        self.tasks.get(discrepancy).map_or(&[], Vec::as_slice)
    }

    /// All tasks, by discrepancy.
    pub fn all_tasks(&self) -> impl Iterator<Item = (&ObjectId, &[Issued])> {
        self.tasks.iter().map(|(id, issued)| (id, issued.as_slice()))
    }

    /// The same, to change them.
    pub fn tasks_mut(&mut self, discrepancy: &ObjectId) -> &mut Vec<Issued> {
        self.dirty.insert(Dirty::Tasks(discrepancy.clone()));
        self.tasks.entry(discrepancy.clone()).or_default()
    }

    /// Records that belonged to a customer when it became several, in order.
    #[must_use]
    pub fn split(&self, customer: &CustomerId) -> &[EntityKey] {
        self.splits.get(customer).map_or(&[], Vec::as_slice)
    }

    /// All customers that became several, each with the records that belonged to it then.
    pub fn splits(&self) -> impl Iterator<Item = (&CustomerId, &[EntityKey])> {
        self.splits.iter().map(|(customer, members)| (customer, members.as_slice()))
    }

    /// Notes that a customer of these records became several.
    pub fn add_split(&mut self, customer: &CustomerId, members: &[EntityKey]) {
        let known = self.splits.entry(customer.clone()).or_default();
        let count = known.len();
        known.extend_from_slice(members);
        known.sort_unstable();
        known.dedup();
        if known.len() > count {
            self.dirty.insert(Dirty::Split(customer.clone()));
        }
    }

    /// Since when which pairs wait for a person.
    #[must_use]
    pub fn review(&self) -> &ReviewQueue {
        &self.review
    }

    /// Notes since when a pair waits for a person, or that it waits no longer.
    pub fn set_in_review(&mut self, pair: Pair, since: Option<Millis>) {
        if self.review.set(&pair, since) {
            self.dirty.insert(Dirty::Review(pair));
        }
    }

    /// Contradictions that hold, each with when that was noticed.
    #[must_use]
    pub fn noticed(&self) -> &NoticedBook {
        &self.noticed
    }

    /// Notes that a contradiction of the customer of a party record holds since an instant, or no longer.
    pub fn set_noticed(&mut self, id: &ObjectId, held: Option<(&EntityKey, Millis)>) {
        if self.noticed.set(id, held) {
            self.dirty.insert(Dirty::Noticed(id.clone()));
        }
    }

    /// What was stored before it told since when contradictions hold tells which had opened: their grace
    /// had run out. Those that hold no longer are found out when their customers are looked at.
    pub(crate) fn notice_opened(&mut self, grace_ms: i64) {
        if self.has_noticed {
            return;
        }
        for (id, opened) in &self.opened {
            if let Some(party) = opened.party.as_ref().filter(|_| is_discrepancy(&opened.rule)) {
                self.noticed.set(id, Some((party, opened.since - grace_ms)));
            }
        }
    }

    /// Which customers name orders that are not their own.
    #[must_use]
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// The same, to change it.
    pub fn naming_mut(&mut self) -> &mut Naming {
        &mut self.naming
    }

    /// Says whether a customer has a transfer that waits for a source.
    pub fn set_waiting(&mut self, party: &EntityKey, is_waiting: bool) {
        set(&mut self.waiting, party, is_waiting);
    }

    /// Says whether a customer has a transfer that went out without all of its context.
    pub fn set_lacking(&mut self, party: &EntityKey, is_lacking: bool) {
        set(&mut self.lacking, party, is_lacking);
    }

    /// Party records of customers with transfers that went out without all of their context.
    pub fn lacking(&self) -> impl Iterator<Item = &EntityKey> {
        self.lacking.iter()
    }

    /// Says whether a customer has amounts that are to be converted, with or without a rate for them.
    pub fn set_converted(&mut self, party: &EntityKey, is_converted: bool) {
        set(&mut self.converted, party, is_converted);
    }

    /// Party records of customers with amounts that are to be converted.
    pub fn converted(&self) -> impl Iterator<Item = &EntityKey> {
        self.converted.iter()
    }

    /// Party records of customers whose transfers wait for a source.
    pub fn waiting(&self) -> impl Iterator<Item = &EntityKey> {
        self.waiting.iter()
    }

    /// Takes a person's decision on a derived object; returns a party record of the customer that
    /// the object is about. Of several decisions on one object the latest by time, then actor, then
    /// name counts, whichever came last.
    pub fn decide(&mut self, reference: &mut Reference, decision: Arc<Entity>) -> Option<EntityKey> {
        let subject = ObjectId(decision.text(Field::SubjectRef)?.into());
        let party = self.opened.get(&subject).and_then(|opened| opened.party.clone());
        let known = reference.decisions.get(&subject);
        if known.is_none_or(|known| known.key == decision.key || rank(known) < rank(&decision)) {
            reference.decisions.insert(subject, decision);
            reference.revision += 1;
        }
        party
    }

    /// What changed since the last call, as stored key and value.
    pub fn take_dirty(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.dirty).into_iter().map(|dirty| self.encode(&dirty)).collect()
    }

    fn encode(&self, dirty: &Dirty) -> (Vec<u8>, Vec<u8>) {
        let mut value = Vec::new();
        match dirty {
            Dirty::Transfer(key) => {
                if let Some(memory) = self.transfers.get(key) {
                    memory.encode(&mut value);
                }
                (format!("transfer/{key}").into_bytes(), value)
            }
            Dirty::Opened(id) => {
                if let Some(opened) = self.opened.get(id) {
                    encode_opened(opened, &mut value);
                }
                (format!("opened/{id}").into_bytes(), value)
            }
            Dirty::Tasks(id) => {
                for issued in self.tasks(id) {
                    put_bytes(&mut value, issued.task.0.as_bytes());
                    put_i64(&mut value, issued.since.0);
                    value.push(u8::from(issued.is_done));
                }
                (format!("tasks/{id}").into_bytes(), value)
            }
            Dirty::Split(customer) => {
                for member in self.split(customer) {
                    put_bytes(&mut value, member.to_string().as_bytes());
                }
                (format!("split/{customer}").into_bytes(), value)
            }
            Dirty::Review(pair) => {
                if let Some(since) = self.review.since(pair) {
                    put_i64(&mut value, since.0);
                }
                (format!("review/{}\0{}", pair.0, pair.1).into_bytes(), value)
            }
            Dirty::Noticed(id) => {
                // Nothing, once it holds no longer.
                if let Some((party, at)) = self.noticed.get(id) {
                    put_bytes(&mut value, party.to_string().as_bytes());
                    put_i64(&mut value, at.0);
                }
                (format!("noticed/{id}").into_bytes(), value)
            }
        }
    }

    /// Takes what an earlier run stored.
    ///
    /// # Errors
    /// When key or value do not read as what [`Memory::take_dirty`] gave.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let key = std::str::from_utf8(key).map_err(|_| Corrupt("a memory key"))?;
        let (kind, id) = key.split_once('/').ok_or(Corrupt("a memory key"))?;
        let mut cursor = Cursor(value);
        match kind {
            "transfer" => {
                let key = EntityKey::parse(id).ok_or(Corrupt("a transfer key"))?;
                self.transfers.insert(key, Arc::new(TransferMemory::decode(&mut cursor)?));
            }
            "opened" => {
                let opened = decode_opened(&mut cursor)?;
                self.set_opened(&ObjectId(id.into()), opened);
            }
            "tasks" => {
                let mut issued = Vec::new();
                while !cursor.is_empty() {
                    let task = ObjectId(cursor.compact()?);
                    issued.push(Issued { task, since: Millis(cursor.i64()?), is_done: cursor.byte()? == 1 });
                }
                self.tasks.insert(ObjectId(id.into()), issued);
            }
            "split" => {
                let mut members = Vec::new();
                while !cursor.is_empty() {
                    members.push(EntityKey::parse(cursor.text()?).ok_or(Corrupt("a member"))?);
                }
                self.splits.insert(CustomerId(id.into()), members);
            }
            "review" => {
                let pair = || {
                    let (left, right) = id.split_once('\0')?;
                    Some((EntityKey::parse(left)?, EntityKey::parse(right)?))
                };
                let pair = pair().ok_or(Corrupt("a pair in review"))?;
                let since = if cursor.is_empty() { None } else { Some(Millis(cursor.i64()?)) };
                self.review.set(&pair, since);
            }
            "noticed" => {
                self.has_noticed = true;
                if !cursor.is_empty() {
                    let party = EntityKey::parse(cursor.text()?).ok_or(Corrupt("a party record"))?;
                    self.noticed.set(&ObjectId(id.into()), Some((&party, Millis(cursor.i64()?))));
                }
            }
            _ => return Err(Corrupt("a memory key")),
        }
        self.dirty.clear();
        Ok(())
    }
}

fn is_discrepancy(rule: &str) -> bool {
    RuleCode::ALL.iter().any(|(_, name)| *name == rule)
}

fn set(parties: &mut BTreeSet<EntityKey>, party: &EntityKey, is_member: bool) {
    if is_member {
        parties.insert(party.clone());
    } else {
        parties.remove(party);
    }
}

fn rank(decision: &Entity) -> (Option<Millis>, Option<&str>, &EntityKey) {
    let decided = Decided::read(decision);
    (decided.decided_at, decided.actor, &decision.key)
}

fn encode_opened(opened: &Opened, out: &mut Vec<u8>) {
    let party = opened.party.as_ref().map(ToString::to_string).unwrap_or_default();
    for text in [&party, &opened.subject, &opened.rule, &opened.severity, &opened.team, &opened.text] {
        put_bytes(out, text.as_bytes());
    }
    put_u64(out, opened.openings);
    out.push(u8::from(opened.is_open));
    put_i64(out, opened.since.0);
}

fn decode_opened(cursor: &mut Cursor<'_>) -> Result<Opened, Corrupt> {
    let party = EntityKey::parse(cursor.text()?);
    let mut text = || cursor.text().map(str::to_owned);
    let (subject, rule, severity, team, said) = (text()?, text()?, text()?, text()?, text()?);
    Ok(Opened {
        party,
        subject,
        rule,
        severity,
        team,
        text: said,
        openings: cursor.u64()?,
        is_open: cursor.byte()? == 1,
        since: Millis(cursor.i64()?),
    })
}

/// Takes a rate as its record states it now. Returns whether that is something else than before.
pub fn refer_rate(reference: &mut Reference, record: &Entity) -> bool {
    let rate = ExchangeRate::read(record);
    let day = || Some((rate.currency?.to_owned(), rate.quote_currency?.to_owned(), rate.valid_on?.to_owned()));
    let micros = || rate.rate.and_then(|(mantissa, scale)| in_micros(mantissa, scale));
    let stated = day().zip(micros()).filter(|_| record.is_alive());
    let is_changed = reference.rates.set(&record.key, stated);
    reference.revision += u64::from(is_changed);
    is_changed
}

/// Takes a changed article.
pub fn refer_article(reference: &mut Reference, article: Arc<Entity>) {
    reference.articles.insert(article.key.id.to_string(), article);
    reference.revision += 1;
}

/// A decimal in millionths, rounded half to even.
fn in_micros(mantissa: i64, scale: u8) -> Option<i64> {
    let scaled = i128::from(mantissa) * 1_000_000;
    let unit = 10_i128.checked_pow(u32::from(scale))?;
    i64::try_from(ontology::money::div_half_even(scaled, unit)).ok()
}
