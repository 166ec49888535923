//! The connectors, system by system, against their simulators: one program, since linking one for
//! each file takes longer than most of the tests do.
#![allow(clippy::unwrap_used)]

mod edge;
mod golden;
mod kafka;
mod oracle_list;
mod outbound;
mod queue;
mod salesforce;
mod sap;
mod support;
mod vendors;
mod wxcc;
mod zendesk;
