//! Records of a GoldenGate trail in its JSON form.
//!
//! Operations come as `{table, op_type, op_ts, pos, before, after}`, or flat with the columns beside
//! the meta members. The trail's position orders them: ten digits of a file's number and ten of the
//! place in it, more where the files are long. Where the formatter was told to write the commit SCN
//! (`csn`), that comes first, so that rows of the list job can be compared with the trail.

use compact_str::CompactString;
use ontology::{Millis, Version};

use super::change::{Deed, Place, Refusal, no_identity, unsigned};
use crate::json::Json;
use crate::value::parse_instant;

/// Digits of a position that say where in its file a record stands.
const PLACE_DIGITS: u32 = 10;

/// An operation of the trail.
#[derive(Clone, Copy)]
pub struct Operation<'a>(&'a Json<'a>);

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A row came or changed.
    Row(Deed),
    /// A row got another key: the old one goes, the new one comes.
    KeyChange,
    /// All rows of the table went at once.
    Truncate,
}

impl<'a> Operation<'a> {
    /// The operation that `entry` is; none if it is something else.
    pub fn of(entry: &'a Json<'a>) -> Option<Self> {
        let body = entry.get("payload").unwrap_or(entry);
        (body.get("op_type").is_some() && body.get("table").is_some()).then_some(Operation(body))
    }

    /// The table, with or without schema and database before it.
    pub fn table(&self) -> Result<&'a str, Refusal> {
        let table = self.0.get("table").and_then(Json::text).filter(|table| !table.is_empty());
        table.ok_or_else(|| no_identity("a trail record without table"))
    }

    /// What it does. Codes can be set otherwise in the formatter; its words are read as well.
    pub fn kind(&self) -> Result<Kind, Refusal> {
        let code = self.0.get("op_type").and_then(Json::text).unwrap_or_default().to_ascii_uppercase();
        Ok(match code.as_str() {
            "I" | "INSERT" => Kind::Row(Deed::Whole),
            "U" | "UPDATE" => Kind::Row(Deed::Told),
            "D" | "DELETE" => Kind::Row(Deed::Gone),
            "K" | "PK" | "PKUPDATE" => Kind::KeyChange,
            "T" | "TRUNCATE" => Kind::Truncate,
            _ => return Err(no_identity("a trail record with an op_type that is not known")),
        })
    }

    /// The row before the operation.
    pub fn before(&self) -> Option<&'a Json<'a>> {
        self.image("before")
    }

    /// The row after the operation; a flat record is its own row.
    pub fn after(&self) -> Option<&'a Json<'a>> {
        self.image("after").or_else(|| self.is_flat().then_some(self.0))
    }

    /// The row that a delete names: the one before, or whatever image there is.
    pub fn deleted(&self) -> Option<&'a Json<'a>> {
        self.before().or_else(|| self.after())
    }

    fn image(&self, side: &str) -> Option<&'a Json<'a>> {
        self.0.get(side).filter(|image| matches!(image, Json::Object(_)))
    }

    fn is_flat(&self) -> bool {
        self.0.get("before").is_none() && self.0.get("after").is_none()
    }

    /// Version and time; `zone` is the database's, since the trail writes wall time.
    pub fn place(&self, zone: &jiff::tz::TimeZone, observed_at: Millis) -> Result<Place, Refusal> {
        let position = self.0.get("pos").and_then(Json::scalar).unwrap_or_default();
        let (file, at) = split(position).ok_or_else(|| no_identity("a trail record without pos"))?;
        let version = match self.commit_scn() {
            Some(scn) => Version::new(scn, file, at),
            None => Version::new(file, at, 0),
        };
        let time = |name| self.0.get(name).and_then(Json::text).and_then(|text| parse_instant(text, zone));
        let changed_at = time("op_ts").or_else(|| time("current_ts")).unwrap_or(observed_at);
        let transaction = CompactString::new(self.0.get("xid").and_then(Json::scalar).unwrap_or_default());
        Ok(Place { version, changed_at, transaction })
    }

    fn commit_scn(&self) -> Option<u64> {
        let named = ["csn", "scn"].into_iter().find_map(|name| self.0.get_any_case(name));
        let token = || {
            let tokens = self.0.get("tokens")?;
            ["TK-CSN", "CSN", "SCN"].into_iter().find_map(|name| tokens.get_any_case(name))
        };
        unsigned(named.or_else(token)?)
    }
}

/// The number of the trail's file and the place in it.
fn split(position: &str) -> Option<(u64, u64)> {
    let position: u128 = position.trim().parse().ok()?;
    let place = 10_u128.pow(PLACE_DIGITS);
    Some((u64::try_from(position / place).ok()?, u64::try_from(position % place).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_longer_than_a_machine_word() {
        assert_eq!(split("00000000000000000000143"), Some((0, 143)));
        assert_eq!(split("0000000025000005883300"), Some((2_500, 5_883_300)));
        assert_eq!(split("99999999999999999999"), Some((9_999_999_999, 9_999_999_999)));
        for bad in ["", "x", "-1", "1.5"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
