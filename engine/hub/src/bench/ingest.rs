//! `opshub bench ingest`: the runner with its log, engine, views and snapshots under the stream
//! workload.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use benches::cpu::Stopwatch;
use benches::ingest::PipelineRun;
use benches::machine::resident_bytes;
use benches::report::Report;
use benches::stream::{Collector, Workload};
use bytes::Bytes;
use ontology::LogPos;
use pipeline::EngineSettings;
use serve::standing::Standing;
use serve::views::Published;
use state::Entity;
use storage::{Embedded, Store};

use super::{begin_of, deliver};
use crate::app::BATCH_MAX;
use crate::clock::StoryClock;
use crate::figures::Figures;
use crate::publish::publisher;
use crate::runner::{Runner, RunnerOptions};

/// How the bench runs.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// What comes in.
    pub workload: Workload,
    /// An empty or absent folder for the store; a temporary one if none.
    pub store: Option<PathBuf>,
    /// How many shards each stage has.
    pub shards: usize,
}

/// Runs the whole pipeline over the workload and compares it with parsing the same bytes.
///
/// # Errors
/// When the workload cannot be read or the hub fails.
pub fn ingest(options: &IngestOptions) -> anyhow::Result<Report> {
    benches::ingest::run(&options.workload, |bytes| run(bytes, options)).map_err(anyhow::Error::msg)
}

fn run(bytes: &[u8], options: &IngestOptions) -> anyhow::Result<PipelineRun> {
    let temporary = tempfile::Builder::new().prefix("opshub-bench-").tempdir()?;
    let dir = options.store.as_deref().unwrap_or(temporary.path());
    let is_used = dir.exists() && std::fs::read_dir(dir)?.next().is_some();
    // On top of an earlier run every fact would be a repeat, and repeats cost next to nothing.
    anyhow::ensure!(!is_used, "use {} as the store of a bench: it is not empty", dir.display());
    // As a transport hands a body over: nobody has to copy it again. Held to the end, so that memory is
    // compared with the same bytes in it.
    let bytes = Bytes::copy_from_slice(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let resident_before = resident_bytes();
    let watch = Stopwatch::start();

    let clock = Arc::new(StoryClock::standing(begin_of(&options.workload)));
    clock.run(1.0);
    let store: Arc<dyn Store> = Arc::new(Embedded::open(dir, storage::Options::default())?);
    let published = Arc::new(Published::new(LogPos(0)));
    let figures = Arc::new(Figures::default());
    let runner_options = RunnerOptions {
        engine: EngineSettings { shards: options.shards, ..EngineSettings::default() },
        model: resolver::Model::shipped(),
        clock: clock.clone(),
        batch_max: BATCH_MAX,
        unmonitored: Vec::new(),
        standing: Standing::default(),
    };
    let runner = Runner::start(store.clone(), runner_options, publisher(published.clone(), figures, clock))?;
    let handle = runner.handle();
    let (facts, entities) = runtime.block_on(async {
        let facts = deliver(&handle, &published, bytes.clone()).await?;
        let entities = handle.ask(|engine| engine.entities().cloned().collect::<Vec<_>>()).await?;
        anyhow::Ok((facts, entities))
    })?;
    let resident_growth_bytes = resident_bytes().saturating_sub(resident_before);
    drop((handle, bytes));
    runner.stop()?;
    let spent = watch.spent();

    let collected = collect(&entities)?;
    Ok(PipelineRun {
        spent,
        facts,
        records: collected.records(),
        customers: collected.into_customers(),
        resident_growth_bytes,
        store_bytes: size_of_folder(dir)?,
        shards: options.shards,
    })
}

/// The answer, from the hub's own records.
fn collect(entities: &[Arc<Entity>]) -> anyhow::Result<Collector> {
    let mut collector = Collector::default();
    for entity in entities {
        let provenances = entity.rows().iter().flat_map(state::SourceRow::provenances);
        let Some(changed_at) = provenances.map(|provenance| provenance.event_time).max() else { continue };
        collector.add(&entity.key, changed_at, entity.is_alive(), &**entity);
    }
    Ok(collector)
}

/// Bytes that a folder takes on disk.
fn size_of_folder(dir: &Path) -> std::io::Result<u64> {
    /// Unit in which the system tells how much a file takes.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { size_of_folder(&entry.path())? } else { about.blocks() * BLOCK_BYTES };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_hub_gives_the_published_answer_with_one_shard_and_with_several() {
        for shards in [1, 3] {
            let workload = if shards == 1 { Workload::smoke() } else { Workload::new(200, 10_000, 3) };
            let report = ingest(&IngestOptions { workload, store: None, shards }).unwrap();
            let answer = report.results.iter().find(|figure| figure.measure == "answer_equal").unwrap();
            assert!(answer.met, "{report}");
            let cost = &report.results[0].raw;
            assert_eq!(cost["facts"], cost["events"]);
        }
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
        let options =
            IngestOptions { workload: Workload::new(5, 50, 1), store: Some(dir.path().to_owned()), shards: 1 };
        assert!(ingest(&options).is_err());
    }
}
