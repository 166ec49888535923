//! Ids that follow from what a thing is, so that a replay gives the same ones.

use compact_str::CompactString;
use sha2::{Digest, Sha256};

use crate::key::EntityKey;

/// Hashes parts unambiguously: each part is preceded by its length.
fn hash_of<'a>(parts: impl Iterator<Item = &'a str>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// Id of a customer: a function of its smallest member and of nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(pub CompactString);

impl CustomerId {
    /// The id of the customer whose smallest member is `member`.
    #[must_use]
    pub fn of_member(member: &EntityKey) -> Self {
        let text = compact_str::format_compact!("{member}");
        let digest = hash_of(["customer", text.as_str()].into_iter());
        let mut digits = [0u8; 20];
        hex::encode_to_slice(&digest[..10], &mut digits).expect("ten bytes are twenty digits");
        CustomerId(CompactString::from(std::str::from_utf8(&digits).expect("digits are text")))
    }
}

impl std::fmt::Display for CustomerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Id of a derived object: hash of its kind and the records it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub CompactString);

impl ObjectId {
    /// The id of an object of `kind` (for example `rc1`) about `subjects`, in any order.
    pub fn new<S: AsRef<str>>(kind: &str, subjects: &[S]) -> Self {
        let mut sorted: Vec<&str> = subjects.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        let digest = hash_of(std::iter::once(kind).chain(sorted));
        ObjectId(CompactString::from(format!("{kind}-{}", hex::encode(&digest[..10]))))
    }
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::EntityKind;

    #[test]
    fn an_object_id_ignores_the_order_of_subjects_but_not_their_borders() {
        assert_eq!(ObjectId::new("rc1", &["a", "b"]), ObjectId::new("rc1", &["b", "a"]));
        assert_ne!(ObjectId::new("rc1", &["ab", ""]), ObjectId::new("rc1", &["a", "b"]));
        assert_ne!(ObjectId::new("rc1", &["a"]), ObjectId::new("rc2", &["a"]));
    }

    #[test]
    fn a_customer_id_depends_on_kind_and_id() {
        let account = EntityKey::new(EntityKind::Account, "1");
        let partner = EntityKey::new(EntityKind::BusinessPartner, "1");
        assert_ne!(CustomerId::of_member(&account), CustomerId::of_member(&partner));
    }
}
