//! Fuzzing of every decoder: payloads that sources send, damaged by a seeded mutator.
//!
//! The corpus is committed: the samples of `fixtures/`, the published ones beside the golden texts,
//! and `corpus/` with inputs that once went wrong or are hard to reach by chance. Each target runs
//! for ten seconds, or for `OPSHUB_FUZZ_S` seconds; `OPSHUB_FUZZ_SEED` begins with another seed.
//! A failure prints the seed and writes the input to `target/fuzz/`, from where it goes to the
//! corpus together with its mend.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "runs for a while")]

mod corpus;
#[path = "../support/cpu.rs"]
mod cpu;
mod mutate;

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use connectors::{Connectors, Decoded, Delivery, Framing, Mapping};
use mutate::Mutator;
use ontology::codec::Cursor;
use ontology::{Fact, LogPos, Millis, System};

const AT: Millis = Millis(1_773_154_800_000);
/// No input may take more CPU time.
const INPUT_MAX: Duration = Duration::from_secs(1);
/// The whole process may not use more, in kB.
const MEMORY_MAX_KB: u64 = 512 << 10;

fn seconds() -> u64 {
    std::env::var("OPSHUB_FUZZ_S").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

fn first_seed() -> u64 {
    std::env::var("OPSHUB_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn connectors() -> &'static Connectors {
    static CONNECTORS: OnceLock<Connectors> = OnceLock::new();
    CONNECTORS.get_or_init(Connectors::shipped)
}

/// Runs `holds` on every entry of the corpus, then on damaged ones until the time is over.
fn fuzz(target: &str, corpus: &[Vec<u8>], holds: impl Fn(&[u8])) {
    assert!(!corpus.is_empty(), "{target} has a corpus");
    let begun = Instant::now();
    let (mut inputs, mut slowest) = (0_u64, Duration::ZERO);
    let mut run = |input: &[u8], seed: u64| {
        let (held, took) = cpu::spent(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| holds(input))));
        slowest = slowest.max(took);
        inputs += 1;
        if held.is_err() || took > INPUT_MAX {
            let path = keep(target, seed, input);
            panic!("{target} at seed {seed}: {took:?}, failed {}; the input is kept in {path}", held.is_err());
        }
    };
    for input in corpus {
        run(input, 0);
    }
    let mut seed = first_seed();
    while begun.elapsed().as_secs() < seconds() {
        run(&Mutator::new(seed).damaged(corpus), seed);
        seed += 1;
    }
    let peak_kb = peak_memory_kb();
    println!(
        "{target}: {inputs} inputs in {} s, slowest {slowest:?}, peak {} MiB",
        begun.elapsed().as_secs(),
        peak_kb >> 10
    );
    assert!(peak_kb <= MEMORY_MAX_KB, "{target}: {peak_kb} kB");
}

/// Writes an input to where it is found again.
fn keep(target: &str, seed: u64, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{target}-{seed}"));
    std::fs::write(&path, input).unwrap();
    path.display().to_string()
}

/// The most memory that the process had so far, as the kernel counts it.
fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What holds for every delivery, whatever is in it.
fn decodes(system: System, framing: Framing, raw: &[u8]) {
    let delivery = Delivery { framing, ..Delivery::document(raw, AT) };
    let decoded = connectors().decode(system, &delivery);
    assert_eq!(decoded, connectors().decode(system, &delivery), "the same bytes give the same facts");
    sound(system, &decoded, raw);
}

fn sound(system: System, decoded: &Decoded, raw: &[u8]) {
    for reject in &decoded.rejects {
        assert_ne!(reject.detail, "the decoder failed", "a panic inside");
        assert!(reject.range.start <= reject.range.end && reject.range.end <= raw.len(), "{:?}", reject.range);
        assert!(raw.get(reject.range.clone()).is_some());
        assert!(reject.detail.len() < 1_000, "a reason is short");
    }
    let mut bytes = Vec::new();
    for fact in &decoded.facts {
        assert_eq!(fact.system, system);
        assert!(!fact.record_id.is_empty() && !fact.event_id.is_empty(), "{fact:?}");
        bytes.clear();
        fact.encode(&mut bytes);
        let back = Fact::decode(&mut Cursor(&bytes), fact.log_pos, fact.ingested_at).unwrap();
        assert_eq!((&back, back.log_pos), (fact, LogPos(0)), "what is stored is what was said");
    }
}

#[test]
fn salesforce_avro() {
    let corpus = corpus::batches();
    fuzz("salesforce_avro", &corpus, |raw| decodes(System::Salesforce, Framing::Document, raw));
}

#[test]
fn salesforce_datum() {
    let (schema, corpus) = corpus::datums();
    let schema = connectors::salesforce::event::EventSchema::parse(&schema).unwrap();
    fuzz("salesforce_datum", &corpus, |raw| drop(schema.read(raw)));
}

#[test]
fn salesforce_schema() {
    fuzz("salesforce_schema", &corpus::schemas(), |raw| {
        if let Ok(text) = std::str::from_utf8(raw) {
            drop(connectors::salesforce::event::EventSchema::parse(text));
        }
    });
}

#[test]
fn salesforce_json() {
    let corpus = corpus::files(&["salesforce-rest"], &["published/pubsub"]);
    fuzz("salesforce_json", &corpus, |raw| decodes(System::Salesforce, Framing::Document, raw));
}

#[test]
fn oracle_change() {
    let corpus = corpus::files(&["oracle"], &["fixtures/oracle/", "published/debezium", "published/goldengate"]);
    fuzz("oracle_change", &corpus, |raw| {
        decodes(System::Oracle, Framing::Document, raw);
        decodes(System::Oracle, Framing::Lines, raw);
    });
}

#[test]
fn webex_webhook() {
    let corpus = corpus::files(&["wxcc"], &["fixtures/wxcc/", "published/jds"]);
    fuzz("webex_webhook", &corpus, |raw| decodes(System::Wxcc, Framing::Document, raw));
}

#[test]
fn sap_idoc_xml() {
    let corpus = corpus::files(&["idoc-xml"], &["fixtures/sap/", "published/idoc"]);
    fuzz("sap_idoc_xml", &corpus, |raw| decodes(System::Sap, Framing::Document, raw));
}

#[test]
fn sap_idoc_flat() {
    let corpus = corpus::files(&["idoc-flat"], &[]);
    fuzz("sap_idoc_flat", &corpus, |raw| {
        decodes(System::Sap, Framing::Lines, raw);
        decodes(System::Sap, Framing::Document, raw);
    });
}

#[test]
fn sap_json() {
    let corpus = corpus::files(&["cloudevents", "odata"], &["published/odata"]);
    fuzz("sap_json", &corpus, |raw| decodes(System::Sap, Framing::Document, raw));
}

#[test]
fn zendesk() {
    let corpus = corpus::files(&["zendesk"], &[]);
    fuzz("zendesk", &corpus, |raw| decodes(System::Zendesk, Framing::Document, raw));
}

#[test]
fn mapping_file() {
    fuzz("mapping_file", &corpus::mappings(), |raw| {
        let Ok(text) = std::str::from_utf8(raw) else { return };
        if let Err(error) = Mapping::parse(text) {
            assert!(error.to_string().contains("line "), "an error names its place: {error}");
        }
    });
}
