//! Long answers in portions that the log takes.
//!
//! A page of a list may be longer than what is decoded at once, and a record that is quarantined
//! should not take a whole page with it.

use bytes::Bytes;
use serde_json::value::RawValue;

/// Size that a portion grows to, in bytes; a record that is longer by itself is a portion alone.
const PORTION_BYTES: usize = 128 << 10;

/// Puts `rows` into as few documents of the form `head row,row,... tail` as fit.
pub fn portions(head: &str, rows: &[&RawValue], tail: &str) -> Vec<Bytes> {
    let mut done = Vec::new();
    let mut open = String::new();
    for row in rows {
        if !open.is_empty() && open.len() + row.get().len() > PORTION_BYTES {
            done.push(std::mem::take(&mut open));
        }
        if !open.is_empty() {
            open.push(',');
        }
        open.push_str(row.get());
    }
    if !open.is_empty() {
        done.push(open);
    }
    done.into_iter().map(|rows| Bytes::from(format!("{head}{rows}{tail}"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_row_is_lost_and_none_is_cut() {
        let row = |n: usize| format!("{{\"n\":\"{}\"}}", "x".repeat(n));
        let text = format!("[{},{},{}]", row(10), row(PORTION_BYTES), row(10));
        let rows: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
        let found = portions("{\"rows\":[", &rows, "]}");
        assert_eq!(found.len(), 3);
        for one in &found {
            crate::json::Json::parse(one).unwrap();
        }
        let small: Vec<&RawValue> = serde_json::from_str("[1,2,3]").unwrap();
        assert_eq!(portions("[", &small, "]"), [Bytes::from_static(b"[1,2,3]")]);
        assert!(portions("[", &[], "]").is_empty());
    }
}
