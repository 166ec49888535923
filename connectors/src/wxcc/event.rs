//! One event of a contact, with the columns that its kind implies.

use std::borrow::Cow;

use ontology::Millis;

use super::caller::{Caller, Country};
use crate::json::Json;
use crate::value::{Columns, Native};

/// States of a contact in the order in which they follow each other at one instant.
pub const LIFECYCLE: &[&str] = &[
    "origin-updated",
    "new",
    "parked",
    "connect",
    "connected",
    "on-hold",
    "hold-done",
    "consulting",
    "consult-done",
    "conferencing",
    "conference-done",
    "conference-transferred",
    "failed",
    "ended",
    "wrapup",
    "wrapup-done",
];

/// Rank of the news that a recording exists: a recording is made of a contact that is over.
pub const RANK_CAPTURE: u64 = 100;

/// Rank of what Search says: it knows the contact as a whole.
pub const RANK_SEARCH: u64 = 200;

/// Lists in which Search tells global variables, one for each type of value.
const VARIABLE_LISTS: &[&str] = &[
    "stringGlobalVariables",
    "integerGlobalVariables",
    "longGlobalVariables",
    "doubleGlobalVariables",
    "booleanGlobalVariables",
];

/// An event on its way to become facts.
pub struct Event<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// What it says.
    pub body: &'a Json<'a>,
    /// When it happened.
    pub at: Millis,
    /// Its place among events of one instant.
    pub rank: u64,
    /// Columns that its kind implies, before those of the body.
    pub columns: Vec<(&'static str, Native<'a>)>,
    /// The customer's number or address.
    pub caller: Option<Caller>,
    /// Whether it tells global variables in lists, as Search does.
    has_lists: bool,
    /// Whether it tells of an agent's part in the contact, not of the contact.
    is_agents: bool,
}

/// Columns of a body that, told of an agent, say nothing of the contact: who hands a call over wraps up
/// while the next agent talks, and the bodies have neither direction nor kind of an outbound call.
const AGENTS_COLUMNS: &[&str] =
    &["agentId", "queueId", "channelType", "direction", "origin", "destination", "outboundType"];

/// Columns that most kinds imply.
const COLUMNS_USUAL: usize = 8;

impl<'a> Event<'a> {
    /// An event of `body` that happened `at`, with the columns that every contact has. Numbers without the
    /// code of a country are of `country`.
    pub fn new(id: Cow<'a, str>, body: &'a Json<'a>, at: Millis, rank: u64, country: Option<Country>) -> Self {
        let caller = caller(body, country);
        let columns = contact_columns(body, caller.as_ref());
        Event { columns, caller, ..Event::plain(id, body, at, rank) }
    }

    /// An event with the columns of its body alone.
    pub fn plain(id: Cow<'a, str>, body: &'a Json<'a>, at: Millis, rank: u64) -> Self {
        Event { id, body, at, rank, columns: Vec::new(), caller: None, has_lists: false, is_agents: false }
    }

    /// An event of an agent's part in a contact: of the contact it tells flow variables alone.
    pub fn of_agent(id: Cow<'a, str>, body: &'a Json<'a>, at: Millis, rank: u64) -> Self {
        Event { is_agents: true, ..Event::plain(id, body, at, rank) }
    }

    /// Another event that the same body tells of, with the columns of the body alone.
    pub fn beside(&self, id: Cow<'a, str>, at: Millis) -> Self {
        Event { has_lists: self.has_lists, ..Event::plain(id, self.body, at, self.rank) }
    }

    /// The same event, told by Search.
    #[must_use]
    pub fn of_search(self) -> Self {
        Event { has_lists: VARIABLE_LISTS.iter().any(|list| self.body.get(list).is_some()), ..self }
    }

    /// Adds a column of text.
    pub fn say(&mut self, column: &'static str, text: impl Into<Cow<'a, str>>) {
        self.columns.push((column, Native::Text(text.into())));
    }

    /// Adds a column with an instant or a length in milliseconds.
    pub fn count(&mut self, column: &'static str, number: i64) {
        self.columns.push((column, Native::Number(Cow::Owned(number.to_string()))));
    }

    /// Adds a column that is known to be empty.
    pub fn clear(&mut self, column: &'static str) {
        self.columns.push((column, Native::Null));
    }
}

/// Rank of a state at one instant.
#[must_use]
pub fn rank(state: &str) -> u64 {
    LIFECYCLE.iter().position(|s| *s == state).map_or(0, |place| place as u64)
}

/// Whether an end is the end: the system also ends what waits to be called back.
#[must_use]
pub fn is_final(body: &Json<'_>) -> bool {
    // Events and Search call it by different names.
    let named = ["terminatingParty", "terminatingEnd"].into_iter().find_map(|name| body.get(name)?.text());
    named.is_some_and(|party| party.eq_ignore_ascii_case("agent") || party.eq_ignore_ascii_case("customer"))
}

/// The customer's side of a contact: the origin, or the destination of an outbound one.
fn caller(body: &Json<'_>, country: Option<Country>) -> Option<Caller> {
    let is_outbound = body.get("direction").and_then(Json::text).is_some_and(|d| d.eq_ignore_ascii_case("OUTBOUND"));
    let side = if is_outbound { "destination" } else { "origin" };
    Caller::parse(body.get(side)?.text()?, country)
}

fn contact_columns<'a>(body: &'a Json<'a>, caller: Option<&Caller>) -> Vec<(&'static str, Native<'a>)> {
    let mut columns = Vec::with_capacity(COLUMNS_USUAL);
    let text = |value: &str| Native::Text(Cow::Owned(value.to_owned()));
    let is_callback = body.get("outboundType").and_then(Json::text) == Some("COURTESY_CALLBACK")
        || body.get("isCallback") == Some(&Json::Bool(true));
    if is_callback {
        columns.push(("@channel", Native::Text(Cow::Borrowed("COURTESY_CALLBACK"))));
    } else if let Some(channel) = body.get("channelType").and_then(Json::text) {
        columns.push(("@channel", Native::Text(Cow::Borrowed(channel))));
    }
    if let Some(caller) = caller {
        columns.push(("@customer", text(caller.id())));
        match caller {
            Caller::Phone(phone) => columns.push(("@phone", text(phone))),
            Caller::Email(email) => columns.push(("@email", text(email))),
        }
    }
    columns
}

impl Columns for Event<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        if let Some((_, value)) = self.columns.iter().find(|(name, _)| *name == column) {
            return Some(value.borrowed());
        }
        if self.has_lists
            && let Some(variable) = column.strip_prefix("globalVariables.")
            && let Some(value) = listed_variable(self.body, variable)
        {
            return native(value);
        }
        if self.is_agents && AGENTS_COLUMNS.contains(&column) {
            return None;
        }
        native(self.body.path(column)?)
    }
}

/// A global variable as Search tells it.
fn listed_variable<'a>(body: &'a Json<'a>, variable: &str) -> Option<&'a Json<'a>> {
    let is_it = |v: &&Json<'_>| v.get("name").and_then(Json::text) == Some(variable);
    let lists = VARIABLE_LISTS.iter().filter_map(|list| body.get(list));
    lists.filter_map(|list| list.elements().iter().find(is_it)?.get("value")).next()
}

/// Every event is a slice: what is null in it keeps what was known before.
fn native<'a>(value: &'a Json<'_>) -> Option<Native<'a>> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(b) => Native::Bool(*b),
        Json::Number(digits) => Native::Number(Cow::Borrowed(digits)),
        Json::Text(text) => Native::Text(Cow::Borrowed(text)),
        Json::Array(_) | Json::Object(_) => Native::Other(Cow::Borrowed("{..}")),
    })
}
