//! The contract of every connector: what a delivery becomes, where it goes, what may go wrong.
//!
//! A connector is a pure decoder (bytes to facts or rejects) and a transport (a loop with a
//! position). The transport hands what the decoder made to a [`Sink`] and moves its position, or
//! answers the sender, only after the sink says that the log has it.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ontology::{Fact, Millis, System};

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
    /// When the connector received them.
    pub observed_at: Millis,
}

impl<'a> Delivery<'a> {
    /// One document received at `observed_at`.
    #[must_use]
    pub fn document(raw: &'a [u8], observed_at: Millis) -> Self {
        Delivery { raw, framing: Framing::Document, observed_at }
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
        Reject { code, detail: detail.into(), range, standalone: None }
    }
}

/// What a delivery became. One bad entry leaves its neighbours alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The facts, in the order of the delivery.
    pub facts: Vec<Fact>,
    /// What is to be quarantined.
    pub rejects: Vec<Reject>,
    /// Entries that are no business of the hub (tombstones, unmapped objects): counted, not lost,
    /// since the raw bytes are kept.
    pub ignored: usize,
    /// Objects that the source no longer vouches for: all their records are to be read.
    pub resyncs: Vec<String>,
}

impl Decoded {
    /// A delivery that is rejected as a whole.
    pub fn rejected(code: RejectCode, detail: impl Into<String>, raw: &[u8]) -> Self {
        Decoded { rejects: vec![Reject::new(code, detail, 0..raw.len())], ..Decoded::default() }
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
    /// Quarantined input.
    pub rejects: Vec<Rejected>,
    /// The delivery as it came.
    pub raw: Bytes,
    /// Name and value of the source position that holds once this is durable.
    pub position: Option<(String, Vec<u8>)>,
    /// When it was received.
    pub observed_at: Millis,
}

impl Submission {
    /// Puts a decoded delivery together with its bytes.
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
                let raw = r.standalone.unwrap_or_else(|| raw.slice(r.range));
                Rejected { code: r.code, detail: r.detail, raw }
            })
            .collect();
        Submission {
            system,
            partition: partition.into(),
            facts: decoded.facts,
            rejects,
            raw,
            position: None,
            observed_at,
        }
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
