//! Tasks and case comments in Salesforce.
//!
//! The organisation has a custom object `Opshub_Command__c` with a unique text field `Key__c` and a
//! text field `Record_Id__c`. What is made and the note of its key go in one composite request that
//! takes both or none, so the unique field is what keeps a repeated command from making a second one.

use ontology::{Millis, System};
use serde_json::{Value, json};

use super::command::{Command, CommandKind, Verb};
use super::http::{Answer, ask};
use super::{Done, Failure, Outbound};
use crate::contract::SharedClock;
use crate::edge::http::{client, escaped};
use crate::salesforce::CLIENT;
use crate::salesforce::rest::{Rest, RestConfig};

/// Version of the REST API.
const API: &str = "/services/data/v62.0";
/// The object that notes keys.
const GATE: &str = "Opshub_Command__c";
/// Longest subject of a task.
const SUBJECT_CHARS_MAX: usize = 255;
/// Longest comment, in bytes.
const COMMENT_BYTES_MAX: usize = 4_000;

/// Carries commands out in one organisation.
pub struct SalesforceOutbound {
    rest: Rest,
    client: reqwest::Client,
    verbs: Vec<Verb>,
}

impl SalesforceOutbound {
    /// For the organisation of `config`; `verbs` are enabled.
    #[must_use]
    pub fn new(config: RestConfig, verbs: Vec<Verb>, clock: SharedClock) -> Self {
        SalesforceOutbound { rest: Rest::new(config, clock), client: client(), verbs }
    }

    /// Calls by the session; logs in once more when it has run out.
    async fn call(&self, method: reqwest::Method, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        for is_last in [false, true] {
            let session = self.rest.session().await.map_err(|error| Failure::Later(error.to_string()))?;
            let address = format!("{}{API}{path}", session.instance_url);
            let mut request = self
                .client
                .request(method.clone(), address)
                // Its own changes come back with this name as their origin.
                .header("Sforce-Call-Options", format!("client={CLIENT}"))
                .bearer_auth(session.access_token.expose());
            if let Some(body) = body {
                request = request.json(body);
            }
            let answer = ask(request).await?;
            if answer.status != 401 || is_last {
                return Ok(answer);
            }
            self.rest.forget(&session).await;
        }
        Err(Failure::Later("the session is not accepted".to_owned()))
    }

    /// Makes a record and notes the key, both or none.
    async fn make(&self, object: &str, key: &str, record: Value) -> Result<Done, Failure> {
        let body = json!({ "allOrNone": true, "compositeRequest": [
            { "method": "POST", "url": format!("{API}/sobjects/{object}"), "referenceId": "made", "body": record },
            { "method": "POST", "url": format!("{API}/sobjects/{GATE}"), "referenceId": "noted",
              "body": { "Key__c": key, "Record_Id__c": "@{made.id}" } },
        ] });
        let answer = self.call(reqwest::Method::POST, "/composite", Some(&body)).await?;
        if !answer.is_success() {
            return Err(answer.failure("a composite request"));
        }
        let parts = answer.json["compositeResponse"].as_array().map_or(&[][..], Vec::as_slice);
        let is_made = |part: &Value| part["httpStatusCode"].as_u64().is_some_and(|status| (200..300).contains(&status));
        if parts.len() == 2 && parts.iter().all(is_made) {
            return Ok(Done::Now);
        }
        let codes: Vec<&str> = parts.iter().filter_map(|part| part["body"][0]["errorCode"].as_str()).collect();
        match codes.iter().find(|code| **code != "PROCESSING_HALTED") {
            Some(&"DUPLICATE_VALUE") => Ok(Done::Before),
            Some(&("UNABLE_TO_LOCK_ROW" | "REQUEST_LIMIT_EXCEEDED" | "SERVER_UNAVAILABLE")) => {
                Err(Failure::Later("the organisation asks to wait".to_owned()))
            }
            Some(code) => Err(Failure::Refused(format!("{object}: {code}"))),
            None => Err(Failure::Later("the answer to a composite request was not understood".to_owned())),
        }
    }

    async fn complete(&self, task: &str) -> Result<Done, Failure> {
        let noted = format!("/sobjects/{GATE}/Key__c/{}", escaped(task));
        let answer = self.call(reqwest::Method::GET, &noted, None).await?;
        if answer.status == 404 {
            return Err(Failure::NotYet("the task has not been made".to_owned()));
        }
        let record = answer.text("/Record_Id__c").filter(|_| answer.is_success());
        let record = record.ok_or_else(|| answer.failure("a noted task"))?;
        let path = format!("/sobjects/Task/{}", escaped(record));
        let answer = self.call(reqwest::Method::PATCH, &path, Some(&json!({ "Status": "Completed" }))).await?;
        match answer.status {
            200..300 => Ok(Done::Now),
            // Somebody has deleted it: there is nothing left to complete.
            404 => Ok(Done::Before),
            _ => Err(answer.failure("the completion of a task")),
        }
    }
}

impl Outbound for SalesforceOutbound {
    fn system(&self) -> System {
        System::Salesforce
    }

    fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    async fn perform(&self, command: &Command) -> Result<Done, Failure> {
        match &command.kind {
            CommandKind::CreateTask { case, team, due_at, text, .. } => {
                let subject: String = text.chars().take(SUBJECT_CHARS_MAX).collect();
                let mut task = json!({
                    "Subject": subject,
                    "Description": format!("{text}\n\nFor: {team}"),
                    "Status": "Not Started",
                    "Priority": "High",
                    "ActivityDate": day(*due_at),
                });
                if let Some(case) = case {
                    task["WhatId"] = case.as_str().into();
                }
                self.make("Task", command.noted_as(), task).await
            }
            CommandKind::CompleteTask { task } => self.complete(task).await,
            CommandKind::CommentCase { case, text } => {
                let text = shortened(text, COMMENT_BYTES_MAX);
                let comment = json!({ "ParentId": case, "CommentBody": text, "IsPublished": false });
                self.make("CaseComment", command.noted_as(), comment).await
            }
            CommandKind::DelayDispatch { .. }
            | CommandKind::NoteOrder { .. }
            | CommandKind::HoldTransfer { .. }
            | CommandKind::ReleaseTransfer { .. }
            | CommandKind::FlagInvoice { .. } => Err(Failure::Refused("no command of salesforce".to_owned())),
        }
    }
}

/// The day of an instant, UTC.
fn day(at: Millis) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}

fn shortened(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
