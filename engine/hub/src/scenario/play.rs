//! Plays one story from beginning to end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use ontology::Fact;
use storage::DistributedOptions;

use super::asked::Desk;
use super::load::{Loaded, read};
use super::native;
use super::plan::{Act, Delivery, Plan};
use super::report::{Difference, Outcome};
use super::stage::Stage;
use super::step::CommandReceiver;
use super::{Error, check, deliver, fact, words};

/// What is asked besides the story itself.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// Servers that keep the log and the rows of the hub that plays it; none if it has a store of its own.
    pub servers: Option<DistributedOptions>,
    /// Orders in which its facts are delivered too, with the clock held at the story's end.
    pub shuffles: u32,
}

/// How long after the end of a story shuffles that were asked for on top are compared.
const SETTLE_MS: i64 = 2 * ontology::Millis::HOUR_MS;
/// Stories that are played at a time on servers.
const ON_SERVERS_AT_ONCE: usize = 12;
/// How often each fact of such a shuffle comes at most.
const REPEATS: u32 = 3;

/// Plays a story and compares what it expects with what the hub concludes.
///
/// # Errors
/// When the story cannot be played; what is not as expected stands in the outcome.
pub fn play(loaded: &Loaded, extra: &Extra) -> Result<Outcome, Error> {
    let plan = Plan::of(loaded)?;
    let failed = |why| Error::Play { story: plan.name.clone(), why };
    let mut played = acts(&plan, loaded, extra.servers.as_ref(), true)?;
    let mut facts = Vec::new();
    for file in &loaded.story.facts_of {
        let other = read(&loaded.folder().join(file))?;
        facts.extend(acts(&Plan::of(&other)?, &other, None, false)?.facts);
    }
    facts.append(&mut played.facts);
    let mut differences = played.differences;
    if plan.deliver.is_some() && facts.is_empty() {
        let why = "deliver: there are no facts to deliver: write steps with facts, or name stories in facts_of";
        return Err(loaded.wrong(loaded.line_of("deliver"), why.to_owned()));
    }
    let asked = (extra.shuffles > 0).then_some(Delivery {
        shuffles: extra.shuffles,
        repeats: REPEATS,
        seed: 0,
        hold_at: plan.end,
        until: plan.end + SETTLE_MS,
    });
    for delivery in plan.deliver.into_iter().chain(asked) {
        differences.extend(deliver::deliver(&plan, &facts, delivery, extra.servers.as_ref()).map_err(failed)?);
    }
    Ok(Outcome {
        name: plan.name.clone(),
        spec: loaded.story.spec.clone(),
        file: loaded.file.display().to_string(),
        passed: differences.is_empty(),
        differences,
    })
}

/// Plays stories and gives their outcomes in the same order. On servers several are played at a time: a
/// story waits there for most of its time.
///
/// # Errors
/// As [`play`], for the first story that cannot be played.
pub fn play_all(stories: &[Loaded], extra: &Extra) -> Result<Vec<Outcome>, Error> {
    let at_once = if extra.servers.is_some() { ON_SERVERS_AT_ONCE } else { 1 };
    let waiting = Mutex::new(stories.iter().enumerate());
    let next = || waiting.lock().expect("no holder of the list panics").next();
    let played = Mutex::new(BTreeMap::new());
    let play_some = || {
        while let Some((place, story)) = next() {
            let outcome = play(story, extra);
            played.lock().expect("no holder of the outcomes panics").insert(place, outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(stories.len()) {
            scope.spawn(play_some);
        }
    });
    played.into_inner().expect("no holder of the outcomes panics").into_values().collect()
}

/// What came of the steps of a story.
#[derive(Default)]
struct Played {
    differences: Vec<Difference>,
    /// The facts that its steps named or made, in their order.
    facts: Vec<Fact>,
}

/// Plays the steps; what they expect is compared only if it is to be.
fn acts(
    plan: &Plan,
    loaded: &Loaded,
    servers: Option<&DistributedOptions>,
    is_compared: bool,
) -> Result<Played, Error> {
    let failed = |why| Error::Play { story: plan.name.clone(), why };
    let mut stage = Stage::new(plan, servers).map_err(failed)?;
    let mut desk = Desk::default();
    let mut played = Played::default();
    let mut digests = BTreeMap::new();
    for (line, act) in &plan.acts {
        let wrong = |why| loaded.wrong(*line, why);
        match act {
            Act::Facts(facts) => {
                played.facts.extend(facts.iter().cloned());
                stage.deliver(facts.clone()).map_err(failed)?;
            }
            Act::Asked(asked) => {
                let facts = desk.facts(asked, &stage, &plan.times).map_err(wrong)?;
                played.facts.extend(facts.iter().cloned());
                stage.deliver(facts).map_err(failed)?;
            }
            Act::Native(payload) => stage.receive(payload).map_err(failed)?,
            Act::Until(at) => stage.advance(*at).map_err(failed)?,
            Act::Sources(lags) => stage.set_lags(lags).map_err(failed)?,
            Act::Mapping(system, part, folder) => {
                let mapping = stage.mapping(*system).ok_or_else(|| "no mapping is in place".to_owned());
                let mapping = mapping.and_then(|current| native::mapping(part, folder, current));
                stage.map(*system, mapping.map_err(wrong)?);
            }
            Act::ReplayQuarantine(part) => stage.replay_quarantine(part.reason.as_deref()).map_err(failed)?,
            Act::Commands(receiver) => stage.set_takes_commands(*receiver == CommandReceiver::Takes),
            Act::Restart(how) => stage.restart(*how).map_err(failed)?,
            Act::Expect(_) if !is_compared => {}
            Act::Expect(expect) => {
                stage.settle();
                let found = check::check(expect, &stage, &plan.times, *line);
                played.differences.extend(found.map_err(|why| wrong(why.to_string()))?);
                if let Some(name) = &expect.digest {
                    let digest = stage.engine().digest(stage.clock());
                    let first = digests.entry(name.clone()).or_insert_with(|| digest.clone());
                    if *first != digest {
                        let what = format!("digest {name}");
                        let difference = Difference { line: *line, what, expected: first.clone(), found: digest };
                        played.differences.push(difference);
                    }
                }
            }
        }
    }
    if is_compared {
        all_came(plan, &stage).map_err(|(line, why)| loaded.wrong(line, why))?;
    }
    Ok(played)
}

/// That there is nothing about a record means something only if the record comes at some time.
fn all_came(plan: &Plan, stage: &Stage) -> Result<(), (Option<usize>, String)> {
    for (line, act) in &plan.acts {
        let Act::Expect(expect) = act else { continue };
        for name in words::absent(expect) {
            let key = fact::entity(name).map_err(|why| (*line, why))?;
            if stage.engine().entity(&key).is_none_or(|known| known.rows().is_empty()) {
                let why =
                    format!("{key} never comes in this story, so that none is there says nothing; is it misspelt?");
                return Err((*line, why));
            }
        }
    }
    Ok(())
}
