//! Connectors: native changes of the vendors' systems become facts.
//!
//! Each system has a folder with a pure `decode` and an async `transport`. Mapping files say what
//! the columns of an organisation mean, so a wrong mapping is mended in a file and the raw bytes in
//! quarantine are decoded again.

pub mod contract;
pub mod edge;
pub mod headers;
pub mod json;
pub mod mapping;
pub mod oracle;
pub mod outbound;
pub mod salesforce;
pub mod sap;
pub mod value;
pub mod wxcc;
pub mod xml;
pub mod zendesk;

mod connectors;

pub use connectors::Connectors;
pub use contract::{
    Accepted, BODY_BYTES_MAX, Clock, Decoded, Delivery, Framing, Known, KnownGap, KnownRecord, NothingKnown, Reject,
    RejectCode, Rejected, SharedClock, Sink, SinkError, Submission,
};
pub use headers::{Headers, Kept, NO_HEADERS};
pub use mapping::{Mapping, MappingError};
