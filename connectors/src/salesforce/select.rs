//! Which columns of an object are asked for, and records by such a query.
//!
//! Only columns that the mapping reads are asked for, and of those only what the organisation has
//! and shows to this user: one that it does not have would fail the whole query.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ontology::{Millis, System};

use super::answer::RestError;
use super::fetched::Fetched;
use super::lately::Lately;
use super::rest::{Page, Rest};
use super::whole::Whole;
use crate::contract::{Framing, Sink, SinkError};
use crate::edge::Context;
use crate::mapping::ObjectMap;

/// Columns that every reading needs, whatever the mapping says.
const NEEDED: [&str; 3] = ["Id", "SystemModstamp", "IsDeleted"];

/// The records of an organisation, read as the mapping wants them. Clones share what they know.
pub struct Records<S> {
    /// Where they go.
    pub context: Context<S>,
    /// Where they come from.
    pub rest: Rest,
    /// What has come lately.
    pub lately: Lately,
    /// Partition that submissions are filed under.
    pub partition: String,
    /// What was read whole.
    pub whole: Whole,
    /// What each object showed when it was described last.
    shown: Arc<Mutex<HashMap<String, Shown>>>,
}

impl<S: Clone> Clone for Records<S> {
    fn clone(&self) -> Self {
        Records {
            context: self.context.clone(),
            rest: self.rest.clone(),
            lately: self.lately.clone(),
            partition: self.partition.clone(),
            whole: self.whole.clone(),
            shown: self.shown.clone(),
        }
    }
}

impl<S: Sink> Records<S> {
    /// Records of the organisation behind `rest`.
    pub fn new(context: Context<S>, rest: Rest, lately: Lately, partition: String, whole: Whole) -> Self {
        Records { context, rest, lately, partition, whole, shown: Arc::default() }
    }

    /// Now, by the hub's clock.
    pub fn now(&self) -> Millis {
        self.context.clock.now()
    }

    /// What `object` showed when it was described last; none if that may have changed since.
    pub fn known(&self, object: &str) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(object).cloned()
    }

    /// What `object` shows of what the mapping reads, and how to ask for it.
    ///
    /// # Errors
    /// [`RestError`] when the organisation does not describe the object.
    pub async fn shown(&self, object: &str) -> Result<Shown, RestError> {
        if let Some(known) = self.known(object) {
            return Ok(known);
        }
        let there = self.rest.fields(object).await?;
        let map = self.context.connectors.salesforce().mapping().object(object);
        let Selected { columns, missing } = map.map(|map| select(map, &there)).unwrap_or_default();
        if !missing.is_empty() {
            tracing::warn!(object, ?missing, "the organisation does not show columns that the mapping reads");
        }
        let query = format!("SELECT {} FROM {object}", columns.join(","));
        let shown = Shown { query, columns, missing };
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(object.to_owned(), shown.clone());
        Ok(shown)
    }

    /// Forgets what `object` showed: it may have changed.
    pub fn forget(&self, object: &str) {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }

    /// The records with these ids, deleted ones included, as far as there are any.
    ///
    /// # Errors
    /// [`RestError`] when a call fails or is refused.
    pub async fn by_ids(&self, object: &str, ids: impl Iterator<Item = &str>) -> Result<Page, RestError> {
        let ids: Vec<String> = ids.map(quoted).collect();
        let mut page = self.matching(object, &format!("Id IN ({})", ids.join(","))).await?;
        while let Some(next) = page.next.take() {
            let more = self.rest.more(&next).await?;
            page.records.extend(more.records);
            page.next = more.next;
        }
        Ok(page)
    }

    /// The first page of the records that changed at `since` or later, deleted ones included.
    ///
    /// # Errors
    /// As [`Records::by_ids`].
    pub async fn changed_since(&self, object: &str, since: Millis) -> Result<Page, RestError> {
        self.matching(object, &format!("SystemModstamp >= {}", instant(since))).await
    }

    async fn matching(&self, object: &str, condition: &str) -> Result<Page, RestError> {
        let query = self.shown(object).await?.query;
        let result = self.rest.query(&format!("{query} WHERE {condition}")).await;
        if result.is_err() {
            self.forget(object);
        }
        result
    }

    /// Hands records over; waits while the log is full.
    ///
    /// # Errors
    /// [`SinkError::Closed`] when the log is closed.
    pub async fn submit(&self, fetched: &Fetched<'_>) -> Result<(), SinkError> {
        let decoding = self.context.decode(System::Salesforce, &self.partition, &fetched.delivery(), Framing::Document);
        let facts = decoding.submission.facts.clone();
        self.context.submit_until_taken(decoding.submission).await?;
        self.lately.came(&facts);
        Ok(())
    }
}

/// What an object shows of what the mapping reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `SELECT ... FROM object` with every column that can be read.
    pub query: String,
    /// These columns.
    pub columns: Vec<String>,
    /// What the mapping reads and the organisation does not show.
    pub missing: Vec<String>,
}

/// The columns of a query.
#[derive(Debug, Default, PartialEq, Eq)]
struct Selected {
    columns: Vec<String>,
    /// What the mapping reads and the organisation does not show.
    missing: Vec<String>,
}

/// Columns that the mapping reads and the organisation does not show.
pub(super) fn missing_columns(map: &ObjectMap, there: &BTreeSet<String>) -> Vec<String> {
    select(map, there).missing
}

fn select(map: &ObjectMap, there: &BTreeSet<String>) -> Selected {
    let mut columns: Vec<String> =
        NEEDED.iter().filter(|name| there.contains(**name)).map(|name| (*name).to_owned()).collect();
    let mut missing = Vec::new();
    for field in &map.fields {
        let mut hidden = Vec::new();
        for column in &field.from {
            match shown_as(column, map, there) {
                Some(name) if columns.contains(&name) => {}
                Some(name) => columns.push(name),
                None => hidden.push(column.clone()),
            }
        }
        // Of columns of which any will do, one is enough.
        if !field.is_any || hidden.len() == field.from.len() {
            missing.extend(hidden);
        }
    }
    Selected { columns, missing }
}

/// The name that `column` is asked for by. A member of a compound stands beside it under a name of
/// its own, `BillingCity`; an organisation that shows other members so has none that it does not show.
fn shown_as(column: &str, map: &ObjectMap, there: &BTreeSet<String>) -> Option<String> {
    let is_there = |name: &String| there.contains(name);
    let Some((parent, member)) = column.split_once('.') else {
        return Some(column.to_owned()).filter(is_there);
    };
    let prefix = parent.strip_suffix("Address").unwrap_or_default();
    let own = format!("{prefix}{member}");
    if is_there(&own) {
        return Some(own);
    }
    let mapped = map.fields.iter().flat_map(|field| &field.from);
    let mut members = mapped.filter_map(|column| column.split_once('.')).filter(|(of, _)| *of == parent);
    let is_told_apart = members.any(|(_, member)| there.contains(&format!("{prefix}{member}")));
    Some(parent.to_owned()).filter(|parent| !is_told_apart && is_there(parent))
}

/// `text` as a literal of the query language.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// `at` as a literal of the query language.
pub(super) fn instant(at: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::mapping::Mapping;

    #[test]
    fn only_what_is_there_is_asked_for() {
        let mapping = Mapping::shipped(System::Salesforce).unwrap();
        let there = ["Id", "SystemModstamp", "IsDeleted", "Name", "BillingCity", "ShippingCity", "Phone", "Email__c"];
        let there: BTreeSet<String> = there.into_iter().map(str::to_owned).collect();
        let mut selected = select(mapping.object("Account").unwrap(), &there);
        selected.columns[NEEDED.len()..].sort();
        assert_eq!(selected.columns, ["Id", "SystemModstamp", "IsDeleted", "BillingCity", "Email__c", "Name", "Phone"]);
        assert!(selected.missing.contains(&"Tier__c".to_owned()));
        assert!(!selected.missing.contains(&"Name.FirstName".to_owned()), "the name is there, if only whole");
        assert!(!selected.missing.contains(&"PersonEmail".to_owned()), "Email__c will do");
    }

    #[test]
    fn a_member_that_is_not_there_is_missing_though_its_compound_is() {
        let mapping = Mapping::shipped(System::Salesforce).unwrap();
        let account = mapping.object("Account").unwrap();
        let is_missing = |there: &[&str]| {
            let there = there.iter().map(|name| (*name).to_owned()).collect();
            missing_columns(account, &there).contains(&"BillingAddress.State".to_owned())
        };
        assert!(is_missing(&["BillingAddress", "BillingCity"]));
        assert!(!is_missing(&["BillingAddress", "BillingCity", "BillingState"]));
        assert!(!is_missing(&["BillingAddress"]), "nobody says what it is made of");
        assert!(is_missing(&["BillingCity"]));
    }

    #[test]
    fn literals_do_not_end_early() {
        assert_eq!(quoted("001'; \\"), "'001\\'; \\\\'");
        assert_eq!(instant(Millis(1_773_154_800_999)), "2026-03-10T15:00:00Z");
    }
}
