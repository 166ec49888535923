//! Records that were read over REST: how a page of them is written as a delivery, and what it
//! becomes. Writing and reading stand together because nobody else knows the form.
//!
//! ```json
//! {"object": "Case", "read_at": 1773154800000,
//!  "gaps": [["500xx0000000001AAA", 1773154700000, 77, 1]],
//!  "since": [1773154700000, 77, 1],
//!  "records": [{"Id": "500xx0000000001AAA", "SystemModstamp": "...", "IsDeleted": false}],
//!  "absent_at": 1773154790000, "absent": ["500xx0000000002AAA"]}
//! ```
//!
//! A record that is read for a gap becomes an image at the version of the gap. A record of a full
//! read stands at its `SystemModstamp`, and not before `since`, where an event said that all records
//! of the object changed. A record that the source no longer has becomes a tombstone. A column that
//! a record does not have was not asked for, since the organisation did not show it: nothing is said
//! of it.

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use compact_str::format_compact;
use ontology::{Fields, Millis, Op, Version};
use serde_json::value::RawValue;

use super::change::RestRow;
use super::decode::{Change, Failure, SalesforceDecoder, no_identity};
use super::long_id;
use super::refetch::Refetch;
use crate::contract::{Decoded, Delivery, Reject, RejectCode};
use crate::json::Json;
use crate::mapping::{Mode, ObjectMap};
use crate::value::parse_instant;

/// A delivery of records of one object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetched<'a> {
    /// The object.
    pub object: &'a str,
    /// When they were read.
    pub read_at: Millis,
    /// The gaps that they were read for; none for a full read.
    pub gaps: &'a [Refetch],
    /// The version before which no record of a full read stands.
    pub since: Option<(u64, u64, u64)>,
    /// The records as the source wrote them.
    pub records: &'a [Box<RawValue>],
    /// Records that a full read did not find, and when it began.
    pub absent: Option<(Millis, &'a [String])>,
}

impl Fetched<'_> {
    /// The delivery in bytes.
    #[must_use]
    pub fn delivery(&self) -> Bytes {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut out = format!("{{\"object\":{},\"read_at\":{}", text(self.object), self.read_at.0);
        let mut put = |name: &str, json: String| {
            write!(out, ",\"{name}\":{json}").expect("writing to a string cannot fail");
        };
        if !self.gaps.is_empty() {
            let gaps = self.gaps.iter().map(|gap| {
                let (time, commit, sequence) = gap.version;
                format!("[{},{time},{commit},{sequence}]", text(&gap.record_id))
            });
            put("gaps", list(gaps));
        }
        if let Some((time, commit, sequence)) = self.since {
            put("since", format!("[{time},{commit},{sequence}]"));
        }
        put("records", list(self.records.iter().map(|record| record.get().to_owned())));
        if let Some((at, ids)) = self.absent {
            put("absent_at", at.0.to_string());
            put("absent", list(ids.iter().map(|id| text(id))));
        }
        out.push('}');
        Bytes::from(out)
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// What the records of one delivery have in common.
struct Reading<'a> {
    object: &'a ObjectMap,
    read_at: Millis,
    observed_at: Millis,
}

impl SalesforceDecoder {
    /// Facts of a delivery of records, which is `json`.
    pub(super) fn fetched(&self, delivery: &Delivery<'_>, json: &Json<'_>) -> Decoded {
        let object = json.get("object").and_then(Json::text).and_then(|name| self.mapping().object(name));
        let (Some(object), Some(read_at)) = (object, json.get("read_at").and_then(Json::integer).map(Millis)) else {
            return Decoded::rejected(RejectCode::NoIdentity, "records of no known object", delivery.raw);
        };
        let reading = Reading { object, read_at, observed_at: delivery.observed_at };
        let records = json.get("records").map_or(&[][..], Json::elements);
        let mut out = Decoded::default();
        let keep = |result: Result<(), Failure>, rejects: &mut Vec<Reject>| {
            if let Err((code, detail)) = result {
                rejects.push(Reject::new(code, detail, 0..delivery.raw.len()));
            }
        };
        let mut rejects = Vec::new();
        match json.get("gaps") {
            Some(gaps) => {
                let by_id: HashMap<String, &Json<'_>> =
                    records.iter().filter_map(|record| Some((long_id(record.get("Id")?.text()?), record))).collect();
                for gap in gaps.elements() {
                    keep(self.read_gap(&reading, gap, &by_id, &mut out), &mut rejects);
                }
            }
            None => {
                let since = json.get("since").and_then(version_of);
                for record in records {
                    keep(self.read_row(&reading, record, since.as_ref(), &mut out), &mut rejects);
                }
            }
        }
        let absent_at = json.get("absent_at").and_then(Json::integer).and_then(|at| u64::try_from(at).ok());
        for id in json.get("absent").map_or(&[][..], Json::elements) {
            let (Some(id), Some(at)) = (id.text(), absent_at) else {
                let failure = no_identity(format!("{}: an absent record without id or time", object.name));
                keep(Err(failure), &mut rejects);
                continue;
            };
            keep(self.say(&reading, &long_id(id), Version::new(at, 0, 0), None, &mut out), &mut rejects);
        }
        out.rejects = rejects;
        out
    }

    /// A record that was read for a gap. One that is gone was deleted after it.
    fn read_gap(
        &self,
        reading: &Reading<'_>,
        gap: &Json<'_>,
        records: &HashMap<String, &Json<'_>>,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let broken = || no_identity(format!("{}: a gap without id or version", reading.object.name));
        let (id, version) = gap.elements().split_first().ok_or_else(broken)?;
        let id = long_id(id.text().ok_or_else(broken)?);
        let version = version_of_parts(version).ok_or_else(broken)?;
        self.say(reading, &id, version, records.get(&id).copied(), out)
    }

    /// A record of a full read.
    fn read_row(
        &self,
        reading: &Reading<'_>,
        record: &Json<'_>,
        since: Option<&Version>,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let object = &reading.object.name;
        let id = record.get("Id").and_then(Json::text);
        let id = long_id(id.ok_or_else(|| no_identity(format!("{object}: a record without Id")))?);
        let modified = record.get("SystemModstamp").and_then(Json::text);
        let modified = modified.and_then(|text| parse_instant(text, &jiff::tz::TimeZone::UTC));
        let modified = modified.and_then(|at| u64::try_from(at.0).ok());
        let modified = modified.ok_or_else(|| no_identity(format!("{object}: a record without SystemModstamp")))?;
        let version = Version::new(modified, 0, 0);
        let version = since.filter(|since| **since > version).cloned().unwrap_or(version);
        self.say(reading, &id, version, Some(record), out)
    }

    /// The fact that `record` stood so at `version`, or that there was none.
    fn say(
        &self,
        reading: &Reading<'_>,
        id: &str,
        version: Version,
        record: Option<&Json<'_>>,
        out: &mut Decoded,
    ) -> Result<(), Failure> {
        let living = record.filter(|record| record.get("IsDeleted") != Some(&Json::Bool(true)));
        let (op, fields) = match living {
            Some(record) => (Op::Image, self.fields(reading.object, &RestRow(record), Mode::Shown)?.0),
            None => (Op::Delete, Fields::default()),
        };
        let change = Change {
            event_id: "",
            object: reading.object,
            op,
            changed_at: Millis(i64::try_from(version.major).unwrap_or(i64::MAX)),
            version,
            observed_at: reading.observed_at,
            read_at: Some(reading.read_at),
        };
        let event_id = format_compact!("read/{}/{id}/{}", reading.object.name, change.version);
        out.facts.push(self.fact(&change, event_id, id, fields));
        Ok(())
    }
}

fn version_of(json: &Json<'_>) -> Option<Version> {
    version_of_parts(json.elements())
}

fn version_of_parts(parts: &[Json<'_>]) -> Option<Version> {
    let part = |json: &Json<'_>| json.integer().and_then(|n| u64::try_from(n).ok());
    let [time, commit, sequence] = parts else { return None };
    Some(Version::new(part(time)?, part(commit)?, part(sequence)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::mapping::Mapping;
    use ontology::{Field, FieldReader as _, System};

    fn decode(fetched: &Fetched<'_>) -> Decoded {
        let decoder = SalesforceDecoder::new(Mapping::shipped(System::Salesforce).unwrap());
        decoder.decode(&Delivery::document(&fetched.delivery(), Millis(9_000)))
    }

    fn record(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn case(id: &str, modified_s: u64, is_deleted: bool) -> Box<RawValue> {
        record(&format!(
            "{{\"Id\":\"{id}\",\"Subject\":\"s\",\"SystemModstamp\":\"1970-01-01T00:00:{modified_s:02}.000+0000\",\"IsDeleted\":{is_deleted}}}"
        ))
    }

    fn told(decoded: &Decoded) -> Vec<(String, Op, String)> {
        decoded.facts.iter().map(|f| (f.record_id.to_string(), f.op, f.version.to_string())).collect()
    }

    fn version(major: u64, minor: u64, ordinal: u64) -> String {
        Version::new(major, minor, ordinal).to_string()
    }

    #[test]
    fn a_full_read_stands_at_the_time_of_change() {
        let records = [case("C1", 5, false), case("C2", 7, true)];
        let absent = ["C3".to_owned()];
        let fetched = Fetched {
            object: "Case",
            read_at: Millis(8_000),
            records: &records,
            absent: Some((Millis(7_500), &absent)),
            ..Fetched::default()
        };
        let decoded = decode(&fetched);
        assert_eq!(
            told(&decoded),
            [
                ("C1".to_owned(), Op::Image, version(5_000, 0, 0)),
                ("C2".to_owned(), Op::Delete, version(7_000, 0, 0)),
                ("C3".to_owned(), Op::Delete, version(7_500, 0, 0)),
            ]
        );
        assert!(decoded.facts.iter().all(|f| f.read_at == Some(Millis(8_000))) && decoded.rejects.is_empty());
        assert_eq!(decoded.facts[0].fields.get(Field::Subject), ontology::ValueRef::Text("s"));
    }

    #[test]
    fn where_all_records_changed_none_stands_before_that() {
        let records = [case("C1", 5, false), case("C2", 7, false)];
        let fetched = Fetched {
            object: "Case",
            read_at: Millis(8_000),
            since: Some((6_000, 3, 1)),
            records: &records,
            ..Fetched::default()
        };
        let expected =
            [("C1".to_owned(), Op::Image, version(6_000, 3, 1)), ("C2".to_owned(), Op::Image, version(7_000, 0, 0))];
        assert_eq!(told(&decode(&fetched)), expected);
    }

    #[test]
    fn nothing_is_said_of_a_column_that_was_not_asked_for() {
        let account = |more: &str| {
            let text = format!(
                "{{\"Id\":\"A1\",\"SystemModstamp\":\"1970-01-01T00:00:05.000+0000\",\"IsDeleted\":false{more}}}"
            );
            let records = [record(&text)];
            let fetched = Fetched { object: "Account", records: &records, ..Fetched::default() };
            let fields = decode(&fetched).facts[0].fields.clone();
            fields.iter().map(|(field, value)| (field, value == ontology::ValueRef::Null)).collect::<Vec<_>>()
        };
        assert_eq!(account(""), []);
        assert_eq!(account(",\"Phone\":null"), [(Field::Phone, true)]);
        assert_eq!(account(",\"BillingCity\":\"Bremen\""), [(Field::City, false)]);
        // Of columns of which any will do, what is there counts; of an empty compound every member is empty.
        assert_eq!(account(",\"Email__c\":\"a@b.example\""), [(Field::Email, false)]);
        let address = account(",\"BillingAddress\":null");
        assert!(address.contains(&(Field::City, true)) && address.len() >= 4, "{address:?}");
    }

    #[test]
    fn a_gap_is_closed_at_its_version_whatever_became_of_the_record() {
        let gap = |id: &str, minor| Refetch {
            object: "Case".to_owned(),
            record_id: id.to_owned(),
            version: (6_000, minor, 1),
        };
        let gaps = [gap("C1", 1), gap("C2", 2), gap("C3", 3)];
        let records = [case("C1", 7, false), case("C2", 7, true)];
        let fetched =
            Fetched { object: "Case", read_at: Millis(8_000), gaps: &gaps, records: &records, ..Fetched::default() };
        let expected = [
            ("C1".to_owned(), Op::Image, version(6_000, 1, 1)),
            ("C2".to_owned(), Op::Delete, version(6_000, 2, 1)),
            ("C3".to_owned(), Op::Delete, version(6_000, 3, 1)),
        ];
        assert_eq!(told(&decode(&fetched)), expected);
    }

    #[test]
    fn a_row_that_says_too_little_leaves_its_neighbours_alone() {
        let records = [record("{\"Subject\":\"s\"}"), record("{\"Id\":\"C1\"}"), record("7"), case("C2", 5, false)];
        let fetched = Fetched { object: "Case", read_at: Millis(8_000), records: &records, ..Fetched::default() };
        let decoded = decode(&fetched);
        assert_eq!((decoded.facts.len(), decoded.rejects.len()), (1, 3));
        assert!(decoded.rejects.iter().all(|r| r.code == RejectCode::NoIdentity && !r.range.is_empty()));
        assert_eq!(decode(&Fetched { object: "Nothing", ..fetched }).rejects.len(), 1);
    }
}
