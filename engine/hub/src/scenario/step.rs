//! The steps of a story. Doc comments here are the descriptions in the JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::expect::Expect;

/// One step: exactly one of these.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Step {
    /// Party records of several systems that are one customer: they share a key and a name, which
    /// links them at 0.99.
    #[serde(default)]
    pub customer: Option<CustomerPart>,
    /// Facts, delivered together at the story's clock.
    #[serde(default)]
    pub facts: Option<Vec<FactPart>>,
    /// A native payload of one system, decoded as its connector would.
    #[serde(default)]
    pub native: Option<NativePart>,
    /// Moves the clock forward to an instant. What arrives at an instant comes before its timers.
    #[serde(default)]
    pub until: Option<String>,
    /// Moves the clock forward by a duration.
    #[serde(default)]
    pub advance: Option<String>,
    /// Changes how far sources lag from here on: `fresh`, `lag 400s`, `stopped`.
    #[serde(default)]
    pub sources: Option<BTreeMap<String, String>>,
    /// Says that a record changed without saying how.
    #[serde(default)]
    pub gap: Option<GapPart>,
    /// Reads the record of an earlier gap: an image at the gap's version.
    #[serde(default)]
    pub refetch: Option<RefetchPart>,
    /// A steward says that two party records are one customer.
    #[serde(default)]
    pub link: Option<JudgementPart>,
    /// A steward says that they are not.
    #[serde(default)]
    pub unlink: Option<JudgementPart>,
    /// Asks through the API to move a case to another team.
    #[serde(default)]
    pub transfer: Option<TransferPart>,
    /// The receiver of the latest transfer of a case takes it over.
    #[serde(default)]
    pub accept: Option<ReceiverPart>,
    /// The receiver of the latest transfer of a case refuses it.
    #[serde(default, rename = "return")]
    pub give_back: Option<ReceiverPart>,
    /// The sender of the latest transfer of a case calls it off.
    #[serde(default)]
    pub cancel: Option<ReceiverPart>,
    /// A person's word on a discrepancy or an alert.
    #[serde(default)]
    pub decide: Option<DecidePart>,
    /// Puts another mapping in place.
    #[serde(default)]
    pub mapping: Option<MappingPart>,
    /// Decodes what is held in quarantine again, with the mapping in place.
    #[serde(default)]
    pub replay_quarantine: Option<QuarantinePart>,
    /// Whether the receiver of commands takes them: `refuses` or `takes` (as at the start).
    #[serde(default)]
    pub commands: Option<CommandReceiver>,
    /// Ends the hub and starts it again on the same disk.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// What must be so now.
    #[serde(default)]
    pub expect: Option<Box<Expect>>,
}

/// Party records that are one customer. Every id is optional, one is needed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerPart {
    /// Name on all records.
    pub name: String,
    /// Salesforce account.
    #[serde(default)]
    pub account: Option<String>,
    /// Oracle AR customer.
    #[serde(default)]
    pub ar_customer: Option<String>,
    /// SAP business partner.
    #[serde(default)]
    pub business_partner: Option<String>,
    /// Webex caller profile.
    #[serde(default)]
    pub caller_profile: Option<String>,
    /// When the records were made (30 days before T unless said).
    #[serde(default)]
    pub at: Option<String>,
}

/// One fact. Only `entity` is needed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactPart {
    /// Kind and id: `case/SF-1`.
    pub entity: String,
    /// `image`, `patch`, `delete`, `undelete`, `gap`. Absent: `image` for the first fact of a row in
    /// the story, `patch` for later ones.
    #[serde(default)]
    pub op: Option<String>,
    /// When it happened, by the source's clock. Absent: the story's clock.
    #[serde(default)]
    pub at: Option<String>,
    /// The source's version of the row: a number, or a list of up to three numbers and a text.
    /// Absent: the milliseconds of `at`, then the place in the story. Do not mix both on one row.
    #[serde(default)]
    pub version: Option<Value>,
    /// System. Absent: the one that owns the kind of entity.
    #[serde(default)]
    pub system: Option<String>,
    /// Object or table there. Absent: the kind of entity.
    #[serde(default)]
    pub object: Option<String>,
    /// Id of the row there. Absent: the id of the entity.
    #[serde(default)]
    pub record_id: Option<String>,
    /// Id of the event. Absent: made from the row and the place in the story.
    #[serde(default)]
    pub event_id: Option<String>,
    /// When the connector saw it. Absent: the story's clock at delivery.
    #[serde(default)]
    pub observed_at: Option<String>,
    /// Version of the mapping that made the fact (1 unless said).
    #[serde(default)]
    pub mapping_version: Option<u32>,
    /// Fields by their name in the ontology. `{bad: TEXT}` stands for a value of a wrong type.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

/// A native payload: one of `body`, `file`, `repeat`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NativePart {
    /// The system: `salesforce`, `oracle`, `wxcc`, `sap`.
    pub system: String,
    /// The payload itself.
    #[serde(default)]
    pub body: Option<String>,
    /// A file beside the story that holds it.
    #[serde(default)]
    pub file: Option<String>,
    /// A payload of so many bytes.
    #[serde(default)]
    pub repeat: Option<RepeatPart>,
    /// Whether each line is a payload of its own.
    #[serde(default)]
    pub lines: bool,
}

/// A payload made by repeating a text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatPart {
    /// The text.
    pub text: String,
    /// Length of the payload in bytes.
    pub bytes: usize,
}

/// A record that changed without saying how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GapPart {
    /// Kind and id.
    pub entity: String,
    /// When it changed. Absent: the story's clock.
    #[serde(default)]
    pub at: Option<String>,
    /// Version of the change, as for facts.
    #[serde(default)]
    pub version: Option<Value>,
}

/// The content behind an earlier gap.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefetchPart {
    /// Kind and id, as in the gap.
    pub entity: String,
    /// All fields of the record: absent ones are empty.
    pub fields: BTreeMap<String, Value>,
}

/// A steward's word on a pair of party records.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgementPart {
    /// The two records.
    pub pair: [String; 2],
    /// Who decides.
    #[serde(default = "steward")]
    pub actor: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

fn steward() -> String {
    "steward".to_owned()
}

/// A request to move a case.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferPart {
    /// Id of the case.
    pub case: String,
    /// Team that hands over.
    pub from: String,
    /// Team that takes over.
    pub to: String,
    /// Id of the live interaction.
    #[serde(default)]
    pub interaction: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Whether it can be held; false for one that has already happened (true unless said).
    #[serde(default = "yes")]
    pub controlled: bool,
}

fn yes() -> bool {
    true
}

/// What becomes of the latest transfer of a case.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverPart {
    /// Id of the case.
    pub case: String,
    /// Who does it.
    #[serde(default = "agent")]
    pub by: String,
}

fn agent() -> String {
    "agent".to_owned()
}

/// A person's word on one discrepancy (`rule` and `of`) or one alert (`alert` and `of`).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecidePart {
    /// Rule of a discrepancy, for example `RC1`.
    #[serde(default)]
    pub rule: Option<String>,
    /// Number of an alert, for example `11-4`.
    #[serde(default)]
    pub alert: Option<String>,
    /// The records that it is about.
    pub of: Vec<String>,
    /// `acknowledged`, `resolved` or `waived`.
    pub verdict: String,
    /// Who decides.
    #[serde(default = "agent")]
    pub actor: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Until when a waiver lasts.
    #[serde(default)]
    pub until: Option<String>,
}

/// Another mapping of one system: a whole `file`, or one field of one object read from other columns.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingPart {
    /// The system.
    pub system: String,
    /// A mapping file beside the story.
    #[serde(default)]
    pub file: Option<String>,
    /// Object of the mapping in place.
    #[serde(default)]
    pub object: Option<String>,
    /// Field of it.
    #[serde(default)]
    pub field: Option<String>,
    /// The columns that it is read from now.
    #[serde(default)]
    pub from: Vec<String>,
}

/// What of the quarantine is decoded again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantinePart {
    /// Only what was held for this reason, for example `contract_breach`.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether commands reach their receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandReceiver {
    /// Commands wait and are sent again later.
    Refuses,
    /// Commands are delivered.
    Takes,
}

/// How the hub ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// At once: nothing is written any more.
    Kill,
    /// In order, with a snapshot.
    Clean,
}
