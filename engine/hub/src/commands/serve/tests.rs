//! A hub as `serve` starts it: what it listens on, what it says of itself, and how it reads again.
#![allow(clippy::unwrap_used)]
use clap::Parser;
use serve::auth::Callers;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ServeArgs,
}

fn config(flags: &[&str]) -> Config {
    let line = Line::try_parse_from(["serve"].iter().chain(flags)).unwrap();
    configured(&line.args).unwrap().1
}

#[test]
fn flags_lie_over_everything_else() {
    let config = config(&["--store", "/tmp/x", "--api", "127.0.0.1:0", "--shards", "3", "--batch", "9"]);
    assert!(matches!(config.store, StoreConfig::Embedded(dir) if *dir == *"/tmp/x"));
    assert_eq!((config.api.addr.port(), config.engine.shards, config.batch_max), (0, 3, 9));
    assert_eq!(config.doors.port(), 7401);
}

#[test]
fn callers_are_read_again_and_stay_when_the_file_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = path("opshub.toml").display().to_string();
    let text =
        format!("[[api.tokens]]\nname = \"desk\"\nroles = [\"agent\"]\ntoken = \"file:{}\"\n", path("token").display());
    std::fs::write(&file, text).unwrap();
    std::fs::write(path("token"), "old").unwrap();
    let args = Line::try_parse_from(["serve", "--config", &file]).unwrap().args;
    let (named_keys, config) = configured(&args).unwrap();
    let (callers, mut in_force) = (Callers::new(config.api.authentication), InForce::new(named_keys));
    let is_known = |token: &str| {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        callers.principal(&headers, &[]).is_some()
    };
    std::fs::write(path("token"), "new").unwrap();
    assert!(is_known("old"), "until it is read again");
    in_force.reload(named(&args), &callers);
    assert!(is_known("new") && !is_known("old"));
    std::fs::write(&file, "[api\n").unwrap();
    in_force.reload(named(&args), &callers);
    std::fs::write(&file, "").unwrap();
    in_force.reload(named(&args), &callers);
    assert!(is_known("new"), "neither nonsense nor nobody takes the place of what was");
}

#[tokio::test]
async fn an_address_in_use_is_told_with_the_flag_that_changes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let held = listener.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store").display().to_string();
    for flag in ["--metrics", "--api"] {
        let mut flags = vec!["--store", &store, "--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--shards", "1"];
        let at = flags.iter().position(|one| *one == flag).unwrap();
        flags[at + 1] = &held;
        let error = Running::start(config(&flags), Vec::new(), figures::install().unwrap())
            .await
            .err()
            .unwrap()
            .error
            .unwrap()
            .to_string();
        assert!(error.contains(flag) && error.contains(&held) && error.contains("stop it"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_without_configuration_has_an_api_and_no_door() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store").display().to_string();
    let flags = ["--store", &store, "--api", "127.0.0.1:0", "--metrics", "127.0.0.1:0"];
    let running = Running::start(config(&flags), Vec::new(), figures::install().unwrap()).await.unwrap();
    let ready: serde_json::Value = serde_json::from_str(&running.ready(true)).unwrap();
    assert_eq!((&ready["doors"], &ready["position"]), (&serde_json::Value::Null, &serde_json::json!(0)));
    assert!(running.ready(false).contains("doors closed"));
    // Somebody may have installed a provider before; then that one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let health = reqwest::get(format!("http://{}/healthz", running.metrics)).await.unwrap();
    assert_eq!(health.text().await.unwrap(), "serving\n");
    running.app.standing.note(serve::standing::Part::Rows, false);
    let health = reqwest::get(format!("http://{}/healthz", running.metrics)).await.unwrap();
    assert_eq!(health.status(), 200, "it waits, and is not to be ended");
    assert_eq!(health.text().await.unwrap(), "serving reads only: cut off from the rows\n");
    let counted = ["opshub_kpi_met{kpi=", "opshub_handoffs{state=\"held\"} 0", "opshub_links{decision=\"linked\"} 0"];
    let all_told = async {
        let page = || async { reqwest::get(format!("http://{}/metrics", running.metrics)).await?.text().await };
        while !page().await.is_ok_and(|page| counted.iter().all(|metric| page.contains(metric))) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), all_told).await.unwrap();
    running.stop().await.unwrap();
}
