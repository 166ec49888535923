//! What is known of a record without reading it: two lines of memory that tell of most candidate
//! pairs that they cannot be worth keeping.
//!
//! A sketch holds hashes of values and sets of their letters. From two sketches follows for each
//! feature which levels a comparison may give, and from these an upper bound of the pair's total.
//! The bound is never below the total (a test compares them), so nothing is lost by it. What a
//! sketch does not know is taken at its best.

mod value;

use crate::compare::{WORDS_MAX, has_digit, words};
use crate::feature::{Feature, FeatureSet, Level, TERM_FEATURES};
use crate::kernel::within_one_edit;
use crate::model::Model;
use crate::standard::{BETWEEN, Part, Standard, lexicon, without_country};
use value::{Digits, Word, hash};

/// Similarities below which values are told apart, as comparisons have them.
const NAME_ALIKE_MIN: f64 = 0.9;
const NAME_SOMEWHAT_ALIKE_MIN: f64 = 0.8;
const STREET_ALIKE_MIN: f64 = 0.93;
const CITY_ALIKE_MIN: f64 = 0.9;
const LOCAL_ALIKE_MIN: f64 = 0.9;

/// Bytes of a postal code that are kept; longer codes are not told apart.
const CODE_LENGTH: usize = 8;

/// Parts of which a sketch knows nothing, with the features that compare them.
const UNKNOWN: [(Part, Feature); 20] = [
    (Part::Duns, Feature::Duns),
    (Part::Id2, Feature::Id2),
    (Part::Id3, Feature::Id3),
    (Part::Id4, Feature::Id4),
    (Part::Id5, Feature::Id5),
    (Part::Id6, Feature::Id6),
    (Part::Date1, Feature::Date1),
    (Part::Date2, Feature::Date2),
    (Part::Category1, Feature::Category1),
    (Part::Category2, Feature::Category2),
    (Part::Category3, Feature::Category3),
    (Part::Category4, Feature::Category4),
    (Part::Category5, Feature::Category5),
    (Part::Category6, Feature::Category6),
    (Part::Text1, Feature::Text1),
    (Part::Text2, Feature::Text2),
    (Part::Text3, Feature::Text3),
    (Part::List1, Feature::List1),
    (Part::List2, Feature::List2),
    (Part::Geo, Feature::Geo),
];

/// Parts of which a sketch holds the value if there is only one.
const PLAIN: [Part; 8] =
    [Part::Given, Part::Family, Part::BirthDate, Part::Phone, Part::Id1, Part::Email, Part::Domain, Part::PostalCode];

/// What is known of a record at a glance.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Sketch {
    /// Parts that the record has, a bit each.
    present: u64,
    /// Those of [`PLAIN`] that are here as a whole, a bit each: one value, of one word where it is a name.
    plain: u8,
    generic: FeatureSet,
    /// A bit for each key, by its hash: records without a bit in common have no key in common.
    keys: u64,
    /// Date of birth, four bits a digit.
    born: u32,
    given: Word,
    family: Word,
    /// Groups of nicknames that the given name stands in, by their remainder.
    nicknames: u32,
    rarities: [i8; TERM_FEATURES.len()],
    code_length: u8,
    has_plus: bool,
    is_caller: bool,
    code: [u8; CODE_LENGTH],
    phone: Digits,
    id: Digits,
    email: Word,
    local: Word,
    street: Word,
    house: u32,
    city: Word,
    domain: u32,
    /// Hash of the only number in an organisation's only name; 0 if there is none, or several.
    number: u16,
}

impl Sketch {
    /// The sketch of a record of which `generic` features are generic.
    pub(crate) fn of(standard: &Standard, generic: FeatureSet) -> Self {
        let mut sketch = Sketch { generic, rarities: standard.rarities, ..Sketch::default() };
        (sketch.present, sketch.is_caller) = (standard.present(), standard.is_caller);
        let whole = |part: Part| Some(standard.part(part)).filter(|value| !value.is_empty());
        let one = |part: Part| whole(part).filter(|value| !value.contains(&BETWEEN));
        let word = |part: Part| one(part).filter(|value| value.len() > 1 && !value.contains(&b' '));
        let mut plain = 0u8;
        let mut note = |part: Part| plain |= plain_bit(part);
        if let Some(name) = word(Part::Given) {
            note(Part::Given);
            sketch.given = Word::of(name);
            sketch.nicknames = lexicon().groups(name).fold(0, |all, group| all | 1 << (group % 32));
        }
        if let Some(name) = word(Part::Family) {
            note(Part::Family);
            sketch.family = Word::of(name);
        }
        if let Some(born) = one(Part::BirthDate).filter(|born| born.len() == 8 && born.iter().all(u8::is_ascii_digit)) {
            note(Part::BirthDate);
            sketch.born = born.iter().fold(0, |all, digit| all << 4 | u32::from(digit - b'0'));
        }
        if let Some(phone) = one(Part::Phone) {
            note(Part::Phone);
            (sketch.phone, sketch.has_plus) = (Digits::of(phone, phone), phone[0] == b'+');
        }
        if let Some(id) = one(Part::Id1) {
            note(Part::Id1);
            sketch.id = Digits::of(id, without_country(id));
        }
        if let Some(email) = one(Part::Email) {
            note(Part::Email);
            sketch.email = Word::of(email);
            sketch.local = Word::of(email.split(|byte| *byte == b'@').next().unwrap_or_default());
        }
        if let Some(domain) = one(Part::Domain) {
            note(Part::Domain);
            sketch.domain = hash(domain);
        }
        if let Some(code) = whole(Part::PostalCode).filter(|code| code.len() <= CODE_LENGTH) {
            note(Part::PostalCode);
            sketch.code[..code.len()].copy_from_slice(code);
            sketch.code_length = code.len() as u8;
        }
        sketch.keys = standard.value_bytes(Part::Keys).fold(0, |all, key| all | 1 << (hash(key) % u64::BITS));
        sketch.street = Word::of(standard.part(Part::Street));
        sketch.house = hash(standard.part(Part::House));
        sketch.city = Word::of(standard.part(Part::City));
        sketch.number = one(Part::Words).and_then(only_number).map_or(0, |number| hash(number) as u16 | 1);
        sketch.plain = plain;
        sketch
    }

    /// A number that depends on the sketch: whoever reads it has the sketch near afterwards.
    pub(crate) fn touch(&self) -> u64 {
        self.present ^ u64::from(self.domain)
    }

    fn has(&self, part: Part) -> bool {
        self.present & (1 << part as u64) != 0
    }

    fn is_plain(&self, part: Part) -> bool {
        self.plain & plain_bit(part) != 0
    }
}

/// The only word of a name that has a digit in it; none of a name of which not all words are compared.
fn only_number(name: &[u8]) -> Option<&[u8]> {
    let mut numbers = words(name).filter(|word| has_digit(word));
    let number = numbers.next()?;
    (numbers.next().is_none() && words(name).count() <= WORDS_MAX).then_some(number)
}

fn plain_bit(part: Part) -> u8 {
    PLAIN.iter().position(|plain| *plain == part).map_or(0, |place| 1 << place)
}

/// What a pair is worth at most, in thousandths of a bit; none if a rule may grant it a confidence
/// whatever it is worth, as where a key may be in common, or it is kept anyway, as with callers.
pub(crate) fn worth_at_most(model: &Model, a: &Sketch, b: &Sketch) -> Option<i32> {
    let common = a.present & b.present;
    let both = |part: Part| common & (1 << part as u64) != 0;
    if a.keys & b.keys != 0 || both(Part::TaxId) || a.is_caller || b.is_caller {
        return None;
    }
    let pair = Pair { model, a, b };
    let mut most = model.prior_millibits + pair.names() + pair.organisation();
    if both(Part::Keys) {
        // Keys of other schemes say nothing.
        most += pair.most(Feature::Key, &[Level::Different]).max(0);
    }
    if both(Part::BirthDate) {
        most += pair.born();
    }
    if both(Part::Phone) {
        most += pair.phone();
    }
    if both(Part::Email) {
        most += pair.email();
    }
    if both(Part::Id1) {
        most += pair.id();
    }
    if both(Part::Domain) {
        most += pair.domain();
    }
    // Two places cost what a move costs at most.
    let street = if both(Part::Street) { pair.street() } else { 0 };
    let is_placed = both(Part::PostalCode) || both(Part::City) || both(Part::Region);
    let place = if is_placed { pair.place() } else { 0 };
    most += (street + place).max(model.moved_millibits);
    if common & unknown_bits() != 0 {
        most += UNKNOWN.iter().filter(|(part, _)| both(*part)).map(|(_, feature)| pair.best(*feature)).sum::<i32>();
    }
    Some(most)
}

const fn unknown_bits() -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < UNKNOWN.len() {
        bits |= 1 << UNKNOWN[at].0 as u64;
        at += 1;
    }
    bits
}

/// Two sketches by the weights of a model.
#[derive(Clone, Copy)]
struct Pair<'a> {
    model: &'a Model,
    a: &'a Sketch,
    b: &'a Sketch,
}

impl Pair<'_> {
    fn weight(&self, feature: Feature, level: Level) -> i32 {
        self.model.weight_millibits(feature, level)
    }

    /// The most that any of some levels is worth; generic values are worth nothing.
    fn most(&self, feature: Feature, levels: &[Level]) -> i32 {
        let most = levels.iter().map(|level| self.weight(feature, *level)).max().unwrap_or(0);
        let is_generic = self.a.generic.contains(feature) || self.b.generic.contains(feature);
        if is_generic { most.max(0) } else { most }
    }

    fn exact(&self, feature: Feature) -> i32 {
        // Where values are equal, both records have the same rarity.
        let rarity = feature.term_place().map_or(0, |place| i32::from(self.a.rarities[place]) * 250);
        self.weight(feature, Level::Exact) + rarity
    }

    /// What a feature is worth at most, whatever the values.
    fn best(&self, feature: Feature) -> i32 {
        self.model.best_millibits(feature).max(self.exact(feature)).max(0)
    }

    fn are_plain(&self, part: Part) -> bool {
        self.a.is_plain(part) && self.b.is_plain(part)
    }

    fn names(&self) -> i32 {
        let names = |sketch: &Sketch| sketch.has(Part::Given) || sketch.has(Part::Family);
        if !names(self.a) || !names(self.b) {
            return 0;
        }
        let crossed = |a: &Sketch, b: &Sketch| may_be_one_family(a.given, b.family);
        if !self.are_plain(Part::Given)
            || !self.are_plain(Part::Family)
            || (crossed(self.a, self.b) && crossed(self.b, self.a))
        {
            return self.best(Feature::GivenName) + self.best(Feature::FamilyName);
        }
        self.given() + self.family()
    }

    fn given(&self) -> i32 {
        let (x, y) = (self.a.given, self.b.given);
        let may_be_variant = self.a.nicknames & self.b.nicknames != 0;
        let most = self.by_letters(Feature::GivenName, x, y, may_be_variant);
        if x.may_be(y) { most.max(self.exact(Feature::GivenName)) } else { most }
    }

    fn family(&self) -> i32 {
        let (x, y) = (self.a.family, self.b.family);
        let may_be_variant = x.may_contain(y) || x.within(y, 1);
        let most = self.by_letters(Feature::FamilyName, x, y, may_be_variant);
        if x.may_be(y) { most.max(self.exact(Feature::FamilyName)) } else { most }
    }

    /// Levels of two names of a word each that are not equal.
    fn by_letters(&self, feature: Feature, x: Word, y: Word, may_be_variant: bool) -> i32 {
        let mut most = self.most(feature, &[Level::Different]);
        if may_be_variant {
            most = most.max(self.weight(feature, Level::Variant));
        }
        if x.within(y, 1) {
            most = most.max(self.weight(feature, Level::Close));
        }
        let is_near = x.within(y, 2);
        if is_near || x.may_be_alike(y, NAME_ALIKE_MIN) {
            most = most.max(self.weight(feature, Level::Near));
        }
        if is_near || x.may_be_alike(y, NAME_SOMEWHAT_ALIKE_MIN) {
            most = most.max(self.weight(feature, Level::Partial));
            // Two names that people have: of family names there is no such level, and it is worth nothing.
            if feature == Feature::GivenName {
                most = most.max(self.weight(feature, Level::Household));
            }
        }
        most
    }

    /// A person's name may stand against an organisation's.
    fn organisation(&self) -> i32 {
        let has_words = self.a.has(Part::Words) || self.b.has(Part::Words);
        // Numbers are no typing errors: firms of other numbers are other firms.
        let has_other_number = self.a.number != 0 && self.b.number != 0 && self.a.number != self.b.number;
        match (has_words, has_other_number) {
            (true, true) => self.most(Feature::Name, &[Level::Different]),
            (true, false) => self.best(Feature::Name),
            (false, _) => 0,
        }
    }

    fn born(&self) -> i32 {
        let feature = Feature::BirthDate;
        if !self.are_plain(Part::BirthDate) {
            return self.best(feature);
        }
        let (x, y) = (self.a.born, self.b.born);
        if x == y {
            return self.weight(feature, Level::Exact);
        }
        let differing = x ^ y;
        let (year, day) = (differing >> 16, differing & 0xffff);
        if year == 0 || day == 0 {
            return self.most(feature, &[Level::Close, Level::Near, Level::Partial]);
        }
        // The last digit of the year swapped with the first of the month.
        let is_swapped = year <= 0xf && day & 0xfff == 0;
        self.most(feature, if is_swapped { &[Level::Close, Level::Different] } else { &[Level::Different] })
    }

    fn phone(&self) -> i32 {
        let feature = Feature::Phone;
        let (x, y) = (self.a.phone, self.b.phone);
        if !self.are_plain(Part::Phone) || x.may_be(y) {
            return self.best(feature);
        }
        let mut most = self.by_digits(feature, x, y);
        if !self.a.has_plus || !self.b.has_plus {
            most = most.max(self.weight(feature, Level::Variant));
        }
        most
    }

    fn id(&self) -> i32 {
        let (x, y) = (self.a.id, self.b.id);
        if !self.are_plain(Part::Id1) || x.may_be(y) {
            return self.best(Feature::Id1);
        }
        self.by_digits(Feature::Id1, x, y)
    }

    fn by_digits(&self, feature: Feature, x: Digits, y: Digits) -> i32 {
        if x.within(y, 1) {
            self.most(feature, &[Level::Close, Level::Near, Level::Different])
        } else if x.within(y, 2) {
            self.most(feature, &[Level::Near, Level::Different])
        } else {
            self.most(feature, &[Level::Different])
        }
    }

    fn email(&self) -> i32 {
        let feature = Feature::Email;
        if !self.are_plain(Part::Email) || self.a.email.may_be(self.b.email) {
            return self.best(feature);
        }
        let (x, y) = (self.a.local, self.b.local);
        let mut most = self.most(feature, &[Level::Different]);
        if self.a.email.within(self.b.email, 2) || x.may_be(y) {
            most = most.max(self.most(feature, &[Level::Close, Level::Near]));
        }
        if x.may_be_alike(y, LOCAL_ALIKE_MIN) {
            most = most.max(self.weight(feature, Level::Partial));
        }
        most
    }

    fn domain(&self) -> i32 {
        if self.are_plain(Part::Domain) && self.a.domain != self.b.domain {
            return self.most(Feature::WebDomain, &[Level::Close, Level::Different]);
        }
        self.best(Feature::WebDomain)
    }

    fn street(&self) -> i32 {
        let feature = Feature::Address;
        let (x, y) = (self.a.street, self.b.street);
        let are_housed = self.a.has(Part::House) && self.b.has(Part::House);
        let is_other_house = are_housed && self.a.house != self.b.house;
        if is_other_house && x.may_be(y) {
            return self.most(feature, &[Level::Near, Level::Partial, Level::Different]);
        }
        if x.may_be(y) {
            return self.best(feature);
        }
        let may_be_one = x.within(y, 2) || x.may_contain(y) || x.may_be_alike(y, STREET_ALIKE_MIN);
        match (may_be_one, is_other_house) {
            (true, true) => self.most(feature, &[Level::Near, Level::Partial, Level::Different]),
            (true, false) => self.most(feature, &[Level::Close, Level::Near, Level::Different]),
            (false, _) => self.most(feature, &[Level::Different]),
        }
    }

    fn place(&self) -> i32 {
        let feature = Feature::Place;
        let (x, y) = (self.a.city, self.b.city);
        let are_named = self.a.has(Part::City) && self.b.has(Part::City);
        let are_coded = self.a.has(Part::PostalCode) && self.b.has(Part::PostalCode);
        if !are_coded {
            return self.most(feature, &[Level::Partial, Level::Different]).max(0);
        }
        if !self.are_plain(Part::PostalCode) {
            return self.best(feature);
        }
        let code = |sketch: &'_ Sketch| -> usize { usize::from(sketch.code_length) };
        let (one, other) = (&self.a.code[..code(self.a)], &self.b.code[..code(self.b)]);
        if one == other {
            return self.exact(feature).max(self.most(feature, &[]));
        }
        let may_be_city = !are_named || x.may_be(y) || x.may_be_alike(y, CITY_ALIKE_MIN);
        if may_be_city {
            return self.most(feature, &[Level::Close, Level::Near, Level::Partial, Level::Different]);
        }
        let is_near = within_one_edit(one, other) || one.iter().zip(other).take(3).all(|(x, y)| x == y);
        self.most(feature, if is_near { &[Level::Near, Level::Different] } else { &[Level::Different] })
    }
}

/// Whether comparing two words of more than a letter as family names may find them equal, variants
/// or an error apart.
fn may_be_one_family(x: Word, y: Word) -> bool {
    x.may_contain(y) || x.within(y, 1)
}

#[cfg(test)]
mod tests;
