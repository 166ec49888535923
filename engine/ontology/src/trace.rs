//! Trace context: by which request something came, as W3C's recommendation *Trace Context* writes it.
//!
//! It belongs to a delivery and not to a fact: the same fact has the same bytes whoever brings it, so
//! nothing that is stored or compared holds one.

use std::ops::Range;

use compact_str::CompactString;

/// Longest list of vendors' entries that is passed on, in bytes; all of a longer one is left out.
pub const STATE_BYTES_MAX: usize = 512;
/// Entries in such a list.
const STATE_MEMBERS_MAX: usize = 32;
/// Length of the key of an entry, and of its value.
const STATE_PART_BYTES_MAX: usize = 256;
/// Length of a parent as this version writes it.
const PARENT_BYTES: usize = 55;
/// The flags that are known: sampled, and an id made by chance. Others are not passed on.
const FLAGS_KNOWN: u8 = 0b11;

/// Which of a row of facts came with which trace; those in no range came with none.
pub type Traced = Vec<(Range<usize>, Trace)>;

/// A trace and the place in it that something came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
    state: CompactString,
}

impl Trace {
    /// Reads `traceparent`, and `tracestate`, which may be empty. None if the parent is not one; a state
    /// that is not one is left out.
    ///
    /// ```
    /// use ontology::Trace;
    /// let trace = Trace::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "");
    /// assert!(trace.is_some() && Trace::parse("a parent", "").is_none());
    /// ```
    #[must_use]
    pub fn parse(parent: &str, state: &str) -> Option<Trace> {
        let parent = parent.trim_matches([' ', '\t']);
        // A later version may say more behind what this one knows.
        let (known, more) = parent.split_at_checked(PARENT_BYTES)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let parent_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        let is_whole = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more.starts_with('-'),
        };
        let is_one = is_whole && trace_id != 0 && parent_id != 0;
        let state = if is_state(state) { CompactString::new(state) } else { CompactString::default() };
        is_one.then_some(Trace { trace_id, parent_id, flags: flags & FLAGS_KNOWN, state })
    }

    /// The text of `traceparent`.
    #[must_use]
    pub fn parent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }

    /// The text of `tracestate`; empty if there is none.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

/// Exactly so many digits, in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_hex = text.len() == digits && text.bytes().all(is_digit);
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Whether a text is a list of vendors' entries with different keys.
fn is_state(text: &str) -> bool {
    let members: Vec<&str> =
        text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()).collect();
    let keys: Option<Vec<&str>> = members.iter().map(|member| key_of(member)).collect();
    let Some(mut keys) = keys else { return false };
    keys.sort_unstable();
    let are_different = keys.windows(2).all(|two| two[0] != two[1]);
    text.len() <= STATE_BYTES_MAX && members.len() <= STATE_MEMBERS_MAX && are_different
}

/// The key of an entry; none if it is not one.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let fits = |part: &str| (1..=STATE_PART_BYTES_MAX).contains(&part.len());
    let begins = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_key =
        key.bytes().all(|byte| begins(byte) || b"_-*/@".contains(&byte)) && key.bytes().next().is_some_and(begins);
    let is_value = value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') && !value.ends_with(' ');
    (fits(key) && fits(value) && is_key && is_value).then_some(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn check(parent: &str, expected: Option<&str>) {
        assert_eq!(Trace::parse(parent, "").map(|trace| trace.parent()).as_deref(), expected, "{parent}");
    }

    #[test]
    fn a_parent_is_passed_on_as_this_version_writes_it() {
        check(PARENT, Some(PARENT));
        check(&format!(" {PARENT}\t"), Some(PARENT));
        check(&PARENT.replace("-01", "-ff"), Some(&PARENT.replace("-01", "-03")));
        // A later version, and one that says more.
        check(&PARENT.replacen("00", "cc", 1), Some(PARENT));
        check(&format!("{}-what-else", PARENT.replacen("00", "cc", 1)), Some(PARENT));
    }

    #[test]
    fn what_is_no_parent_is_none() {
        for wrong in [
            "",
            "00",
            &PARENT[1..],
            &PARENT[..54],
            &format!("{PARENT}-more"),
            &format!("{PARENT}0"),
            &format!("{}.", PARENT.replacen("00", "cc", 1)),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.to_uppercase(),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &PARENT.replace("0af", "+af"),
            &PARENT.replace('-', "_"),
            &"ä".repeat(40),
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_state_goes_along_if_it_is_one() {
        let check = |state: &str, is_kept: bool| {
            let kept = Trace::parse(PARENT, state).unwrap();
            assert_eq!(kept.state(), if is_kept { state } else { "" }, "{state}");
        };
        for one in ["", "congo=t61rcWkgMzE", "a=1, b=2,,1x_-*/@y= v w", "tenant@vendor=x"] {
            check(one, true);
        }
        for none in ["a", "=1", "a=", "A=1", "@a=1", "a=1=2", "a=\u{7f}", "a=ä", "a=1,a=2", "a=1,b"] {
            check(none, false);
        }
        let members = |count: usize| (0..count).map(|n| format!("k{n}=1")).collect::<Vec<_>>().join(",");
        check(&members(32), true);
        check(&members(33), false);
        let value = |bytes: usize| "x".repeat(bytes);
        check(&format!("a={}", value(256)), true);
        check(&format!("a={}", value(257)), false);
        check(&format!("a={},b={}", value(256), value(STATE_BYTES_MAX - 261)), true);
        check(&format!("a={},b={}", value(256), value(STATE_BYTES_MAX - 260)), false);
    }
}
