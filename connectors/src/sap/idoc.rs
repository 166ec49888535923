//! Documents to facts: a control record, and segments of which those that are mapped are records.
//!
//! A document is one unit of work in SAP: it is taken whole or not at all. SERIAL decides between
//! documents of one record, the document number breaks ties.

use std::borrow::Cow;

use compact_str::{CompactString, ToCompactString as _};
use ontology::{Millis, Op, Version};
use smallvec::SmallVec;

use super::decode::{Failure, Origin, SapDecoder};
use super::path::{Path, Step};
use crate::contract::{Decoded, Reject, RejectCode};
use crate::mapping::ObjectMap;
use crate::value::{Columns, Native, NoDate, parse_sap_instant};
use crate::xml::Element;

/// Name of the control record.
const CONTROL: &str = "EDI_DC40";

/// Digits of a time in SERIAL.
const SERIAL_TIME: usize = 14;

/// Fields of the control record that documents are read by.
pub(super) const CONTROL_READ: [&str; 8] =
    ["MESTYP", "DOCNUM", "SERIAL", "CREDAT", "CRETIM", "SNDPRN", "SNDPOR", "MANDT"];

/// Elements from the document down to a segment.
type Chain<'a> = SmallVec<[Element<'a>; 4]>;

/// A mapped segment, with the elements around it.
struct Found<'a> {
    object: &'a ObjectMap,
    chain: Chain<'a>,
}

impl SapDecoder {
    /// Reads one document.
    pub(super) fn idoc(&self, idoc: Element<'_>, observed_at: Millis, out: &mut Decoded) {
        let message = idoc.child(CONTROL).and_then(|control| control.text_of("MESTYP")).unwrap_or_default();
        let mut found = Vec::new();
        self.find(idoc, &mut smallvec::smallvec![idoc], message, &mut found);
        if found.is_empty() {
            out.leave_unmapped(1);
            return;
        }
        let before = out.facts.len();
        let read = self.control(idoc, observed_at).and_then(|origin| {
            for (place, Found { object, chain }) in found.into_iter().enumerate() {
                let segment = Segment { chain, is_patch: false };
                let op = op_of(object, &segment);
                let segment = Segment { is_patch: op == Op::Patch, ..segment };
                let event_id = joined(&[&origin.event_id, &place.to_compact_string()]);
                let origin = Origin { event_id, version: origin.version.clone(), ..origin };
                out.facts.push(self.fact(object, &segment, op, origin)?);
            }
            Ok(())
        });
        if let Err((code, detail)) = read {
            // A document is taken whole or not at all.
            out.facts.truncate(before);
            let number = idoc.child(CONTROL).and_then(|control| control.text_of("DOCNUM")).unwrap_or_default();
            let detail = if number.is_empty() { detail } else { format!("document {number}: {detail}") };
            out.rejects.push(Reject::new(code, detail, idoc.range()));
        }
    }

    /// Mapped segments wherever they hang, parents before children.
    fn find<'a>(&'a self, around: Element<'a>, chain: &mut Chain<'a>, message: &str, found: &mut Vec<Found<'a>>) {
        for element in around.children() {
            if element.name() == CONTROL {
                continue;
            }
            // A leaf is a field, but for a segment without any.
            let object = self.segment_object(element.name(), message);
            if object.is_none() && element.is_leaf() {
                continue;
            }
            chain.push(element);
            found.extend(object.map(|object| Found { object, chain: chain.clone() }));
            self.find(element, chain, message, found);
            chain.pop();
        }
    }

    /// The object that a segment is mapped to: for its message type, else for any.
    fn segment_object(&self, segment: &str, message: &str) -> Option<&ObjectMap> {
        let mapping = self.mapping();
        if !self.has_slashes() {
            return self.object_named(segment);
        }
        let of_message = mapping.object(&format!("{message}/{segment}"));
        let spelt = || segment.contains("_-").then(|| mapping.object(&segment.replace("_-", "/"))).flatten();
        of_message.or_else(|| mapping.object(segment)).or_else(spelt)
    }

    fn control(&self, idoc: Element<'_>, observed_at: Millis) -> Result<Origin, Failure> {
        let no_identity = |what: &str| (RejectCode::NoIdentity, what.to_owned());
        let control = idoc.child(CONTROL).ok_or_else(|| no_identity("an IDoc without control record"))?;
        let text = |name: &str| control.text_of(name).unwrap_or_default();
        let number = text("DOCNUM");
        if number.is_empty() {
            return Err(no_identity("a control record without DOCNUM"));
        }
        let (changed_at, rest) = self.serialised(text("SERIAL"), text("CREDAT"), text("CRETIM"))?;
        let sender = if text("SNDPRN").is_empty() { text("SNDPOR") } else { text("SNDPRN") };
        Ok(Origin {
            event_id: joined(&[sender, text("MANDT"), number]),
            version: version(changed_at, number, rest.saturating_mul(2).saturating_add(1)),
            changed_at,
            observed_at,
        })
    }

    /// When the document was serialised, and what SERIAL says below the second: the digits behind its
    /// time, or all of them where they are a counter and no time.
    pub(super) fn serialised(&self, serial: &str, date: &str, time: &str) -> Result<(Millis, u64), Failure> {
        let zone = &self.mapping().zone;
        let is_digits = !serial.is_empty() && serial.bytes().all(|b| b.is_ascii_digit());
        if is_digits
            && serial.len() >= SERIAL_TIME
            && let Ok(Some(at)) = parse_sap_instant(&serial[..8], &serial[8..SERIAL_TIME], zone)
        {
            return Ok((at, serial[SERIAL_TIME..].parse().unwrap_or(0)));
        }
        let counter = if is_digits { serial.parse().unwrap_or(0) } else { 0 };
        match parse_sap_instant(date, time, zone) {
            Ok(Some(at)) => Ok((at, counter)),
            Ok(None) | Err(NoDate) => {
                Err((RejectCode::NoIdentity, "a control record without time of serialisation".to_owned()))
            }
        }
    }
}

/// What a row says of itself: that it is deleted, that it names only what changed, or all.
pub(super) fn op_of(object: &ObjectMap, columns: &impl Columns) -> Op {
    if object.is_deleted(columns) {
        Op::Delete
    } else if object.is_patch(columns) {
        Op::Patch
    } else {
        Op::Image
    }
}

/// Parts of an id with slashes between them.
fn joined(parts: &[&str]) -> CompactString {
    let mut id = CompactString::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            id.push('/');
        }
        id.push_str(part);
    }
    id
}

/// The version of what a document says.
pub(super) fn version(serial: Millis, number: &str, rest: u64) -> Version {
    let major = u64::try_from(serial.0).unwrap_or(0);
    match number.trim().parse() {
        Ok(minor) => Version::new(major, minor, rest),
        Err(_) => Version::with_tail(major, 0, rest, CompactString::new(number)),
    }
}

/// The documents of a text, however they are wrapped.
pub(super) fn idocs<'a>(element: Element<'a>, found: &mut Vec<Element<'a>>) {
    if element.name() == "IDOC" {
        found.push(element);
        return;
    }
    element.children().for_each(|child| idocs(child, found));
}

/// A segment in its document.
struct Segment<'a> {
    chain: Chain<'a>,
    /// Whether it names only what changed; then a slash means "clear".
    is_patch: bool,
}

impl<'a> Segment<'a> {
    fn field(&self, path: &Path<'_>) -> Option<Element<'a>> {
        let (last, down) = path.steps.split_last()?;
        if let [Step { name: CONTROL, .. }] = down {
            return self.chain.first()?.child(CONTROL)?.child(last.name);
        }
        let place = self.chain.len().checked_sub(path.up + 1)?;
        let mut at = self.chain[place];
        for (depth, step) in down.iter().enumerate() {
            at = match child(at, step) {
                Some(child) => child,
                // Some senders put beside a segment what belongs below it.
                None if depth == 0 && path.up == 0 => self.sibling(step)?,
                None => return None,
            };
        }
        child(at, last)
    }

    /// A segment beside this one, if this one is the only of its name there.
    fn sibling(&self, step: &Step<'_>) -> Option<Element<'a>> {
        let [.., around, own] = self.chain.as_slice() else { return None };
        let is_alone = around.children().filter(|child| child.name() == own.name()).nth(1).is_none();
        if is_alone { child(*around, step) } else { None }
    }
}

fn child<'a>(element: Element<'a>, step: &Step<'_>) -> Option<Element<'a>> {
    let is_spelt = step.name.contains('/');
    element.children().find(|child| {
        let is_named = child.name() == step.name || (is_spelt && child.name().replace("_-", "/") == step.name);
        is_named && step.which.is_none_or(|(field, value)| child.text_of(field) == Some(value))
    })
}

impl Columns for Segment<'_> {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        // Most columns are fields of the segment itself.
        let is_plain = !column.bytes().any(|byte| matches!(byte, b'.' | b'/' | b'['));
        let own = self.chain.last()?;
        let text = if is_plain { own.text_of(column)? } else { self.field(&Path::of(column))?.text() };
        let is_cleared = self.is_patch && text == "/";
        Some(if text.is_empty() || is_cleared { Native::Null } else { Native::Text(Cow::Borrowed(text)) })
    }
}
