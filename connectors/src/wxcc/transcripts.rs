//! Transcripts of chats, which bring back what single messages lost.
//!
//! A transcript exists some time after the contact ended, so it is asked for again and again for a
//! while. Its address is signed and short-lived: it is read at once and never kept.

use std::collections::BTreeMap;

use bytes::Bytes;
use ontology::System;

use super::api::Api;
use crate::contract::{Framing, Sink};
use crate::edge::Context;
use crate::edge::http::{CallError, Seen};
use crate::json::Json;

/// Most contacts of one question, by the vendor's rules.
const CONTACTS_MAX: usize = 10;

/// How often a transcript is asked for that does not exist yet.
const ATTEMPTS_MAX: u32 = 60;

/// Most contacts whose transcripts are waited for; beyond it the daily pass brings them again.
const WAITING_MAX: usize = 2_000;

/// How long a signed address shall hold, in minutes.
const ADDRESS_MINUTES: u32 = 10;

/// Notes the chats among `tasks` that are over.
pub(super) fn note(tasks: &[Json<'_>], seen: &mut Seen, untold: &mut BTreeMap<String, u32>) {
    for task in tasks {
        let text = |name: &str| task.get(name).and_then(Json::text);
        let is_written = text("channelType").is_some_and(|channel| !channel.eq_ignore_ascii_case("telephony"));
        let is_over = task.get("isActive") == Some(&Json::Bool(false));
        if let Some(id) = text("id").filter(|_| is_written && is_over && untold.len() < WAITING_MAX)
            && seen.is_new(format!("transcript/{id}"))
        {
            untold.insert(id.to_owned(), 0);
        }
    }
}

/// Asks for the transcripts that are waited for and hands over those that exist.
pub(super) async fn read<S: Sink>(
    context: &Context<S>,
    api: &mut Api,
    partition: &str,
    untold: &mut BTreeMap<String, u32>,
) -> Result<(), CallError> {
    let waiting: Vec<String> = untold.keys().cloned().collect();
    for task_ids in waiting.chunks(CONTACTS_MAX) {
        let body = serde_json::json!({ "query": {
            "orgId": api.org_id, "urlExpiration": ADDRESS_MINUTES, "taskIds": task_ids, "includeSegments": false,
        } });
        let sent = api.send(|client, base| client.post(format!("{base}/v1/captures/query")).json(&body));
        let (_, raw) = sent.await?;
        for (task_id, address) in addresses(&raw)? {
            let transcript = api.fetch(&address).await?;
            hand_over(context, partition, &task_id, &transcript).await?;
            untold.remove(&task_id);
        }
        for task_id in task_ids {
            if let Some(attempts) = untold.get_mut(task_id) {
                *attempts += 1;
            }
        }
    }
    untold.retain(|_, attempts| *attempts < ATTEMPTS_MAX);
    Ok(())
}

/// Contacts with the address of their transcript.
fn addresses(raw: &[u8]) -> Result<Vec<(String, String)>, CallError> {
    let json = Json::parse(raw).map_err(|_| CallError::Answer("a list of captures"))?;
    let captures = json.get("data").ok_or(CallError::Answer("a list of captures"))?;
    let mut found = Vec::new();
    for capture in captures.elements() {
        let Some(task_id) = capture.get("taskId").and_then(Json::text) else { continue };
        let transcripts = capture.get("transcription").map(Json::elements).unwrap_or_default();
        let address = transcripts.iter().find_map(|one| one.get("filePath")?.text());
        found.extend(address.map(|address| (task_id.to_owned(), address.to_owned())));
    }
    Ok(found)
}

/// A transcript does not name its contact: it is wrapped, so that it can be decoded by itself.
async fn hand_over<S: Sink>(
    context: &Context<S>,
    partition: &str,
    task_id: &str,
    transcript: &[u8],
) -> Result<(), CallError> {
    let text = String::from_utf8_lossy(transcript);
    // What is no JSON is quarantined as text.
    let inner =
        if Json::parse(text.as_bytes()).is_ok() { text.into_owned() } else { serde_json::json!(text).to_string() };
    let raw = Bytes::from(format!("{{\"transcriptOf\":{},\"transcript\":{inner}}}", serde_json::json!(task_id)));
    let submission = context.decode(System::Wxcc, partition, &raw, Framing::Document).submission;
    let result = context.submit_until_taken(submission).await;
    result.map(|_| ()).map_err(|_| CallError::Answer("the log is closed"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_written_contacts_that_are_over_are_waited_for() {
        let raw = r#"[{"id":"a","channelType":"chat","isActive":false},{"id":"b","channelType":"chat","isActive":true},
            {"id":"c","channelType":"telephony","isActive":false},{"channelType":"chat","isActive":false}]"#;
        let tasks = Json::parse(raw.as_bytes()).unwrap();
        let (mut seen, mut untold) = (Seen::default(), BTreeMap::new());
        note(tasks.elements(), &mut seen, &mut untold);
        assert_eq!(untold.keys().collect::<Vec<_>>(), ["a"]);
        untold.clear();
        note(tasks.elements(), &mut seen, &mut untold);
        assert!(untold.is_empty(), "asked for once");
    }

    #[test]
    fn a_contact_without_a_transcript_is_asked_for_again() {
        let raw = br#"{"data":[{"taskId":"a","transcription":[]},{"taskId":"b","transcription":[{"id":"1","filePath":"https://x/y"}]}]}"#;
        assert_eq!(addresses(raw).unwrap(), [("b".to_owned(), "https://x/y".to_owned())]);
        assert!(addresses(b"{}").is_err());
    }
}
