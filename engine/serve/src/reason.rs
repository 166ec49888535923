//! Why a call was refused: one table of stable reasons, from which errors and their documentation
//! are made.
//!
//! A client decides by `reason`, never by the text. Each refusal carries exactly one
//! `google.rpc.ErrorInfo` of domain `opshub`, with every variable of the text in its metadata.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// Domain of every `ErrorInfo` of the hub.
pub const DOMAIN: &str = "opshub";

/// Where the reasons are explained, from the root of the repository.
pub const HELP: &str = "docs/reasons.md";

/// Bytes of a variable's value at most. Values repeat what the caller sent, and clients throw away an
/// answer whose trailers are greater than a few kilobytes, the reason with it.
const VALUE_BYTES_MAX: usize = 512;

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A request field is wrong.
    InvalidField,
    /// The filter cannot be read.
    FilterSyntax,
    /// The order cannot be read.
    OrderSyntax,
    /// The mask names a field that does not exist.
    MaskUnknownPath,
    /// The page token belongs to another list call.
    PageTokenMismatch,
    /// The page token cannot be read.
    PageTokenInvalid,
    /// The walk that the page token belongs to is no longer remembered.
    PageExpired,
    /// The resume token cannot be read.
    ResumeTokenInvalid,
    /// The position cannot be read.
    PositionInvalid,
    /// More items than one call may carry.
    BatchTooLarge,
    /// A request message with more bytes than one call may carry.
    RequestTooLarge,
    /// The bytes of the request are no message of the method.
    RequestUnreadable,
    /// The request is compressed in a way that the hub does not read.
    CompressionUnknown,
    /// The request id was used for another request.
    RequestIdReused,
    /// No credential, or one that is not known.
    Unauthenticated,
    /// The caller's roles do not allow the method.
    RoleMissing,
    /// There is no such method.
    MethodUnknown,
    /// No customer has this name.
    CustomerNotFound,
    /// No record has this reference.
    SourceRecordUnknown,
    /// No handoff has this name.
    HandoffNotFound,
    /// The handoff's package has no such version, or not for this reader.
    PackageVersionNotFound,
    /// No discrepancy has this name.
    DiscrepancyNotFound,
    /// No alert has this name.
    AlertNotFound,
    /// No review item has this name.
    ReviewItemNotFound,
    /// Nothing is known about this billing record.
    NoCorrelation,
    /// No quarantined record has this name.
    QuarantineNotFound,
    /// There is no such case.
    CaseUnknown,
    /// The profile has nothing to compare.
    ProfileEmpty,
    /// The object changed since it was read.
    EtagMismatch,
    /// The review item was decided before.
    ReviewAlreadyDecided,
    /// The discrepancy or alert is resolved.
    AlreadyResolved,
    /// The handoff can no longer be accepted.
    HandoffClosed,
    /// There is nothing to split off, or nothing would be left.
    SplitEmpty,
    /// A merge needs at least two records.
    MergeForbidden,
    /// What was asked for does not fit into one answer.
    AnswerTooLarge,
    /// The caller has used up what it may ask for at a time.
    QuotaExceeded,
    /// The position was not applied before the deadline.
    NotYetApplied,
    /// The position is older than what is kept.
    PositionTooOld,
    /// The time or position lies ahead of the hub.
    PositionInFuture,
    /// A source lags more than the caller allows.
    TooStale,
    /// The call took longer than allowed.
    DeadlineExceeded,
    /// The server is going away.
    Draining,
    /// A queue of the hub is full.
    Overloaded,
    /// The disk is nearly full; intake is closed.
    DiskFull,
    /// The servers that keep the log do not answer; nothing was written.
    LogUnreachable,
    /// Another process owns the store, and the call could not be forwarded to it.
    NotOwner,
    /// A payload could not become a fact.
    BadPayload,
    /// Something is broken in the hub.
    Internal,
}

/// One row of the table of reasons.
#[derive(Debug)]
pub struct ReasonRow {
    /// The reason.
    pub reason: Reason,
    /// Its name on the wire.
    pub name: &'static str,
    /// The status code of gRPC that goes with it.
    pub code: Code,
    /// The text for people; `{variable}` is filled in and repeated in the metadata.
    pub text: &'static str,
    /// The request field at fault; none if it is no field, or the variable `field` names it.
    pub field: Option<&'static str>,
    /// After how many milliseconds a repeat of the same call may help; none if it never does.
    pub retry_ms: Option<u64>,
}

/// Every reason, in reading order. Names never change once released.
pub const ALL: &[ReasonRow] = &[
    row(Reason::InvalidField, "INVALID_FIELD", Code::InvalidArgument, "{field}: {problem}"),
    fault(Reason::FilterSyntax, "FILTER_SYNTAX", "filter", "filter, at character {at}: {problem}"),
    fault(Reason::OrderSyntax, "ORDER_SYNTAX", "order_by", "order_by, at character {at}: {problem}"),
    fault(
        Reason::MaskUnknownPath,
        "MASK_UNKNOWN_PATH",
        "read_mask",
        "read_mask names {path}, which {message} does not have",
    ),
    fault(
        Reason::PageTokenMismatch,
        "PAGE_TOKEN_MISMATCH",
        "page_token",
        "page_token comes from a call with other arguments",
    ),
    fault(Reason::PageTokenInvalid, "PAGE_TOKEN_INVALID", "page_token", "page_token cannot be read"),
    row(
        Reason::PageExpired,
        "PAGE_EXPIRED",
        Code::FailedPrecondition,
        "the walk that page_token belongs to is no longer remembered: begin again without a token",
    ),
    fault(Reason::ResumeTokenInvalid, "RESUME_TOKEN_INVALID", "resume_token", "resume_token cannot be read"),
    row(Reason::PositionInvalid, "POSITION_INVALID", Code::InvalidArgument, "{field} is not a position of this hub"),
    row(
        Reason::BatchTooLarge,
        "BATCH_TOO_LARGE",
        Code::InvalidArgument,
        "{field} has {count} items, at most {limit} are allowed",
    ),
    row(
        Reason::RequestTooLarge,
        "REQUEST_TOO_LARGE",
        Code::ResourceExhausted,
        "the request has more than {limit} bytes, the most that one call may carry: send it in parts",
    ),
    row(
        Reason::RequestUnreadable,
        "REQUEST_UNREADABLE",
        Code::InvalidArgument,
        "the request is no message of {method}: {problem}",
    ),
    row(
        Reason::CompressionUnknown,
        "COMPRESSION_UNKNOWN",
        Code::Unimplemented,
        "the hub does not read requests compressed as {encoding}: it reads {encodings}",
    ),
    fault(Reason::RequestIdReused, "REQUEST_ID_REUSED", "request_id", "request_id was used for another request"),
    row(Reason::Unauthenticated, "UNAUTHENTICATED", Code::Unauthenticated, "no known credential came with the call"),
    row(Reason::RoleMissing, "ROLE_MISSING", Code::PermissionDenied, "{method} needs one of the roles {roles}"),
    row(Reason::MethodUnknown, "METHOD_UNKNOWN", Code::Unimplemented, "there is no method {method}"),
    row(Reason::CustomerNotFound, "CUSTOMER_NOT_FOUND", Code::NotFound, "no customer is named {name}"),
    row(Reason::SourceRecordUnknown, "SOURCE_RECORD_UNKNOWN", Code::NotFound, "no record {record} is known"),
    row(Reason::HandoffNotFound, "HANDOFF_NOT_FOUND", Code::NotFound, "no handoff is named {name}"),
    row(
        Reason::PackageVersionNotFound,
        "PACKAGE_VERSION_NOT_FOUND",
        Code::NotFound,
        "{name} has no package version {version} for this reader: there are {versions}",
    ),
    row(Reason::DiscrepancyNotFound, "DISCREPANCY_NOT_FOUND", Code::NotFound, "no discrepancy is named {name}"),
    row(Reason::AlertNotFound, "ALERT_NOT_FOUND", Code::NotFound, "no alert is named {name}"),
    row(Reason::ReviewItemNotFound, "REVIEW_ITEM_NOT_FOUND", Code::NotFound, "no review item is named {name}"),
    row(Reason::NoCorrelation, "NO_CORRELATION", Code::NotFound, "nothing is correlated with {subject}"),
    row(Reason::QuarantineNotFound, "QUARANTINE_NOT_FOUND", Code::NotFound, "no quarantined record is named {name}"),
    row(Reason::CaseUnknown, "CASE_UNKNOWN", Code::NotFound, "no case {case} is known"),
    fault(Reason::ProfileEmpty, "PROFILE_EMPTY", "profile", "the profile has no feature that can be compared"),
    row(Reason::EtagMismatch, "ETAG_MISMATCH", Code::Aborted, "{name} changed since it was read: its etag is {etag}"),
    row(Reason::ReviewAlreadyDecided, "REVIEW_ALREADY_DECIDED", Code::FailedPrecondition, "{name} is decided already"),
    row(Reason::AlreadyResolved, "ALREADY_RESOLVED", Code::FailedPrecondition, "{name} is resolved already"),
    row(
        Reason::HandoffClosed,
        "HANDOFF_CLOSED",
        Code::FailedPrecondition,
        "{name} is {state} and can no longer be accepted",
    ),
    fault(Reason::SplitEmpty, "SPLIT_EMPTY", "members", "a split has to leave members on both sides"),
    row(
        Reason::MergeForbidden,
        "MERGE_FORBIDDEN",
        Code::FailedPrecondition,
        "these records cannot be merged: {problem}",
    ),
    row(
        Reason::AnswerTooLarge,
        "ANSWER_TOO_LARGE",
        Code::ResourceExhausted,
        "this takes {bytes} bytes, and one answer carries {limit}: ask for {what}",
    ),
    retried(
        Reason::QuotaExceeded,
        "QUOTA_EXCEEDED",
        Code::ResourceExhausted,
        "this caller has used up its quota of {limit} {what}: ask less often, or have {key} raised",
        1_000,
    ),
    retried(
        Reason::NotYetApplied,
        "NOT_YET_APPLIED",
        Code::Unavailable,
        "the position asked for is not applied yet",
        100,
    ),
    row(
        Reason::PositionTooOld,
        "POSITION_TOO_OLD",
        Code::OutOfRange,
        "the hub remembers back to {oldest_position}, not further",
    ),
    row(
        Reason::PositionInFuture,
        "POSITION_IN_FUTURE",
        Code::OutOfRange,
        "{field} lies ahead of what the hub has seen",
    ),
    row(Reason::TooStale, "TOO_STALE", Code::FailedPrecondition, "{system} lags by {lag_s} s, more than {max_s} s"),
    retried(
        Reason::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        Code::DeadlineExceeded,
        "the call took longer than {limit_ms} ms",
        100,
    ),
    retried(Reason::Draining, "DRAINING", Code::Unavailable, "this server is going away", 250),
    retried(Reason::Overloaded, "OVERLOADED", Code::ResourceExhausted, "{queue} is full at its limit of {limit}", 500),
    retried(
        Reason::DiskFull,
        "DISK_FULL",
        Code::ResourceExhausted,
        "the disk is nearly full, so intake is closed",
        5_000,
    ),
    retried(
        Reason::LogUnreachable,
        "LOG_UNREACHABLE",
        Code::Unavailable,
        "the servers that keep the log do not answer, so nothing was written",
        1_000,
    ),
    retried(
        Reason::NotOwner,
        "NOT_OWNER",
        Code::Unavailable,
        "the process that takes writes ({owner}) cannot be reached from this one: try again, or call it",
        1_000,
    ),
    fault(Reason::BadPayload, "BAD_PAYLOAD", "events", "event {event_id}: {problem}"),
    row(Reason::Internal, "INTERNAL", Code::Internal, "the hub failed while {attempt}"),
];

const fn row(reason: Reason, name: &'static str, code: Code, text: &'static str) -> ReasonRow {
    ReasonRow { reason, name, code, text, field: None, retry_ms: None }
}

const fn retried(reason: Reason, name: &'static str, code: Code, text: &'static str, retry_ms: u64) -> ReasonRow {
    ReasonRow { reason, name, code, text, field: None, retry_ms: Some(retry_ms) }
}

const fn fault(reason: Reason, name: &'static str, field: &'static str, text: &'static str) -> ReasonRow {
    ReasonRow { reason, name, code: Code::InvalidArgument, text, field: Some(field), retry_ms: None }
}

impl Reason {
    /// The row of the table that describes this reason.
    #[must_use]
    pub fn row(self) -> &'static ReasonRow {
        ALL.iter().find(|row| row.reason == self).expect("every reason stands in the table")
    }
}

/// A refused call, before it becomes a `google.rpc.Status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: Reason,
    variables: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal for `reason`.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Refusal { reason, variables: Vec::new() }
    }

    /// Fills in a variable of the reason's text, a long value cut short. Never a personal value: texts
    /// reach logs.
    #[must_use]
    pub fn with(mut self, variable: &'static str, value: impl ToString) -> Self {
        let mut value = value.to_string();
        if value.len() > VALUE_BYTES_MAX {
            let end = (0..=VALUE_BYTES_MAX).rev().find(|end| value.is_char_boundary(*end)).unwrap_or_default();
            value.truncate(end);
            value.push('…');
        }
        self.variables.push((variable, value));
        self
    }

    /// A request field that is wrong.
    #[must_use]
    pub fn field(field: &'static str, problem: impl ToString) -> Self {
        Refusal::new(Reason::InvalidField).with("field", field).with("problem", problem)
    }

    /// Why the call was refused.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The text for people.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.reason.row().text.to_owned();
        for (variable, value) in &self.variables {
            text = text.replace(&format!("{{{variable}}}"), value);
        }
        text
    }

    /// The variables of the text.
    #[must_use]
    pub fn metadata(&self) -> HashMap<String, String> {
        self.variables.iter().map(|(variable, value)| ((*variable).to_owned(), value.clone())).collect()
    }

    /// The same refusal for one item of a batch.
    #[must_use]
    pub fn into_item_error(self) -> proto::v1::ItemError {
        let row = self.reason.row();
        proto::v1::ItemError {
            code: i32::from(row.code),
            reason: row.name.to_owned(),
            message: self.message(),
            metadata: self.metadata(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let row = refusal.reason.row();
        let message = refusal.message();
        let mut details = ErrorDetails::with_error_info(row.name, DOMAIN, refusal.metadata());
        if let Some(retry_ms) = row.retry_ms {
            details.set_retry_info(Some(Duration::from_millis(retry_ms)));
        }
        if let Some(field) = violated_field(&refusal) {
            details.set_bad_request(vec![FieldViolation::new(field, message.clone())]);
        }
        details.add_help_link("what each reason means", HELP);
        Status::with_error_details(row.code, message, details)
    }
}

/// The request field that a refusal is about, where it is about one.
fn violated_field(refusal: &Refusal) -> Option<String> {
    let row = refusal.reason.row();
    if row.code != Code::InvalidArgument {
        return None;
    }
    let named = || refusal.variables.iter().find(|(variable, _)| *variable == "field").map(|(_, value)| value.clone());
    row.field.map(str::to_owned).or_else(named)
}

/// The table of reasons as a page of the documentation.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# Reasons\n\nWhy a call was refused. `reason` stands in `google.rpc.ErrorInfo` with domain `opshub`; the words in\nbraces are in its metadata. Printed from `engine/serve/src/reason.rs`.\n\n| reason | code | text | retry after |\n|---|---|---|---|\n",
    );
    for row in ALL {
        let retry = row.retry_ms.map_or_else(|| "-".to_owned(), |retry_ms| format!("{retry_ms} ms"));
        page.push_str(&format!("| `{}` | {:?} | {} | {retry} |\n", row.name, row.code, row.text));
    }
    page
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_unique_and_upper_snake() {
        for (i, row) in ALL.iter().enumerate() {
            assert!(row.name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{}", row.name);
            assert!(ALL[..i].iter().all(|other| other.name != row.name && other.reason != row.reason), "{}", row.name);
        }
    }

    #[test]
    fn a_refusal_becomes_one_error_info_with_every_variable() {
        let refusal = Refusal::new(Reason::CustomerNotFound).with("name", "customers/1");
        let status = Status::from(refusal);
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "no customer is named customers/1");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.domain.as_str(), info.reason.as_str()), ("opshub", "CUSTOMER_NOT_FOUND"));
        assert_eq!(info.metadata["name"], "customers/1");
        assert!(status.get_details_retry_info().is_none());
        assert!(status.get_details_bad_request().is_none());
    }

    #[test]
    fn a_long_value_is_cut_within_its_letters() {
        let metadata = |name: &str| Refusal::new(Reason::CustomerNotFound).with("name", name).metadata();
        let (fits, long) = ("x".repeat(VALUE_BYTES_MAX), "ü".repeat(VALUE_BYTES_MAX));
        assert_eq!(metadata(&fits)["name"], fits);
        assert_eq!(metadata(&format!("{fits}x"))["name"], format!("{fits}…"));
        assert_eq!(metadata(&format!("x{long}"))["name"], format!("x{}…", "ü".repeat(VALUE_BYTES_MAX / 2 - 1)));
    }

    #[test]
    fn a_retry_and_a_field_are_named_where_they_help() {
        let status = Status::from(Refusal::new(Reason::NotYetApplied));
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_millis(100)));
        let status = Status::from(Refusal::field("page_size", "is negative"));
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "page_size");
    }

    #[test]
    fn the_page_of_the_documentation_is_printed_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reasons.md");
        if std::env::var_os("OPSHUB_UPDATE_DOCS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page(), "run the test with OPSHUB_UPDATE_DOCS=1");
    }
}
