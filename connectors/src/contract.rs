//! The contract of every connector: what a delivery becomes, where it goes, what may go wrong.
//!
//! A connector is a pure decoder (bytes to facts or rejects) and a transport (a loop with a
//! position). The transport hands what the decoder made to a [`Sink`] and moves its position, or
//! answers the sender, only after the sink says that the log has it.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use futures::future::BoxFuture;
use ontology::{EntityKey, Fact, Millis, Op, System, Trace, Traced, Version};

use crate::headers::{Headers, Kept, NO_HEADERS};

/// Largest body that is read, in bytes; more is quarantined as `oversized`.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What is kept of an oversized body, in bytes.
pub const OVERSIZED_KEPT_BYTES: usize = 64 << 10;

/// How the bytes of a delivery are divided into entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// One document, which may itself be a list of entries.
    #[default]
    Document,
    /// One entry per line.
    Lines,
}

/// One delivery as it came from the source.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The bytes.
    pub raw: &'a [u8],
    /// How they are divided.
    pub framing: Framing,
    /// What was told beside them.
    pub headers: &'a Headers,
    /// When the connector received them.
    pub observed_at: Millis,
}

impl<'a> Delivery<'a> {
    /// One document without headers, received at `observed_at`.
    #[must_use]
    pub fn document(raw: &'a [u8], observed_at: Millis) -> Self {
        Delivery { raw, framing: Framing::Document, headers: &NO_HEADERS, observed_at }
    }
}

/// Why input is quarantined (spec 3). The names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectCode {
    /// Not what its format says: JSON, XML, Avro, UTF-8.
    Malformed,
    /// Larger than is read.
    Oversized,
    /// No record id, no version, or of another system.
    NoIdentity,
    /// A required field of a wrong type, an amount that is no decimal, an unknown currency.
    ContractBreach,
}

impl RejectCode {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RejectCode::Malformed => "malformed",
            RejectCode::Oversized => "oversized",
            RejectCode::NoIdentity => "no_identity",
            RejectCode::ContractBreach => "contract_breach",
        }
    }
}

/// A part of a delivery that became no fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub code: RejectCode,
    /// Which object and field, without any value of the record.
    pub detail: String,
    /// Which bytes of the delivery.
    pub range: Range<usize>,
    /// Bytes that can be decoded by themselves, where a part of the delivery cannot.
    pub standalone: Option<Bytes>,
}

impl Reject {
    /// A reject of the bytes in `range`.
    pub fn new(code: RejectCode, detail: impl Into<String>, range: Range<usize>) -> Self {
        /// A name out of a payload may be of any length, a reason may not.
        const DETAIL_BYTES_MAX: usize = 300;
        let mut detail = detail.into();
        if detail.len() > DETAIL_BYTES_MAX {
            let end = (0..=DETAIL_BYTES_MAX).rev().find(|end| detail.is_char_boundary(*end)).unwrap_or(0);
            detail.truncate(end);
            detail.push_str(" ...");
        }
        Reject { code, detail, range, standalone: None }
    }
}

/// What a delivery became. One bad entry leaves its neighbours alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The facts, in the order of the delivery.
    pub facts: Vec<Fact>,
    /// What is to be quarantined.
    pub rejects: Vec<Reject>,
    /// Entries that are no business of the hub (tombstones, unmapped objects): counted.
    pub ignored: usize,
    /// Those of them that are of no object that is known: another mapping, or a later release, may read
    /// them, so the delivery is kept like one that made facts.
    pub unmapped: usize,
    /// Entries that tell of a change that the hub itself made: facts like any other, counted so that
    /// nobody takes an echo for news.
    pub own: usize,
    /// Objects that the source no longer vouches for: all their records are to be read.
    pub resyncs: Vec<Resync>,
    /// What is told of the transactions that the changes are of, where the source counts them.
    pub marks: Vec<Mark>,
    /// Facts of rows that do not say what they are rows of. Each is among the rejects too, unless
    /// somebody knows the row.
    pub unplaced: Vec<Unplaced>,
}

/// A fact that lacks nothing but the id of its entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// The fact; the id of its entity is empty.
    pub fact: Fact,
    /// Which of the rejects stands for it as long as nobody knows its row.
    pub reject: usize,
    /// The trace that it came with.
    pub trace: Option<Trace>,
}

/// What a delivery says of a transaction of its source, beside its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It began.
    Begin {
        /// Its id.
        transaction: CompactString,
    },
    /// A change of it arrived.
    Change {
        /// Its id.
        transaction: CompactString,
        /// The table, as the mapping calls it.
        object: CompactString,
        /// Which change of the table it is, from 1 on.
        order: u64,
    },
    /// It ended.
    End {
        /// Its id.
        transaction: CompactString,
        /// How many changes it made of each mapped table.
        counts: Vec<(CompactString, u64)>,
    },
}

/// An object of which all records are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// The object.
    pub object: String,
    /// The version that the source gave to the change that nobody can tell the content of.
    pub version: Option<Version>,
}

impl Decoded {
    /// A delivery that is rejected as a whole.
    pub fn rejected(code: RejectCode, detail: impl Into<String>, raw: &[u8]) -> Self {
        Decoded { rejects: vec![Reject::new(code, detail, 0..raw.len())], ..Decoded::default() }
    }

    /// Leaves `count` entries alone that are of no object that is known.
    pub(crate) fn leave_unmapped(&mut self, count: usize) {
        self.ignored += count;
        self.unmapped += count;
    }
}

/// A quarantined part with its bytes, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub code: RejectCode,
    /// Which object and field.
    pub detail: String,
    /// The bytes from which a later mapping can decode it.
    pub raw: Bytes,
}

/// What a transport hands over: everything in it becomes durable in one atom or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The source.
    pub system: System,
    /// Partition of the source: a topic, a file, an endpoint.
    pub partition: String,
    /// Facts.
    pub facts: Vec<Fact>,
    /// Which of them came with a trace.
    pub traces: Traced,
    /// Quarantined input.
    pub rejects: Vec<Rejected>,
    /// The delivery as it came.
    pub raw: Bytes,
    /// How its bytes are divided.
    pub framing: Framing,
    /// What was told beside them.
    pub headers: Headers,
    /// Entries that no mapping reads; with any of them the delivery is kept though it made no fact.
    pub unmapped: usize,
    /// Name and value of the source position that holds once this is durable.
    pub position: Option<(String, Vec<u8>)>,
    /// When it was received.
    pub observed_at: Millis,
}

impl Submission {
    /// Puts a decoded delivery together with its bytes: one document without headers.
    pub fn new(
        system: System,
        partition: impl Into<String>,
        decoded: Decoded,
        raw: Bytes,
        observed_at: Millis,
    ) -> Self {
        let rejects = decoded
            .rejects
            .into_iter()
            .map(|r| {
                // Of a range that is none the whole is kept: nothing is lost by a decoder's mistake.
                let whole = || raw.clone();
                let part = |range: Range<usize>| raw.get(range).map(|part| raw.slice_ref(part));
                let raw = r.standalone.unwrap_or_else(|| part(r.range).unwrap_or_else(whole));
                Rejected { code: r.code, detail: r.detail, raw }
            })
            .collect();
        Submission {
            system,
            partition: partition.into(),
            facts: decoded.facts,
            traces: Traced::new(),
            rejects,
            raw,
            framing: Framing::Document,
            headers: Headers::default(),
            unmapped: decoded.unmapped,
            position: None,
            observed_at,
        }
    }

    /// Whether there is nothing in it that would be kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.rejects.is_empty() && self.unmapped == 0 && self.position.is_none()
    }

    /// How the delivery came, to be kept beside its bytes.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let Submission { system, framing, observed_at, .. } = *self;
        Kept { system, framing, observed_at, headers: self.headers.clone() }
    }

    /// Says that all facts came with `trace`, if there is one.
    #[must_use]
    pub fn traced(mut self, trace: Option<Trace>) -> Self {
        self.traces = trace.map(|trace| (0..self.facts.len(), trace)).into_iter().collect();
        self
    }

    /// Adds the source position that holds once this is durable.
    #[must_use]
    pub fn at(mut self, name: &str, position: &[u8]) -> Self {
        self.position = Some((name.to_owned(), position.to_vec()));
        self
    }
}

/// The log has the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Position of its last fact.
    pub log_pos: u64,
}

/// Why a submission was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The hub is full or its disk is: try the same again after some time.
    #[error("the log takes nothing for now")]
    Busy {
        /// How long to wait, in milliseconds.
        retry_after_ms: u64,
    },
    /// The hub is stopping or broken: end the transport.
    #[error("the log is closed")]
    Closed,
}

/// Where facts go. Waiting for it is the back-pressure that pauses the source.
pub trait Sink: Clone + Send + Sync + 'static {
    /// Resolves when the submission is durable.
    fn submit(&self, submission: Submission) -> impl Future<Output = Result<Accepted, SinkError>> + Send;
}

/// A record of a source as the hub holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRecord {
    /// Its id in the source.
    pub record_id: CompactString,
    /// What it is a row of.
    pub entity: EntityKey,
    /// The newest version that anything was said of it.
    pub version: Version,
}

/// A change that a source told of without content, and that nothing has caught up with yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownGap {
    /// The object, as the connector called it.
    pub object: CompactString,
    /// The record's id in the source.
    pub record_id: CompactString,
    /// The version of the change.
    pub version: Version,
}

/// What the hub holds of its sources. A connector asks before it compares a source's list with it,
/// and after a restart, when what it had still to read is only known to the log.
pub trait Known: Send + Sync + 'static {
    /// The records of one object of a source that are not deleted, in order of their ids.
    fn records(&self, system: System, object: &str) -> BoxFuture<'_, Vec<KnownRecord>>;

    /// The same with those that are deleted.
    fn rows(&self, system: System, object: &str) -> BoxFuture<'_, Vec<KnownRecord>> {
        self.records(system, object)
    }

    /// The changes of a source that are still to be read, in order of object and id.
    fn open_gaps(&self, system: System) -> BoxFuture<'_, Vec<KnownGap>>;

    /// For each of `facts`, whether it would change what the hub holds of its record: another value,
    /// or another life. A record with an open gap is about to be read, so nothing is said of it.
    fn would_change(&self, facts: Vec<Fact>) -> BoxFuture<'_, Vec<bool>>;
}

/// A hub that holds nothing yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingKnown;

impl Known for NothingKnown {
    fn records(&self, _: System, _: &str) -> BoxFuture<'_, Vec<KnownRecord>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn open_gaps(&self, _: System) -> BoxFuture<'_, Vec<KnownGap>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn would_change(&self, facts: Vec<Fact>) -> BoxFuture<'_, Vec<bool>> {
        Box::pin(std::future::ready(facts.iter().map(|fact| fact.op != Op::Delete).collect()))
    }
}

/// The time that facts are stamped with. Scenarios and the demo run on story time.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Millis;
}

impl<F: Fn() -> Millis + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Millis {
        self()
    }
}

/// A clock that several parts share.
pub type SharedClock = Arc<dyn Clock>;
