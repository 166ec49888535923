//! The columns of a row image, brought from their wire forms to native values.
//!
//! Where the wire carries a schema, the schema says what a number or a base64 text stands for and
//! outranks the mapping. Temporal columns of the database have no zone: change capture writes wall
//! time as if it were UTC, so it is handed on as wall time and the mapping's zone is applied once,
//! there where texts are read.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;

use crate::json::Json;
use crate::mapping::{Kind, Mapping, ObjectMap};
use crate::value::{Columns, Decimal, Native, TimeUnit, decimal_text, twos_complement};

/// What change capture puts in place of a large object that did not change.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// A row image of an object; column names are matched whatever their case, since REST gives them
/// in lower case.
pub struct Row<'a> {
    /// The columns.
    pub image: &'a Json<'a>,
    /// The column types that the wire carries with the row, if it does.
    pub schema: Option<&'a Json<'a>>,
    /// Whose columns they are.
    pub object: &'a ObjectMap,
    /// How the object's source is read.
    pub mapping: &'a Mapping,
    /// Whether its times are wall time though they end in `Z`.
    pub is_wall: bool,
}

/// What a schema says of a column, as far as the value alone does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    /// Base64 of an unscaled integer.
    Decimal { scale: i32 },
    /// A count of units since 1970, in wall time.
    Wall(TimeUnit),
    /// Wall time as ISO text that ends in `Z` all the same.
    WallText,
}

impl Columns for Row<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        let value = self.member(column)?;
        Some(match value {
            // The trail says of a column that it does not know it: that is not null.
            value if self.is_unknown(column, value) => return None,
            Json::Null => Native::Null,
            Json::Bool(b) => Native::Bool(*b),
            Json::Number(digits) => self.number(column, digits),
            Json::Text(text) => self.text(column, text),
            Json::Object(_) => structured(value),
            Json::Array(_) => Native::Other(Cow::Borrowed("[..]")),
        })
    }
}

impl<'a> Row<'a> {
    /// Whether every column that the mapping reads is in the image.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.columns().all(|column| self.member(column).is_some_and(|value| !self.is_unknown(column, value)))
    }

    /// Whether the image names a column that the mapping reads, and says that its value is not known.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.columns().any(|column| self.member(column).is_some_and(|value| self.is_unknown(column, value)))
    }

    fn columns(&self) -> impl Iterator<Item = &'a String> {
        let conditions = self.object.delete_when.iter().map(|condition| &condition.column);
        self.object.fields.iter().flat_map(|field| &field.from).chain(conditions)
    }

    fn is_unknown(&self, column: &str, value: &Json<'_>) -> bool {
        match value {
            Json::Null => self.is_missing(column),
            other => other.text() == Some(UNAVAILABLE),
        }
    }

    fn member(&self, column: &str) -> Option<&'a Json<'a>> {
        self.image.get(column).or_else(|| self.image.get_any_case(column))
    }

    fn is_missing(&self, column: &str) -> bool {
        matches!(self.member(&format!("{column}_isMissing")), Some(Json::Bool(true)))
    }

    fn number(&self, column: &str, digits: &'a str) -> Native<'a> {
        let plain = Native::Number(Cow::Borrowed(digits));
        let unit = match self.wire(column) {
            Some(Wire::Wall(unit)) => unit,
            Some(Wire::Decimal { .. } | Wire::WallText) => return plain,
            // In UTC the count is the instant, and the mapping knows its unit.
            None if self.mapping.zone == jiff::tz::TimeZone::UTC => return plain,
            None => match self.unit(column) {
                Some(unit) => unit,
                None => return plain,
            },
        };
        digits.parse().ok().and_then(|count| wall_text(unit, count)).map_or(plain, |text| Native::Text(text.into()))
    }

    fn text(&self, column: &str, text: &'a str) -> Native<'a> {
        match self.wire(column) {
            Some(Wire::Decimal { scale }) => exact(text, scale),
            Some(Wire::WallText) => Native::Text(Cow::Borrowed(text.strip_suffix('Z').unwrap_or(text))),
            None if self.is_wall => Native::Text(Cow::Borrowed(wall(text))),
            Some(Wire::Wall(_)) | None => Native::Text(with_t(text)),
        }
    }

    /// The unit that the mapping gives a number, where the column orders the row by its time or is read
    /// as a time.
    pub fn unit(&self, column: &str) -> Option<TimeUnit> {
        let is_first = self.object.ordered_by.first().is_some_and(|first| first == column);
        if let Some(unit) = self.object.order_unit.filter(|_| is_first) {
            return Some(unit);
        }
        let field = self.object.fields.iter().find(|field| field.from.iter().any(|from| from == column))?;
        match field.kind {
            Kind::Time { unit, is_sap: false } | Kind::Date { unit, is_sap: false } => Some(unit),
            Kind::Time { is_sap: true, .. } | Kind::Date { is_sap: true, .. } => None,
            Kind::Text { .. } | Kind::Int { .. } | Kind::Bool { .. } | Kind::Decimal { .. } => None,
            Kind::Code { .. } | Kind::Currency | Kind::List { .. } | Kind::Refs { .. } => None,
        }
    }

    fn wire(&self, column: &str) -> Option<Wire> {
        let columns = self.schema?.get("fields")?.elements();
        let of = |column: &Json<'_>| column.get("field").and_then(Json::text).map(str::to_owned);
        let found = columns.iter().find(|c| of(c).is_some_and(|name| name.eq_ignore_ascii_case(column)))?;
        wire_of(found)
    }
}

/// What the schema of a column says, by the names that the vendors of change capture publish.
fn wire_of(column: &Json<'_>) -> Option<Wire> {
    Some(match column.get("name")?.text()? {
        "org.apache.kafka.connect.data.Decimal" => {
            let scale = column.path("parameters.scale")?.integer()?;
            Wire::Decimal { scale: i32::try_from(scale).ok()? }
        }
        "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Wire::Wall(TimeUnit::Days),
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Wire::Wall(TimeUnit::Millis),
        "io.debezium.time.MicroTimestamp" => Wire::Wall(TimeUnit::Micros),
        "io.debezium.time.NanoTimestamp" => Wire::Wall(TimeUnit::Nanos),
        "io.debezium.time.IsoTimestamp" | "io.debezium.time.IsoDate" => Wire::WallText,
        // Zoned text, intervals, times of a day and whatever else comes are read as they stand.
        _ => return None,
    })
}

/// A count of units since 1970 as the wall time that it stands for; days have no time of day.
fn wall_text(unit: TimeUnit, count: i64) -> Option<String> {
    let wall = jiff::Timestamp::from_millisecond(unit.instant(count)?.0).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    Some(match unit {
        TimeUnit::Days => wall.date().to_string(),
        TimeUnit::Millis | TimeUnit::Micros | TimeUnit::Nanos => wall.datetime().to_string(),
    })
}

/// A time without the `Z` behind it; any other text as it is.
pub(super) fn wall(text: &str) -> &str {
    let is_time = |bytes: &[u8]| bytes.len() > 11 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[10] == b'T';
    text.strip_suffix('Z').filter(|rest| is_time(rest.as_bytes())).unwrap_or(text)
}

/// Some trails put a colon between date and time: `1993-11-03:07:51:35`.
fn with_t(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_date_colon = bytes.len() > 11
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b':'
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[11].is_ascii_digit();
    if is_date_colon { Cow::Owned(format!("{}T{}", &text[..10], &text[11..])) } else { Cow::Borrowed(text) }
}

/// Structures that stand for one value: exact decimals that carry their scale, and times in parts.
fn structured<'a>(value: &Json<'a>) -> Native<'a> {
    let scale = value.get("scale").and_then(Json::integer).and_then(|scale| i32::try_from(scale).ok());
    if let (Some(scale), Some(text)) = (scale, value.get("value").and_then(Json::text)) {
        return exact(text, scale);
    }
    parts_of_time(value).map_or(Native::Other(Cow::Borrowed("{..}")), |text| Native::Text(text.into()))
}

/// An exact decimal. A whole one is given as digits, since it may well be an id.
fn exact<'a>(base64: &str, scale: i32) -> Native<'a> {
    let other = Native::Other(Cow::Borrowed("a decimal out of range"));
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(base64.trim()) else {
        return Native::Other(Cow::Borrowed("a decimal that is not base64"));
    };
    if let Some(unscaled) = twos_complement(&bytes) {
        if scale == 0 {
            return Native::Number(unscaled.to_string().into());
        }
        if let Some(decimal) = Decimal::scaled(unscaled, scale) {
            return Native::Decimal(decimal);
        }
    }
    // More digits than fit: whoever reads the field knows whether they may be rounded.
    decimal_text(&bytes, scale).map_or(other, |text| Native::Number(text.into()))
}

/// `{year, month, day, hour, minute, second, nanos, offsetSeconds}` as ISO text.
fn parts_of_time(value: &Json<'_>) -> Option<String> {
    let part = |name: &str| value.get(name).and_then(Json::integer);
    let or_zero = |name: &str| part(name).unwrap_or(0);
    let mut text = format!("{:04}-{:02}-{:02}", part("year")?, part("month")?, part("day")?);
    if part("hour").is_some() {
        let (hour, minute, second) = (or_zero("hour"), or_zero("minute"), or_zero("second"));
        write!(text, "T{hour:02}:{minute:02}:{second:02}.{:09}", or_zero("nanos")).ok()?;
    }
    if let Some(offset) = part("offsetSeconds") {
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs() / 60;
        write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60).ok()?;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ontology::{Field, FieldReader as _, FieldsBuilder, Millis, ValueRef};

    use super::*;
    use crate::mapping::Mode;

    const SCHEMA: &str = r#"{"type":"struct","fields":[
        {"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"field":"AMOUNT"},
        {"type":"int64","name":"io.debezium.time.MicroTimestamp","field":"ISSUED_AT"},
        {"type":"int32","name":"io.debezium.time.Date","field":"DUE_DATE"},
        {"type":"string","name":"io.debezium.time.IsoTimestamp","field":"CLOSED_AT"}]}"#;

    fn mapping(zone: &str) -> Mapping {
        Mapping::parse(&format!(
            "version = 1\nsystem = \"oracle\"\ntime_zone = \"{zone}\"\n[[object]]\nname = \"T\"\nentity = \"dispute\"\n\
             record = \"ID\"\nfields = [\n\
             {{ from = \"AMOUNT\", to = \"amount\", kind = \"decimal\" }},\n\
             {{ from = \"ISSUED_AT\", to = \"opened_at\", kind = \"time\" }},\n\
             {{ from = \"CLOSED_AT\", to = \"closed_at\", kind = \"time\" }},\n\
             {{ from = \"DUE_DATE\", to = \"valid_on\", kind = \"date\" }},\n]\n"
        ))
        .unwrap()
    }

    /// The fields of a row of `zone`, with or without its schema.
    fn read(zone: &str, row: &str, with_schema: bool) -> ontology::Fields {
        let (mapping, schema) = (mapping(zone), Json::parse(SCHEMA.as_bytes()).unwrap());
        let image = Json::parse(row.as_bytes()).unwrap();
        let schema = with_schema.then_some(&schema);
        let row = Row { image: &image, schema, object: &mapping.objects[0], mapping: &mapping, is_wall: false };
        let mut out = FieldsBuilder::default();
        mapping.apply(&mapping.objects[0], &row, Mode::Image, &mut out).unwrap();
        out.build()
    }

    #[test]
    fn a_schema_says_what_numbers_and_texts_stand_for() {
        let row = r#"{"AMOUNT":"AIXK","ISSUED_AT":1773154800000000,"DUE_DATE":20522,
                      "CLOSED_AT":"2026-03-10T15:00:00Z"}"#;
        let fields = read("UTC", row, true);
        assert_eq!(fields.get(Field::Amount), ValueRef::Decimal { mantissa: 34_250, scale: 2 });
        assert_eq!(fields.get(Field::OpenedAt), ValueRef::Time(Millis(1_773_154_800_000)));
        assert_eq!(fields.get(Field::ClosedAt), ValueRef::Time(Millis(1_773_154_800_000)));
        assert_eq!(fields.text(Field::ValidOn), Some("2026-03-10"));
    }

    #[test]
    fn wall_time_is_of_the_databases_zone() {
        // 15:00 in Berlin is 14:00 in UTC, with or without a schema; a day stays the day it is.
        let row = r#"{"ISSUED_AT":1773154800000000,"DUE_DATE":20522,"CLOSED_AT":"2026-03-10T15:00:00Z"}"#;
        let fields = read("Europe/Berlin", row, true);
        assert_eq!(fields.get(Field::OpenedAt), ValueRef::Time(Millis(1_773_151_200_000)));
        assert_eq!(fields.get(Field::ClosedAt), ValueRef::Time(Millis(1_773_151_200_000)));
        assert_eq!(fields.text(Field::ValidOn), Some("2026-03-10"));
        let fields = read("Europe/Berlin", r#"{"ISSUED_AT":1773154800000,"DUE_DATE":1773100800000}"#, false);
        assert_eq!(fields.get(Field::OpenedAt), ValueRef::Time(Millis(1_773_151_200_000)));
        assert_eq!(fields.text(Field::ValidOn), Some("2026-03-10"));
    }

    #[test]
    fn decimals_and_times_come_in_structures() {
        let row = r#"{"AMOUNT":{"scale":2,"value":"/3o2"},"ISSUED_AT":{"year":2026,"month":3,"day":10,"hour":16,
                      "minute":0,"second":0,"nanos":0,"offsetSeconds":3600},"CLOSED_AT":"2026-03-10:15:00:00"}"#;
        let fields = read("UTC", row, false);
        assert_eq!(fields.get(Field::Amount), ValueRef::Decimal { mantissa: -34_250, scale: 2 });
        assert_eq!(fields.get(Field::OpenedAt), ValueRef::Time(Millis(1_773_154_800_000)));
        assert_eq!(fields.get(Field::ClosedAt), ValueRef::Time(Millis(1_773_154_800_000)));
        let whole = |value: &str, scale| exact(value, scale);
        assert_eq!(whole("AIA=", 0), Native::Number("128".into()));
        assert_eq!(whole("AKtUqYzrHwrS", 0), Native::Number("12345678901234567890".into()), "an id of any length");
        assert_eq!(whole("Aw==", -2), Native::Decimal(Decimal { mantissa: 300, scale: 0 }));
        // Of more digits than fit nothing is lost here: 39 places, in 17 bytes and in 16.
        assert_eq!(
            whole("AQAAAAAAAAAAAAAAAAAAAAA=", 38),
            Native::Number("340282366920938463463374607431768211456e-38".into())
        );
        assert_eq!(
            whole("AP////////////////////8=", 2),
            Native::Number("340282366920938463463374607431768211455e-2".into())
        );
        assert_eq!(
            whole("/wAAAAAAAAAAAAAAAAAAAAA=", 38),
            Native::Number("-340282366920938463463374607431768211456e-38".into())
        );
        for bad in ["", "?", "AAAAAAAAAAAAAAAAAAAAAAAAAAE"] {
            assert!(matches!(whole(bad, 2), Native::Other(_)), "{bad}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_null() {
        let mapping = mapping("UTC");
        let image = Json::parse(
            br#"{"AMOUNT":null,"AMOUNT_isMissing":true,"ISSUED_AT":null,"ISSUED_AT_isMissing":false,
                 "CLOSED_AT":"__debezium_unavailable_value","due_date":1}"#,
        )
        .unwrap();
        let row = Row { image: &image, schema: None, object: &mapping.objects[0], mapping: &mapping, is_wall: false };
        assert_eq!(row.column("AMOUNT"), None);
        assert_eq!(row.column("ISSUED_AT"), Some(Native::Null));
        assert_eq!(row.column("CLOSED_AT"), None);
        assert_eq!(row.column("DUE_DATE"), Some(Native::Number("1".into())));
        assert!(!row.is_whole() && row.has_unknown());
    }
}
