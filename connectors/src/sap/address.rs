//! Addresses of the OData interface: a page of a set, and one record.

use bytes::Bytes;
use ontology::Millis;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url};

use crate::edge::http::{CallError, call_patiently, escaped};
use crate::edge::oauth::Login;

/// How the OData interface is reached.
#[derive(Debug, Clone)]
pub struct SapAccess {
    /// Base address of the services, for example `https://s4.example/sap/opu/odata/sap`.
    pub base_url: String,
    /// Who calls.
    pub login: Login,
}

impl SapAccess {
    /// Reads an address, once more with a new token where the old one is no longer accepted.
    pub(super) async fn get(&self, client: &Client, address: &Url) -> Result<(HeaderMap, Bytes), CallError> {
        let read = |who: &HeaderValue| client.get(address.clone()).header(AUTHORIZATION, who);
        let who = self.login.authorization(client).await?;
        match call_patiently(|| read(&who)).await {
            Err(CallError::Unauthorised) if self.login.is_renewed().await => {
                let who = self.login.authorization(client).await?;
                call_patiently(|| read(&who)).await
            }
            answered => answered,
        }
    }
}

/// How a set tells when a row changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// In one column with an instant.
    Instant(String),
    /// In a column with the day and one with the time of day.
    DayAndTime(String, String),
}

/// A set that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SapSet {
    /// Name of the service, for example `API_SERVICE_ORDER_SRV`.
    pub service: String,
    /// Name of the set.
    pub name: String,
    /// Column of the key.
    pub key: String,
    /// When a row changed.
    pub changed: Changed,
    /// When a row was created, where one that was not changed since has no time of change.
    pub created: Option<Changed>,
    /// Related entities that are read with a row.
    pub expand: String,
}

impl SapSet {
    /// The sets of the shipped mapping.
    #[must_use]
    pub fn usual() -> Vec<SapSet> {
        let instant = |column: &str| Changed::Instant(column.to_owned());
        let set = |service: &str, name: &str, key: &str, changed, expand: &str| SapSet {
            service: service.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            changed,
            created: None,
            expand: expand.to_owned(),
        };
        let day_and_time = Changed::DayAndTime("LastChangeDate".to_owned(), "LastChangeTime".to_owned());
        let created = Changed::DayAndTime("CreationDate".to_owned(), "CreationTime".to_owned());
        let partners = set(
            "API_BUSINESS_PARTNER",
            "A_BusinessPartner",
            "BusinessPartner",
            day_and_time,
            "to_BusinessPartnerAddress/to_PhoneNumber,to_BusinessPartnerAddress/to_EmailAddress,\
             to_BusinessPartnerTax,to_BuPaIdentification",
        );
        vec![
            set("API_SERVICE_ORDER_SRV", "A_ServiceOrder", "ServiceOrder", instant("ServiceDocChangedDateTime"), ""),
            set("YY1_FIELDDISPATCH_CDS", "YY1_FieldDispatch", "DispatchID", instant("LastChangeDateTime"), ""),
            SapSet { created: Some(created), ..partners },
        ]
    }

    /// The same set, asked for what was created; none where every row has a time of change.
    pub(super) fn by_creation(&self) -> Option<SapSet> {
        self.created.clone().map(|created| SapSet { changed: created, created: None, ..self.clone() })
    }
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Begin {
    /// At the first row.
    First,
    /// Behind a row, in the order of keys.
    BehindKey(String),
    /// At the first row that changed since.
    Since(Millis),
    /// Behind a row, in the order of change.
    Behind(Millis, String),
}

/// Where the page behind a row begins. A page that ends where it began would be read for ever: the
/// server keeps finer times than it shows, and the next millisecond is behind them.
pub(super) fn behind(begin: &Begin, changed: Option<Millis>, key: String) -> Begin {
    match (begin, changed) {
        (Begin::First | Begin::BehindKey(_), _) | (_, None) => Begin::BehindKey(key),
        (Begin::Behind(at, last), Some(changed)) if *at == changed && *last == key => Begin::Since(changed + 1),
        (Begin::Since(_) | Begin::Behind(..), Some(changed)) => Begin::Behind(changed, key),
    }
}

/// The address of one page.
pub(super) fn page_address(base_url: &str, set: &SapSet, begin: &Begin, rows: usize) -> Result<Url, CallError> {
    let filter = match begin {
        Begin::First => None,
        Begin::BehindKey(key) => Some(format!("{} gt '{}'", set.key, quoted(key))),
        Begin::Since(at) => Some(since(&set.changed, *at)?),
        Begin::Behind(at, key) => Some(after(&set.changed, *at, &set.key, key)?),
    };
    let order = match (begin, &set.changed) {
        (Begin::First | Begin::BehindKey(_), _) => set.key.clone(),
        (Begin::Since(_) | Begin::Behind(..), Changed::Instant(column)) => format!("{column},{}", set.key),
        (Begin::Since(_) | Begin::Behind(..), Changed::DayAndTime(day, time)) => format!("{day},{time},{}", set.key),
    };
    let top = rows.to_string();
    let mut options = vec![("$orderby", order.as_str()), ("$top", &top), ("$format", "json")];
    options.extend(filter.as_deref().map(|filter| ("$filter", filter)));
    with_options(&format!("{}/{}/{}", root(base_url), set.service, set.name), set, options)
}

/// The address of one record.
pub(super) fn record_address(base_url: &str, set: &SapSet, key: &str) -> Result<Url, CallError> {
    let address = format!("{}/{}/{}('{}')", root(base_url), set.service, set.name, escaped(&quoted(key)));
    with_options(&address, set, vec![("$format", "json")])
}

fn root(base_url: &str) -> &str {
    base_url.trim_end_matches('/')
}

fn with_options<'a>(address: &str, set: &'a SapSet, mut options: Vec<(&'a str, &'a str)>) -> Result<Url, CallError> {
    if !set.expand.is_empty() {
        options.push(("$expand", &set.expand));
    }
    Url::parse_with_params(address, options).map_err(|_| CallError::Answer("a base address that is none"))
}

/// A text as it stands between quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

fn stamp(at: Millis) -> Result<jiff::Timestamp, CallError> {
    jiff::Timestamp::from_millisecond(at.0.max(0)).map_err(|_| CallError::Answer("a position out of range"))
}

/// Day and time of day as literals.
fn day_and_time(at: Millis) -> Result<(String, String), CallError> {
    let wall = stamp(at)?.to_zoned(jiff::tz::TimeZone::UTC);
    Ok((wall.strftime("datetime'%Y-%m-%dT00:00:00'").to_string(), wall.strftime("time'PT%HH%MM%SS'").to_string()))
}

fn since(changed: &Changed, at: Millis) -> Result<String, CallError> {
    Ok(match changed {
        Changed::Instant(column) => format!("{column} ge datetimeoffset'{}'", stamp(at)?),
        Changed::DayAndTime(day, time) => {
            let (on, from) = day_and_time(at)?;
            format!("{day} gt {on} or ({day} eq {on} and {time} ge {from})")
        }
    })
}

fn after(changed: &Changed, at: Millis, key: &str, last: &str) -> Result<String, CallError> {
    let last = quoted(last);
    Ok(match changed {
        Changed::Instant(column) => {
            let at = stamp(at)?;
            format!("{column} gt datetimeoffset'{at}' or ({column} eq datetimeoffset'{at}' and {key} gt '{last}')")
        }
        Changed::DayAndTime(day, time) => {
            let (on, from) = day_and_time(at)?;
            format!(
                "{day} gt {on} or ({day} eq {on} and {time} gt {from}) or \
                 ({day} eq {on} and {time} eq {from} and {key} gt '{last}')"
            )
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(set: usize, begin: &Begin, filter: Option<&str>, order: &str) {
        let address = page_address("http://s4/odata/", &SapSet::usual()[set], begin, 200).unwrap();
        let options: std::collections::BTreeMap<_, _> = address.query_pairs().into_owned().collect();
        assert_eq!(options.get("$filter").map(String::as_str), filter, "{begin:?}");
        assert_eq!((options["$orderby"].as_str(), options["$top"].as_str()), (order, "200"), "{begin:?}");
    }

    #[test]
    fn pages_begin_behind_the_last_row() {
        let at = Millis(1_773_154_800_123);
        check(0, &Begin::First, None, "ServiceOrder");
        check(0, &Begin::BehindKey("O'1".to_owned()), Some("ServiceOrder gt 'O''1'"), "ServiceOrder");
        let order = "ServiceDocChangedDateTime,ServiceOrder";
        let since = "ServiceDocChangedDateTime ge datetimeoffset'2026-03-10T15:00:00.123Z'";
        check(0, &Begin::Since(at), Some(since), order);
        let behind = "ServiceDocChangedDateTime gt datetimeoffset'2026-03-10T15:00:00.123Z' or \
                      (ServiceDocChangedDateTime eq datetimeoffset'2026-03-10T15:00:00.123Z' and ServiceOrder gt '7')";
        check(0, &Begin::Behind(at, "7".to_owned()), Some(behind), order);
        let since = "LastChangeDate gt datetime'2026-03-10T00:00:00' or \
                     (LastChangeDate eq datetime'2026-03-10T00:00:00' and LastChangeTime ge time'PT15H00M00S')";
        check(2, &Begin::Since(at), Some(since), "LastChangeDate,LastChangeTime,BusinessPartner");
    }

    #[test]
    fn partners_are_asked_for_by_their_creation_too() {
        let sets = SapSet::usual();
        assert_eq!(sets.iter().filter_map(SapSet::by_creation).count(), 1);
        let created = sets[2].by_creation().unwrap();
        assert_eq!((created.name.as_str(), created.by_creation()), ("A_BusinessPartner", None));
        let address = page_address("http://s4", &created, &Begin::Since(Millis(1_773_154_800_123)), 200).unwrap();
        let filter = address.query_pairs().find(|(name, _)| name == "$filter").unwrap().1.into_owned();
        let expected = "CreationDate gt datetime'2026-03-10T00:00:00' or \
                        (CreationDate eq datetime'2026-03-10T00:00:00' and CreationTime ge time'PT15H00M00S')";
        assert_eq!(filter, expected);
    }

    #[test]
    fn no_page_is_read_for_ever() {
        let next = |begin: &Begin| behind(begin, Some(Millis(5)), "k".to_owned());
        let first = next(&Begin::Since(Millis(0)));
        assert_eq!(first, Begin::Behind(Millis(5), "k".to_owned()));
        assert_eq!(next(&first), Begin::Since(Millis(6)));
        assert_eq!(next(&Begin::First), Begin::BehindKey("k".to_owned()));
    }

    #[test]
    fn a_record_is_asked_for_by_its_key() {
        let address = record_address("http://s4/odata", &SapSet::usual()[0], "A/1'").unwrap();
        let expected = "http://s4/odata/API_SERVICE_ORDER_SRV/A_ServiceOrder('A%2F1%27%27')?%24format=json";
        assert_eq!(address.as_str(), expected);
    }
}
