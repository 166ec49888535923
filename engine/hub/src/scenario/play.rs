//! Plays one story from beginning to end.

use std::collections::BTreeMap;
use std::sync::Mutex;

use storage::DistributedOptions;

use super::load::{Loaded, read};
use super::native;
use super::plan::{Act, Delivery, Plan};
use super::report::{Difference, Outcome};
use super::stage::Stage;
use super::step::CommandReceiver;
use super::{Error, check, deliver};

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
    let mut differences = acts(&plan, loaded, extra.servers.as_ref())?;
    let mut others = Vec::new();
    for file in &loaded.story.facts_of {
        others.push(Plan::of(&read(&loaded.folder().join(file))?)?);
    }
    let asked = (extra.shuffles > 0).then_some(Delivery {
        shuffles: extra.shuffles,
        repeats: REPEATS,
        seed: 0,
        hold_at: plan.end,
        until: plan.end + SETTLE_MS,
    });
    for delivery in plan.deliver.into_iter().chain(asked) {
        differences.extend(deliver::deliver(&plan, &others, delivery, extra.servers.as_ref()).map_err(failed)?);
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

fn acts(plan: &Plan, loaded: &Loaded, servers: Option<&DistributedOptions>) -> Result<Vec<Difference>, Error> {
    let failed = |why| Error::Play { story: plan.name.clone(), why };
    let mut stage = Stage::new(plan, servers).map_err(failed)?;
    let mut differences = Vec::new();
    let mut digests = BTreeMap::new();
    for (line, act) in &plan.acts {
        match act {
            Act::Facts(facts) => stage.deliver(facts.clone()).map_err(failed)?,
            Act::Native(payload) => stage.receive(payload).map_err(failed)?,
            Act::Until(at) => stage.advance(*at).map_err(failed)?,
            Act::Sources(lags) => stage.set_lags(lags).map_err(failed)?,
            Act::Mapping(system, part, folder) => {
                let mapping = stage.mapping(*system).ok_or_else(|| "no mapping is in place".to_owned());
                let mapping = mapping.and_then(|current| native::mapping(part, folder, current));
                stage.map(*system, mapping.map_err(|why| loaded.wrong(*line, why))?);
            }
            Act::ReplayQuarantine(part) => stage.replay_quarantine(part.reason.as_deref()).map_err(failed)?,
            Act::Commands(receiver) => stage.set_takes_commands(*receiver == CommandReceiver::Takes),
            Act::Restart(how) => stage.restart(*how).map_err(failed)?,
            Act::Expect(expect) => {
                stage.settle();
                let found = check::check(expect, &stage, &plan.times, *line);
                differences.extend(found.map_err(|why| loaded.wrong(*line, why.to_string()))?);
                if let Some(name) = &expect.digest {
                    let digest = stage.engine().digest(stage.clock());
                    let first = digests.entry(name.clone()).or_insert_with(|| digest.clone());
                    if *first != digest {
                        let what = format!("digest {name}");
                        differences.push(Difference { line: *line, what, expected: first.clone(), found: digest });
                    }
                }
            }
        }
    }
    Ok(differences)
}
