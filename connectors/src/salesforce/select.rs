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
    /// Queries by object, without condition.
    queries: Arc<Mutex<HashMap<String, String>>>,
}

impl<S: Clone> Clone for Records<S> {
    fn clone(&self) -> Self {
        Records {
            context: self.context.clone(),
            rest: self.rest.clone(),
            lately: self.lately.clone(),
            partition: self.partition.clone(),
            queries: self.queries.clone(),
        }
    }
}

impl<S: Sink> Records<S> {
    /// Records of the organisation behind `rest`.
    pub fn new(context: Context<S>, rest: Rest, lately: Lately, partition: String) -> Self {
        Records { context, rest, lately, partition, queries: Arc::default() }
    }

    /// Now, by the hub's clock.
    pub fn now(&self) -> Millis {
        self.context.clock.now()
    }

    /// `SELECT ... FROM object` with every column that can be read.
    ///
    /// # Errors
    /// [`RestError`] when the organisation does not describe the object.
    pub async fn query_of(&self, object: &str) -> Result<String, RestError> {
        if let Some(query) = self.queries.lock().unwrap_or_else(PoisonError::into_inner).get(object) {
            return Ok(query.clone());
        }
        let there = self.rest.fields(object).await?;
        let map = self.context.connectors.salesforce().mapping().object(object);
        let Selected { columns, missing } = map.map(|map| select(map, &there)).unwrap_or_default();
        if !missing.is_empty() {
            tracing::warn!(object, ?missing, "the organisation does not show columns that the mapping reads");
        }
        let query = format!("SELECT {} FROM {object}", columns.join(","));
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).insert(object.to_owned(), query.clone());
        Ok(query)
    }

    /// Forgets how `object` is asked for: its columns may have changed.
    pub fn forget(&self, object: &str) {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
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
        let query = self.query_of(object).await?;
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
    for column in map.fields.iter().flat_map(|field| &field.from) {
        // A member of a compound stands beside it under a name of its own: `BillingCity`.
        let member = column.split_once('.').map(|(parent, member)| {
            let prefix = parent.strip_suffix("Address").unwrap_or_default();
            (format!("{prefix}{member}"), parent.to_owned())
        });
        let found = match member {
            Some((own, parent)) => [own, parent].into_iter().find(|name| there.contains(name)),
            None => Some(column.clone()).filter(|name| there.contains(name)),
        };
        match found {
            Some(name) if columns.contains(&name) => {}
            Some(name) => columns.push(name),
            None => missing.push(column.clone()),
        }
    }
    Selected { columns, missing }
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
        let there = ["Id", "SystemModstamp", "IsDeleted", "Name", "BillingCity", "ShippingCity", "Phone"];
        let there: BTreeSet<String> = there.into_iter().map(str::to_owned).collect();
        let mut selected = select(mapping.object("Account").unwrap(), &there);
        selected.columns[NEEDED.len()..].sort();
        assert_eq!(selected.columns, ["Id", "SystemModstamp", "IsDeleted", "BillingCity", "Name", "Phone"]);
        assert!(selected.missing.contains(&"Tier__c".to_owned()));
        assert!(!selected.missing.contains(&"Name.FirstName".to_owned()), "the name is there, if only whole");
    }

    #[test]
    fn literals_do_not_end_early() {
        assert_eq!(quoted("001'; \\"), "'001\\'; \\\\'");
        assert_eq!(instant(Millis(1_773_154_800_999)), "2026-03-10T15:00:00Z");
    }
}
