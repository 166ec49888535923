//! Every story of the folder holds, and a story that expects something else fails readably.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fixtures::services::address;
use hub::scenario::{Error, Extra, Loaded, Report, load, play};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios")
}

#[test]
fn every_story_of_the_folder_holds() {
    let mut report = Report::default();
    for story in load(&folder()).unwrap() {
        report.add(play(&story, &Extra::default()).unwrap());
    }
    assert_eq!(report.failed, 0, "{}", report.text());
    let required = ["A01", "A02", "A03", "A04", "A05", "A06", "A07", "A11", "A13", "A15", "A18", "A21", "A22"];
    for spec in required {
        assert!(report.stories.iter().any(|story| story.spec.as_deref() == Some(spec)), "no story shows {spec}");
    }
}

#[test]
fn stories_hold_in_other_orders_of_delivery() {
    for name in ["a03-mismatch.yaml", "a06-links.yaml", "a07-generic-value.yaml", "a13-reopening.yaml"] {
        for story in load(&folder().join(name)).unwrap() {
            let outcome = play(&story, &Extra { shuffles: 10, ..Extra::default() }).unwrap();
            assert!(outcome.passed, "{name}: {:?}", outcome.differences);
        }
    }
}

#[test]
fn a_story_holds_on_servers() {
    let (kafka, redis) = (address("OPSHUB_KAFKA"), address("OPSHUB_REDIS"));
    let servers = ["--form", "distributed", "--kafka", &kafka, "--redis", &redis];
    let output = run(&mismatch(), &servers);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_distributed_form_needs_its_servers() {
    let output = Command::new(env!("CARGO_BIN_EXE_opshub"))
        .args(["scenario", "run", "--form", "distributed"])
        .arg(folder())
        .env_remove("OPSHUB_KAFKA")
        .env_remove("OPSHUB_REDIS")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("fixtures/services up"));
}

fn run(story: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("story.yaml");
    std::fs::write(&file, story).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_opshub"));
    command.args(["scenario", "run"]).arg(&file).args(arguments);
    command.output().unwrap()
}

fn mismatch() -> String {
    std::fs::read_to_string(folder().join("a03-mismatch.yaml")).unwrap()
}

#[test]
fn a_story_that_expects_something_else_fails_with_exit_code_7_and_says_where() {
    let story = mismatch().replace("flagging for finance review", "flagging for the archive");
    let line = 1 + story.lines().position(|line| line == "  - until: +60s").unwrap() + 1;
    let output = run(&story, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert!(text.contains(&format!("story.yaml:{line}: RC1 on case/SF-2026-9001")), "{text}");
    assert!(
        text.contains("expected  Salesforce case SF-2026-9001 marked resolved but Oracle credit note CN-4410"),
        "{text}"
    );
    assert!(text.contains("flagging for the archive") && text.contains("flagging for finance review"), "{text}");
    assert!(text.ends_with("0 passed, 1 failed\n"), "{text}");
}

#[test]
fn a_disk_that_is_full_is_told_and_a_reader_that_goes_is_not() {
    let told = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_opshub"));
        command.args(["scenario", "schema"]).stdout(out).stderr(Stdio::piped()).output().unwrap()
    };
    let full = told(std::fs::File::options().write(true).open("/dev/full").unwrap().into());
    let text = String::from_utf8(full.stderr).unwrap();
    assert_eq!(full.status.code(), Some(1), "{text}");
    assert!(text.starts_with("opshub: write the result: No space left on device"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gone = told(writer.into());
    assert_eq!((gone.status.code(), gone.stderr), (Some(0), Vec::new()));
}

#[test]
fn programs_read_one_json_object() {
    let output = run(&mismatch(), &["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(1), Some(0)));
    assert_eq!(report["stories"][0]["passed"], true);
    assert_eq!(report["stories"][0]["differences"], serde_json::json!([]));
}

#[test]
fn a_file_that_is_no_text_is_no_story() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("story.yaml");
    std::fs::write(&file, b"name: n\nspec: \xff\n").unwrap();
    let command = Command::new(env!("CARGO_BIN_EXE_opshub")).args(["scenario", "run"]).arg(&file).output().unwrap();
    let text = String::from_utf8(command.stderr).unwrap();
    assert_eq!(command.status.code(), Some(3), "{text}");
    assert!(text.contains("line 2: expected a text in UTF-8"), "{text}");
}

#[test]
fn a_file_that_is_no_story_is_refused_with_its_line() {
    let output = run("name: n\nsteps:\n  - until: +1s\n  - untill: +2s\n", &[]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("line 4") && text.contains("untill"), "{text}");
}

#[test]
fn a_folder_without_a_story_has_not_passed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("story.txt"), mismatch()).unwrap();
    let Err(Error::Read { why, .. }) = load(folder.path()) else { panic!("there is nothing to play") };
    assert!(why.to_string().contains("no story"), "{why}");
    std::fs::write(folder.path().join("story.yml"), mismatch()).unwrap();
    assert_eq!(load(folder.path()).unwrap().len(), 1);
}

#[track_caller]
fn refused(steps: &str, expected_line: usize, expected: &str) {
    let text = format!("name: n\nsteps:\n{steps}");
    let loaded = Loaded::parse(&text, Path::new("story.yaml")).unwrap();
    match play(&loaded, &Extra::default()) {
        Err(Error::Format { line, why, .. }) => {
            assert!(why.contains(expected), "{why}");
            assert_eq!(line, Some(expected_line), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_that_cannot_be_done_is_refused_with_its_line() {
    refused("  - until: +2s\n  - until: +1s\n", 4, "does not go back");
    refused("  - until: +2s\n    advance: 1s\n", 3, "one thing");
    refused("  - accept: { case: SF-1 }\n", 3, "no transfer of case SF-1");
    refused("  - refetch: { entity: case/1, fields: {} }\n", 3, "no gap");
    refused("  - link: { pair: [account/1, case/1] }\n", 3, "expected a party record");
    refused("  - native: { system: oracle }\n", 3, "expected one of body, file, repeat");
    refused("  - expect: { open: { cases: 1 } }\n", 3, "expected discrepancies, alerts or tasks");
    refused("  - expect: { kpis: { repeats: { met: true } } }\n", 3, "no figure repeats");
    refused("  - expect: { discrepancies: [{ rule: RC99, of: [case/1], none: true }] }\n", 3, "one of RC1, RC2, RC3");
    refused("  - expect: { alerts: [{ alert: \"11-9\", of: case/1, none: true }] }\n", 3, "one of 11-1, 11-2");
    refused("  - decide: { rule: RC99, of: [case/1], verdict: waived }\n", 3, "one of RC1, RC2, RC3");
    refused("  - decide: { alert: \"2\", of: [case/1], verdict: acknowledged }\n", 3, "one of 11-1, 11-2");
    refused("  - expect: { as_of: { before: case/1 }, open: { alerts: 0 } }\n", 3, "no fact about case/1");
    refused("  - expect: { as_of: { time: T } }\n", 3, "nothing is compared");
    refused("  - expect: {}\n", 3, "nothing is compared");
    refused("  - advance: 1000000000d\n", 3, "at most 36525d");
    refused("  - advance: 399d\n  - until: +401d\n", 4, "as far as T+400d");
}

#[test]
fn what_people_ask_comes_by_the_door_of_the_api() {
    let start = "  - customer: { name: Acme, account: A-1, ar_customer: R-1 }\n  - facts: [ { entity: case/C-1, at: -1d, \
                 fields: { account_ref: A-1, status: InProgress } } ]\n";
    let refuse = |steps: &str, expected: &str| {
        let expect = "  - expect: { open: { tasks: 0 } }\n";
        refused(&format!("{start}{steps}{expect}"), 4 + steps.lines().count(), expected);
    };
    let transfer = "  - transfer: { case: C-1, from: care, to: billing }\n";
    refuse("  - link: { pair: [account/A-1, ar_customer/R-2] }\n", "ar_customer/R-2 is not known");
    refuse("  - unlink: { pair: [account/A-2, ar_customer/R-1] }\n", "account/A-2 is not known");
    refuse("  - transfer: { case: C-2, from: care, to: billing }\n", "CASE_UNKNOWN");
    refuse(
        "  - decide: { rule: RC1, of: [case/C-1, credit_note/N-1], verdict: waived }\n",
        "there is no RC1 on case/C-1",
    );
    refuse("  - decide: { alert: \"11-1\", of: [oracle], verdict: resolved }\n", "there is no 11-1 on oracle");
    refuse(
        &format!("{transfer}  - accept: {{ case: C-1 }}\n  - accept: {{ case: C-1 }}\n"),
        "is accepted and cannot be",
    );
    refuse(
        &format!("{transfer}  - cancel: {{ case: C-1 }}\n  - return: {{ case: C-1 }}\n"),
        "is cancelled and cannot be",
    );
}

#[test]
fn a_request_within_two_minutes_of_one_under_way_is_the_same_transfer() {
    let story = |later: &str, released_at: &str| {
        let text = format!(
            "name: n
sources: {{ oracle: lag 400s }}
steps:
  - customer: {{ name: Acme, account: A-1, ar_customer: R-1, business_partner: B-1, caller_profile: P-1 }}
  - facts:
      - {{ entity: case/C-1, at: -1d, fields: {{ account_ref: A-1, status: InProgress }} }}
      - {{ entity: invoice/I-1, at: -1d, fields: {{ ar_customer_ref: R-1, amount: 5.00, currency: USD, status: Open }} }}
  - transfer: {{ case: C-1, from: care, to: billing }}
  - until: {later}
  - transfer: {{ case: C-1, from: care, to: billing }}
  - until: +10m
  - expect: {{ handoffs: [ {{ case: C-1, released_at: {released_at} }} ] }}
"
        );
        let outcome = play(&Loaded::parse(&text, Path::new("story.yaml")).unwrap(), &Extra::default()).unwrap();
        assert!(outcome.passed, "{:?}", outcome.differences);
    };
    story("+120s", "+60s");
    story("+120001ms", "+180001ms");
}

#[test]
fn that_nothing_is_said_of_a_record_that_never_comes_is_refused() {
    let expect = |of: &str| format!("  - expect: {{ anomalies: [{{ of: {of}, kind: spike, none: true }}] }}\n");
    refused(&expect("invoice/I-1"), 3, "invoice/I-1 never comes");
    let later = "  - facts: [ { entity: invoice/I-1, fields: { amount: 1.00, currency: USD } } ]\n";
    let text = format!("name: n\nsteps:\n{}{later}", expect("invoice/I-1"));
    assert!(play(&Loaded::parse(&text, Path::new("story.yaml")).unwrap(), &Extra::default()).unwrap().passed);
}

#[test]
fn an_action_or_a_task_without_a_number_has_to_be_there() {
    let text = "name: n\nsteps:\n  - customer: { name: Acme, account: A-1 }\n  - expect:
      tasks: [{ rule: RC1, of: [case/1, credit_note/1] }]
      actions: [{ action: notify }]
";
    let outcome = play(&Loaded::parse(text, Path::new("story.yaml")).unwrap(), &Extra::default()).unwrap();
    let found: Vec<&str> = outcome.differences.iter().map(|difference| difference.expected.as_str()).collect();
    assert_eq!(found, ["to be there", "to be there"]);
}

#[test]
fn orders_of_nothing_are_refused() {
    let text = "name: n\ndeliver: { shuffles: 2, hold_at: +1h, until: +2h }\n";
    match play(&Loaded::parse(text, Path::new("story.yaml")).unwrap(), &Extra::default()) {
        Err(Error::Format { line, why, .. }) => assert!(line == Some(2) && why.contains("no facts"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn differences_are_found_in_every_part() {
    let text = "name: n\nsteps:\n  - customer: { name: Acme, account: A-1, ar_customer: R-1 }\n  - expect:
      links: [{ pair: [account/A-1, ar_customer/R-1], state: review }]
      customers: [{ of: account/A-1, members: [account/A-1] }]
      records: [{ entity: account/A-1, alive: false, fields: { name: Zenith } }]
      discrepancies: [{ rule: RC1, of: [case/1, credit_note/1] }]
      alerts: [{ alert: \"11-2\", of: case/1 }]
      correlations: [{ of: invoice/1 }]
      anomalies: [{ of: invoice/1, kind: spike }]
      handoffs: [{ case: SF-1 }]
      tasks: [{ rule: RC1, of: [case/1, credit_note/1], issued: 1 }]
      actions: [{ action: notify, count: 1 }]
      findings: [{ kind: bad_field, of: account/A-1 }]
      quarantine: { malformed: 1 }
      sources: { oracle: stale }
      latency: { account/A-9: 1s }
      kpis: { reconciliation_discrepancies: { value: 1 } }
      open: { alerts: 1 }
";
    let outcome = play(&Loaded::parse(text, Path::new("story.yaml")).unwrap(), &Extra::default()).unwrap();
    let told: Vec<&str> = outcome.differences.iter().map(|difference| difference.what.as_str()).collect();
    assert_eq!(told.len(), 17, "{told:#?}");
    assert!(outcome.differences.iter().all(|difference| difference.line == Some(4)));
}
