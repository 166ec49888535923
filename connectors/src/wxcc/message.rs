//! What customers said: single messages from webhooks, and whole conversations from transcripts.
//!
//! A message has one name in both, so that what a webhook lost comes back with the transcript and
//! what both tell stands there once.

use compact_str::{CompactString, format_compact};
use ontology::{Field, Fields, FieldsBuilder, ListBuilder, Millis, ValueRef};

use crate::json::Json;

/// Rank of what a transcript says: it stands above the webhook of the same message.
const RANK_TRANSCRIPT: u64 = 1;

/// One thing that a customer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<'a> {
    /// The contact.
    pub task_id: &'a str,
    /// The message within it.
    pub message_id: &'a str,
    /// The event that told it.
    pub event_id: CompactString,
    /// When it was said.
    pub at: Millis,
    /// The words.
    pub text: &'a str,
    /// Its place among what is told of the message.
    pub rank: u64,
}

impl Said<'_> {
    /// As a list of one, which is joined with the others of the contact.
    #[must_use]
    pub fn fields(&self) -> Fields {
        let mut item = FieldsBuilder::default();
        item.set(Field::At, ValueRef::Time(self.at));
        item.set(Field::Who, ValueRef::Text("customer"));
        item.set(Field::Text, ValueRef::Text(self.text));
        let mut list = ListBuilder::default();
        list.push(&item.build());
        let mut fields = FieldsBuilder::default();
        fields.set(Field::Statements, list.value());
        fields.build()
    }
}

/// Reads the body of a `task-message:appended`; none for what the customer did not say.
pub fn of_webhook<'a>(body: &'a Json<'a>, event_id: &'a str, at: Millis) -> Result<Option<Said<'a>>, &'static str> {
    let is_inbound =
        body.get("messageDirection").and_then(Json::text).is_some_and(|d| d.eq_ignore_ascii_case("INBOUND"));
    let text = body.path("channelParams.message.text").and_then(Json::text).filter(|text| !text.trim().is_empty());
    let Some(text) = text.filter(|_| is_inbound) else { return Ok(None) };
    let task_id = body.get("taskId").and_then(Json::text).filter(|id| !id.is_empty());
    let task_id = task_id.ok_or("task-message: an event without taskId")?;
    let message_id = body.path("channelParams.message.aliasId").and_then(Json::scalar).unwrap_or(event_id);
    let at = body.path("channelParams.message.timestamp").and_then(Json::integer).map_or(at, Millis);
    Ok(Some(Said { task_id, message_id, event_id: event_id.into(), at, text, rank: 0 }))
}

/// Reads a digital transcript: its messages with who sent them, when, and the words.
pub fn of_transcript<'a>(task_id: &'a str, json: &'a Json<'a>) -> Result<Vec<Said<'a>>, &'static str> {
    let messages = json.path("transcript.messages").ok_or("transcript: no messages")?;
    let mut said = Vec::new();
    for message in messages.elements() {
        let is_customer =
            message.get("senderType").and_then(Json::text).is_some_and(|s| s.eq_ignore_ascii_case("customer"));
        let text = message.get("text").and_then(Json::text).filter(|text| !text.trim().is_empty());
        let Some(text) = text.filter(|_| is_customer) else { continue };
        let message_id = message.get("id").and_then(Json::scalar).ok_or("transcript: a message without id")?;
        let at = message.get("timestamp").and_then(Json::integer).ok_or("transcript: a message without timestamp")?;
        said.push(Said {
            task_id,
            message_id,
            event_id: format_compact!("transcript/{task_id}/{message_id}"),
            at: Millis(at),
            text,
            rank: RANK_TRANSCRIPT,
        });
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn webhook(direction: &str, text: &str) -> String {
        format!(
            "{{\"taskId\":\"t\",\"messageDirection\":\"{direction}\",\
             \"channelParams\":{{\"message\":{{\"aliasId\":\"m\",\"text\":\"{text}\",\"timestamp\":7}}}}}}"
        )
    }

    #[test]
    fn only_words_of_the_customer_are_kept() {
        let read = |raw: String| {
            let json = Json::parse(raw.as_bytes()).unwrap();
            of_webhook(&json, "e", Millis(9))
                .unwrap()
                .map(|said| (said.message_id.to_owned(), said.at, said.text.to_owned()))
        };
        assert_eq!(read(webhook("INBOUND", "hello")), Some(("m".to_owned(), Millis(7), "hello".to_owned())));
        assert_eq!(read(webhook("OUTBOUND", "hello")), None);
        assert_eq!(read(webhook("INBOUND", " ")), None);
        assert_eq!(read("{\"messageDirection\":\"INBOUND\",\"channelParams\":null}".to_owned()), None);
        let nameless = webhook("INBOUND", "x").replace("\"t\"", "\"\"");
        assert!(of_webhook(&Json::parse(nameless.as_bytes()).unwrap(), "e", Millis(9)).is_err());
    }

    #[test]
    fn a_transcript_names_messages_as_webhooks_do() {
        let raw = r#"{"transcript":{"messages":[
            {"id":"m","senderType":"customer","timestamp":7,"text":"hello"},
            {"id":"n","senderType":"agent","timestamp":8,"text":"hi"}]}}"#;
        let json = Json::parse(raw.as_bytes()).unwrap();
        let said = of_transcript("t", &json).unwrap();
        let webhook = webhook("INBOUND", "hello");
        let webhook = Json::parse(webhook.as_bytes()).unwrap();
        let single = of_webhook(&webhook, "e", Millis(9)).unwrap().unwrap();
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].message_id, said[0].at), (single.message_id, single.at));
        assert!(said[0].rank > single.rank);
        assert_eq!(said[0].fields(), single.fields());
        for bad in [r#"{}"#, r#"{"transcript":{"messages":[{"senderType":"customer","text":"x","timestamp":1}]}}"#] {
            assert!(of_transcript("t", &Json::parse(bad.as_bytes()).unwrap()).is_err(), "{bad}");
        }
    }
}
