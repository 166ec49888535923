//! What of a message fits into one answer: all of it, or all but its largest fields.
//!
//! Clients take messages of 4 MiB unless they are told otherwise, and a customer may have more records than
//! that. What is left out is named, so that whoever needs it can ask for it by itself.

use std::collections::{BTreeMap, BTreeSet};

use prost::{DecodeError, Message, decode_length_delimiter};

/// The message without as few of its fields as have to go for it to take `bytes_max` bytes at the most, the
/// largest first, and the numbers of those.
pub(crate) fn fitted<M: Message + Default>(message: M, bytes_max: usize) -> (M, BTreeSet<u32>) {
    if message.encoded_len() <= bytes_max {
        return (message, BTreeSet::new());
    }
    let bytes = message.encode_to_vec();
    let parts = parts_of(&bytes).expect("a message that was just encoded reads through");
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for (number, part) in &parts {
        *sizes.entry(*number).or_default() += part.len();
    }
    let mut by_size: Vec<(usize, u32)> = sizes.into_iter().map(|(number, size)| (size, number)).collect();
    by_size.sort_unstable();
    let mut room = bytes_max;
    let mut left_out = BTreeSet::new();
    for (size, number) in by_size {
        match room.checked_sub(size) {
            Some(rest) => room = rest,
            None => drop(left_out.insert(number)),
        }
    }
    let kept = parts.iter().filter(|(number, _)| !left_out.contains(number));
    let kept: Vec<u8> = kept.flat_map(|(_, part)| part.iter().copied()).collect();
    (M::decode(&*kept).expect("fields of a message are a message"), left_out)
}

/// The fields of an encoded message, each with its number; a repeated one has several parts.
fn parts_of(bytes: &[u8]) -> Result<Vec<(u32, &[u8])>, DecodeError> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let whole = rest;
        let key = decode_length_delimiter(&mut rest)?;
        let value_bytes = match key & 7 {
            0 => decode_length_delimiter(&mut rest).map(|_| 0)?,
            1 => 8,
            5 => 4,
            _ => decode_length_delimiter(&mut rest)?,
        };
        rest = rest.get(value_bytes..).unwrap_or_default();
        let number = u32::try_from(key >> 3).unwrap_or(u32::MAX);
        parts.push((number, &whole[..whole.len() - rest.len()]));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use proto::v1::{Case, CustomerState, Freshness, Member, Money};

    use super::*;

    fn state() -> CustomerState {
        let case = |n: u32| Case { subject: n.to_string().repeat(20), ..Case::default() };
        CustomerState {
            name: "customers/1".to_owned(),
            version: u64::MAX,
            members: vec![Member { link_confidence: 0.5, ..Member::default() }, Member::default()],
            open_cases: (0..30).map(case).collect(),
            recent_cases: (0..20).map(case).collect(),
            freshness: vec![Freshness::default(); 3],
            ..CustomerState::default()
        }
    }

    /// What is left out, and whether the rest is as it was.
    fn check(bytes_max: usize, expected: &[u32]) {
        let (fitted, left_out) = fitted(state(), bytes_max);
        assert_eq!(left_out.iter().copied().collect::<Vec<_>>(), expected, "{bytes_max}");
        let mut rest = state();
        for number in left_out {
            match number {
                1 => rest.name.clear(),
                2 => rest.version = 0,
                4 => rest.members.clear(),
                6 => rest.open_cases.clear(),
                15 => rest.freshness.clear(),
                19 => rest.recent_cases.clear(),
                other => panic!("{other}"),
            }
        }
        assert_eq!(fitted, rest);
    }

    #[test]
    fn the_largest_fields_go_and_no_more_than_have_to() {
        let whole = state().encoded_len();
        let open = CustomerState { open_cases: state().open_cases, ..CustomerState::default() }.encoded_len();
        let recent = CustomerState { recent_cases: state().recent_cases, ..CustomerState::default() }.encoded_len();
        check(whole, &[]);
        check(whole - 1, &[6]);
        check(whole - open, &[6]);
        check(whole - open - 1, &[6, 19]);
        check(whole - open - recent, &[6, 19]);
        check(0, &[1, 2, 4, 6, 15, 19]);
    }

    #[test]
    fn values_of_every_width_are_passed_over() {
        let money = Money { currency_code: "USD".to_owned(), units: -1, nanos: -5 };
        let bytes = money.encode_to_vec();
        let numbers: Vec<u32> = parts_of(&bytes).expect("it reads").iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3]);
        assert!(parts_of(&[0x80]).is_err());
    }
}
