//! Trying a system out: access, clock, each set, one row of each, and the folder.

use ontology::{Millis, System, Vocabulary as _};
use reqwest::header::AUTHORIZATION;

use super::address::{Begin, SapSet, page_address};
use super::folder::SapFolderConfig;
use super::list::SapListConfig;
use crate::connectors::Connectors;
use crate::contract::{Delivery, SharedClock};
use crate::edge::http::{client, server_time};
use crate::edge::trial::Trial;
use crate::json::Json;

/// How far the clocks may be apart.
const CLOCKS_APART_MAX_MS: i64 = 2 * Millis::MINUTE_MS;

/// Longest answer that is looked at, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Tries everything that the connector will need. Stores nothing and moves no position.
pub async fn check(
    list: Option<&SapListConfig>,
    folder: Option<&SapFolderConfig>,
    connectors: &Connectors,
    clock: SharedClock,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for set in list.iter().flat_map(|list| &list.sets) {
        let Some(list) = list else { continue };
        trials.extend(one_set(list, set, connectors, clock.now()).await);
    }
    if let Some(folder) = folder {
        trials.push(one_folder(folder).await);
    }
    if trials.is_empty() {
        trials.push(Trial::bad("list", "there is neither a list job nor a folder: nothing can be tried from here"));
    }
    trials
}

async fn one_set(list: &SapListConfig, set: &SapSet, connectors: &Connectors, now: Millis) -> Vec<Trial> {
    let what = format!("set {}", set.name);
    let address = match page_address(&list.access.base_url, set, &Begin::First, 1) {
        Ok(address) => address,
        Err(error) => return vec![Trial::bad(what, error.to_string())],
    };
    let client = client();
    let who = match list.access.login.authorization(&client).await {
        Ok(who) => who,
        Err(error) => {
            let text = format!("no token was given: {error}; are token_url, client_id and client_secret right?");
            return vec![Trial::bad(what, text)];
        }
    };
    let answer = match client.get(address).header(AUTHORIZATION, who).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let text = format!("not reached: {}; is base_url right?", error.without_url());
            return vec![Trial::bad(what, text)];
        }
    };
    let (status, told) = (answer.status().as_u16(), server_time(answer.headers()));
    let body = match answer.bytes().await {
        Ok(body) if body.len() <= ANSWER_BYTES_MAX => body,
        Ok(_) | Err(_) => return vec![Trial::bad(what, "the answer broke off, or is too long for one row")],
    };
    if status != 200 {
        return vec![Trial::bad(what, format!("status {status}{}; {}", words(&body), advice(status)))];
    }
    vec![clocks(told, now), row(what, set, connectors, &body, now)]
}

/// The vendor's own sentence in an answer that refuses.
fn words(body: &[u8]) -> String {
    let said = Json::parse(body).ok().and_then(|json| Some(json.path("error.message.value")?.text()?.to_owned()));
    said.map(|said| format!(": {said}")).unwrap_or_default()
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "user and password, or the client of the communication arrangement, are wrong or locked",
        403 => "give the user the authorisation for the service",
        404 => "activate the service, or leave the set out of connectors.sap.list.sets",
        400 => "the service does not know a column or a related entity that the hub asks for",
        _ => "look at the gateway's error log",
    }
}

fn clocks(server: Option<Millis>, now: Millis) -> Trial {
    match server.map(|server| now.since(server)) {
        Some(apart_ms) if apart_ms.abs() <= CLOCKS_APART_MAX_MS => Trial::good("clock", "agrees with SAP's"),
        Some(apart_ms) => {
            Trial::bad("clock", format!("is {} s ahead of SAP's; set it by a time server", apart_ms / 1_000))
        }
        None => Trial::bad("clock", "the answer has no Date: nothing could prove that a quiet system is alive"),
    }
}

fn row(what: String, set: &SapSet, connectors: &Connectors, body: &[u8], now: Millis) -> Trial {
    let Some(rest) = std::str::from_utf8(body).ok().and_then(|text| text.trim_start().strip_prefix('{')) else {
        return Trial::bad(what, "the answer is no JSON; does the service take $format=json?");
    };
    let raw = format!("{{\"set\":{},{rest}", serde_json::json!(set.name));
    let decoded = connectors.decode(System::Sap, &Delivery::document(raw.as_bytes(), now));
    match (decoded.facts.first(), decoded.rejects.first()) {
        (_, Some(reject)) => {
            Trial::bad(what, format!("a row would be quarantined as {}: {}", reject.code.name(), reject.detail))
        }
        (Some(fact), None) => {
            let fields = fact.fields.iter().count();
            Trial::good(what, format!("{} of {} with {fields} fields", fact.op.name(), fact.entity.kind.name()))
        }
        (None, None) if decoded.ignored > 0 => Trial::bad(what, "the mapping does not read this set"),
        (None, None) => Trial::good(what, "is readable, and empty"),
    }
}

/// Whether files can be read, and moved when they are read.
async fn one_folder(config: &SapFolderConfig) -> Trial {
    const PROBE: &str = ".opshub-probe";
    let what = format!("folder {}", config.path.display());
    let probe = config.path.join(PROBE);
    let moved = config.done.join(PROBE);
    let tried = async {
        tokio::fs::create_dir_all(&config.done).await?;
        tokio::fs::create_dir_all(&config.failed).await?;
        tokio::fs::write(&probe, b"").await?;
        tokio::fs::rename(&probe, &moved).await?;
        tokio::fs::remove_file(&moved).await
    };
    match tried.await {
        Ok(()) => Trial::good(what, "files can be read and moved"),
        Err(error) => {
            // What is left behind is empty, and hidden from the watch.
            let _ = tokio::fs::remove_file(&probe).await;
            Trial::bad(what, format!("{error}; the hub must be able to move files from there to done and failed"))
        }
    }
}
