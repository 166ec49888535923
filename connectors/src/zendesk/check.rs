//! Trying a service desk out: its credential, its clock, and a page of each export.

use ontology::{Millis, System};

use super::export::{Stream, ZendeskExportConfig, first_page};
use crate::connectors::Connectors;
use crate::contract::{Delivery, SharedClock};
use crate::edge::http::{CallError, client, server_time};
use crate::edge::trial::Trial;

/// How far the clocks may be apart: a webhook older than five minutes is refused.
const CLOCKS_APART_MAX_MS: i64 = 2 * Millis::MINUTE_MS;

/// How far back records are looked for.
const LOOK_BACK_MS: i64 = 7 * Millis::DAY_MS;

/// Tries everything that the export will need, one request for each stream. Stores nothing and moves no
/// position.
pub async fn check(config: &ZendeskExportConfig, connectors: &Connectors, clock: SharedClock) -> Vec<Trial> {
    let client = client();
    let mut trials = Vec::new();
    let mut is_in = false;
    for stream in &config.streams {
        let now = clock.now();
        let what = format!("export of {}", stream.name());
        match first_page(&client, config, *stream, now - LOOK_BACK_MS).await {
            Err(error) => {
                trials.push(Trial::bad(what, advice(&error, *stream)));
                // What keeps one stream out keeps all out, and the vendor counts the calls.
                if matches!(error, CallError::Unauthorised | CallError::Unreached(_)) {
                    break;
                }
            }
            Ok((headers, raw, rows)) => {
                if !std::mem::replace(&mut is_in, true) {
                    trials.push(Trial::good("login", "is accepted"));
                    trials.push(clocks(server_time(&headers), now));
                }
                let decoded = connectors.decode(System::Zendesk, &Delivery::document(&raw, now));
                trials.push(match decoded.rejects.first() {
                    Some(reject) => {
                        let (code, detail) = (reject.code.name(), &reject.detail);
                        Trial::bad(what, format!("a row would be quarantined as {code}: {detail}"))
                    }
                    None => Trial::good(what, format!("{rows} rows on the first page of seven days")),
                });
            }
        }
    }
    trials
}

/// What is wrong, and what to do about it.
fn advice(error: &CallError, stream: Stream) -> String {
    let next = match error {
        CallError::Unauthorised => {
            "is the token that of the agent whose address is in email, and are API tokens switched on? leave email out \
             where the token is one of OAuth"
        }
        CallError::Status(403) => "the agent has to be an administrator, or the OAuth token needs the scope read",
        CallError::Status(404) => "is base_url the address of the account, such as https://acme.zendesk.com?",
        CallError::Status(429) => "ten exports a minute are answered: try again in a minute",
        CallError::Status(_) => "look at the vendor's status page",
        CallError::Answer(_) => "is base_url the address of the account, and nothing in between answers for it?",
        CallError::Unreached(_) => "is base_url right, and may this machine reach it?",
    };
    format!("{} failed: {error}; {next}", stream.name())
}

fn clocks(server: Option<Millis>, now: Millis) -> Trial {
    match server.map(|server| now.since(server)) {
        Some(apart_ms) if apart_ms.abs() <= CLOCKS_APART_MAX_MS => Trial::good("clock", "agrees with the vendor's"),
        Some(apart_ms) => {
            let apart_s = apart_ms / Millis::SECOND_MS;
            Trial::bad("clock", format!("is {apart_s} s ahead of the vendor's; set it by a time server"))
        }
        None => Trial::bad("clock", "the vendor did not tell its time"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_two_minutes_apart() {
        let is_good = |server: Option<i64>| clocks(server.map(Millis), Millis(1_000_000)).result.is_ok();
        assert!(is_good(Some(880_000)) && is_good(Some(1_120_000)));
        assert!(!is_good(Some(879_999)) && !is_good(Some(1_120_001)) && !is_good(None));
    }
}
