//! Rows of the OData interface to facts: answers of the list job, and of reading one record again.

use std::borrow::Cow;

use compact_str::format_compact;
use ontology::{Fact, Fields, Millis, Op, Version};

use super::address::Changed;
use super::decode::{Failure, Origin, SapDecoder};
use super::idoc::{op_of, version};
use super::path::Path;
use crate::contract::{Decoded, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::ObjectMap;
use crate::value::{Columns, Native, parse_instant};

/// Columns that may hold when a row changed: an instant, or a day and a time of day.
const CHANGED: &[(&str, Option<&str>)] = &[
    ("ServiceDocChangedDateTime", None),
    ("LastChangeDateTime", None),
    ("LastChangeDate", Some("LastChangeTime")),
    ("CreationDate", Some("CreationTime")),
];

/// Milliseconds in an hour, a minute and a second.
const PARTS_MS: [(char, i64); 3] = [('H', 3_600_000), ('M', 60_000), ('S', 1_000)];

impl SapDecoder {
    /// Reads an answer. The connector puts the name of the set before it, and for a record that is
    /// read because of an event the event's version.
    pub(super) fn rows(&self, json: &Json<'_>, raw: &[u8], observed_at: Millis) -> Decoded {
        let set = json.get("set").and_then(Json::text);
        let gap = json.get("gapMs").and_then(Json::integer).and_then(|at| u64::try_from(at).ok());
        if let (Some(object), Some(gap), Some(id)) =
            (set.and_then(|set| self.mapping().object(set)), gap, json.get("gone").and_then(Json::scalar))
        {
            return Decoded { facts: vec![self.gone(object, id, gap, observed_at)], ..Decoded::default() };
        }
        let rows = match (json.path("d.results"), json.get("d"), json.get("value")) {
            (Some(results), _, _) | (None, None, Some(results)) => results.elements(),
            (None, Some(row), _) => std::slice::from_ref(row),
            // One entity of the fourth version stands by itself.
            (None, None, None) if json.get("@odata.context").is_some() => std::slice::from_ref(json),
            (None, None, None) => {
                return Decoded::rejected(RejectCode::NoIdentity, "an answer without rows", raw);
            }
        };
        let mut out = Decoded::default();
        for row in rows {
            let Some(object) = self.object_of(row, set) else {
                out.leave_unmapped(1);
                continue;
            };
            match self.row(object, row, gap, observed_at) {
                Ok(fact) => out.facts.push(fact),
                Err((code, detail)) => out.rejects.push(Reject::new(code, detail, 0..raw.len())),
            }
        }
        out
    }

    /// A record that an event told of and that is not there any more: a deletion at the event's version, so
    /// that whatever comes later outlives it.
    fn gone(&self, object: &ObjectMap, id: &str, gap: u64, observed_at: Millis) -> Fact {
        let version = Version::new(gap, 0, 0);
        let event_id = format_compact!("absent/{}/{version}/{id}", object.row_name());
        let changed_at = Millis(i64::try_from(gap).unwrap_or(i64::MAX));
        let origin = Origin { event_id, version, changed_at, observed_at };
        let fact = self.bare(object, id, id, Op::Delete, Fields::default(), origin);
        Fact { read_at: Some(observed_at), ..fact }
    }

    /// The object of a row: by the set that was asked, by the type that it says, else by its keys.
    fn object_of(&self, row: &Json<'_>, set: Option<&str>) -> Option<&ObjectMap> {
        if let Some(set) = set {
            return self.mapping().object(set);
        }
        let said = row.path("__metadata.type").and_then(Json::text);
        let said = said.and_then(|kind| kind.rsplit('.').next()?.strip_suffix("Type"));
        let has = |names: &[&str]| names.iter().all(|name| row.get(name).is_some());
        let seen = || match () {
            () if has(&["ServiceOrder", "ServiceOrderType"]) => Some("A_ServiceOrder"),
            () if has(&["BusinessPartner", "BusinessPartnerCategory"]) => Some("A_BusinessPartner"),
            () => None,
        };
        self.mapping().object(said.or_else(seen)?)
    }

    fn row(&self, object: &ObjectMap, row: &Json<'_>, gap: Option<u64>, observed_at: Millis) -> Result<Fact, Failure> {
        let (changed_at, own) = self.row_version(object, row)?;
        // A record that was read because of an event catches up with the event.
        let version = gap.map_or(own.clone(), |gap| own.max(Version::new(gap, 0, 0)));
        let columns = Row { row, status: status(row) };
        let event_id = format_compact!("list/{}/{version}", object.row_name());
        let op = match op_of(object, &columns) {
            Op::Delete => Op::Delete,
            Op::Image | Op::Patch | Op::Undelete | Op::Gap | Op::Heartbeat => Op::Image,
        };
        let mut fact = self.fact(object, &columns, op, Origin { event_id, version, changed_at, observed_at })?;
        fact.event_id = format_compact!("{}/{}", fact.event_id, fact.record_id);
        fact.read_at = Some(observed_at);
        Ok(fact)
    }

    /// When a row changed. Where the organisation shows the document that told of the change, a row
    /// stands just above that document; else above every document of its instant.
    fn row_version(&self, object: &ObjectMap, row: &Json<'_>) -> Result<(Millis, Version), Failure> {
        let text = |name: &str| row.get(name).and_then(Json::scalar).unwrap_or_default();
        let (serial, number) = (text("YY1_Serial"), text("YY1_Docnum"));
        if !serial.is_empty() && !number.is_empty() {
            let (at, rest) = self.serialised(serial, "", "")?;
            return Ok((at, version(at, number, rest.saturating_mul(2).saturating_add(2))));
        }
        let missing = || (RejectCode::NoIdentity, format!("{}: a row without time of change", object.name));
        let at = changed_at(row).ok_or_else(missing)?;
        Ok((at, Version::new(u64::try_from(at.0).unwrap_or(0), u64::MAX, 0)))
    }
}

/// When a row changed, if it says so.
pub(super) fn changed_at(row: &Json<'_>) -> Option<Millis> {
    CHANGED.iter().find_map(|(day, time)| moment(row, day, *time))
}

/// The time in the columns by which a set is asked for.
pub(super) fn time_of(row: &Json<'_>, columns: &Changed) -> Option<Millis> {
    match columns {
        Changed::Instant(column) => moment(row, column, None),
        Changed::DayAndTime(day, time) => moment(row, day, Some(time)),
    }
}

fn moment(row: &Json<'_>, day: &str, time: Option<&str>) -> Option<Millis> {
    let text = |name: &str| row.get(name).and_then(Json::scalar).unwrap_or_default();
    let day = instant(text(day))?;
    Some(day + time.map_or(0, |time| time_of_day(text(time)).unwrap_or(0)))
}

/// What the flags of an order come to.
fn status(row: &Json<'_>) -> Option<&'static str> {
    let flag = |name: &str| row.get(name).and_then(Json::text).map(str::trim);
    let is_set = |name: &str| flag(name).is_some_and(|flag| !flag.is_empty());
    flag("ServiceOrderIsCompleted")?;
    Some(match () {
        () if is_set("ServiceOrderIsRejected") => "REJECTED",
        () if flag("ServiceOrderIsCompleted") == Some("X") => "COMPLETED",
        // Some of its items are completed.
        () if is_set("ServiceOrderIsCompleted") => "STARTED",
        () if is_set("ServiceOrderIsReleased") => "RELEASED",
        () => "CREATED",
    })
}

/// An instant as the interface writes it: `/Date(ms)/`, or ISO 8601.
fn instant(text: &str) -> Option<Millis> {
    let text = text.trim();
    match text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        Some(count) => {
            // An offset only says where the writer was.
            let digits = count.get(1..).and_then(|rest| rest.find(['+', '-'])).map_or(count, |at| &count[..=at]);
            digits.parse().ok().map(Millis)
        }
        None => parse_instant(text, &jiff::tz::TimeZone::UTC),
    }
}

/// A time of day as the interface writes it, `PT14H04M56S` or `14:04:56`, in milliseconds.
fn time_of_day(text: &str) -> Option<i64> {
    let Some(mut rest) = text.trim().strip_prefix("PT") else {
        let time: jiff::civil::Time = text.trim().parse().ok()?;
        return Some(time.duration_since(jiff::civil::Time::midnight()).as_secs() * Millis::SECOND_MS);
    };
    let mut sum = 0_i64;
    for (unit, ms) in PARTS_MS {
        if let Some((count, behind)) = rest.split_once(unit) {
            sum += count.split('.').next()?.parse::<i64>().ok().filter(|n| (0..=60).contains(n))? * ms;
            rest = behind;
        }
    }
    rest.is_empty().then_some(sum)
}

/// A row, with what its flags come to.
struct Row<'a> {
    row: &'a Json<'a>,
    status: Option<&'static str>,
}

impl Columns for Row<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        if column == "@status" {
            return self.status.map(|status| Native::Text(Cow::Borrowed(status)));
        }
        let path = Path::of(column);
        let mut at = self.row;
        for step in &path.steps {
            at = at.get(step.name)?;
            // A related entity that was asked for comes as a list of results.
            let listed = at.get("results").unwrap_or(at);
            if let Json::Array(several) = listed {
                let is_it = |one: &&Json<'_>| {
                    step.which.is_none_or(|(field, value)| one.get(field).and_then(Json::scalar) == Some(value))
                };
                at = several.iter().find(is_it)?;
            }
        }
        native(at)
    }
}

fn native<'a>(value: &'a Json<'_>) -> Option<Native<'a>> {
    Some(match value {
        Json::Null => Native::Null,
        Json::Bool(b) => Native::Bool(*b),
        Json::Number(digits) => Native::Number(Cow::Borrowed(digits)),
        Json::Text(text) if text.starts_with("/Date(") => match instant(text) {
            Some(at) => Native::Number(Cow::Owned(at.0.to_string())),
            None => Native::Text(Cow::Borrowed(text)),
        },
        Json::Text(text) => Native::Text(Cow::Borrowed(text)),
        // A related entity that was not asked for: nothing is known of it.
        Json::Object(_) if value.get("__deferred").is_some() => return None,
        Json::Array(_) | Json::Object(_) => Native::Other(Cow::Borrowed("{..}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_times_of_day_are_read() {
        for (text, expected) in [
            ("/Date(1492098664000)/", Some(1_492_098_664_000)),
            ("/Date(1492098664000+0000)/", Some(1_492_098_664_000)),
            ("/Date(1492098664000-0330)/", Some(1_492_098_664_000)),
            ("/Date(-5)/", Some(-5)),
            ("2018-05-25T09:00:00+09:00", Some(1_527_206_400_000)),
            ("", None),
            ("/Date()/", None),
            ("/Date(x)/", None),
        ] {
            assert_eq!(instant(text).map(|at| at.0), expected, "{text}");
        }
        for (text, expected) in [
            ("PT14H04M56S", Some(50_696_000)),
            ("PT00H00M00S", Some(0)),
            ("PT7M", Some(420_000)),
            ("PT5.5S", Some(5_000)),
            ("PT", Some(0)),
            ("14:04:56.9", Some(50_696_000)),
            ("25:00:00", None),
            ("PTxH", None),
            ("PT99H", None),
        ] {
            assert_eq!(time_of_day(text), expected, "{text}");
        }
    }
}
