//! From a story to what is done, with every instant and every fact worked out beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use ontology::status::Verdict;
use ontology::{EntityKey, EntityKind, Fact, Millis, Op, SourceKey, System, Version, Vocabulary};
use pipeline::EngineSettings;
use serde_json::json;

use super::Error;
use super::asked::{self, Asked, Receipt};
use super::expect::Expect;
use super::fact::{self, Place, entity, word};
use super::load::Loaded;
use super::native::{self, Payload};
use super::step::{
    CommandReceiver, CustomerPart, FactPart, GapPart, MappingPart, QuarantinePart, ReceiverPart, RefetchPart, Restart,
    Step,
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
    /// Somebody asks for something.
    Asked(Asked),
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
        // Of the head an error names the key, which tells its line.
        let head = |(key, why): (&str, String)| loaded.wrong(loaded.line_of(key), format!("{key}: {why}"));
        let settings = settings(story).map_err(head)?;
        let zone = settings.insight.business_tz.clone();
        let start = absolute(&story.start, &zone).map_err(|why| head(("start", why)))?;
        let times = Times { start, zone };
        let sources = lags(&story.sources).map_err(|why| head(("sources", why)))?;
        let deliver = story.deliver.as_ref().map(|d| delivery(d, &times)).transpose();
        let deliver = deliver.map_err(|why| head(("deliver", why)))?;
        if deliver.is_none() && !story.facts_of.is_empty() {
            return Err(head(("facts_of", "it needs deliver, which says in how many orders they come".to_owned())));
        }
        let mut planner = Planner::new(times.clone(), loaded.folder());
        let mut acts = Vec::with_capacity(story.steps.len());
        for (place, step) in story.steps.iter().enumerate() {
            let line = loaded.lines.get(place).copied().or_else(|| loaded.line_of("steps"));
            acts.push((line, planner.act(step).map_err(wrong(line))?));
        }
        let expected: Vec<&Expect> = story.steps.iter().filter_map(|step| step.expect.as_deref()).collect();
        words::digests(&expected).map_err(wrong(loaded.line_of("steps")))?;
        if deliver.is_none() && expected.is_empty() {
            let lack = if acts.is_empty() { "it has no steps" } else { "none of its steps is an expect" };
            let why = format!("{lack}: nothing is compared, so it would pass whatever the hub does; add a step expect");
            return Err(loaded.wrong(loaded.line_of("steps"), why));
        }
        Ok(Plan { name: story.name.clone(), times, settings, sources, acts, end: planner.clock, deliver })
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
        return Err("expected shuffles and repeats of at least 1, and until not before hold_at".to_owned());
    }
    Ok(Delivery { shuffles: deliver.shuffles, repeats: deliver.repeats, seed: deliver.seed, hold_at, until })
}

fn settings(story: &Story) -> Result<EngineSettings, (&'static str, String)> {
    let asked = &story.settings;
    let shards = asked.shards.unwrap_or(1);
    if !(1..=SHARDS_MAX).contains(&shards) {
        return Err(("settings.shards", format!("shards is {shards}, expected 1 to {SHARDS_MAX}")));
    }
    if let Some(minor) = asked.tolerance_minor.filter(|minor| *minor < 0) {
        let why = format!("tolerance_minor is {minor}, expected 0 or more minor units");
        return Err(("settings.tolerance_minor", why));
    }
    let mut settings = EngineSettings { shards, ..EngineSettings::default() };
    let insight = &mut settings.insight;
    if let Some(name) = &asked.business_tz {
        let wrong = |_| ("settings.business_tz", format!("no time zone `{name}`; write one such as Europe/Berlin"));
        insight.business_tz = TimeZone::get(name).map_err(wrong)?;
    }
    insight.tolerance_minor = asked.tolerance_minor.unwrap_or(insight.tolerance_minor);
    for (key, text, value) in [
        ("settings.grace", &asked.grace, &mut insight.grace_ms),
        ("settings.hold", &asked.hold, &mut insight.hold_max_ms),
        ("settings.interaction_window", &asked.interaction_window, &mut insight.interaction_window_ms),
        ("settings.order_window", &asked.order_window, &mut insight.order_window_ms),
    ] {
        if let Some(text) = text {
            *value = duration(text).map_err(|why| (key, why))?;
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
    /// Cases with a transfer so far.
    transferred: BTreeSet<String>,
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
            transferred: BTreeSet::new(),
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
        acts.extend(link.as_ref().map(|part| asked::judgement(part, Verdict::Link).map(Act::Asked)));
        acts.extend(unlink.as_ref().map(|part| asked::judgement(part, Verdict::Unlink).map(Act::Asked)));
        acts.extend(transfer.as_ref().map(|part| {
            self.transferred.insert(part.case.clone());
            Ok(Act::Asked(Asked::Transfer(part.clone())))
        }));
        acts.extend(accept.as_ref().map(|part| self.receive(part, Receipt::Accepted)));
        acts.extend(give_back.as_ref().map(|part| self.receive(part, Receipt::Returned)));
        acts.extend(cancel.as_ref().map(|part| self.receive(part, Receipt::Cancelled)));
        acts.extend(decide.as_ref().map(|part| asked::decision(part, &self.times).map(Act::Asked)));
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

    fn receive(&mut self, part: &ReceiverPart, receipt: Receipt) -> Result<Act, String> {
        if !self.transferred.contains(&part.case) {
            return Err(format!("no transfer of case {} came before", part.case));
        }
        Ok(Act::Asked(Asked::Receive(part.clone(), receipt)))
    }
}
