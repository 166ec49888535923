//! Blocking keys: what two records must have in common to become a candidate pair.
//!
//! Identifying values block by themselves and are retired when they turn out generic. Names, dates
//! and places block in twos, so that an error in one leaves another block in common. A block past
//! its cap gives way to its refinements: the same two with a third. Whether it is past its cap is a
//! function of the records present, never of their order.

use ontology::Vocabulary;
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::feature::Feature;
use crate::standard::{CATEGORIES, IDS, Part, Standard, lexicon, without_country};

/// Letters of a word that a block takes: errors come late in words more often than early.
const PREFIX_LENGTH: usize = 4;

/// Words of a name that block.
const WORDS_MAX: usize = 3;

/// Letters of a mail address's local part that blocks.
const LOCAL_LENGTH_MIN: usize = 5;

/// Categories that block together with a date.
const CATEGORIES_MAX: usize = 2;

/// What a blocking key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlockKind {
    /// A cross-reference key.
    Key,
    /// A tax id.
    TaxId,
    /// A D-U-N-S number.
    Duns,
    /// Another identifier.
    Id,
    /// A mail address.
    Email,
    /// A telephone number.
    Phone,
    /// Street, house number and place.
    Address,
    /// A web domain.
    WebDomain,
    /// The local part of a mail address.
    MailLocal,
    /// Given and family name as they sound, in either order.
    NamePair,
    /// The beginning of a name and the date of birth.
    NameAndBirth,
    /// The beginning of a name and the postal code, or the city where there is none.
    NameAndPlace,
    /// Date of birth and postal code or city.
    BirthAndPlace,
    /// Date of birth alone: tells in small tables and is retired in large ones.
    Birth,
    /// Postal code alone.
    PostalCode,
    /// Street and house number alone.
    Street,
    /// Date of birth and a category.
    BirthAndCategory,
    /// The beginning of a name and a category.
    NameAndCategory,
    /// The beginning of a name and the district of the postal code.
    NameAndDistrict,
    /// A whole organisation name.
    WholeName,
    /// A telling word of an organisation name.
    Word,
    /// A telling word of an organisation name and its place.
    WordAndPlace,
}

impl Vocabulary for BlockKind {
    const ALL: &'static [(Self, &'static str)] = &[
        (BlockKind::Key, "key"),
        (BlockKind::TaxId, "tax_id"),
        (BlockKind::Duns, "duns"),
        (BlockKind::Id, "id"),
        (BlockKind::Email, "email"),
        (BlockKind::Phone, "phone"),
        (BlockKind::Address, "address"),
        (BlockKind::WebDomain, "web_domain"),
        (BlockKind::MailLocal, "mail_local"),
        (BlockKind::NamePair, "name_pair"),
        (BlockKind::NameAndBirth, "name_and_birth"),
        (BlockKind::NameAndPlace, "name_and_place"),
        (BlockKind::BirthAndPlace, "birth_and_place"),
        (BlockKind::Birth, "birth"),
        (BlockKind::PostalCode, "postal_code"),
        (BlockKind::Street, "street"),
        (BlockKind::BirthAndCategory, "birth_and_category"),
        (BlockKind::NameAndCategory, "name_and_category"),
        (BlockKind::NameAndDistrict, "name_and_district"),
        (BlockKind::WholeName, "whole_name"),
        (BlockKind::Word, "word"),
        (BlockKind::WordAndPlace, "word_and_place"),
    ];
}

impl BlockKind {
    /// Features on which pairs of such a block agree because of it.
    #[must_use]
    pub fn fixes(self) -> &'static [Feature] {
        use Feature as F;
        match self {
            BlockKind::Key => &[F::Key],
            BlockKind::TaxId => &[F::TaxId],
            BlockKind::Duns => &[F::Duns],
            BlockKind::Id => &[F::Id1, F::Id2, F::Id3, F::Id4, F::Id5, F::Id6],
            BlockKind::Email => &[F::Email, F::WebDomain],
            BlockKind::Phone => &[F::Phone],
            BlockKind::Address => &[F::Address, F::Place],
            BlockKind::WebDomain => &[F::WebDomain],
            BlockKind::MailLocal => &[F::Email],
            BlockKind::NamePair => &[F::GivenName, F::FamilyName],
            BlockKind::NameAndBirth => &[F::GivenName, F::FamilyName, F::BirthDate],
            BlockKind::NameAndPlace | BlockKind::NameAndDistrict => &[F::GivenName, F::FamilyName, F::Place],
            BlockKind::NameAndCategory => &[
                F::GivenName,
                F::FamilyName,
                F::Category1,
                F::Category2,
                F::Category3,
                F::Category4,
                F::Category5,
                F::Category6,
            ],
            BlockKind::BirthAndPlace => &[F::BirthDate, F::Place],
            BlockKind::Birth => &[F::BirthDate],
            BlockKind::PostalCode => &[F::Place],
            BlockKind::Street => &[F::Address],
            BlockKind::BirthAndCategory => {
                &[F::BirthDate, F::Category1, F::Category2, F::Category3, F::Category4, F::Category5, F::Category6]
            }
            BlockKind::WholeName | BlockKind::Word => &[F::Name],
            BlockKind::WordAndPlace => &[F::Name, F::Place],
        }
    }

    /// Whether the block is made of one thing that is no identifying value.
    pub(crate) fn is_single(self) -> bool {
        matches!(self, BlockKind::Birth | BlockKind::PostalCode | BlockKind::Street | BlockKind::MailLocal)
    }

    /// Whether the key is an identifying value, to which the limit of generic values applies, or a
    /// block of what many share.
    pub(crate) fn is_value(self) -> bool {
        match self {
            BlockKind::Key
            | BlockKind::TaxId
            | BlockKind::Duns
            | BlockKind::Id
            | BlockKind::Email
            | BlockKind::Phone
            | BlockKind::Address
            | BlockKind::WebDomain => true,
            BlockKind::MailLocal
            | BlockKind::NamePair
            | BlockKind::NameAndBirth
            | BlockKind::NameAndPlace
            | BlockKind::BirthAndPlace
            | BlockKind::Birth
            | BlockKind::PostalCode
            | BlockKind::Street
            | BlockKind::BirthAndCategory
            | BlockKind::NameAndCategory
            | BlockKind::NameAndDistrict
            | BlockKind::WholeName
            | BlockKind::Word
            | BlockKind::WordAndPlace => false,
        }
    }
}

/// A set of kinds of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BlockKinds(u32);

impl BlockKinds {
    /// Whether a kind is in the set.
    #[must_use]
    pub fn contains(self, kind: BlockKind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Kinds in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = BlockKind> {
        BlockKind::ALL.iter().map(|(kind, _)| *kind).filter(move |kind| self.contains(*kind))
    }

    pub(crate) fn insert(&mut self, kind: BlockKind) {
        self.0 |= 1 << kind as u32;
    }
}

/// A hashed blocking key with its kind in the lowest bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockKey(pub(crate) u64);

/// Bits that tell the kind.
const KIND_BITS: u32 = 5;

const _: () = assert!(BlockKind::ALL.len() <= 1 << KIND_BITS);

impl BlockKey {
    fn new(kind: BlockKind, hash: u64) -> Self {
        BlockKey(hash << KIND_BITS | kind as u64)
    }

    pub(crate) fn kind(self) -> BlockKind {
        let place = (self.0 & ((1 << KIND_BITS) - 1)) as usize;
        BlockKind::ALL.get(place).map_or(BlockKind::Key, |(kind, _)| *kind)
    }
}

/// One way by which a record may meet others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) key: BlockKey,
    /// What the key was made from, if from an identifying value.
    pub(crate) origin: Origin,
    /// Where its refinements begin among all of the record's, and how many there are.
    first: u16,
    count: u16,
}

/// What a blocking key was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The value of a feature.
    Value(Feature),
    /// The i-th cross-reference key.
    Key(u8),
    /// Names, dates and places.
    Shared,
}

/// The ways by which a record may meet others. Refinements of a block are in force only while it is
/// past its cap.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Proposals {
    blocks: SmallVec<[Block; 24]>,
    refinements: SmallVec<[BlockKey; 64]>,
}

impl Proposals {
    /// The blocks, each once.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// What refines a block of this record.
    pub(crate) fn refinements(&self, block: &Block) -> &[BlockKey] {
        &self.refinements[usize::from(block.first)..usize::from(block.first) + usize::from(block.count)]
    }

    /// The block with a key.
    pub(crate) fn find(&self, key: BlockKey) -> Option<&Block> {
        self.blocks.iter().find(|block| block.key == key)
    }
}

/// The blocking keys of a record, each once.
pub(crate) fn keys_of(standard: &Standard) -> Proposals {
    let mut found = Gathered(Proposals::default());
    found.values(standard);
    found.people(standard);
    found.organisations(standard);
    found.0
}

struct Gathered(Proposals);

/// Words or dates or places, hashed; none if the record has none.
type Atom = Option<u64>;

fn atom(bytes: &[u8]) -> Atom {
    (!bytes.is_empty()).then(|| xxh3_64_with_seed(bytes, 0))
}

fn both(a: Atom, b: Atom) -> Atom {
    Some(mixed(a?, b?))
}

/// Two hashes as one; the order counts.
fn mixed(a: u64, b: u64) -> u64 {
    let turned = a.rotate_left(23) ^ b;
    (turned ^ turned >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Gathered {
    /// Adds a key of an identifying value unless it is there already.
    fn add(&mut self, kind: BlockKind, origin: Origin, hash: Atom) {
        let Some(hash) = hash else { return };
        let key = BlockKey::new(kind, hash);
        if self.0.find(key).is_none() {
            self.0.blocks.push(Block { key, origin, first: 0, count: 0 });
        }
    }

    /// Adds a block with what refines it, unless it is there already.
    fn block(&mut self, kind: BlockKind, hash: Atom, refiners: &[Atom]) {
        let Some(hash) = hash else { return };
        let key = BlockKey::new(kind, hash);
        if self.0.find(key).is_some() {
            return;
        }
        let before = self.0.refinements.len();
        for (place, refiner) in refiners.iter().enumerate() {
            let Some(refiner) = refiner else { continue };
            // The place tells a year from a postal code with the same digits.
            let hash = mixed(mixed(key.0, place as u64 + 1), *refiner);
            self.0.refinements.push(BlockKey::new(kind, hash));
        }
        // Parts have a bound, and so has what is made of them; a block too many goes unrefined.
        let after = self.0.refinements.len();
        let (first, count) = match (u16::try_from(before), u16::try_from(after)) {
            (Ok(before), Ok(after)) => (before, after - before),
            (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => (0, 0),
        };
        self.0.blocks.push(Block { key, origin: Origin::Shared, first, count });
    }

    fn values(&mut self, standard: &Standard) {
        for (at, key) in standard.value_bytes(Part::Keys).enumerate() {
            let Ok(at) = u8::try_from(at) else { break };
            self.add(BlockKind::Key, Origin::Key(at), atom(key));
        }
        for value in standard.value_bytes(Part::TaxId) {
            let bare = without_country(value);
            self.add(BlockKind::TaxId, Origin::Value(Feature::TaxId), atom(bare));
        }
        let plain = [
            (Part::Duns, Feature::Duns, BlockKind::Duns),
            (Part::Email, Feature::Email, BlockKind::Email),
            (Part::Phone, Feature::Phone, BlockKind::Phone),
            (Part::Domain, Feature::WebDomain, BlockKind::WebDomain),
        ];
        for (part, feature, kind) in plain {
            for value in standard.value_bytes(part) {
                self.add(kind, Origin::Value(feature), atom(value));
            }
        }
        for (part, feature) in IDS {
            for value in standard.value_bytes(part) {
                let hash = both(atom(value), Some(part as u64));
                self.add(BlockKind::Id, Origin::Value(feature), hash);
            }
        }
        let street = both(atom(standard.part(Part::Street)), atom(standard.part(Part::House)));
        let address = both(street, place_of(standard));
        self.add(BlockKind::Address, Origin::Value(Feature::Address), address);
        self.block(BlockKind::Street, street, &[]);
        self.block(BlockKind::PostalCode, atom(standard.part(Part::PostalCode)), &[]);
        for value in standard.value_bytes(Part::Email) {
            let local = value.split(|byte| *byte == b'@').next().unwrap_or_default();
            if local.len() >= LOCAL_LENGTH_MIN {
                self.block(BlockKind::MailLocal, atom(local), &[]);
            }
        }
    }

    fn people(&mut self, standard: &Standard) {
        let place = place_of(standard);
        let birth = birth_of(standard);
        let born = standard.part(Part::BirthDate);
        let year = if born.len() == 8 { atom(&born[..4]) } else { None };
        let city = atom(prefix(standard.part(Part::City)));
        let categories = CATEGORIES.map(|(part, _)| atom(standard.part(part)));
        let given = first_word(standard.part(Part::Given));
        let family = standard.part(Part::Family);
        let last = family.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let district = district_of(standard);
        let refiners = [year, district.or(place), city, categories[0], categories[1]];
        if !given.is_empty() && !last.is_empty() {
            let (x, y) = (sound_of_given(given), sound(last));
            // Either order: the smaller hash first.
            self.block(BlockKind::NamePair, Some(mixed(x.min(y), x.max(y))), &refiners);
        }
        for (at, word) in [given, first_word(family), last].into_iter().enumerate() {
            if word.len() < 2 || (at == 2 && word == first_word(family)) {
                continue;
            }
            let start = atom(prefix(word));
            let other = if at == 0 { atom(&last[..last.len().min(1)]) } else { atom(&given[..given.len().min(1)]) };
            self.block(BlockKind::NameAndBirth, both(start, birth), &[place, other, categories[0]]);
            self.block(BlockKind::NameAndPlace, both(start, place), &[other, year, categories[0]]);
            self.block(BlockKind::NameAndDistrict, both(start, district), &[other, year, categories[0]]);
            for (at, category) in categories.into_iter().take(CATEGORIES_MAX).enumerate() {
                let refiners = [other, year, district, categories[1 - at]];
                self.block(BlockKind::NameAndCategory, both(start, category), &refiners);
            }
        }
        let initials = [atom(&given[..given.len().min(1)]), atom(&last[..last.len().min(1)])];
        self.block(BlockKind::BirthAndPlace, both(birth, place), &initials);
        if standard.has(Part::PostalCode) {
            self.block(BlockKind::BirthAndPlace, both(birth, atom(standard.part(Part::City))), &initials);
        }
        self.block(BlockKind::Birth, birth, &[]);
        for category in categories.into_iter().take(CATEGORIES_MAX) {
            self.block(BlockKind::BirthAndCategory, both(birth, category), &initials);
        }
    }

    fn organisations(&mut self, standard: &Standard) {
        let place = place_of(standard);
        let city = atom(prefix(standard.part(Part::City)));
        for name in standard.values(Part::Words) {
            self.block(BlockKind::WholeName, atom(name.as_bytes()), &[place, city]);
            let telling = name.split(' ').filter(|word| word.len() > 1 && !lexicon().is_business_word(word.as_bytes()));
            let words: SmallVec<[&str; WORDS_MAX]> = telling.take(WORDS_MAX).collect();
            for (at, word) in words.iter().enumerate() {
                let start = atom(prefix(word.as_bytes()));
                let next = words.get(at + 1).or_else(|| words.first()).filter(|other| *other != word);
                let next = next.and_then(|other| atom(prefix(other.as_bytes())));
                self.block(BlockKind::Word, atom(word.as_bytes()), &[place, city, next]);
                self.block(BlockKind::WordAndPlace, both(start, place), &[]);
            }
        }
    }
}

/// The postal code, or the city where there is none.
fn place_of(standard: &Standard) -> Atom {
    atom(standard.part(Part::PostalCode)).or_else(|| atom(standard.part(Part::City)))
}

/// The district that a postal code with letters begins with: all but the last three characters.
fn district_of(standard: &Standard) -> Atom {
    let code = standard.part(Part::PostalCode);
    let has_letters = code.iter().any(u8::is_ascii_alphabetic);
    if has_letters && code.len() >= 5 { atom(&code[..code.len() - 3]) } else { None }
}

/// The date of birth with day and month in order of size: swapped ones meet.
fn birth_of(standard: &Standard) -> Atom {
    let born = standard.part(Part::BirthDate);
    if born.len() != 8 {
        return None;
    }
    let (day, month) = (&born[6..], &born[4..6]);
    let mut turned = [0u8; 8];
    turned[..4].copy_from_slice(&born[..4]);
    turned[4..6].copy_from_slice(day.min(month));
    turned[6..].copy_from_slice(day.max(month));
    atom(&turned)
}

fn first_word(words: &[u8]) -> &[u8] {
    words.split(|byte| *byte == b' ').next().unwrap_or_default()
}

fn prefix(word: &[u8]) -> &[u8] {
    &word[..word.len().min(PREFIX_LENGTH)]
}

/// A given name as its group of nicknames, or as it sounds.
fn sound_of_given(name: &[u8]) -> u64 {
    let chief = std::str::from_utf8(name).ok().and_then(|name| lexicon().chief_group(name));
    chief.map_or_else(|| sound(name), |group| mixed(u64::from(group), 1))
}

/// A word as it sounds, roughly and in many languages: its first letter and the classes of the
/// consonants after it, without repeats.
fn sound(word: &[u8]) -> u64 {
    const LENGTH: usize = 5;
    let mut code = [0u8; LENGTH];
    let mut length = 0;
    let mut before = 0u8;
    for letter in word {
        let class = class_of(*letter);
        if length == 0 {
            code[0] = if class == 0 { b'a' } else { class };
            length = 1;
        } else if class != 0 && class != before && length < LENGTH {
            code[length] = class;
            length += 1;
        }
        if *letter != b'h' {
            before = class;
        }
    }
    xxh3_64_with_seed(&code[..length], 2)
}

/// Consonants that are mistaken for each other; none for vowels and what is not heard.
fn class_of(letter: u8) -> u8 {
    match letter {
        b'b' | b'p' | b'f' | b'v' | b'w' => 1,
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => 2,
        b'd' | b't' => 3,
        b'l' => 4,
        b'm' | b'n' => 5,
        b'r' => 6,
        b'0'..=b'9' => letter,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compare::testing::subject;
    use crate::kind::Kind;

    /// Kinds of blocks that two records have in common.
    fn met(left: &[(Kind, &str)], right: &[(Kind, &str)]) -> Vec<BlockKind> {
        let (a, b) = (keys_of(&subject(left).standard), keys_of(&subject(right).standard));
        let is_shared = |one: &&Block| b.find(one.key).is_some();
        let mut kinds: Vec<BlockKind> = a.blocks().iter().filter(is_shared).map(|one| one.key.kind()).collect();
        kinds.retain(|kind| !kind.is_single());
        kinds.dedup();
        kinds
    }

    #[test]
    fn an_error_in_one_part_leaves_another_block() {
        let clean = [
            (Kind::GivenName, "Robert"),
            (Kind::FamilyName, "Kessler"),
            (Kind::Date, "1980-05-02"),
            (Kind::PostalCode, "62704"),
        ];
        let mut other = clean;
        other[0].1 = "Bob";
        assert_eq!(
            met(&clean, &other),
            [BlockKind::NamePair, BlockKind::NameAndBirth, BlockKind::NameAndPlace, BlockKind::BirthAndPlace]
        );
        other[2].1 = "1980-02-05";
        assert!(met(&clean, &other).contains(&BlockKind::BirthAndPlace), "day and month swapped");
        other[3].1 = "99999";
        other[1].1 = "Kesler";
        assert_eq!(met(&clean, &other), [BlockKind::NamePair]);
        let swapped = [(Kind::GivenName, "Kessler"), (Kind::FamilyName, "Robert"), clean[2], clean[3]];
        assert!(met(&clean, &swapped).contains(&BlockKind::NameAndBirth));
    }

    #[test]
    fn firms_meet_by_words_that_tell() {
        let firm = |name| [(Kind::Organisation, name), (Kind::City, "Leeds")];
        assert!(met(&firm("Hartwell Holding"), &firm("Hartwell Logistics")).contains(&BlockKind::Word));
        assert!(met(&firm("Orchard Logistics"), &firm("Hartwell Logistics")).is_empty());
    }

    #[test]
    fn keys_are_told_apart_by_kind_and_not_repeated() {
        let keys = keys_of(&subject(&[(Kind::Phone, "12345678"), (Kind::Identifier, "12345678")]).standard);
        let kinds: Vec<BlockKind> = keys.blocks().iter().map(|block| block.key.kind()).collect();
        assert_eq!(kinds, [BlockKind::Phone, BlockKind::Id]);
        assert_eq!(keys_of(&subject(&[]).standard), Proposals::default());
    }
}
