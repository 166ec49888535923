//! A backup that is taken under load is the hub as of one position, whatever becomes of the hub.

use std::time::Duration;

use serde_json::Value;

use crate::arena::Arena;
use crate::child::run;
use crate::seed_of;

/// Facts that are in the backup that is restored, and backups that are taken until it has them.
const FACTS_MIN: u64 = 100;
const TURNS_MAX: usize = 1_000;

fn said(args: &[&str]) -> Value {
    serde_json::from_str(&run(args)).unwrap()
}

#[test]
fn a_backup_taken_under_load_restores_to_the_same_digest() {
    let mut arena = Arena::new(seed_of("a backup under load"));
    let (hub, ready) = arena.start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (mut file, restored) = (String::new(), path("restored"));
    let mut taken = Value::Null;
    let api = ready.api.clone();
    // The load goes on while backups are taken, and ends with the death of the hub.
    arena.load(hub, &ready, Duration::ZERO, |hub| {
        for turn in 0..TURNS_MAX {
            file = path(&format!("{turn}.backup"));
            taken = said(&["backup", &file, "--api", &api, "--json"]);
            if taken["position"].as_u64() >= Some(FACTS_MIN) {
                break;
            }
        }
        hub.kill();
    });
    assert!(taken["position"].as_u64() >= Some(FACTS_MIN), "{taken}");
    arena.judge();

    let position = taken["position"].to_string();
    let store = arena.folder().join("store").display().to_string();
    let expected = said(&["digest", "--json", "--store", &store, "--position", &position]);
    assert_eq!(said(&["restore", &file, "--store", &restored, "--json"]), taken);
    assert_eq!(said(&["digest", "--json", "--store", &restored]), expected);
    for checked in [["--store", restored.as_str()], ["--backup", file.as_str()]] {
        assert_eq!(said(&[&["verify", "--json"], &checked[..]].concat())["sound"], true);
    }
    // A backup of the store that was made is the backup of the same facts.
    let again = said(&["backup", &path("again.backup"), "--store", &restored, "--json"]);
    assert_eq!((&again["position"], &again["log_digest"]), (&taken["position"], &taken["log_digest"]));
}
