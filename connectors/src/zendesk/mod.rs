//! Zendesk as a service desk: signed webhooks, and the incremental export that closes their gaps.
//! Which member of a ticket fills which field of a case stands in the mapping file alone.

pub mod check;
pub mod decode;
pub mod export;
pub mod signature;
pub mod transport;

pub use decode::ZendeskDecoder;
