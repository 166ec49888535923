//! What one change event says, in whichever form it came: Avro from the event bus, or JSON from the
//! streaming API and from tools that have decoded an event before.
//!
//! The forms differ in how they name what changed. Avro carries every field and bitmaps over them;
//! JSON leaves out what did not change, or carries names.

use std::borrow::Cow;
use std::collections::HashSet;

use ontology::Op;

use super::CLIENT;
use super::bitmap::{SchemaField, named};
use super::decode::{Failure, no_identity};
use super::event::Avro;
use crate::json::Json;
use crate::value::{Columns, Native};

/// A part of an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node<'a> {
    Avro(&'a Avro),
    Json(&'a Json<'a>),
}

impl<'a> Node<'a> {
    pub fn get(self, name: &str) -> Option<Node<'a>> {
        match self {
            Node::Avro(avro) => avro.get(name).map(Node::Avro),
            Node::Json(json) => json.get(name).map(Node::Json),
        }
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Node::Avro(avro) => avro.text(),
            Node::Json(json) => json.text(),
        }
    }

    fn texts(self) -> Vec<&'a str> {
        match self {
            Node::Avro(avro) => avro.texts(),
            Node::Json(json) => json.elements().iter().filter_map(Json::text).collect(),
        }
    }

    /// A number that is not negative. Some senders write large ones as text, or as `1.1E13`.
    fn count(self) -> Option<u64> {
        match self {
            Node::Avro(avro) => u64::try_from(avro.long()?).ok(),
            Node::Json(json) => {
                let digits = json.scalar()?;
                digits.parse().ok().or_else(|| {
                    let float: f64 = digits.parse().ok()?;
                    let is_exact = float.fract() == 0.0 && (0.0..9e18).contains(&float);
                    is_exact.then_some(float as u64)
                })
            }
        }
    }

    fn is_compound(self) -> bool {
        matches!(self, Node::Avro(Avro::Record(..)) | Node::Json(Json::Object(_)))
    }

    fn native(self) -> Native<'a> {
        match self {
            Node::Avro(Avro::Null) | Node::Json(Json::Null) => Native::Null,
            Node::Avro(Avro::Bool(b)) | Node::Json(Json::Bool(b)) => Native::Bool(*b),
            Node::Avro(Avro::Long(long)) => Native::Number(Cow::Owned(long.to_string())),
            // The shortest text that reads back as the same number is what the user typed.
            Node::Avro(Avro::Double(double)) => Native::Number(Cow::Owned(double.to_string())),
            Node::Avro(Avro::Text(text)) => Native::Text(Cow::Borrowed(text)),
            Node::Json(Json::Number(digits)) => Native::Number(Cow::Borrowed(digits)),
            Node::Json(Json::Text(text)) => Native::Text(Cow::Borrowed(text)),
            Node::Avro(Avro::Bytes(_) | Avro::Array(_) | Avro::Record(..))
            | Node::Json(Json::Array(_) | Json::Object(_)) => Native::Other(Cow::Borrowed("{..}")),
        }
    }
}

/// What the header of an event says.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub ids: Vec<&'a str>,
    pub op: Op,
    /// Whether the event only says that every record of the object may have changed.
    pub is_overflow: bool,
    /// Whether the change came through the hub's own client.
    pub is_own: bool,
    /// Commit time in ms, commit number, sequence number.
    pub version: (u64, u64, u64),
}

/// The object that the header names.
pub(super) fn entity_name(header: Node<'_>) -> Result<&str, Failure> {
    header.get("entityName").and_then(Node::text).ok_or_else(|| no_identity("a header without entityName"))
}

impl<'a> Header<'a> {
    pub fn read(header: Node<'a>) -> Result<Self, Failure> {
        let entity = entity_name(header)?;
        let missing = |name: &str| no_identity(format!("{entity}: a header without {name}"));
        let count = |name: &str| header.get(name).and_then(Node::count);
        let committed = count("commitTimestamp").ok_or_else(|| missing("commitTimestamp"))?;
        let commit = count("commitNumber").ok_or_else(|| missing("commitNumber"))?;
        let change_type = header.get("changeType").and_then(Node::text).unwrap_or_default();
        let ids = header.get("recordIds").map(Node::texts).unwrap_or_default();
        // The id of an overflow is a dummy, or none at all.
        let is_overflow = change_type == "GAP_OVERFLOW" || ids.iter().any(|id| id.ends_with('*'));
        if ids.is_empty() && !is_overflow {
            return Err(missing("recordIds"));
        }
        Ok(Header {
            ids,
            op: op_of(change_type),
            is_overflow,
            is_own: header.get("changeOrigin").and_then(Node::text).is_some_and(is_own),
            version: (committed, commit, count("sequenceNumber").unwrap_or(0)),
        })
    }
}

/// A symbol that is not known says that something changed: the record is read.
fn op_of(change_type: &str) -> Op {
    match change_type {
        "CREATE" | "SNAPSHOT" => Op::Image,
        "UPDATE" => Op::Patch,
        "DELETE" | "GAP_DELETE" => Op::Delete,
        "UNDELETE" => Op::Undelete,
        _ => Op::Gap,
    }
}

/// Whether a change came through the hub's own client.
fn is_own(change_origin: &str) -> bool {
    // Some origins end in a slash: `...;client=SfdcInternalAPI/`.
    let client = change_origin.split(';').find_map(|part| part.strip_prefix("client="));
    client.is_some_and(|client| client.trim_end_matches('/') == CLIENT)
}

/// Names of what an event says changed.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Fields, and members as `Field.Member`, whose value is meant.
    pub names: HashSet<String>,
    /// Fields of which a difference was sent, not a value.
    pub diffs: Vec<String>,
    /// Whether bitmaps stand where names were expected, and no schema to read them by: somebody decoded
    /// the event and left them as they were.
    pub is_masked: bool,
}

impl Changed {
    /// By the bitmaps of an event from the bus, over the schema that wrote it.
    pub fn by_bitmaps(header: Node<'_>, shape: &[SchemaField]) -> Self {
        let list = |name: &str| named(&header.get(name).map(Node::texts).unwrap_or_default(), shape).names;
        Changed::of(list("changedFields").into_iter().chain(list("nulledFields")), list("diffFields"))
    }

    /// By the names that JSON carries; by its keys, where it carries none.
    pub fn by_names(header: Node<'_>, body: &Json<'_>) -> Self {
        let list = |name: &str| -> Option<Vec<String>> {
            header.get(name).map(|names| names.texts().into_iter().map(str::to_owned).collect())
        };
        let keys = || match body {
            Json::Object(members) => members.iter().map(|(name, _)| name.to_string()).collect(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Array(_) => Vec::new(),
        };
        let nulled = list("nulledFields").unwrap_or_default();
        let changed = list("changedFields").unwrap_or_else(keys);
        let is_masked = changed.iter().chain(&nulled).any(|name| is_mask(name));
        let changed = Changed::of(changed.into_iter().chain(nulled), list("diffFields").unwrap_or_default());
        Changed { is_masked, ..changed }
    }

    fn of(names: impl Iterator<Item = String>, diffs: Vec<String>) -> Self {
        let mut names: HashSet<String> = names.collect();
        for diff in &diffs {
            names.remove(diff);
        }
        Changed { names, diffs, is_masked: false }
    }
}

/// `0x1C02`, or `4-0x18` for the members of field 4.
fn is_mask(name: &str) -> bool {
    let bits = name.split_once('-').map_or(name, |(_, bits)| bits);
    bits.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The body of an event as named values.
pub(super) struct EventRow<'a> {
    pub body: Node<'a>,
    /// Names that are meant.
    pub names: &'a HashSet<String>,
    /// Whether every field is meant.
    pub is_whole: bool,
}

impl<'a> EventRow<'a> {
    fn says(&self, column: &str) -> bool {
        if self.is_whole || self.names.contains(column) {
            return true;
        }
        // A compound that is named without members changed as a whole.
        column.split_once('.').is_some_and(|(parent, _)| {
            let is_member = |name: &String| name.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'));
            self.names.contains(parent) && !self.names.iter().any(is_member)
        })
    }

    fn person(&self) -> Option<Node<'a>> {
        self.body.get("Name").filter(|name| name.is_compound())
    }

    /// Whether both parts of a person's name are known, and whether any is. Some forms leave out of a
    /// compound what did not change.
    fn name_parts(&self, person: Node<'_>) -> (bool, bool) {
        let tells = |part: &str| self.is_whole || (self.says(&format!("Name.{part}")) && person.get(part).is_some());
        let (first, last) = (tells("FirstName"), tells("LastName"));
        (first && last, first || last)
    }

    /// A person's name changed in one part only: the whole name is not known here.
    pub fn is_name_partial(&self) -> bool {
        self.person().is_some_and(|person| {
            let (is_whole, is_any) = self.name_parts(person);
            is_any && !is_whole
        })
    }
}

impl Columns for EventRow<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        if let ("Name", Some(person)) = (column, self.person()) {
            if !self.name_parts(person).0 {
                return None;
            }
            let parts = ["FirstName", "LastName"].map(|part| person.get(part).and_then(Node::text).unwrap_or_default());
            return Some(Native::Text(Cow::Owned(parts.join(" ").trim().to_owned())));
        }
        if !self.says(column) {
            return None;
        }
        let value = match column.split_once('.') {
            Some((parent, member)) => self.body.get(parent)?.get(member),
            None => self.body.get(column),
        };
        Some(value?.native())
    }
}

/// A record of the REST API; members of compounds stand within them or beside them.
pub(super) struct RestRow<'a>(pub &'a Json<'a>);

impl Columns for RestRow<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        let value = match column.split_once('.') {
            Some((parent, member)) => {
                let compound = self.0.get(parent);
                let within = compound.and_then(|compound| compound.get_any_case(member));
                let prefix = parent.strip_suffix("Address").unwrap_or_default();
                let beside = within.or_else(|| self.0.get(&format!("{prefix}{member}")));
                // Of a compound that is empty every member is.
                beside.or_else(|| compound.filter(|compound| matches!(compound, Json::Null)))
            }
            None => self.0.get(column),
        }?;
        Some(Node::Json(value).native())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::{Field, FieldReader as _, Millis, System, ValueRef};

    use super::*;
    use crate::contract::{Decoded, Delivery, RejectCode};
    use crate::mapping::Mapping;
    use crate::salesforce::SalesforceDecoder;

    const HEADER: &str = "\"entityName\":\"Case\",\"recordIds\":[\"5003000000D8cuI\",\"C2\"],\
        \"changeType\":\"UPDATE\",\"changeOrigin\":\"com/salesforce/api/rest/62.0;client=opshub\",\
        \"transactionKey\":\"tx\",\"sequenceNumber\":3,\"commitTimestamp\":1612912757000,\"commitNumber\":\"65824373889\"";

    fn decode(payload: &str) -> Decoded {
        let raw = format!(
            "{{\"channel\":\"/data/CaseChangeEvent\",\"data\":{{\"schema\":\"s\",\"payload\":{payload},\"event\":{{\"replayId\":7}}}}}}"
        );
        let decoder = SalesforceDecoder::new(Mapping::shipped(System::Salesforce).unwrap());
        decoder.decode(&Delivery::document(raw.as_bytes(), Millis(9_000)))
    }

    #[test]
    fn an_event_of_the_streaming_api_says_what_it_carries() {
        let decoded = decode(&format!("{{\"ChangeEventHeader\":{{{HEADER}}},\"Subject\":\"s\",\"Reason\":null}}"));
        assert_eq!((decoded.facts.len(), decoded.own, decoded.rejects.len()), (2, 1, 0));
        let fact = &decoded.facts[0];
        assert_eq!(
            (fact.record_id.as_str(), fact.event_id.as_str()),
            ("5003000000D8cuIAAR", "tx/3/5003000000D8cuIAAR")
        );
        assert_eq!((fact.op, fact.version.minor, fact.version.ordinal), (Op::Patch, 65_824_373_889, 3));
        assert_eq!(fact.fields.get(Field::Subject), ValueRef::Text("s"));
        assert_eq!(fact.fields.get(Field::Reason), ValueRef::Null);
        assert_eq!(fact.fields.iter().count(), 2, "what is absent did not change");
    }

    #[test]
    fn names_count_where_there_are_some() {
        let header = format!("{{{HEADER},\"changedFields\":[\"Subject\"]}}");
        let decoded = decode(&format!("{{\"ChangeEventHeader\":{header},\"Subject\":\"s\",\"Reason\":null}}"));
        assert_eq!(decoded.facts[0].fields.iter().count(), 1);
    }

    #[test]
    fn what_a_change_leaves_open_is_read() {
        let account = |body: &str| {
            let header = HEADER.replace("\"Case\"", "\"Account\"").replace(",\"C2\"", "");
            let decoded = decode(&format!("{{\"ChangeEventHeader\":{{{header}}}{body}}}"));
            assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
            let said =
                decoded.facts.iter().flat_map(|fact| fact.fields.iter().map(|(field, _)| field).collect::<Vec<_>>());
            (decoded.facts.iter().any(|fact| fact.op == Op::Gap), said.collect::<Vec<_>>())
        };
        // The other address may hold what this one no longer does, and outranks what this one holds now.
        assert_eq!(account(",\"PersonEmail\":null"), (true, Vec::new()));
        assert_eq!(account(",\"Email__c\":\"a@b.example\""), (true, Vec::new()));
        assert_eq!(account(",\"PersonEmail\":\"a@b.example\""), (false, vec![Field::Email]));
        assert_eq!(account(",\"PersonEmail\":null,\"Email__c\":\"a@b.example\""), (false, vec![Field::Email]));
        // One part of a name, where the compound leaves out what did not change.
        assert_eq!(account(",\"Name\":{\"FirstName\":\"Ann\"}"), (true, vec![Field::GivenName]));
        let both = account(",\"Name\":{\"FirstName\":\"Ann\",\"LastName\":\"Lee\"}");
        assert!(!both.0 && both.1.len() == 3, "{both:?}");
    }

    #[test]
    fn an_event_that_says_too_little_of_itself_is_kept() {
        for (payload, code) in [
            ("{\"ChangeEventHeader\":{}}".to_owned(), RejectCode::NoIdentity),
            (format!("{{\"ChangeEventHeader\":{{{}}}}}", HEADER.replace("\"tx\"", "null")), RejectCode::NoIdentity),
            (
                format!("{{\"ChangeEventHeader\":{{{}}}}}", HEADER.replace("1612912757000", "-1")),
                RejectCode::NoIdentity,
            ),
            (format!("{{\"ChangeEventHeader\":{{{HEADER}}} \"Subject\":1}}"), RejectCode::Malformed),
        ] {
            let decoded = decode(&payload);
            assert_eq!(decoded.rejects.first().map(|reject| reject.code), Some(code), "{payload}");
            assert_eq!(decoded.facts.len(), 0);
        }
        let overflow = HEADER.replace("\"UPDATE\"", "\"GAP_OVERFLOW\"").replace("\"5003000000D8cuI\",\"C2\"", "");
        let decoded = decode(&format!("{{\"ChangeEventHeader\":{{{overflow}}}}}"));
        assert_eq!((decoded.resyncs.len(), decoded.facts.len(), decoded.rejects.len()), (1, 0, 0));
    }

    #[test]
    fn our_own_changes_are_known_by_their_client() {
        for (origin, expected) in [
            ("com/salesforce/api/rest/62.0;client=opshub", true),
            ("1com/salesforce/api/rest/62.0;client=opshub/", true),
            ("com/salesforce/api/soap/58.0;client=SfdcInternalAPI/", false),
            ("com/salesforce/api/rest/62.0;client=opshub2", false),
            ("com.salesforce.core", false),
            ("", false),
        ] {
            assert_eq!(is_own(origin), expected, "{origin}");
        }
    }

    #[test]
    fn large_numbers_are_read_as_they_are_written() {
        let count = |text: &str| Json::parse(text.as_bytes()).ok().and_then(|json| Node::Json(&json).count());
        assert_eq!(count("11657372702432"), Some(11_657_372_702_432));
        assert_eq!(count("\"11657372702432\""), Some(11_657_372_702_432));
        assert_eq!(count("1.1657372702432E13"), Some(11_657_372_702_432));
        assert_eq!(count("18446744073709551615"), Some(u64::MAX));
        for text in ["-1", "1.5", "1e30", "null", "\"\"", "[]"] {
            assert_eq!(count(text), None, "{text}");
        }
    }
}
