//! Names of people and organisations.

use compact_str::CompactString;
use ontology::PartyRecord;
use ontology::status::PartyType;

use super::text::{fold, fold_into};

/// Words that tell the legal form of an organisation, folded. They differ between systems for one
/// organisation and are equal between many.
const LEGAL_FORMS: &[&str] = &[
    "ab",
    "ag",
    "aps",
    "as",
    "bv",
    "bvba",
    "co",
    "company",
    "corp",
    "corporation",
    "doo",
    "ev",
    "gbr",
    "gesellschaft",
    "gmbh",
    "inc",
    "incorporated",
    "kft",
    "kg",
    "kgaa",
    "kk",
    "lda",
    "limited",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "mbh",
    "nv",
    "ohg",
    "oy",
    "oyj",
    "plc",
    "pty",
    "pvt",
    "sa",
    "sarl",
    "sas",
    "se",
    "sl",
    "spa",
    "srl",
    "srls",
    "sro",
    "ug",
    "zoo",
];

/// Words between the parts of a name.
const JOINING: &[&str] = &["and", "et", "the", "und", "y"];

/// Titles and suffixes of people.
const TITLES: &[&str] =
    &["dr", "frau", "herr", "ii", "iii", "jr", "mag", "miss", "mme", "mr", "mrs", "ms", "prof", "sir", "sr"];

/// A folded name. `words` is filled for both kinds of party, the other two for people only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Name {
    /// Words in alphabetical order, joined by blanks, without legal forms and titles.
    pub(crate) words: CompactString,
    /// Given names in the order written.
    pub(crate) given: CompactString,
    /// Family name, its parts joined without blanks.
    pub(crate) family: CompactString,
}

impl Name {
    pub(crate) fn of(record: &PartyRecord) -> Self {
        let has_parts = !record.given_name.is_empty() || !record.family_name.is_empty();
        let is_person = match record.party_type {
            Some(PartyType::Person) => true,
            Some(PartyType::Organisation) => false,
            None => has_parts || !record.birth_date.is_empty(),
        };
        if !is_person {
            return Name { words: organisation_words(&record.name), ..Name::default() };
        }
        let (given, family) = if has_parts {
            (person_words(&record.given_name), person_words(&record.family_name))
        } else {
            parts_of_person(&record.name)
        };
        let mut words: Vec<&str> = given.iter().chain(&family).map(String::as_str).collect();
        words.sort_unstable();
        Name {
            words: CompactString::from(words.join(" ")),
            given: CompactString::from(given.join(" ")),
            family: CompactString::from(family.concat()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn is_of_person(&self) -> bool {
        !self.family.is_empty()
    }

    /// The name as an explanation shows it.
    pub(crate) fn shown(&self) -> CompactString {
        if self.is_of_person() {
            CompactString::from(format!("{} {}", self.given, self.family).trim())
        } else {
            self.words.clone()
        }
    }
}

fn organisation_words(name: &str) -> CompactString {
    let all = fold(name);
    let says = |word: &&String| !LEGAL_FORMS.contains(&word.as_str()) && !JOINING.contains(&word.as_str());
    let mut words: Vec<&str> = all.iter().filter(says).map(String::as_str).collect();
    if words.is_empty() {
        // A name made of nothing else is still a name.
        words = all.iter().map(String::as_str).collect();
    }
    words.sort_unstable();
    CompactString::from(words.join(" "))
}

fn person_words(name: &str) -> Vec<String> {
    let mut words = fold(name);
    if words.len() > 1 {
        words.retain(|word| !TITLES.contains(&word.as_str()));
    }
    words
}

/// Given and family names of `Given Family` or `Family, Given`.
fn parts_of_person(name: &str) -> (Vec<String>, Vec<String>) {
    if let Some((family, given)) = name.split_once(',') {
        let given_words = person_words(given);
        if !given_words.is_empty() && !TITLES.contains(&given_words[0].as_str()) {
            return (given_words, person_words(family));
        }
    }
    let mut words = Vec::new();
    fold_into(name, &mut words);
    words.retain(|word| !TITLES.contains(&word.as_str()));
    let family = words.pop().into_iter().collect();
    (words, family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ontology::{EntityKey, EntityKind, Fields};

    fn check(name: &str, party_type: Option<PartyType>, expected: (&str, &str, &str)) {
        let key = EntityKey::new(EntityKind::Account, "1");
        let mut record = PartyRecord::read(&key, &Fields::default());
        record.name = CompactString::from(name);
        record.party_type = party_type;
        let found = Name::of(&record);
        assert_eq!((found.words.as_str(), found.given.as_str(), found.family.as_str()), expected, "{name}");
    }

    #[test]
    fn legal_forms_and_word_order_do_not_matter() {
        check("Acme GmbH & Co. KG", None, ("acme", "", ""));
        check("The ACME Logistics, Inc.", None, ("acme logistics", "", ""));
        check("Logistics Acme", None, ("acme logistics", "", ""));
        check("GmbH", None, ("gmbh", "", ""));
        check("", None, ("", "", ""));
    }

    #[test]
    fn people_are_read_in_both_orders() {
        let person = Some(PartyType::Person);
        check("BAUER, Dr. Anna Maria", person, ("anna bauer maria", "anna maria", "bauer"));
        check("Anna Maria Bauer", person, ("anna bauer maria", "anna maria", "bauer"));
        check("Samuel Quist, Jr.", person, ("quist samuel", "samuel", "quist"));
        check("Cher", person, ("cher", "", "cher"));
        check("", person, ("", "", ""));
    }
}
