#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use ontology::{Coded, FieldReader, Fields, FieldsBuilder, ValueRef};

use super::*;

struct Table(HashMap<&'static str, Native<'static>>);

impl Columns for Table {
    fn column(&self, column: &str) -> Option<Native<'_>> {
        self.0.get(column).cloned()
    }
}

fn row(columns: &[(&'static str, Native<'static>)]) -> Table {
    Table(columns.iter().cloned().collect())
}

fn text(text: &'static str) -> Native<'static> {
    Native::Text(text.into())
}

fn mapping(fields: &str) -> Result<Mapping, MappingError> {
    Mapping::parse(&format!(
        "version = 3\nsystem = \"oracle\"\n[words.s]\nOFFEN = \"Open\"\n\"*\" = \"Draft\"\n[[object]]\nname = \"T\"\n\
         entity = \"invoice\"\nrecord = \"ID\"\nid_form = \"trim_zeros\"\nfields = [{fields}]\n"
    ))
}

fn apply(fields: &str, columns: &[(&'static str, Native<'static>)], mode: Mode) -> Result<(Fields, Applied), Breach> {
    let mapping = mapping(fields).unwrap();
    let mut out = FieldsBuilder::default();
    let applied = mapping.apply(&mapping.objects[0], &row(columns), mode, &mut out)?;
    Ok((out.build(), applied))
}

#[test]
fn every_shipped_mapping_is_read() {
    for system in System::SOURCES {
        let mapping = Mapping::shipped(system).unwrap();
        assert_eq!((mapping.system, mapping.version), (system, 1));
        for object in &mapping.objects {
            assert!(!object.fields.is_empty(), "{}", object.name);
        }
    }
    assert!(Mapping::shipped(System::Human).is_none());
}

#[test]
fn a_digest_is_of_what_is_said_and_not_of_how() {
    let digest = |text: &str| Mapping::parse(text).unwrap().content_digest;
    let plain = "version = 1\nsystem = \"oracle\"\ntime_zone = \"UTC\"\n";
    assert_eq!(digest(plain), digest("# why\nversion = 2\ntime_zone = \"UTC\"\nsystem   = \"oracle\"\n"));
    assert_ne!(digest(plain), digest("version = 1\nsystem = \"oracle\"\n"));
}

#[test]
fn an_error_names_its_place() {
    let check = |fields: &str, expected: &str| {
        let error = mapping(fields).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("{ from = \"A\", to = \"amount\", kin = \"int\" }", "line 11, column");
    check("{ from = \"A\", to = \"amuont\" }", "line 11, column 30: an unknown field `amuont`");
    check("{ from = \"A\", to = \"amount\", kind = \"money\" }", "unknown variant `money`");
    check("{ from = \"A\", to = \"subject\", kind = \"code\" }", "a field without a vocabulary `subject`");
    check("{ from = \"A\", to = \"status\", kind = \"code\", words = \"t\" }", "an unknown table of words `t`");
    check("{ from = \"A\", to = \"subject\", separator = \",\", part = 9999999999999999999 }", "line ");
    assert!(Mapping::parse("version = 1\nsystem = \"orcale\"").unwrap_err().to_string().contains("line 2, column 10"));
    assert!(
        Mapping::parse("version = \"1\"\nsystem = \"oracle\"").unwrap_err().to_string().contains("line 1, column 11")
    );
}

#[test]
fn an_image_clears_what_is_absent_and_a_patch_does_not() {
    let fields = "{ from = \"A\", to = \"amount\", kind = \"decimal\" }, { from = \"S\", to = \"subject\" }";
    let (image, _) = apply(fields, &[("S", text("x"))], Mode::Image).unwrap();
    assert_eq!(image.iter().count(), 2);
    assert_eq!(image.get(Field::Amount), ValueRef::Null);
    let (patch, _) = apply(fields, &[("S", text(""))], Mode::Patch).unwrap();
    assert_eq!(patch.iter().collect::<Vec<_>>(), vec![(Field::Subject, ValueRef::Null)]);
}

#[test]
fn a_wrong_value_is_bad_where_optional_and_a_breach_where_required() {
    let optional = "{ from = \"A\", to = \"amount\", kind = \"decimal\", min = -1, max = 1 }";
    let read = |value| apply(optional, &[("A", value)], Mode::Patch).unwrap().0;
    assert_eq!(read(text("12,5x")).get(Field::Amount), ValueRef::Bad("12,5x"));
    assert_eq!(read(text("7")).get(Field::Amount), ValueRef::Bad("7"));
    assert_eq!(read(text("1.0")).get(Field::Amount), ValueRef::Decimal { mantissa: 10, scale: 1 });
    assert_eq!(read(text("-1.01")).get(Field::Amount), ValueRef::Bad("-1.01"));
    let required = "{ from = \"A\", to = \"amount\", kind = \"decimal\", required = true }";
    let breach = apply(required, &[("A", text("12,5x"))], Mode::Image).unwrap_err();
    assert_eq!(breach.to_string(), "T.A: a decimal was expected");
    let (missing, _) = apply(required, &[], Mode::Image).unwrap();
    assert_eq!(missing.get(Field::Amount), ValueRef::Null, "absent is stored and flagged later");
    let breach = apply(required, &[("A", text("1.08695652173913043478260869565217391304"))], Mode::Image).unwrap_err();
    assert_eq!(breach.to_string(), "T.A: a decimal of fewer digits was expected", "money is exact or refused");
    let rate = "{ from = \"A\", to = \"rate\", kind = \"decimal\", required = true }";
    let rate = |value| apply(rate, &[("A", value)], Mode::Image).map(|(fields, _)| fields.get(Field::Rate).decimal());
    for (digits, mantissa) in [
        ("1.08695652173913043478260869565217391304", 1_086_956_521_739_130_435),
        ("0.0000000000000000005", 0),
        ("0.0000000000000000015", 2),
        ("0.00000000000000000050000000000000000001", 1),
        ("-1.0000000000000000015", -1_000_000_000_000_000_002),
    ] {
        assert_eq!(rate(text(digits)), Ok(Some((mantissa, 18))), "{digits}");
    }
    assert_eq!(rate(text("12345678901234567890.5")).unwrap_err().what, "a decimal was expected", "larger than fits");
    assert_eq!(rate(text("1234567890.12345678905")), Ok(Some((1_234_567_890_123_456_789, 9))));
    let currency = "{ from = \"C\", to = \"currency\", kind = \"currency\" }";
    assert!(apply(currency, &[("C", text("XQQ"))], Mode::Image).is_err());
    assert!(apply(currency, &[("C", text("EUR"))], Mode::Image).is_ok());
    let long = "x".repeat(500).leak();
    assert_eq!(read(text(long)).get(Field::Amount), ValueRef::Bad(&long[..200]));
}

#[test]
fn words_are_ours_or_verbatim() {
    let known = "{ from = \"S\", to = \"status\", kind = \"code\" }";
    let status = |fields, word| apply(fields, &[("S", text(word))], Mode::Image).unwrap().0;
    let coded = |fields: &Fields| match fields.coded::<ontology::status::InvoiceStatus>(Field::Status) {
        Coded::Known(status) => format!("{status:?}"),
        Coded::Unknown(raw) => format!("unknown {raw}"),
        Coded::Missing => "missing".to_owned(),
    };
    assert_eq!(coded(&status(known, "paid")), "Paid");
    assert_eq!(coded(&status(known, "Gemahnt")), "unknown Gemahnt");
    assert_eq!(coded(&status(known, " ")), "missing");
    let table = "{ from = \"S\", to = \"status\", kind = \"code\", words = \"s\" }";
    assert_eq!(coded(&status(table, "offen")), "Open");
    assert_eq!(coded(&status(table, "Gemahnt")), "Draft");
}

#[test]
fn several_columns_make_one_field() {
    let refs = "{ from = [\"I\", \"O\"], to = \"related_refs\", kind = \"refs\", entities = [\"invoice\", \"service_order\"] }";
    let (fields, applied) = apply(refs, &[("I", text("INV-1"))], Mode::Image).unwrap();
    let first = fields.get(Field::RelatedRefs).items().next().unwrap().find(Field::Ref);
    assert_eq!((first, applied.needs_refetch), (ValueRef::Text("invoice/INV-1"), false));
    let (fields, applied) = apply(refs, &[("I", text("INV-1"))], Mode::Patch).unwrap();
    assert!(fields.is_empty() && applied.needs_refetch, "the other half is not known");
    let any = "{ from = [\"A\", \"B\"], any = true, to = \"email\" }";
    let (fields, _) = apply(any, &[("A", Native::Null), ("B", text("x@y.example"))], Mode::Patch).unwrap();
    assert_eq!(fields.text(Field::Email), Some("x@y.example"));
    // (mode, what is told) -> (what becomes of it, whether the record has to be read)
    let email = |mode, told: &[(&'static str, Native<'static>)]| {
        let (fields, applied) = apply(any, told, mode).unwrap();
        let said = fields.iter().next().map(|(_, value)| matches!(value, ValueRef::Text(_)));
        (said, applied.needs_refetch)
    };
    let (first, second) = (("A", text("a@y.example")), ("B", text("x@y.example")));
    assert_eq!(email(Mode::Update, std::slice::from_ref(&first)), (Some(true), false));
    assert_eq!(email(Mode::Update, std::slice::from_ref(&second)), (None, true), "the first may hold one");
    assert_eq!(email(Mode::Update, &[("A", Native::Null)]), (None, true), "the second may hold one");
    assert_eq!(email(Mode::Update, &[("A", Native::Null), ("B", Native::Null)]), (Some(false), false));
    assert_eq!(email(Mode::Update, &[]), (None, false));
    assert_eq!(email(Mode::Patch, std::slice::from_ref(&second)), (Some(true), false));
    assert_eq!(email(Mode::Shown, &[second]), (Some(true), false));
    assert_eq!(email(Mode::Shown, &[]), (None, false));
    let (fields, applied) = apply(refs, &[("I", text("INV-1"))], Mode::Shown).unwrap();
    assert!(!fields.is_empty() && !applied.needs_refetch, "the other half is not shown");
    let person = "{ from = \"N\", to = \"given_name\", when = { column = \"K\", is = \"P\" } }";
    let given = |mode, told: &[(&'static str, Native<'static>)]| {
        let (fields, applied) = apply(person, told, mode).unwrap();
        (fields.iter().count(), fields.text(Field::GivenName).map(str::to_owned), applied.needs_refetch)
    };
    let (name, kind) = (("N", text("Ann")), |kind| ("K", text(kind)));
    assert_eq!(given(Mode::Update, std::slice::from_ref(&name)), (0, None, true), "nobody says whether it is a person");
    assert_eq!(given(Mode::Patch, std::slice::from_ref(&name)), (0, None, true));
    assert_eq!(given(Mode::Image, std::slice::from_ref(&name)), (1, None, false));
    assert_eq!(given(Mode::Patch, &[name.clone(), kind("O")]), (1, None, false));
    assert_eq!(given(Mode::Patch, &[name, kind("P")]), (1, Some("Ann".to_owned()), false));
    let when = "{ from = [\"A\", \"B\"], to = \"name\" }, \
                { from = [\"B\", \"A\"], to = \"name\", when = { column = \"K\", is = \"P\" } }";
    let named = |kind| apply(when, &[("A", text("x")), ("B", text("y")), ("K", text(kind))], Mode::Image).unwrap().0;
    assert_eq!(named("O").text(Field::Name), Some("x y"));
    assert_eq!(named("P").text(Field::Name), Some("y x"));
    let part = "{ from = \"A\", to = \"given_name\", part = 1 }";
    let (fields, _) = apply(part, &[("A", text("Doe, Jane"))], Mode::Image).unwrap();
    assert_eq!(fields.text(Field::GivenName), Some("Jane"));
}

#[test]
fn ids_come_to_one_form_or_not_at_all() {
    let mapping = mapping("").unwrap();
    let ids = |id| mapping.objects[0].ids(&row(&[("ID", id)])).map(|(record, _)| record);
    assert_eq!(ids(text("000000700123")), Some("700123".into()));
    assert_eq!(ids(text("0000")), Some("0".into()));
    assert_eq!(ids(text("SO-0077")), Some("SO-0077".into()));
    assert_eq!(ids(text(" ")), None);
    assert_eq!(ids(Native::Null), None);
    assert_eq!(ids(text("x".repeat(ID_BYTES_MAX).leak())).map(|id| id.len()), Some(ID_BYTES_MAX));
    assert_eq!(ids(text("x".repeat(ID_BYTES_MAX + 1).leak())), None);
}

#[test]
fn dates_do_not_move_and_numbers_are_divided() {
    let date = "{ from = \"D\", to = \"birth_date\", kind = \"date\" }";
    let day = |value| apply(date, &[("D", value)], Mode::Image).unwrap().0.text(Field::BirthDate).map(str::to_owned);
    assert_eq!(day(text("1980-02-29")), Some("1980-02-29".to_owned()));
    assert_eq!(day(Native::Number("320630400000".into())), Some("1980-02-29".to_owned()));
    assert_eq!(day(text("1981-02-29")), None);
    let berlin = |value| {
        let text = "version = 1\nsystem = \"oracle\"\ntime_zone = \"Europe/Berlin\"\n[[object]]\nname = \"T\"\n\
                    entity = \"invoice\"\nrecord = \"ID\"\nfields = [{ from = \"D\", to = \"birth_date\", kind = \"date\" }]\n";
        let (mapping, mut out) = (Mapping::parse(text).unwrap(), FieldsBuilder::default());
        mapping.apply(&mapping.objects[0], &row(&[("D", value)]), Mode::Image, &mut out).unwrap();
        out.build().text(Field::BirthDate).map(str::to_owned)
    };
    let expected = Some("2026-03-10".to_owned());
    for instant in ["2026-03-09T23:00:00Z", "2026-03-10T22:59:59Z", "2026-03-10T00:00:00", "2026-03-10"] {
        assert_eq!(berlin(text(instant)), expected, "{instant}: a day of the source's zone");
    }
    assert_eq!(berlin(text("2026-03-09T22:59:59Z")), Some("2026-03-09".to_owned()));
    assert_eq!(berlin(Native::Number("1773100800000".into())), expected, "a count of days that have no zone");
    let seconds = "{ from = \"D\", to = \"duration_s\", kind = \"int\", divisor = 1000, min = 0 }";
    let read = |value| apply(seconds, &[("D", value)], Mode::Image).unwrap().0;
    assert_eq!(read(Native::Number("61999".into())).get(Field::DurationS), ValueRef::Int(61));
    assert_eq!(read(Native::Number("-5000".into())).get(Field::DurationS), ValueRef::Bad("-5000"));
}
