//! What the store tells about itself.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const FACTS: &str = "opshub_log_facts_total";
const BLOCK_BYTES: &str = "opshub_log_block_bytes";
const LAST: &str = "opshub_log_last_position";
const APPLIED: &str = "opshub_rows_applied_position";
const QUARANTINED: &str = "opshub_quarantined_total";
const EXPIRED: &str = "opshub_store_expired_total";
const REFUSED: &str = "opshub_store_refused_full_total";
const FREE: &str = "opshub_store_free_bytes";
const BYTES: &str = "opshub_store_bytes";
const COMMITS: &str = "opshub_store_commits_total";
const LOADS: &str = "opshub_store_loads_total";
const STOPPED: &str = "opshub_store_stopped";

/// Describes every figure of this crate to the installed recorder; call once, after installing it.
pub fn describe() {
    describe_counter!(FACTS, Unit::Count, "Facts made durable in the log");
    describe_histogram!(BLOCK_BYTES, Unit::Bytes, "Bytes of facts and payloads in one group commit");
    describe_gauge!(LAST, Unit::Count, "Position of the newest fact in the log");
    describe_gauge!(APPLIED, Unit::Count, "Position up to which facts are in the stored rows");
    describe_counter!(QUARANTINED, Unit::Count, "Inputs put into quarantine, by reason");
    describe_counter!(EXPIRED, Unit::Count, "Payload blocks and quarantined records dropped by retention, by kind");
    describe_counter!(REFUSED, Unit::Count, "Commits refused because the disk is nearly full");
    describe_gauge!(FREE, Unit::Bytes, "Free bytes of the disk that holds the store");
    describe_gauge!(BYTES, Unit::Bytes, "Bytes that the store takes on its disk, when rows were stored last");
    describe_counter!(COMMITS, Unit::Count, "Commits, by what they are of: log or rows");
    describe_counter!(LOADS, Unit::Count, "Reads of rows by key or of a whole table, by table");
    describe_gauge!(STOPPED, Unit::Count, "1 after a failed write, until the restart");
}

pub(crate) fn appended(facts: u64, bytes: usize, last: u64) {
    counter!(FACTS).increment(facts);
    histogram!(BLOCK_BYTES).record(bytes as f64);
    gauge!(LAST).set(last as f64);
}

pub(crate) fn applied(position: u64) {
    gauge!(APPLIED).set(position as f64);
}

pub(crate) fn quarantined(reason: &str) {
    counter!(QUARANTINED, "reason" => reason.to_owned()).increment(1);
}

pub(crate) fn expired(kind: &'static str, count: u64) {
    counter!(EXPIRED, "kind" => kind).increment(count);
}

pub(crate) fn refused_full() {
    counter!(REFUSED).increment(1);
}

pub(crate) fn free_bytes(bytes: u64) {
    gauge!(FREE).set(bytes as f64);
}

pub(crate) fn bytes(bytes: u64) {
    gauge!(BYTES).set(bytes as f64);
}

pub(crate) fn committed(of: &'static str) {
    counter!(COMMITS, "of" => of).increment(1);
}

pub(crate) fn loaded(table: &'static str) {
    counter!(LOADS, "table" => table).increment(1);
}

pub(crate) fn stopped() {
    gauge!(STOPPED).set(1.0);
}
