//! Floors and ceilings on a confidence (spec 4.2), one named rule each.
//!
//! The weights rank pairs; the rules state what no weight may overrule. Floors come first, ceilings
//! have the last word: where a promise to link and a reason for care meet, a person decides.

use crate::feature::{Feature, Level, Levels};

/// What a rule does to the confidence of a pair to which it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// At least this many millionths.
    Floor(u32),
    /// At least what the model grants a caller whose number one customer alone shows.
    SoleCustomerFloor,
    /// Below the automatic link.
    Ceiling,
}

/// What is known of a pair when its rules are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    pub(crate) levels: Levels,
    /// One of the records is a Webex caller profile.
    pub(crate) has_caller: bool,
    /// Both records name a person.
    pub(crate) are_people: bool,
    /// The caller's number or address agrees and belongs to members of exactly one customer.
    pub(crate) is_sole_customer: bool,
}

/// One named rule.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) applies: fn(&Evidence) -> bool,
}

/// Every rule, in the order in which they are read.
pub(crate) const ALL: &[Rule] = &[
    Rule { name: "key_and_feature", effect: Effect::Floor(990_000), applies: key_and_feature },
    Rule { name: "key_alone", effect: Effect::Floor(950_000), applies: key_alone },
    Rule { name: "tax_id_and_name", effect: Effect::Floor(970_000), applies: tax_id_and_name },
    Rule { name: "sole_customer", effect: Effect::SoleCustomerFloor, applies: sole_customer },
    Rule { name: "key_but_unlike", effect: Effect::Ceiling, applies: key_but_unlike },
    Rule { name: "name_or_place_only", effect: Effect::Ceiling, applies: name_or_place_only },
    Rule { name: "contact_only", effect: Effect::Ceiling, applies: contact_only },
    Rule { name: "not_individuating", effect: Effect::Ceiling, applies: not_individuating },
];

impl Evidence {
    fn level(&self, feature: Feature) -> Level {
        self.levels.of(feature)
    }

    fn exact(&self, feature: Feature) -> bool {
        self.level(feature) == Level::Exact
    }

    fn agrees(&self, feature: Feature) -> bool {
        self.level(feature).agrees()
    }

    fn any_agrees(&self, features: &[Feature]) -> bool {
        features.iter().any(|feature| self.agrees(*feature))
    }

    /// Equal, mistyped, or one name contains the other.
    fn name_similar(&self) -> bool {
        self.agrees(Feature::Name) || self.level(Feature::Name) == Level::Partial
    }

    fn name_unlike(&self) -> bool {
        matches!(self.level(Feature::Name), Level::Different | Level::Household)
    }

    /// Features other than `but` that agree; of an address the street, not only the place.
    fn others_agree(&self, but: Feature) -> bool {
        (but != Feature::Name && self.name_similar())
            || self.levels.iter().any(|(feature, level)| feature != but && level.agrees())
    }
}

/// A key and one other feature agree.
fn key_and_feature(e: &Evidence) -> bool {
    e.exact(Feature::Key) && e.others_agree(Feature::Key)
}

/// A key agrees and nothing else says anything.
fn key_alone(e: &Evidence) -> bool {
    e.exact(Feature::Key) && e.levels.iter().all(|(feature, level)| feature == Feature::Key || level.says_nothing())
}

/// Equal tax id, similar name.
fn tax_id_and_name(e: &Evidence) -> bool {
    e.exact(Feature::TaxId) && e.name_similar()
}

/// A caller's number or address that one customer alone shows.
fn sole_customer(e: &Evidence) -> bool {
    e.has_caller && e.is_sole_customer
}

/// A key agrees, but name and address are both clearly different: perhaps a mistyped key.
fn key_but_unlike(e: &Evidence) -> bool {
    e.exact(Feature::Key) && e.name_unlike() && e.level(Feature::Address) == Level::Different
}

/// Nothing but name, domain or place: many share them.
fn name_or_place_only(e: &Evidence) -> bool {
    let telling = [
        Feature::Key,
        Feature::TaxId,
        Feature::Duns,
        Feature::Email,
        Feature::BirthDate,
        Feature::Phone,
        Feature::Address,
    ];
    !e.any_agrees(&telling) && !sole_customer(e)
}

/// Nothing but a phone or a mail address, between records of Salesforce, Oracle and SAP, or of a
/// caller whose number more than one customer shows.
fn contact_only(e: &Evidence) -> bool {
    let others = [Feature::Key, Feature::TaxId, Feature::Duns, Feature::BirthDate, Feature::Address];
    let has_more = e.name_similar() || e.any_agrees(&others) || sole_customer(e);
    e.any_agrees(&[Feature::Email, Feature::Phone]) && !has_more
}

/// No agreement that tells the party from its household, its sites or its neighbours.
fn not_individuating(e: &Evidence) -> bool {
    let name = e.name_similar();
    let located = e.agrees(Feature::Address) || e.exact(Feature::Phone);
    let tax_id = e.exact(Feature::TaxId) && (name || (!e.name_unlike() && e.others_agree(Feature::TaxId)));
    let person = e.are_people && e.agrees(Feature::Name) && (e.agrees(Feature::BirthDate) || located);
    let organisation = !e.are_people && name && located;
    let individuating = e.exact(Feature::Key)
        || tax_id
        || (e.exact(Feature::Duns) && name)
        || (e.exact(Feature::Email) && name)
        || person
        || organisation
        || sole_customer(e);
    !individuating
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(levels: &[(Feature, Level)]) -> Evidence {
        let mut all = [Level::Silent; Feature::COUNT];
        for (feature, level) in levels {
            all[*feature as usize] = *level;
        }
        Evidence { levels: Levels(all), has_caller: false, are_people: false, is_sole_customer: false }
    }

    fn check(e: &Evidence, expected: &[&str]) {
        let applied: Vec<&str> = ALL.iter().filter(|rule| (rule.applies)(e)).map(|rule| rule.name).collect();
        assert_eq!(applied, expected, "{e:?}");
    }

    use Feature::{Address, BirthDate, Duns, Email, Key, Name, Phone, TaxId, WebDomain};
    use Level::{Close, Different, Exact, Generic, Household, Partial};

    #[test]
    fn keys() {
        check(&evidence(&[(Key, Exact), (Name, Partial)]), &["key_and_feature"]);
        check(&evidence(&[(Key, Exact), (Phone, Exact), (Name, Different)]), &["key_and_feature"]);
        check(&evidence(&[(Key, Exact)]), &["key_alone"]);
        check(&evidence(&[(Key, Exact), (Email, Generic)]), &["key_alone"]);
        check(&evidence(&[(Key, Exact), (Name, Different)]), &[]);
        check(&evidence(&[(Key, Exact), (Name, Different), (Address, Different)]), &["key_but_unlike"]);
        check(&evidence(&[(Key, Exact), (Name, Household), (Address, Different)]), &["key_but_unlike"]);
        check(&evidence(&[(Key, Exact), (Name, Different), (Address, Partial)]), &[]);
    }

    #[test]
    fn tax_ids() {
        check(&evidence(&[(TaxId, Exact), (Name, Exact)]), &["tax_id_and_name"]);
        check(&evidence(&[(TaxId, Exact), (Name, Partial)]), &["tax_id_and_name"]);
        check(&evidence(&[(TaxId, Exact)]), &["not_individuating"]);
        check(&evidence(&[(TaxId, Exact), (Name, Different), (Phone, Exact)]), &["not_individuating"]);
        check(&evidence(&[(TaxId, Exact), (Address, Close)]), &[]);
    }

    #[test]
    fn names_and_places_alone_do_not_link() {
        let ceilings = &["name_or_place_only", "not_individuating"];
        check(&evidence(&[(Name, Exact)]), ceilings);
        check(&evidence(&[(WebDomain, Exact)]), ceilings);
        check(&evidence(&[(Name, Exact), (Address, Partial)]), ceilings);
        check(&evidence(&[(Name, Exact), (WebDomain, Exact), (Address, Partial)]), ceilings);
        check(&evidence(&[(Name, Exact), (Address, Close)]), &[]);
    }

    #[test]
    fn contacts_alone_do_not_link() {
        let ceilings = &["contact_only", "not_individuating"];
        check(&evidence(&[(Phone, Exact)]), ceilings);
        check(&evidence(&[(Email, Exact)]), ceilings);
        check(&evidence(&[(Email, Exact), (Name, Different)]), ceilings);
        check(&evidence(&[(Email, Exact), (Name, Close)]), &[]);
        check(&evidence(&[(Duns, Exact)]), &["not_individuating"]);
    }

    #[test]
    fn a_household_is_not_a_person() {
        let person = |levels| Evidence { are_people: true, ..evidence(levels) };
        let household = [(Name, Household), (Address, Exact), (Phone, Exact), (Email, Exact)];
        check(&person(&household), &["not_individuating"]);
        check(&person(&[(Name, Household), (BirthDate, Exact), (Address, Exact)]), &["not_individuating"]);
        check(&person(&[(Name, Partial), (BirthDate, Exact)]), &["not_individuating"]);
        check(&person(&[(Name, Close), (BirthDate, Close)]), &[]);
        check(&person(&[(Name, Exact), (Phone, Exact)]), &[]);
    }

    #[test]
    fn a_callers_number_links_where_one_customer_alone_shows_it() {
        let caller = |is_sole_customer| Evidence { has_caller: true, is_sole_customer, ..evidence(&[(Phone, Exact)]) };
        check(&caller(true), &["sole_customer"]);
        check(&caller(false), &["contact_only", "not_individuating"]);
    }
}
