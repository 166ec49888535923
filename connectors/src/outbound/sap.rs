//! Dispatch delays and order notes in SAP, by an OData service of the organisation.
//!
//! The service shows `DispatchSet('id')` and `OrderSet('id')`, each with an ETag and a field
//! `OpshubKeys`: the keys of the last commands, newest first. A change writes its key there in the
//! same PATCH, guarded by If-Match, so of two attempts one is refused and then finds the key.

use ontology::{Millis, System};
use reqwest::header::{AUTHORIZATION, COOKIE, ETAG, HeaderMap, IF_MATCH, SET_COOKIE};
use serde_json::{Value, json};

use super::command::{Command, CommandKind, Verb};
use super::http::ask;
use super::{Done, Failure, Outbound};
use crate::edge::http::client;
use crate::edge::oauth::Login;

/// Keys that a record remembers.
const KEYS_MAX: usize = 8;
/// How often a change that another one came before is tried within one attempt.
const RACES_MAX: usize = 3;
/// Header of the token that a change needs.
const CSRF: &str = "x-csrf-token";

/// Where commands go.
#[derive(Debug, Clone)]
pub struct SapOutboundConfig {
    /// Base address of the service, for example `https://s4.example/sap/opu/odata/sap/ZOPSHUB_SRV`.
    pub base_url: String,
    /// Who calls.
    pub login: Login,
}

/// Carries commands out in one SAP system.
pub struct SapOutbound {
    config: SapOutboundConfig,
    client: reqwest::Client,
    verbs: Vec<Verb>,
}

/// A record as it was read, with what a change of it needs.
struct Read {
    row: Value,
    etag: String,
    csrf: String,
    cookie: String,
}

impl SapOutbound {
    /// For the service of `config`; `verbs` are enabled.
    #[must_use]
    pub fn new(config: SapOutboundConfig, verbs: Vec<Verb>) -> Self {
        SapOutbound { config, client: client(), verbs }
    }

    fn address(&self, set: &str, id: &str) -> String {
        // A quote inside a key is written twice.
        format!("{}/{set}('{}')", self.config.base_url, crate::edge::http::escaped(&id.replace('\'', "''")))
    }

    /// A request that says who calls. Without a token the command waits, as for a target that is down.
    async fn authorised(&self, request: reqwest::RequestBuilder) -> Result<reqwest::RequestBuilder, Failure> {
        let who = self.config.login.authorization(&self.client).await;
        Ok(request.header(AUTHORIZATION, who.map_err(|error| Failure::Later(format!("a token: {error}")))?))
    }

    async fn read(&self, set: &str, id: &str) -> Result<Read, Failure> {
        let request = || {
            let request = self.client.get(self.address(set, id));
            request.header("accept", "application/json").header(CSRF, "Fetch")
        };
        let mut answer = ask(self.authorised(request()).await?).await?;
        if answer.status == 401 && self.config.login.is_renewed().await {
            answer = ask(self.authorised(request()).await?).await?;
        }
        if !answer.is_success() {
            return Err(answer.failure("a record"));
        }
        let row = answer.json["d"].take();
        let header = |name: &str| text(&answer.headers, name);
        let etag = header(ETAG.as_str()).or_else(|| row["__metadata"]["etag"].as_str().map(str::to_owned));
        let etag = etag.ok_or_else(|| Failure::Refused("a record without ETag".to_owned()))?;
        Ok(Read { row, etag, csrf: header(CSRF).unwrap_or_default(), cookie: cookies(&answer.headers) })
    }

    /// Changes a record once for `key`; `change` makes the new fields out of the old ones.
    async fn change(
        &self,
        set: &str,
        id: &str,
        key: &str,
        change: impl Fn(&Value) -> Value + Send + Sync,
    ) -> Result<Done, Failure> {
        for _ in 0..RACES_MAX {
            let read = self.read(set, id).await?;
            let keys = read.row["OpshubKeys"].as_str().unwrap_or_default();
            if keys.split_whitespace().any(|known| known == key) {
                return Ok(Done::Before);
            }
            let mut fields = change(&read.row);
            let kept: Vec<&str> = std::iter::once(key).chain(keys.split_whitespace()).take(KEYS_MAX).collect();
            fields["OpshubKeys"] = kept.join(" ").into();
            let request = self
                .client
                .patch(self.address(set, id))
                .header(CSRF, read.csrf)
                .header(COOKIE, read.cookie)
                .header(IF_MATCH, read.etag)
                .json(&fields);
            let answer = ask(self.authorised(request).await?).await?;
            match answer.status {
                200..300 => return Ok(Done::Now),
                // Somebody changed it meanwhile, perhaps we ourselves: look again.
                412 | 428 => {}
                403 if text(&answer.headers, CSRF).is_some_and(|told| told.eq_ignore_ascii_case("required")) => {}
                _ => return Err(answer.failure("a change")),
            }
        }
        Err(Failure::Later("the record keeps changing".to_owned()))
    }
}

impl Outbound for SapOutbound {
    fn system(&self) -> System {
        System::Sap
    }

    fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    async fn perform(&self, command: &Command) -> Result<Done, Failure> {
        let key = command.noted_as();
        match &command.kind {
            CommandKind::DelayDispatch { dispatch, until } => {
                let eta = odata_instant(*until);
                self.change("DispatchSet", dispatch, key, |_| json!({ "Eta": eta })).await
            }
            CommandKind::NoteOrder { order, text } => {
                self.change("OrderSet", order, key, |row| {
                    let before = row["Note"].as_str().unwrap_or_default();
                    let note = if before.is_empty() { text.clone() } else { format!("{before}\n{text}") };
                    json!({ "Note": note })
                })
                .await
            }
            CommandKind::CreateTask { .. }
            | CommandKind::CompleteTask { .. }
            | CommandKind::CommentCase { .. }
            | CommandKind::HoldTransfer { .. }
            | CommandKind::ReleaseTransfer { .. }
            | CommandKind::FlagInvoice { .. } => Err(Failure::Refused("no command of sap".to_owned())),
        }
    }
}

/// An instant as OData V2 writes it in JSON.
fn odata_instant(at: Millis) -> String {
    format!("/Date({})/", at.0)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What the session is known by: a token is good only together with it.
fn cookies(headers: &HeaderMap) -> String {
    let set = headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let pairs: Vec<&str> = set.filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}
