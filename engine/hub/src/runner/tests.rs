use std::sync::Arc;

use connectors::SharedClock;
use ontology::{EntityKey, EntityKind, Fact, FieldsBuilder, LogPos, Millis, Op, System, Version};
use pipeline::EngineSettings;
use storage::{Embedded, Priority};

use super::{Payload, Runner, RunnerOptions};
use crate::clock::StoryClock;

const NOW: Millis = Millis(1_773_154_800_000);

fn gap_of(record_id: String) -> Fact {
    Fact {
        event_id: record_id.as_str().into(),
        system: System::Salesforce,
        object: "Case".into(),
        entity: EntityKey::new(EntityKind::Case, &record_id),
        record_id: record_id.into(),
        op: Op::Gap,
        version: Version::new(9, 1, 1),
        changed_at: NOW,
        observed_at: NOW,
        ingested_at: Millis::MIN,
        log_pos: LogPos(0),
        contract_version: 1,
        mapping_version: 1,
        read_at: None,
        key_slot: 0,
        fields: FieldsBuilder::default().build(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_in_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(dir.path(), storage::Options::default()).unwrap());
    let clock: SharedClock = Arc::new(StoryClock::standing(NOW));
    let options = RunnerOptions {
        engine: EngineSettings::default(),
        model: resolver::Model::shipped(),
        clock,
        batch_max: 10,
        unmonitored: Vec::new(),
    };
    let runner = Runner::start(store, options, Box::new(|_| ())).unwrap();
    let handle = runner.handle();
    for number in 1..=100 {
        let gap = gap_of(format!("500{number}"));
        let appended = handle.append(vec![gap], Vec::new(), Payload::default(), None, Priority::Source).await;
        let known = handle.ask(|engine| engine.sources().gaps().len()).await.unwrap();
        assert_eq!((appended.is_ok(), known), (true, number));
    }
    drop(handle);
    tokio::task::spawn_blocking(move || runner.stop()).await.unwrap().unwrap();
}
