//! The billing-review flag in Oracle, by a handler of the REST side.
//!
//! `PUT {base}/commands/invoice-review/{key}` inserts the key into a table where it is the primary key
//! and flags the invoice, in one transaction: 201 when it did, 200 when the key was there already.

use ontology::System;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::command::{Command, CommandKind, Verb};
use super::http::{Answer, ask};
use super::{Done, Failure, Outbound};
use crate::edge::http::{client, escaped};
use crate::oracle::OrdsConfig;

/// Carries commands out in one database.
pub struct OracleOutbound {
    config: OrdsConfig,
    client: reqwest::Client,
    verbs: Vec<Verb>,
    token: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

impl OracleOutbound {
    /// For the REST side of `config`; `verbs` are enabled.
    #[must_use]
    pub fn new(config: OrdsConfig, verbs: Vec<Verb>) -> Self {
        OracleOutbound { config, client: client(), verbs, token: Mutex::default() }
    }

    async fn token(&self) -> Result<String, Failure> {
        let mut token = self.token.lock().await;
        if let Some(token) = &*token {
            return Ok(token.clone());
        }
        let request = self
            .client
            .post(format!("{}/oauth/token", self.config.base_url))
            .basic_auth(&self.config.client_id, Some(self.config.client_secret.expose()))
            .form(&[("grant_type", "client_credentials")]);
        let answer = ask(request).await?;
        if !answer.is_success() {
            return Err(Failure::Later(format!("a token: status {}", answer.status)));
        }
        let read: Token =
            serde_json::from_value(answer.json).map_err(|_| Failure::Later("a token was expected".to_owned()))?;
        *token = Some(read.access_token.clone());
        Ok(read.access_token)
    }

    /// A token may end at any time: a call that it is refused for is made once more with a new one.
    async fn put(&self, path: &str, body: &serde_json::Value) -> Result<Answer, Failure> {
        for is_last in [false, true] {
            let token = self.token().await?;
            let request = self.client.put(format!("{}/{path}", self.config.base_url)).bearer_auth(token).json(body);
            let answer = ask(request).await?;
            if answer.status != 401 || is_last {
                return Ok(answer);
            }
            *self.token.lock().await = None;
        }
        Err(Failure::Later("the token is not accepted".to_owned()))
    }
}

impl Outbound for OracleOutbound {
    fn system(&self) -> System {
        System::Oracle
    }

    fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    async fn perform(&self, command: &Command) -> Result<Done, Failure> {
        match &command.kind {
            CommandKind::FlagInvoice { invoice, text } => {
                let path = format!("commands/invoice-review/{}", escaped(command.noted_as()));
                let answer = self.put(&path, &json!({ "invoice_id": invoice, "reason": text })).await?;
                match answer.status {
                    201 => Ok(Done::Now),
                    200 | 204 => Ok(Done::Before),
                    _ => Err(answer.failure("an invoice review")),
                }
            }
            CommandKind::CreateTask { .. }
            | CommandKind::CompleteTask { .. }
            | CommandKind::CommentCase { .. }
            | CommandKind::DelayDispatch { .. }
            | CommandKind::NoteOrder { .. }
            | CommandKind::HoldTransfer { .. }
            | CommandKind::ReleaseTransfer { .. } => Err(Failure::Refused("no command of oracle".to_owned())),
        }
    }
}
