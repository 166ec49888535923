//! A party record: Salesforce account, Oracle AR customer, SAP business partner or Webex caller.
//! Which fields a record fills depends on its system; survivorship picks among them at read time.

use super::{FieldSpec, ValueKind};
use crate::field::Field;
use crate::fields::FieldReader;
use crate::status::{CreditStatus, Lifecycle, PartyType};
use crate::vocabulary::Coded;

/// Fields of the entity, required ones marked.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec::required(Field::Name, ValueKind::Text),
    FieldSpec::optional(Field::PartyType, ValueKind::word::<PartyType>()),
    FieldSpec::optional(Field::GivenName, ValueKind::Text),
    FieldSpec::optional(Field::FamilyName, ValueKind::Text),
    FieldSpec::optional(Field::Tier, ValueKind::Text),
    FieldSpec::optional(Field::Segment, ValueKind::Text),
    FieldSpec::optional(Field::Lifecycle, ValueKind::word::<Lifecycle>()),
    FieldSpec::optional(Field::Plan, ValueKind::Text),
    FieldSpec::optional(Field::TaxId, ValueKind::Text),
    FieldSpec::optional(Field::Duns, ValueKind::Text),
    FieldSpec::optional(Field::Email, ValueKind::Text),
    FieldSpec::optional(Field::Phone, ValueKind::Text),
    FieldSpec::optional(Field::Street, ValueKind::Text),
    FieldSpec::optional(Field::HouseNumber, ValueKind::Text),
    FieldSpec::optional(Field::City, ValueKind::Text),
    FieldSpec::optional(Field::PostalCode, ValueKind::Text),
    FieldSpec::optional(Field::Region, ValueKind::Text),
    FieldSpec::optional(Field::Country, ValueKind::Text),
    FieldSpec::optional(Field::WebDomain, ValueKind::Text),
    FieldSpec::optional(Field::BirthDate, ValueKind::Text),
    FieldSpec::optional(Field::ParentRef, ValueKind::Text),
    FieldSpec::optional(Field::AccountNumber, ValueKind::Text),
    FieldSpec::optional(Field::AccountXref, ValueKind::Text),
    FieldSpec::optional(Field::ArCustomerXref, ValueKind::Text),
    FieldSpec::optional(Field::PartnerXref, ValueKind::Text),
    FieldSpec::optional(Field::CustomerXref, ValueKind::Text),
    FieldSpec::optional(Field::ArBalance, ValueKind::Decimal),
    FieldSpec::optional(Field::Currency, ValueKind::Text),
    FieldSpec::optional(Field::CreditStatus, ValueKind::word::<CreditStatus>()),
    FieldSpec::optional(Field::PaymentTerms, ValueKind::Text),
    FieldSpec::optional(Field::EnteredNumber, ValueKind::Text),
];

/// A party record: Salesforce account, Oracle AR customer, SAP business partner or Webex caller, read field by field. Amounts are decimals in the record's currency.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// Full name of a person or an organisation.
    pub name: Option<&'a str>,
    /// Person or organisation.
    pub party_type: Coded<'a, PartyType>,
    /// Given names of a person.
    pub given_name: Option<&'a str>,
    /// Family name of a person.
    pub family_name: Option<&'a str>,
    /// Customer tier.
    pub tier: Option<&'a str>,
    /// Customer segment.
    pub segment: Option<&'a str>,
    /// Life cycle of the account.
    pub lifecycle: Coded<'a, Lifecycle>,
    /// The plan that the customer has.
    pub plan: Option<&'a str>,
    /// Tax or VAT id.
    pub tax_id: Option<&'a str>,
    /// D-U-N-S number.
    pub duns: Option<&'a str>,
    /// E-mail address.
    pub email: Option<&'a str>,
    /// Telephone number.
    pub phone: Option<&'a str>,
    /// Street, with the house number if the source does not part them.
    pub street: Option<&'a str>,
    /// House number.
    pub house_number: Option<&'a str>,
    /// City.
    pub city: Option<&'a str>,
    /// Postal code.
    pub postal_code: Option<&'a str>,
    /// Region, state or province.
    pub region: Option<&'a str>,
    /// Country, ISO 3166 alpha-2 where known.
    pub country: Option<&'a str>,
    /// Web domain.
    pub web_domain: Option<&'a str>,
    /// Date of birth of a person, ISO text.
    pub birth_date: Option<&'a str>,
    /// Parent account, same kind.
    pub parent_ref: Option<&'a str>,
    /// The number under which other systems and callers name this record.
    pub account_number: Option<&'a str>,
    /// Cross-reference to a Salesforce account (id or account number).
    pub account_xref: Option<&'a str>,
    /// Cross-reference to an Oracle AR customer.
    pub ar_customer_xref: Option<&'a str>,
    /// Cross-reference to a SAP business partner.
    pub partner_xref: Option<&'a str>,
    /// Key of a customer register that several systems carry.
    pub customer_xref: Option<&'a str>,
    /// Receivables balance, decimal in the record's currency.
    pub ar_balance: Option<(i64, u8)>,
    /// ISO 4217 code of the record's amounts.
    pub currency: Option<&'a str>,
    /// Credit standing.
    pub credit_status: Coded<'a, CreditStatus>,
    /// Payment terms.
    pub payment_terms: Option<&'a str>,
    /// Account or case number that the caller entered.
    pub entered_number: Option<&'a str>,
}

impl<'a> Party<'a> {
    /// Reads the entity from its fields.
    pub fn read(source: &'a impl FieldReader) -> Self {
        Party {
            name: source.text(Field::Name),
            party_type: source.coded(Field::PartyType),
            given_name: source.text(Field::GivenName),
            family_name: source.text(Field::FamilyName),
            tier: source.text(Field::Tier),
            segment: source.text(Field::Segment),
            lifecycle: source.coded(Field::Lifecycle),
            plan: source.text(Field::Plan),
            tax_id: source.text(Field::TaxId),
            duns: source.text(Field::Duns),
            email: source.text(Field::Email),
            phone: source.text(Field::Phone),
            street: source.text(Field::Street),
            house_number: source.text(Field::HouseNumber),
            city: source.text(Field::City),
            postal_code: source.text(Field::PostalCode),
            region: source.text(Field::Region),
            country: source.text(Field::Country),
            web_domain: source.text(Field::WebDomain),
            birth_date: source.text(Field::BirthDate),
            parent_ref: source.text(Field::ParentRef),
            account_number: source.text(Field::AccountNumber),
            account_xref: source.text(Field::AccountXref),
            ar_customer_xref: source.text(Field::ArCustomerXref),
            partner_xref: source.text(Field::PartnerXref),
            customer_xref: source.text(Field::CustomerXref),
            ar_balance: source.get(Field::ArBalance).decimal(),
            currency: source.text(Field::Currency),
            credit_status: source.coded(Field::CreditStatus),
            payment_terms: source.text(Field::PaymentTerms),
            entered_number: source.text(Field::EnteredNumber),
        }
    }
}
