//! Floors and ceilings on a confidence (spec 4.2), one named rule each.
//!
//! The weights rank pairs; the rules state what no weight may overrule. Floors come first, ceilings
//! have the last word: where a promise to link and a reason for care meet, a person decides.

use crate::feature::{Feature, Level, Levels};
use crate::score::Standing;

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
    /// Both are rows of a table: a trained model weighs their places and words.
    pub(crate) are_rows: bool,
    /// Where a caller stands among the customers.
    pub(crate) standing: Standing,
    /// The model has seen enough to know how often one person's given names differ.
    pub(crate) weighs_given_names: bool,
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
    Rule { name: "keys_of_several", effect: Effect::Ceiling, applies: keys_of_several },
    Rule { name: "contact_of_another", effect: Effect::Ceiling, applies: contact_of_another },
    Rule { name: "key_but_unlike", effect: Effect::Ceiling, applies: key_but_unlike },
    Rule { name: "name_or_place_only", effect: Effect::Ceiling, applies: name_or_place_only },
    Rule { name: "contact_only", effect: Effect::Ceiling, applies: contact_only },
    Rule { name: "other_given_name", effect: Effect::Ceiling, applies: other_given_name },
    Rule { name: "not_individuating", effect: Effect::Ceiling, applies: not_individuating },
];

/// Features of tables that tell parties apart.
const OF_TABLES: [Feature; 20] = [
    Feature::Id1,
    Feature::Id2,
    Feature::Id3,
    Feature::Id4,
    Feature::Id5,
    Feature::Id6,
    Feature::Date1,
    Feature::Date2,
    Feature::Category1,
    Feature::Category2,
    Feature::Category3,
    Feature::Category4,
    Feature::Category5,
    Feature::Category6,
    Feature::Text1,
    Feature::Text2,
    Feature::Text3,
    Feature::List1,
    Feature::List2,
    Feature::Geo,
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

    /// The same number, with or without its country.
    fn phone_agrees(&self) -> bool {
        matches!(self.level(Feature::Phone), Level::Exact | Level::Variant)
    }

    /// Equal, said otherwise or mistyped: both names of a person, or the one of a firm.
    fn name_agrees(&self) -> bool {
        self.agrees(Feature::Name) || (self.agrees(Feature::GivenName) && self.agrees(Feature::FamilyName))
    }

    /// As [`Evidence::name_agrees`], or one name contains the other.
    fn name_similar(&self) -> bool {
        let is_near = |level: Level| level.agrees() || matches!(level, Level::Near | Level::Partial | Level::Initial);
        let family = self.level(Feature::FamilyName);
        let given = self.level(Feature::GivenName);
        let person = (family.agrees() || family == Level::Near) && (is_near(given) || given.says_nothing());
        is_near(self.level(Feature::Name)) || person
    }

    fn name_unlike(&self) -> bool {
        let name = matches!(self.level(Feature::Name), Level::Different | Level::Household);
        let given = self.level(Feature::GivenName);
        let family = self.level(Feature::FamilyName);
        name || given == Level::Different || (family == Level::Different && !given.agrees())
    }

    /// Features other than `but` that agree; of an address the street, not only the place.
    fn others_agree(&self, but: Feature) -> bool {
        let is_name = |f: Feature| matches!(f, Feature::Name | Feature::GivenName | Feature::FamilyName);
        let others = |(feature, level): (Feature, Level)| {
            feature != but && feature != Feature::Place && !is_name(feature) && level.agrees()
        };
        self.name_similar() || self.levels.spoken().any(others)
    }
}

/// A key and one other feature agree.
fn key_and_feature(e: &Evidence) -> bool {
    e.exact(Feature::Key) && e.others_agree(Feature::Key)
}

/// A key agrees and nothing else says anything.
fn key_alone(e: &Evidence) -> bool {
    e.exact(Feature::Key) && e.levels.spoken().all(|(feature, level)| feature == Feature::Key || level.says_nothing())
}

/// Equal tax id, similar name.
fn tax_id_and_name(e: &Evidence) -> bool {
    e.exact(Feature::TaxId) && e.name_similar() && !e.name_unlike()
}

/// A caller's number or address that one customer alone shows.
fn sole_customer(e: &Evidence) -> bool {
    e.has_caller && e.standing.is_sole_customer
}

/// A caller entered numbers that belong to several customers: one of them is mistyped, or the caller acts
/// for both.
fn keys_of_several(e: &Evidence) -> bool {
    e.has_caller && e.standing.names_several
}

/// A caller's number or address leads here, and a key or another of them elsewhere.
fn contact_of_another(e: &Evidence) -> bool {
    e.has_caller && e.standing.leads_elsewhere
}

/// A key agrees, but name and address are both clearly different: perhaps a mistyped key.
fn key_but_unlike(e: &Evidence) -> bool {
    let address_unlike = e.level(Feature::Address) == Level::Different && !e.agrees(Feature::Place);
    e.exact(Feature::Key) && e.name_unlike() && address_unlike
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
    let in_table = e.are_rows && (e.any_agrees(&OF_TABLES) || e.exact(Feature::Place));
    !e.any_agrees(&telling) && !in_table && !sole_customer(e)
}

/// Nothing but a phone or a mail address, between records of Salesforce, Oracle and SAP, or of a
/// caller whose number more than one customer shows.
fn contact_only(e: &Evidence) -> bool {
    let others = [Feature::Key, Feature::TaxId, Feature::Duns, Feature::BirthDate, Feature::Address];
    let has_more = e.name_similar() || e.any_agrees(&others) || e.any_agrees(&OF_TABLES) || sole_customer(e);
    e.any_agrees(&[Feature::Email, Feature::Phone]) && !has_more
}

/// Two people whose given names do not agree, and no identifier that does: twins, spouses, parents and
/// children share all else. A model learned from many matches weighs it; others leave it to a person.
fn other_given_name(e: &Evidence) -> bool {
    const IDENTIFIERS: [Feature; 9] = [
        Feature::Key,
        Feature::TaxId,
        Feature::Duns,
        Feature::Id1,
        Feature::Id2,
        Feature::Id3,
        Feature::Id4,
        Feature::Id5,
        Feature::Id6,
    ];
    let differs = matches!(e.level(Feature::GivenName), Level::Household | Level::Partial | Level::Different);
    e.are_people && !e.weighs_given_names && differs && !IDENTIFIERS.iter().any(|id| e.exact(*id))
}

/// No agreement that tells the party from its household, its sites or its neighbours.
fn not_individuating(e: &Evidence) -> bool {
    let name = e.name_similar() && !e.name_unlike();
    let located = e.agrees(Feature::Address) || e.phone_agrees();
    let tax_id = e.exact(Feature::TaxId) && (name || (!e.name_unlike() && e.others_agree(Feature::TaxId)));
    let person = e.are_people && e.name_agrees() && (e.agrees(Feature::BirthDate) || located);
    let organisation = !e.are_people && name && located;
    let individuating = e.exact(Feature::Key)
        || tax_id
        || (e.exact(Feature::Duns) && name)
        || (e.exact(Feature::Email) && name)
        || person
        || organisation
        || (e.are_rows && tells_rows_apart(e))
        || sole_customer(e);
    !individuating
}

/// In a table something that two of one home do not share: a given name, a date of birth, a mail
/// address, an identifier, a firm's whole name, or a text.
fn tells_rows_apart(e: &Evidence) -> bool {
    let own = [
        Feature::TaxId,
        Feature::Duns,
        Feature::Email,
        Feature::Name,
        Feature::GivenName,
        Feature::BirthDate,
        Feature::Id1,
        Feature::Id2,
        Feature::Id3,
        Feature::Id4,
        Feature::Id5,
        Feature::Id6,
        Feature::Text1,
        Feature::Text2,
        Feature::Text3,
    ];
    e.any_agrees(&own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(given: &[(Feature, Level)]) -> Evidence {
        let levels = given.iter().fold(Levels::default(), |levels, (feature, level)| levels.with(*feature, *level));
        Evidence {
            levels,
            has_caller: false,
            are_people: false,
            are_rows: false,
            standing: Standing::default(),
            weighs_given_names: false,
        }
    }

    fn check(e: &Evidence, expected: &[&str]) {
        let applied: Vec<&str> = ALL.iter().filter(|rule| (rule.applies)(e)).map(|rule| rule.name).collect();
        assert_eq!(applied, expected, "{e:?}");
    }

    use Feature::{
        Address, BirthDate, Duns, Email, FamilyName, GivenName, Id1, Key, Name, Phone, Place, TaxId, WebDomain,
    };
    use Level::{Close, Different, Exact, Generic, Household, Initial, Partial, Variant};

    #[test]
    fn keys() {
        check(&evidence(&[(Key, Exact), (Name, Partial)]), &["key_and_feature"]);
        check(&evidence(&[(Key, Exact), (Phone, Exact), (Name, Different)]), &["key_and_feature"]);
        check(&evidence(&[(Key, Exact)]), &["key_alone"]);
        check(&evidence(&[(Key, Exact), (Email, Generic)]), &["key_alone"]);
        check(&evidence(&[(Key, Exact), (Name, Different)]), &[]);
        check(&evidence(&[(Key, Exact), (Name, Different), (Address, Different)]), &["key_but_unlike"]);
        check(&evidence(&[(Key, Exact), (Name, Household), (Address, Different)]), &["key_but_unlike"]);
        check(&evidence(&[(Key, Exact), (Name, Different), (Address, Different), (Place, Exact)]), &[]);
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
        check(&evidence(&[(Name, Exact), (Place, Partial)]), ceilings);
        check(&evidence(&[(Name, Exact), (Place, Exact)]), ceilings);
        check(&evidence(&[(Name, Exact), (WebDomain, Exact), (Place, Partial)]), ceilings);
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
        let person = |given: &[(Feature, Level)]| Evidence { are_people: true, ..evidence(given) };
        let home = [(FamilyName, Exact), (Address, Exact), (Phone, Exact)];
        let with = |more: &[(Feature, Level)]| person(&home.iter().chain(more).copied().collect::<Vec<_>>());
        check(&with(&[(GivenName, Different), (Email, Exact)]), &["other_given_name", "not_individuating"]);
        check(&with(&[(GivenName, Different), (BirthDate, Exact)]), &["other_given_name", "not_individuating"]);
        check(&person(&[(FamilyName, Exact), (GivenName, Initial), (BirthDate, Exact)]), &["not_individuating"]);
        check(&person(&[(FamilyName, Close), (GivenName, Exact), (BirthDate, Close)]), &[]);
        check(&with(&[(GivenName, Variant)]), &[]);
    }

    #[test]
    fn rows_of_a_table_are_held_to_the_model_and_to_something_of_their_own() {
        let row = |given: &[(Feature, Level)]| Evidence { are_rows: true, are_people: true, ..evidence(given) };
        let home = [(FamilyName, Exact), (Address, Exact), (Phone, Exact)];
        check(&row(&home), &["not_individuating"]);
        check(&row(&[(FamilyName, Exact), (GivenName, Exact), (Place, Exact)]), &[]);
        check(&row(&[(FamilyName, Exact), (GivenName, Exact), (Place, Partial)]), &["name_or_place_only"]);
        check(&row(&[(Id1, Exact), (FamilyName, Different)]), &[]);
        let twins = [(FamilyName, Exact), (BirthDate, Exact), (Email, Exact), (Address, Exact)];
        let with = |more| row(&twins.into_iter().chain([more]).collect::<Vec<_>>());
        check(&with((GivenName, Partial)), &["other_given_name"]);
        check(&with((GivenName, Different)), &["other_given_name"]);
        check(&with((GivenName, Level::Near)), &[]);
        check(&Evidence { weighs_given_names: true, ..with((GivenName, Partial)) }, &[]);
        check(&row(&[(Id1, Exact), (GivenName, Different), (FamilyName, Exact)]), &[]);
    }

    #[test]
    fn a_callers_number_links_where_one_customer_alone_shows_it() {
        let caller = |is_sole_customer| {
            let standing = Standing { is_sole_customer, ..Standing::default() };
            Evidence { has_caller: true, standing, ..evidence(&[(Phone, Exact)]) }
        };
        check(&caller(true), &["sole_customer"]);
        check(&caller(false), &["contact_only", "not_individuating"]);
    }

    #[test]
    fn numbers_of_several_customers_wait_for_a_person() {
        let caller = |names_several| {
            let standing = Standing { names_several, ..Standing::default() };
            Evidence { has_caller: true, standing, ..evidence(&[(Key, Exact), (Phone, Exact)]) }
        };
        check(&caller(true), &["key_and_feature", "keys_of_several"]);
        check(&caller(false), &["key_and_feature"]);
        check(&Evidence { has_caller: false, ..caller(true) }, &["key_and_feature"]);
    }
}
