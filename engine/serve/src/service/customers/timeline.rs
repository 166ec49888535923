//! The timeline of a customer.

use std::borrow::Cow;

use insight::timeline::{TimelineEntry, timeline};
use ontology::{CustomerId, LogPos, Millis, Vocabulary};
use proto::v1;

use crate::convert::common::{id_of, source_ref, time};
use crate::filter::{Column, Filter, Kind, Operand};
use crate::page::{Arguments, Page};
use crate::reason::{Reason, Refusal};
use crate::service::Api;
use crate::token::position_token;

static COLUMNS: &[Column<TimelineEntry>] = &[
    Column { name: "kind", kind: Kind::Text, get: |entry| Operand::text(entry.what) },
    Column { name: "event_time", kind: Kind::Time, get: |entry| Operand::Time(entry.at) },
    Column { name: "record", kind: Kind::Text, get: |entry| Operand::Text(Cow::Owned(entry.entity.to_string())) },
    Column { name: "summary", kind: Kind::Text, get: |entry| Operand::text(&entry.text) },
];

impl Api {
    /// A page of what happened to a customer, newest first.
    pub(super) fn timeline(
        &self,
        request: &v1::ListTimelineEntriesRequest,
    ) -> Result<v1::ListTimelineEntriesResponse, Refusal> {
        let filter = Filter::parse(&request.filter, COLUMNS)?;
        let arguments = Arguments::of("ListTimelineEntries", &[&request.parent, &request.filter]);
        let page = Page::read(arguments, request.page_size, &request.page_token)?;
        let id = CustomerId(id_of("parent", "customers", &request.parent)?.into());
        let published = self.backend.published();
        let position = published.position();
        let found = published.find(&id);
        let found = found.ok_or_else(|| Refusal::new(Reason::CustomerNotFound).with("name", &request.parent))?;
        let find = || {
            let view = &found.slot.view;
            let mut entries = timeline(&view.composite, &view.derived, Millis::MIN, self.now());
            entries.retain(|entry| filter.matches(entry));
            entries.reverse();
            entries
        };
        let turn = self.timeline_walks.turn_told(&page, position, find, entry)?;
        Ok(v1::ListTimelineEntriesResponse {
            entries: turn.items,
            next_page_token: turn.next_page_token,
            read_position: position_token(turn.position),
        })
    }
}

fn entry(entry: &TimelineEntry) -> v1::TimelineEntry {
    let (kind, id) = (entry.entity.kind.name(), &entry.entity.id);
    v1::TimelineEntry {
        event_time: time(entry.at),
        position: if entry.log_pos == LogPos(0) { String::new() } else { position_token(entry.log_pos) },
        r#ref: Some(source_ref(&entry.entity)),
        kind: entry.what.to_owned(),
        summary: format!("{kind} {id}: {} {}", entry.what, entry.text).trim_end().to_owned(),
    }
}
