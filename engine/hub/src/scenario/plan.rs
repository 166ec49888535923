//! From a story to what is done, with every instant and every fact worked out beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use insight::alerts::AlertRule;
use insight::reconcile::RuleCode;
use jiff::tz::TimeZone;
use ontology::status::{Decision, Verdict};
use ontology::{
    EntityKey, EntityKind, Fact, Field, FieldsBuilder, Millis, ObjectId, Op, SourceKey, System, ValueRef, Version,
    Vocabulary,
};
use pipeline::EngineSettings;
use serde_json::json;
use serve::decide::{self, Decider, TransferRequest};

use super::Error;
use super::expect::Expect;
use super::fact::{self, Place, entity, system_of, word};
use super::load::Loaded;
use super::native::{self, Payload};
use super::step::{
    CommandReceiver, CustomerPart, DecidePart, FactPart, GapPart, JudgementPart, MappingPart, QuarantinePart,
    ReceiverPart, RefetchPart, Restart, Step, TransferPart,
};
use super::story::{Deliver, Story};
use super::time::{Times, absolute, duration};
use super::words;

/// Most shards of a story: any number tells the same.
const SHARDS_MAX: usize = 64;

/// How long before T the records of a `customer` step were made.
const CUSTOMER_AGE_MS: i64 = 30 * Millis::DAY_MS;

/// A story, ready to be played.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// How its instants are read and told.
    pub times: Times,
    /// Thresholds.
    pub settings: EngineSettings,
    /// How far sources lag at the start.
    pub sources: BTreeMap<System, Lag>,
    /// What is done, each with its line in the file.
    pub acts: Vec<(Option<usize>, Act)>,
    /// Where the clock stands at the end.
    pub end: Millis,
    /// Shuffles that the story asks for.
    pub deliver: Option<Delivery>,
}

/// How a source's watermark follows the story's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// This many milliseconds behind.
    Behind(i64),
    /// Not at all.
    Stopped,
    /// There is none.
    Unmonitored,
}

/// Shuffles of all facts of a story.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// How many orders.
    pub shuffles: u32,
    /// How often each fact comes at most.
    pub repeats: u32,
    /// Seed of the orders.
    pub seed: u64,
    /// Where the clock stands meanwhile.
    pub hold_at: Millis,
    /// Where results are compared.
    pub until: Millis,
}

/// One thing that is done.
#[derive(Debug, Clone)]
pub enum Act {
    /// Facts arrive together.
    Facts(Vec<Fact>),
    /// A native payload arrives.
    Native(Payload),
    /// The clock moves.
    Until(Millis),
    /// Sources change their lag.
    Sources(BTreeMap<System, Lag>),
    /// A mapping is replaced; the parts stay as they are, since mappings build on each other.
    Mapping(System, MappingPart, PathBuf),
    /// Quarantine is decoded again.
    ReplayQuarantine(QuarantinePart),
    /// Commands reach their receiver, or do not.
    Commands(CommandReceiver),
    /// The hub ends and starts again.
    Restart(Restart),
    /// Something must be so.
    Expect(Box<Expect>),
}

impl Plan {
    /// Works a story out.
    ///
    /// # Errors
    /// [`Error::Format`] with the line of the step at fault.
    pub fn of(loaded: &Loaded) -> Result<Self, Error> {
        let story = &loaded.story;
        let wrong = |line: Option<usize>| move |why: String| loaded.wrong(line, why);
        let settings = settings(story).map_err(wrong(None))?;
        let zone = settings.insight.business_tz.clone();
        let start = absolute(&story.start, &zone).map_err(|why| loaded.wrong(None, format!("start: {why}")))?;
        let times = Times { start, zone };
        let mut planner = Planner::new(times.clone(), loaded.folder());
        let mut acts = Vec::with_capacity(story.steps.len());
        for (place, step) in story.steps.iter().enumerate() {
            let line = loaded.lines.get(place).copied();
            acts.push((line, planner.act(step).map_err(wrong(line))?));
        }
        let deliver = story.deliver.as_ref().map(|d| delivery(d, &times)).transpose().map_err(wrong(None))?;
        if deliver.is_none() && !story.facts_of.is_empty() {
            return Err(loaded.wrong(None, "facts_of needs deliver".to_owned()));
        }
        let sources = lags(&story.sources).map_err(wrong(None))?;
        Ok(Plan { name: story.name.clone(), times, settings, sources, acts, end: planner.clock, deliver })
    }

    /// All facts that the story names, in its order.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.acts.iter().flat_map(|(_, act)| match act {
            Act::Facts(facts) => facts.as_slice(),
            Act::Native(_)
            | Act::Until(_)
            | Act::Sources(_)
            | Act::Mapping(..)
            | Act::ReplayQuarantine(_)
            | Act::Commands(_)
            | Act::Restart(_)
            | Act::Expect(_) => &[],
        })
    }

    /// Whether the hub ends somewhere in the story.
    #[must_use]
    pub fn restarts(&self) -> bool {
        self.acts.iter().any(|(_, act)| matches!(act, Act::Restart(_)))
    }
}

fn expected(expect: &Expect) -> Result<Act, String> {
    if expect.says_nothing() {
        return Err("expect: nothing is compared; write what must be so, such as open: { alerts: 0 }".to_owned());
    }
    words::check(expect)?;
    Ok(Act::Expect(Box::new(expect.clone())))
}

fn replayed(part: &QuarantinePart) -> Result<Act, String> {
    part.reason.as_deref().map_or(Ok(()), words::reason)?;
    Ok(Act::ReplayQuarantine(part.clone()))
}

fn delivery(deliver: &Deliver, times: &Times) -> Result<Delivery, String> {
    let (hold_at, until) = (times.reached(&deliver.hold_at)?, times.reached(&deliver.until)?);
    if deliver.shuffles == 0 || deliver.repeats == 0 || until < hold_at {
        return Err("deliver: expected shuffles and repeats of at least 1, and until not before hold_at".to_owned());
    }
    Ok(Delivery { shuffles: deliver.shuffles, repeats: deliver.repeats, seed: deliver.seed, hold_at, until })
}

fn settings(story: &Story) -> Result<EngineSettings, String> {
    let asked = &story.settings;
    let shards = asked.shards.unwrap_or(1);
    if !(1..=SHARDS_MAX).contains(&shards) {
        return Err(format!("settings: shards is {shards}, expected 1 to {SHARDS_MAX}"));
    }
    if let Some(minor) = asked.tolerance_minor.filter(|minor| *minor < 0) {
        return Err(format!("settings: tolerance_minor is {minor}, expected 0 or more minor units"));
    }
    let mut settings = EngineSettings { shards, ..EngineSettings::default() };
    let insight = &mut settings.insight;
    if let Some(name) = &asked.business_tz {
        insight.business_tz = TimeZone::get(name).map_err(|_| format!("business_tz: no time zone `{name}`"))?;
    }
    insight.tolerance_minor = asked.tolerance_minor.unwrap_or(insight.tolerance_minor);
    for (text, value) in [
        (&asked.grace, &mut insight.grace_ms),
        (&asked.hold, &mut insight.hold_max_ms),
        (&asked.interaction_window, &mut insight.interaction_window_ms),
        (&asked.order_window, &mut insight.order_window_ms),
    ] {
        if let Some(text) = text {
            *value = duration(text)?;
        }
    }
    Ok(settings)
}

/// Reads `fresh`, `lag 400s`, `stopped`, `unmonitored` per system.
fn lags(named: &BTreeMap<String, String>) -> Result<BTreeMap<System, Lag>, String> {
    let mut lags = BTreeMap::new();
    for (name, text) in named {
        let system: System = word("a system", name)?;
        let lag = match text.as_str() {
            "fresh" => Lag::Behind(0),
            "stopped" => Lag::Stopped,
            "unmonitored" => Lag::Unmonitored,
            other => match other.strip_prefix("lag ") {
                Some(length) => Lag::Behind(duration(length)?),
                None => {
                    return Err(format!(
                        "{name}: expected fresh, lag DURATION, stopped or unmonitored, found `{other}`"
                    ));
                }
            },
        };
        lags.insert(system, lag);
    }
    Ok(lags)
}

/// What planning has to remember from step to step.
struct Planner<'a> {
    times: Times,
    folder: &'a Path,
    clock: Millis,
    numbers: u64,
    rows: BTreeSet<SourceKey>,
    /// Version and instant of each gap.
    gaps: BTreeMap<EntityKey, (Version, Millis)>,
    transfers: BTreeMap<String, EntityKey>,
}

impl<'a> Planner<'a> {
    fn new(times: Times, folder: &'a Path) -> Self {
        let clock = times.start;
        Planner {
            times,
            folder,
            clock,
            numbers: 0,
            rows: BTreeSet::new(),
            gaps: BTreeMap::new(),
            transfers: BTreeMap::new(),
        }
    }

    fn act(&mut self, step: &Step) -> Result<Act, String> {
        let mut acts = Vec::new();
        // Taken apart, so that a step that is added to the format is not forgotten here.
        let Step {
            customer,
            facts,
            native,
            until,
            advance,
            sources,
            gap,
            refetch,
            link,
            unlink,
            transfer,
            accept,
            give_back,
            cancel,
            decide,
            mapping,
            replay_quarantine,
            commands,
            restart,
            expect,
        } = step;
        acts.extend(customer.as_ref().map(|part| self.customer(part)));
        acts.extend(facts.as_ref().map(|parts| self.facts(parts)));
        acts.extend(native.as_ref().map(|part| native::payload(part, self.folder).map(Act::Native)));
        acts.extend(until.as_ref().map(|text| self.until(text)));
        acts.extend(advance.as_ref().map(|text| self.until(&format!("+{}ms", self.since_start(text)?))));
        acts.extend(sources.as_ref().map(|named| lags(named).map(Act::Sources)));
        acts.extend(gap.as_ref().map(|part| self.gap(part)));
        acts.extend(refetch.as_ref().map(|part| self.refetch(part)));
        acts.extend(link.as_ref().map(|part| self.judgement(part, Verdict::Link)));
        acts.extend(unlink.as_ref().map(|part| self.judgement(part, Verdict::Unlink)));
        acts.extend(transfer.as_ref().map(|part| self.transfer(part)));
        acts.extend(accept.as_ref().map(|part| self.receive(part, Field::AcceptedAt)));
        acts.extend(give_back.as_ref().map(|part| self.receive(part, Field::ReturnedAt)));
        acts.extend(cancel.as_ref().map(|part| self.receive(part, Field::CancelledAt)));
        acts.extend(decide.as_ref().map(|part| self.decide(part)));
        acts.extend(mapping.as_ref().map(|part| {
            native::mapped_system(part).map(|system| Act::Mapping(system, part.clone(), self.folder.to_owned()))
        }));
        acts.extend(replay_quarantine.as_ref().map(replayed));
        acts.extend(commands.map(|receiver| Ok(Act::Commands(receiver))));
        acts.extend(restart.map(|restart| Ok(Act::Restart(restart))));
        acts.extend(expect.as_ref().map(|expect| expected(expect)));
        match (acts.pop(), acts.is_empty()) {
            (Some(act), true) => act,
            (Some(_), false) => Err("a step does one thing; make a second step of the other".to_owned()),
            (None, _) => Err("a step without anything to do".to_owned()),
        }
    }

    fn since_start(&self, text: &str) -> Result<i64, String> {
        Ok(self.clock.since(self.times.start) + duration(text)?)
    }

    fn until(&mut self, text: &str) -> Result<Act, String> {
        let at = self.times.reached(text)?;
        if at < self.clock {
            return Err(format!("the clock stands at {} and does not go back", self.times.told(self.clock)));
        }
        self.clock = at;
        Ok(Act::Until(at))
    }

    fn facts(&mut self, parts: &[FactPart]) -> Result<Act, String> {
        parts.iter().map(|part| self.fact(part)).collect::<Result<_, _>>().map(Act::Facts)
    }

    fn fact(&mut self, part: &FactPart) -> Result<Fact, String> {
        self.numbers += 1;
        let key = entity(&part.entity)?;
        let is_first = self.rows.insert(fact::source_key(part, &key)?);
        let place = Place { times: &self.times, clock: self.clock, number: self.numbers };
        fact::fact(part, place, is_first).map_err(|why| format!("{key}: {why}"))
    }

    /// Records that share a key and a name: two features agree, which is worth 0.99.
    fn customer(&mut self, part: &CustomerPart) -> Result<Act, String> {
        let ids = [
            (EntityKind::Account, &part.account),
            (EntityKind::ArCustomer, &part.ar_customer),
            (EntityKind::BusinessPartner, &part.business_partner),
            (EntityKind::CallerProfile, &part.caller_profile),
        ];
        let ids: Vec<(EntityKind, &String)> =
            ids.into_iter().filter_map(|(kind, id)| Some((kind, id.as_ref()?))).collect();
        let Some((_, first)) = ids.first() else { return Err("customer: expected at least one record".to_owned()) };
        let at = match &part.at {
            Some(text) => self.times.instant(text)?,
            None => self.times.start - CUSTOMER_AGE_MS,
        };
        let at = self.times.told(at);
        let mut facts = Vec::with_capacity(ids.len());
        for (kind, id) in &ids {
            let part = json!({ "entity": format!("{}/{id}", kind.name()), "at": at, "fields": { "name": part.name, "customer_xref": first } });
            let part = serde_json::from_value(part).map_err(|why| why.to_string())?;
            facts.push(self.fact(&part)?);
        }
        Ok(Act::Facts(facts))
    }

    fn gap(&mut self, part: &GapPart) -> Result<Act, String> {
        let part = FactPart {
            entity: part.entity.clone(),
            op: Some(Op::Gap.name().to_owned()),
            at: part.at.clone(),
            version: part.version.clone(),
            system: None,
            object: None,
            record_id: None,
            event_id: None,
            observed_at: None,
            mapping_version: None,
            fields: BTreeMap::new(),
        };
        let fact = self.fact(&part)?;
        self.gaps.insert(fact.entity.clone(), (fact.version.clone(), fact.changed_at));
        Ok(Act::Facts(vec![fact]))
    }

    fn refetch(&mut self, part: &RefetchPart) -> Result<Act, String> {
        let key = entity(&part.entity)?;
        let (version, changed_at) =
            self.gaps.get(&key).cloned().ok_or_else(|| format!("refetch: no gap of {key} came before"))?;
        let earlier = FactPart {
            entity: part.entity.clone(),
            op: Some(Op::Image.name().to_owned()),
            at: None,
            version: None,
            system: None,
            object: None,
            record_id: None,
            event_id: None,
            observed_at: None,
            mapping_version: None,
            fields: part.fields.clone(),
        };
        let mut fact = self.fact(&earlier)?;
        fact.changed_at = changed_at;
        fact.version = version;
        fact.read_at = Some(self.clock);
        Ok(Act::Facts(vec![fact]))
    }

    fn decider<'b>(&self, actor: &'b str, reason: &'b str) -> Decider<'b> {
        Decider { actor, reason, at: self.clock, request_id: "" }
    }

    fn judgement(&mut self, part: &JudgementPart, verdict: Verdict) -> Result<Act, String> {
        let [left, right] = &part.pair;
        let (left, right) = (party(left)?, party(right)?);
        Ok(Act::Facts(vec![decide::judgement(self.decider(&part.actor, &part.reason), &left, &right, verdict)]))
    }

    fn transfer(&mut self, part: &TransferPart) -> Result<Act, String> {
        let request = TransferRequest {
            case_id: &part.case,
            from_team: &part.from,
            to_team: &part.to,
            interaction_id: part.interaction.as_deref().unwrap_or_default(),
        };
        let fact = decide::transfer(self.decider("agent", part.reason.as_deref().unwrap_or_default()), request);
        self.transfers.insert(part.case.clone(), fact.entity.clone());
        let fact = if part.controlled { fact } else { with(fact, Field::Controlled, ValueRef::Bool(false)) };
        Ok(Act::Facts(vec![fact]))
    }

    fn receive(&mut self, part: &ReceiverPart, field: Field) -> Result<Act, String> {
        let transfer =
            self.transfers.get(&part.case).ok_or_else(|| format!("no transfer of case {} came before", part.case))?;
        let accepted = decide::acceptance(self.decider(&part.by, ""), transfer, &part.by);
        if field == Field::AcceptedAt {
            return Ok(Act::Facts(vec![accepted]));
        }
        let mut fields = FieldsBuilder::default();
        fields.set(field, ValueRef::Time(self.clock));
        Ok(Act::Facts(vec![Fact { fields: fields.build(), ..accepted }]))
    }

    fn decide(&mut self, part: &DecidePart) -> Result<Act, String> {
        let of: Vec<String> =
            part.of.iter().map(|text| entity(text).map(|key| key.to_string())).collect::<Result<_, _>>()?;
        let (kind, subject) = match (&part.rule, &part.alert) {
            (Some(rule), None) => {
                word::<RuleCode>("a rule", &rule.to_ascii_uppercase())?;
                (EntityKind::DiscrepancyDecision, ObjectId::new(&rule.to_ascii_lowercase(), &of))
            }
            (None, Some(number)) => {
                let alert: AlertRule = word("an alert", number)?;
                (EntityKind::AlertDecision, alert.id(&of.join(" ")))
            }
            (Some(_), Some(_)) | (None, None) => return Err("decide: expected one of rule and alert".to_owned()),
        };
        let verdict: Decision = word("a verdict", &part.verdict)?;
        let fact = decide::decision(self.decider(&part.actor, &part.reason), kind, &subject.0, verdict);
        Ok(Act::Facts(vec![match &part.until {
            Some(text) => with(fact, Field::Until, ValueRef::Time(self.times.instant(text)?)),
            None => fact,
        }]))
    }
}

fn party(text: &str) -> Result<EntityKey, String> {
    let key = entity(text)?;
    if !key.kind.is_party() || system_of(key.kind) == System::Engine {
        return Err(format!("expected a party record such as account/A-1, found `{text}`"));
    }
    Ok(key)
}

/// The fact with one field set besides its own.
fn with(fact: Fact, field: Field, value: ValueRef<'_>) -> Fact {
    let mut fields = FieldsBuilder::default();
    for (known, value) in fact.fields.iter() {
        fields.set(known, value);
    }
    fields.set(field, value);
    Fact { fields: fields.build(), ..fact }
}
