//! Commands out: what the engine decides is carried out in the system that it concerns.
//!
//! A command has a key. Its target does the thing and notes the key in one transaction, so a command
//! that is sent again after a crash, in whatever instant that came, finds its key and changes
//! nothing. The key comes back in what the source then tells, by which the hub knows its own change.
//! A command that is not enabled is not sent.

pub mod command;
mod http;
pub mod oracle;
pub mod salesforce;
pub mod sap;
pub mod wxcc;

use std::future::Future;

use ontology::System;

pub use command::{Command, Verb};

/// A command was carried out, now or at an earlier attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Now.
    Now,
    /// The target had its key already.
    Before,
}

/// Why a command was not carried out. The text says what the target said, without data of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The target does not answer, or asks for patience: every command to it waits.
    #[error("the target does not answer: {0}")]
    Later(String),
    /// Something that this command builds on is not there yet: only this one waits.
    #[error("not yet possible: {0}")]
    NotYet(String),
    /// The target will not do it, however often it is asked.
    #[error("the target refuses: {0}")]
    Refused(String),
}

/// A system that commands are carried out in.
pub trait Outbound: Send + Sync + 'static {
    /// The system.
    fn system(&self) -> System;

    /// The commands that it carries out and that are enabled.
    fn verbs(&self) -> &[Verb];

    /// Carries a command out, once for its key.
    fn perform(&self, command: &Command) -> impl Future<Output = Result<Done, Failure>> + Send;
}
