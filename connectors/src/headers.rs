//! What a transport was told beside the bytes of a delivery, and how it is kept with them.
//!
//! A decoder may need a word that stands in no byte of the body: the topic that change capture names
//! in a header, the attributes of an event in binary mode. It stays beside the bytes, so that what is
//! kept is what was sent and a replay reads it as the door did.

use compact_str::CompactString;
use ontology::{Millis, System, Vocabulary as _};

use crate::contract::{Delivery, Framing};

/// Headers of a delivery by their names in lower case; of equal names the first counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(CompactString, CompactString)>);

/// The headers of what comes without any.
pub static NO_HEADERS: Headers = Headers(Vec::new());

impl Headers {
    /// The value of a header, whose name is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads lines of `name: value`; others are left out.
    fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        lines.filter_map(|line| line.split_once(": ")).collect()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    /// Pairs of name and value; what cannot stand in a line is no header and is left out.
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(pairs: T) -> Self {
        let is_line = |text: &str| !text.contains(['\n', '\r']);
        let kept = pairs.into_iter().filter(|(name, value)| is_line(name) && is_line(value) && !name.contains(": "));
        Headers(kept.map(|(name, value)| (name.to_ascii_lowercase().into(), value.into())).collect())
    }
}

/// How a delivery came: what is kept beside its bytes, so that they can be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The source.
    pub system: System,
    /// How the bytes are divided.
    pub framing: Framing,
    /// When they were received.
    pub observed_at: Millis,
    /// What was told beside them.
    pub headers: Headers,
}

impl Kept {
    /// The stored form: a line of system, time and framing, then one for each header.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        use std::fmt::Write as _;
        let mut out = String::with_capacity(32);
        let mut write = |part: std::fmt::Arguments<'_>| out.write_fmt(part).expect("writing to a string cannot fail");
        write(format_args!("{} {} {}", self.system.name(), self.observed_at.0, framing_name(self.framing)));
        self.headers.0.iter().for_each(|(name, value)| write(format_args!("\n{name}: {value}")));
        out.into_bytes()
    }

    /// Reads the stored form; none if it is not one.
    #[must_use]
    pub fn parse(stored: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(stored).ok()?.split('\n');
        let mut words = lines.next()?.split(' ');
        let system = System::parse(words.next()?)?;
        let observed_at = Millis(words.next()?.parse().ok()?);
        let name = words.next()?;
        let framing = [Framing::Document, Framing::Lines].into_iter().find(|one| framing_name(*one) == name)?;
        Some(Kept { system, framing, observed_at, headers: Headers::parse(lines) })
    }

    /// As [`Kept::parse`]; for what came in by another way than a connector, by the name of its source
    /// partition, such as `oracle/erp`. None if that names no system.
    #[must_use]
    pub fn of(stored: &[u8], source: &str, received_at: Millis) -> Option<Self> {
        let by_source = || {
            let system = System::parse(source.split('/').next()?)?;
            Some(Kept { system, framing: Framing::Document, observed_at: received_at, headers: Headers::default() })
        };
        Kept::parse(stored).or_else(by_source)
    }

    /// The delivery as it came, with its bytes.
    #[must_use]
    pub fn delivery<'a>(&'a self, raw: &'a [u8]) -> Delivery<'a> {
        Delivery { raw, framing: self.framing, headers: &self.headers, observed_at: self.observed_at }
    }
}

fn framing_name(framing: Framing) -> &'static str {
    match framing {
        Framing::Document => "document",
        Framing::Lines => "lines",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kept(headers: &[(&str, &str)], framing: Framing) -> Kept {
        let headers = headers.iter().copied().collect();
        Kept { system: System::Oracle, framing, observed_at: Millis(-7), headers }
    }

    #[test]
    fn what_is_kept_reads_back() {
        for framing in [Framing::Document, Framing::Lines] {
            for headers in [&[][..], &[("x-topic", "a.B: C"), ("ce-id", ""), ("ce-id", "second")][..]] {
                let kept = kept(headers, framing);
                assert_eq!(Kept::parse(&kept.encode()), Some(kept));
            }
        }
    }

    #[test]
    fn what_is_no_line_is_no_header() {
        let headers: Headers = [("A", "1"), ("b", "2\nc: 3"), ("d\n", "4"), ("e: f", "5")].into_iter().collect();
        assert_eq!((headers.get("a"), headers.get("b"), headers.get("c")), (Some("1"), None, None));
        assert_eq!(headers.0.len(), 1);
    }

    #[test]
    fn what_came_without_a_connector_is_read_by_its_source() {
        let of = |stored: &[u8], source: &str| {
            Kept::of(stored, source, Millis(3)).map(|kept| (kept.system, kept.observed_at))
        };
        assert_eq!(of(b"", "sap/s4"), Some((System::Sap, Millis(3))));
        assert_eq!(of(b"oracle 5 lines", "sap/s4"), Some((System::Oracle, Millis(5))));
        for bad in ["", "oracle", "oracle x lines", "oracle 5", "oracle 5 pages", "elsewhere 5 lines"] {
            assert_eq!(Kept::parse(bad.as_bytes()), None, "{bad}");
            assert_eq!(of(bad.as_bytes(), "nowhere"), None, "{bad}");
        }
        assert_eq!(Kept::parse(b"\xff"), None);
    }
}
