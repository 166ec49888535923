//! Layouts of segments, by which flat documents are cut into fields.
//!
//! A flat document says only where a segment's text begins; where its fields lie depends on the
//! release and the extensions of the system that sends it. So layouts come with the mapping.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Most characters of a segment.
pub const SEGMENT_CHARS_MAX: usize = 1_000;

/// The fields of one segment, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layout {
    /// Name and width in characters of each field.
    pub fields: Vec<(String, usize)>,
}

/// All layouts, by the names that segments have in XML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segments {
    layouts: BTreeMap<String, Layout>,
    /// Name in flat documents, and name in XML.
    external: BTreeMap<String, String>,
    /// The same for names by habit, without their release.
    habitual: BTreeMap<String, String>,
}

impl Segments {
    /// Adds a layout; the error says why it cannot be one.
    pub fn add(&mut self, name: &str, external: &[String], fields: Vec<(String, usize)>) -> Result<(), String> {
        let width: usize = fields.iter().map(|(_, width)| *width).fold(0, usize::saturating_add);
        if width > SEGMENT_CHARS_MAX {
            return Err(format!(
                "fields of {width} characters together, more than the {SEGMENT_CHARS_MAX} of a segment:"
            ));
        }
        if fields.iter().any(|(_, width)| *width == 0) {
            return Err("a field of no width in".to_owned());
        }
        if self.layouts.insert(name.to_owned(), Layout { fields }).is_some() {
            return Err("a second layout of".to_owned());
        }
        if let Some(kind @ ("E1" | "Z1")) = name.get(..2) {
            self.habitual.insert(format!("{}2{}", &kind[..1], &name[2..]), name.to_owned());
        }
        for one in external {
            self.external.insert(one.clone(), name.to_owned());
        }
        Ok(())
    }

    /// The layout of the segment that is called `name` in XML.
    #[must_use]
    pub fn layout(&self, name: &str) -> Option<&Layout> {
        self.layouts.get(name)
    }

    /// The name in XML of a segment that a flat document calls `external`: by the table, else by the
    /// habit that `E2KNA1M005` is release 005 of `E1KNA1M`.
    #[must_use]
    pub fn name_of<'a>(&'a self, external: &'a str) -> Cow<'a, str> {
        if let Some(name) = self.external.get(external) {
            return Cow::Borrowed(name);
        }
        let Some(kind @ ("E2" | "Z2")) = external.get(..2) else { return Cow::Borrowed(external) };
        let is_versioned = external.len() > 5 && external.bytes().rev().take(3).all(|b| b.is_ascii_digit());
        let plain = if is_versioned { &external[..external.len() - 3] } else { external };
        match self.habitual.get(plain) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("{}1{}", &kind[..1], &plain[2..])),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_come_from_the_table_or_from_habit() {
        let mut segments = Segments::default();
        segments.add("E1ODD", &["E2SPECIAL".to_owned()], vec![("A".to_owned(), 3)]).unwrap();
        for (external, expected) in [
            ("E2SPECIAL", "E1ODD"),
            ("E2KNA1M005", "E1KNA1M"),
            ("E2BANK_CREATE001", "E1BANK_CREATE"),
            ("Z2SRVORD000", "Z1SRVORD"),
            ("E2KNA1M", "E1KNA1M"),
            ("E1KNA1M", "E1KNA1M"),
            ("E2", "E1"),
            ("", ""),
            ("ä2x", "ä2x"),
        ] {
            assert_eq!(segments.name_of(external), expected, "{external}");
        }
        assert_eq!(segments.layout("E1ODD").unwrap().fields.len(), 1);
        assert!(segments.layout("E1KNA1M").is_none());
    }

    #[test]
    fn what_cannot_be_a_layout_is_refused() {
        let add = |widths: &[usize]| {
            let fields = widths.iter().map(|width| ("A".to_owned(), *width)).collect();
            Segments::default().add("S", &[], fields)
        };
        assert!(add(&[500, 500]).is_ok());
        assert!(add(&[500, 501]).is_err());
        assert!(add(&[0]).is_err());
        assert!(add(&[usize::MAX, 2]).is_err());
        let mut twice = Segments::default();
        twice.add("S", &[], Vec::new()).unwrap();
        assert!(twice.add("S", &[], Vec::new()).is_err());
    }
}
