//! Party records: each is of one customer in truth, and shows it well or badly.

use ontology::entity::field_of;
use ontology::{EntityKey, EntityKind, Field, FieldsBuilder, Op};

use super::Draft;
use super::value::named;

/// What is true of a customer, by field. Neighbours in the table share something.
struct Truth {
    names: [&'static str; 3],
    tax_id: &'static str,
    emails: [&'static str; 2],
    phone: &'static str,
    street: &'static str,
    city: &'static str,
}

const TRUTHS: &[Truth] = &[
    Truth {
        names: ["Acme GmbH", "ACME", "Acme Gmbh & Co"],
        tax_id: "DE111222333",
        emails: ["billing@acme.example", "info@acme.example"],
        phone: "+4930123456",
        street: "Hauptstrasse 5",
        city: "Berlin",
    },
    Truth {
        names: ["Acme Leeds Ltd", "Acme Leds Ltd", "ACME Leeds"],
        tax_id: "GB444555666",
        emails: ["leeds@acme.example", "info@acme.example"],
        phone: "+441132450001",
        street: "12 Mill Lane",
        city: "Leeds",
    },
    Truth {
        names: ["Zenith Foods", "Zenith Fods", "Zenith Foods Inc"],
        tax_id: "GB777888999",
        emails: ["ap@zenith.example", "ops@zenith.example"],
        phone: "+441132450002",
        street: "12 Mill Lane",
        city: "Leeds",
    },
    Truth {
        names: ["Maria Weber", "Weber, Maria", "Maria Webber"],
        tax_id: "",
        emails: ["maria@weber.example", "m.weber@weber.example"],
        phone: "+441132450001",
        street: "9 Abbey Road",
        city: "York",
    },
    Truth {
        names: ["Peter Weber", "P. Weber", "Weber Peter"],
        tax_id: "",
        emails: ["peter@weber.example", "maria@weber.example"],
        phone: "+441132450003",
        street: "9 Abbey Road",
        city: "York",
    },
];

/// A value that many records show once it is generic: one more record than may share it.
const SHARED_MAIL: &str = "info@everybody.example";

/// Fields that say nothing of who it is.
const OTHER_FIELDS: &[Field] = &[Field::Plan, Field::Lifecycle, Field::Tier, Field::ArBalance, Field::Currency];

impl Draft {
    /// Draws the party records: every customer in every system, a few twice.
    pub(super) fn parties(&mut self) {
        for number in 0..self.customers {
            for kind in EntityKind::PARTIES {
                if self.chance.is(85) {
                    self.changes(&named(kind, number));
                }
                if self.chance.is(15) {
                    self.changes(&named(kind, number + self.customers));
                }
            }
        }
        if self.chance.is(5) {
            self.generic();
        }
    }

    /// Ten or eleven accounts with one mail address: one too many makes it generic.
    fn generic(&mut self) {
        for number in 0..10 + self.chance.below(2) {
            let mut fields = FieldsBuilder::default();
            fields.text(Field::Email, Some(SHARED_MAIL)).text(Field::Name, Some("Acme GmbH"));
            let key = EntityKey::new(EntityKind::Account, format!("shared-{number}"));
            self.push(&key, Op::Image, fields.build());
        }
    }

    /// A party record that may exist.
    pub(super) fn party(&mut self) -> EntityKey {
        let kind = *self.chance.pick(&EntityKind::PARTIES);
        named(kind, self.chance.below(self.customers + 1))
    }

    /// The value of one field of a party record: what is true, or a neighbour's, or nothing.
    pub(super) fn party_value(&mut self, key: &EntityKey, field: Field, fields: &mut FieldsBuilder) {
        let digits = key.id.rsplit('-').next().and_then(|digits| digits.parse::<usize>().ok());
        let number = digits.unwrap_or_default() % self.customers;
        let number = if self.chance.is(4) { number + 1 } else { number };
        let truth = &TRUTHS[number % TRUTHS.len()];
        if OTHER_FIELDS.contains(&field) && self.chance.is(60) {
            let spec = field_of(key.kind, field).expect("every party kind has these fields");
            self.plain_value(spec, fields);
            return;
        }
        let (account, customer) = (named(EntityKind::Account, number), named(EntityKind::ArCustomer, number));
        let (name, mail) = (*self.chance.pick(&truth.names), *self.chance.pick(&truth.emails));
        // How often a record shows a field, and how often a caller's does. Callers show no mail, so
        // that no pair of a caller depends on what is generic.
        let shown = [
            (Field::Name, 95, 20, name),
            (Field::TaxId, 60, 0, truth.tax_id),
            (Field::Email, 60, 0, mail),
            (Field::Phone, 60, 90, truth.phone),
            (Field::Street, 50, 0, truth.street),
            (Field::City, 70, 10, truth.city),
            (Field::AccountXref, 20, 20, &account.id),
            (Field::ArCustomerXref, 10, 10, &customer.id),
        ];
        let is_caller = key.kind == EntityKind::CallerProfile;
        let known = shown.into_iter().find(|(known, ..)| *known == field);
        let text = known.filter(|(_, often, of_caller, _)| self.chance.is(if is_caller { *of_caller } else { *often }));
        fields.text(field, text.map(|(.., text)| text));
    }
}
