//! What the resolver promises, told as short stories.
#![allow(clippy::unwrap_used)]

mod support;

use ontology::status::Verdict;
use ontology::{CustomerId, EntityKind, Field, FindingKind, PartyRecord};
use resolver::{Cause, Confidence, Feature, Level, LinkState, Model, Resolver, WhyNotAutomatic};
use support::{account, ar, caller, judgement, partner, picture, record, resolved, said_by};

#[test]
fn equal_tax_id_and_similar_name_link() {
    let mut resolver = resolved(&[
        record(&account("A1"), &[("name", "Acme GmbH"), ("tax_id", "DE123456789")]),
        record(&ar("R1"), &[("name", "ACME"), ("tax_id", "DE 123 456 789")]),
    ]);
    assert_eq!(resolver.customer_of(&ar("R1")), CustomerId::of_member(&account("A1")));
    let explanation = resolver.explain(&ar("R1"), &account("A1")).unwrap();
    assert_eq!(explanation.state, LinkState::Linked);
    assert!(explanation.rules.contains(&"tax_id_and_name"));
    assert_eq!(explanation.left, account("A1"));

    resolver.judge(account("A1"), ar("R1"), judgement(Verdict::Unlink, 1));
    let changes = resolver.drain();
    assert_eq!((changes.len(), changes[0].before.len(), changes[0].after.len()), (1, 1, 2));
    assert_eq!(changes[0].cause, Cause::Judged { left: account("A1"), right: ar("R1") });
    assert_eq!(resolver.explain(&account("A1"), &ar("R1")).unwrap().state, LinkState::Unlinked);
    assert_eq!(resolver.redirect(&CustomerId::of_member(&ar("R1"))), Some(CustomerId::of_member(&ar("R1"))));

    resolver.upsert(record(&ar("R1"), &[("name", "Acme AG"), ("tax_id", "DE123456789")]));
    resolver.drain();
    assert_ne!(resolver.customer_of(&ar("R1")), resolver.customer_of(&account("A1")), "a decision outlives updates");
}

#[test]
fn same_name_and_city_do_not_link() {
    let resolver = resolved(&[
        record(&account("A1"), &[("name", "Acme GmbH"), ("city", "Berlin")]),
        record(&ar("R1"), &[("name", "ACME"), ("city", "Berlin")]),
    ]);
    assert_ne!(resolver.customer_of(&ar("R1")), resolver.customer_of(&account("A1")));
    let explanation = resolver.explain(&account("A1"), &ar("R1")).unwrap();
    assert!(explanation.was_candidate);
    assert_eq!(explanation.rules, ["name_or_place_only", "not_individuating"]);
    assert_eq!(explanation.prior_millibits, -14_000);
    assert!((-1_100..=-1_000).contains(&explanation.total_millibits), "{explanation:?}");
}

#[test]
fn an_equal_key_does_not_outrank_different_tax_ids_but_a_person_does() {
    let mut resolver = resolved(&[
        record(&account("A1"), &[("name", "Acme GmbH"), ("tax_id", "DE123456789")]),
        record(&ar("R1"), &[("name", "ACME"), ("tax_id", "DE987654321"), ("account", "A1")]),
    ]);
    let (left, right) = (account("A1"), ar("R1"));
    assert_ne!(resolver.customer_of(&left), resolver.customer_of(&right));
    let explanation = resolver.explain(&left, &right).unwrap();
    assert_eq!((explanation.state, explanation.confidence), (LinkState::Review, Confidence(990_000)));
    assert_eq!(explanation.vetoes, [WhyNotAutomatic::TaxIdVeto]);
    assert_eq!(resolver.review_items().next().unwrap().why_not_automatic, WhyNotAutomatic::TaxIdVeto);

    resolver.judge(right.clone(), left.clone(), judgement(Verdict::Link, 5));
    resolver.judge(right.clone(), left.clone(), judgement(Verdict::Unlink, 4));
    resolver.drain();
    let customer = resolver.customer_of(&right);
    assert_eq!(customer, resolver.customer_of(&left), "the later judgement wins");
    assert_eq!(resolver.cluster(&customer).unwrap().links[0].confidence, Confidence::CERTAIN);
    assert_eq!(resolver.review_items().count(), 0);
    let kinds: Vec<FindingKind> = resolver.findings(&left).iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::ConflictingValues]);
}

#[test]
fn a_value_of_eleven_records_of_one_system_withdraws_its_links_and_comes_back() {
    let mail = ("email", "info@x.example");
    let names = ["Birch", "Cedar", "Maple", "Willow", "Poplar", "Spruce", "Walnut", "Cherry", "Laurel", "Juniper"];
    let mut records = Vec::new();
    for name in names {
        records.push(record(&account(name), &[("name", name), mail]));
        records.push(record(&ar(name), &[("name", name), mail]));
    }
    let mut resolver = resolved(&records);
    assert_eq!(resolver.clusters().count(), 10);

    resolver.upsert(record(&account("Hazel"), &[("name", "Hazel"), mail]));
    let changes = resolver.drain();
    assert_eq!(resolver.clusters().count(), 21);
    let splits = changes.iter().filter(|change| change.before.len() == 1 && change.after.len() == 2);
    assert_eq!(splits.filter(|change| change.cause == Cause::Generic).count(), 10);
    let explanation = resolver.explain(&account("Birch"), &ar("Birch")).unwrap();
    assert_eq!(explanation.features[Feature::Email as usize].level, Level::Generic);
    assert_eq!(explanation.features[Feature::Email as usize].contribution_millibits, 0);
    let finding = &resolver.findings(&ar("Birch"))[0];
    assert_eq!((finding.kind, finding.field), (FindingKind::GenericValue, Some(Field::Email)));

    resolver.remove(&account("Hazel"));
    resolver.drain();
    assert_eq!(resolver.clusters().count(), 10);
    assert!(resolver.findings(&ar("Birch")).is_empty());
}

#[test]
fn a_key_links_and_conflicting_keys_veto() {
    let shared = [("name", "Acme Ltd"), ("email", "ops@acme.example")];
    let with = |key: (&'static str, &'static str)| [shared[0], shared[1], key];
    let resolver = resolved(&[
        record(&account("A1"), &with(("account", "N-1"))),
        record(&ar("R1"), &with(("account", "N-1"))),
        record(&partner("P1"), &with(("account", "N-2"))),
    ]);
    assert_eq!(resolver.customer_of(&ar("R1")), resolver.customer_of(&account("A1")));
    assert_ne!(resolver.customer_of(&partner("P1")), resolver.customer_of(&account("A1")));
    let reviews: Vec<_> = resolver.review_items().map(|item| item.why_not_automatic).collect();
    assert_eq!(reviews, [WhyNotAutomatic::KeyVeto, WhyNotAutomatic::KeyVeto]);
    let link = &resolver.cluster(&resolver.customer_of(&ar("R1"))).unwrap().links[0];
    assert_eq!(link.confidence, Confidence(990_000));
}

#[test]
fn a_union_that_would_hold_a_vetoed_pair_is_refused_and_shown() {
    let resolver = resolved(&[
        record(&account("A1"), &[("name", "Acme"), ("tax_id", "111222333"), ("phone", "+12125550101")]),
        record(&ar("R1"), &[("name", "Acme"), ("phone", "+12125550101"), ("email", "a@acme.example")]),
        record(&partner("P1"), &[("name", "Acme"), ("tax_id", "999888777"), ("email", "a@acme.example")]),
    ]);
    // Mail and name outweigh phone and name.
    assert_eq!(resolver.customer_of(&ar("R1")), resolver.customer_of(&partner("P1")));
    assert_ne!(resolver.customer_of(&account("A1")), resolver.customer_of(&ar("R1")));
    let refused = resolver.review_items().find(|item| item.right == ar("R1")).unwrap();
    assert_eq!((refused.left, refused.why_not_automatic), (account("A1"), WhyNotAutomatic::ClusterConflict));
}

#[test]
fn a_callers_number_links_while_one_customer_alone_shows_it() {
    let phone = ("phone", "+12125550123");
    let mut resolver = resolved(&[
        record(&caller("+12125550123"), &[phone]),
        record(&account("A1"), &[("name", "Acme"), ("phone", "(212) 555-0123"), ("email", "a@acme.example")]),
        record(&ar("R1"), &[("name", "Acme"), phone, ("email", "a@acme.example")]),
    ]);
    let customer = resolver.customer_of(&caller("+12125550123"));
    assert_eq!(customer, CustomerId::of_member(&account("A1")));
    assert_eq!(resolver.candidates_of(&caller("+12125550123"))[0].confidence, Confidence(960_000));

    resolver.upsert(record(&partner("P1"), &[("name", "Zenith"), phone]));
    resolver.drain();
    assert_ne!(resolver.customer_of(&caller("+12125550123")), resolver.customer_of(&account("A1")));
    assert!(resolver.review_items().any(|item| item.right == caller("+12125550123")));

    resolver.remove(&partner("P1"));
    resolver.drain();
    assert_eq!(resolver.customer_of(&caller("+12125550123")), customer);

    // The two records part: now the number belongs to two customers.
    resolver.judge(account("A1"), ar("R1"), judgement(Verdict::Unlink, 1));
    resolver.drain();
    assert_eq!(resolver.cluster(&resolver.customer_of(&caller("+12125550123"))).unwrap().members.len(), 1);
}

#[test]
fn an_entered_account_number_is_a_key_and_parts_from_others() {
    let phone = ("phone", "+12125550123");
    let resolver = resolved(&[
        record(&caller("+12125550123"), &[phone, ("account", "N-2")]),
        record(&account("A1"), &[("name", "Acme"), phone, ("account", "N-1")]),
        record(&account("A2"), &[("name", "Zenith"), ("account", "N-2")]),
    ]);
    assert_eq!(resolver.customer_of(&caller("+12125550123")), resolver.customer_of(&account("A2")));
    assert_eq!(resolver.candidates_of(&caller("+12125550123"))[0].confidence, Confidence(990_000));
}

#[test]
fn entered_numbers_of_two_customers_wait_for_a_person() {
    let (phone, who) = (("phone", "+12125550123"), caller("+12125550123"));
    let entered = [phone, ("account", "N-1"), ("account", "N-2")];
    let mut resolver = resolved(&[
        record(&who, &entered),
        record(&caller("+12125550124"), &[("account", "N-1")]),
        record(&account("A1"), &[("name", "Acme"), phone, ("account", "N-1")]),
        record(&account("A2"), &[("name", "Zenith"), ("account", "N-2")]),
    ]);
    let states = |resolver: &Resolver| -> Vec<LinkState> {
        let known = resolver.candidates_of(&who).into_iter();
        known.filter(|candidate| candidate.other.kind == EntityKind::Account).map(|candidate| candidate.state).collect()
    };
    assert_eq!(states(&resolver), [LinkState::Review; 2]);
    assert_eq!(resolver.review_items().count(), 3, "and not joined with who entered one of them alone");
    let explanation = resolver.explain(&who, &account("A2")).unwrap();
    assert_eq!(
        (explanation.rules, explanation.confidence),
        (vec!["key_alone", "keys_of_several"], Confidence(949_999))
    );
    assert_eq!(resolver.customer_of(&caller("+12125550124")), resolver.customer_of(&account("A1")));
    assert_ne!(resolver.customer_of(&account("A2")), resolver.customer_of(&account("A1")));

    resolver.judge(account("A1"), account("A2"), judgement(Verdict::Link, 1));
    resolver.drain();
    assert_eq!(states(&resolver), [LinkState::Linked; 2], "both numbers are of one customer now");

    resolver.judge(account("A1"), account("A2"), judgement(Verdict::Unlink, 2));
    resolver.drain();
    assert_eq!(states(&resolver), [LinkState::Review; 2]);
    resolver.upsert(record(&who, &entered[..2]));
    resolver.drain();
    assert_eq!(resolver.customer_of(&who), resolver.customer_of(&account("A1")));
}

#[test]
fn a_described_party_is_found_by_a_key_of_any_scheme() {
    let described = |id, number| {
        let schemes = ["account", "ar_customer", "partner", "customer"];
        let party = record(&caller(id), &schemes.map(|scheme| (scheme, number)));
        PartyRecord { is_described: true, ..party }
    };
    let resolver = resolved(&[
        record(&account("A1"), &[("name", "Rowan Books"), ("customer", "REG-7")]),
        record(&account("A2"), &[("name", "Cedar Tools")]),
        record(&ar("R1"), &[("name", "Rowan Books"), ("account", "A1")]),
        record(&ar("R2"), &[("name", "Cedar Tools"), ("account", "A2")]),
        described("C1", "A1"),
        described("C2", "R2"),
    ]);
    assert_ne!(resolver.customer_of(&account("A1")), resolver.customer_of(&account("A2")));
    for (who, accounts, meant) in [("C1", "A1", "R1"), ("C2", "A2", "R2")] {
        let customer = resolver.customer_of(&caller(who));
        assert_eq!(
            [&account(accounts), &ar(meant)].map(|key| resolver.customer_of(key) == customer),
            [true; 2],
            "{who}"
        );
    }
}

#[test]
fn a_record_of_a_decision_says_one_thing_at_a_time() {
    let [a, b, c] = ["A1", "A2", "A3"].map(account);
    let mut resolver = resolved(&[&a, &b, &c].map(|key| record(key, &[("name", "Zenith")])));
    resolver.judge(a.clone(), b.clone(), said_by("J-1", Verdict::Link, 9));
    resolver.drain();
    assert_eq!(resolver.customer_of(&a), resolver.customer_of(&b));

    resolver.judge(a.clone(), c.clone(), said_by("J-1", Verdict::Link, 1));
    resolver.drain();
    assert_ne!(resolver.customer_of(&a), resolver.customer_of(&b), "it speaks of another pair now");
    assert_eq!(resolver.customer_of(&a), resolver.customer_of(&c));

    resolver.judge(c.clone(), a.clone(), said_by("J-2", Verdict::Unlink, 0));
    resolver.withdraw("J-1");
    resolver.drain();
    assert_ne!(resolver.customer_of(&a), resolver.customer_of(&c), "what another record says stands");
    resolver.withdraw("J-2");
    resolver.drain();
    assert_eq!(picture(&resolver), picture(&resolved(&[&a, &b, &c].map(|key| record(key, &[("name", "Zenith")])))));
}

#[test]
fn a_household_is_several_customers() {
    let home =
        [("street", "12 Mill Lane"), ("postal_code", "62704"), ("phone", "+12175550101"), ("family_name", "Bauer")];
    let person = |key, given, born| {
        let mut fields = home.to_vec();
        fields.extend([("given_name", given), ("birth_date", born), ("person", "")]);
        record(&key, &fields)
    };
    let resolver = resolved(&[
        person(account("A1"), "Anna", "1980-01-02"),
        person(account("A2"), "Tobias", "1978-05-06"),
        person(ar("R1"), "Anna", "1980-01-02"),
        person(ar("R2"), "Tobias", "1978-05-06"),
        person(ar("R3"), "Mia", "2009-11-12"),
    ]);
    assert_eq!(resolver.clusters().count(), 3);
    assert_eq!(resolver.customer_of(&ar("R1")), resolver.customer_of(&account("A1")));
    assert_eq!(resolver.customer_of(&ar("R2")), resolver.customer_of(&account("A2")));
}

#[test]
fn duplicates_within_a_system_join_and_are_reported() {
    let fields = [("name", "Acme"), ("email", "a@acme.example"), ("phone", "+12125550123")];
    let resolver = resolved(&[record(&ar("R1"), &fields), record(&ar("R2"), &fields)]);
    assert_eq!(resolver.customer_of(&ar("R1")), resolver.customer_of(&ar("R2")));
    assert_eq!(resolver.findings(&ar("R2"))[0].kind, FindingKind::DuplicateRecord);
}

#[test]
fn a_blocked_field_does_not_support_a_link() {
    let fields = [("name", "Acme"), ("email", "a@b.example")];
    let mut blocked = record(&ar("R1"), &fields);
    blocked.blocked.push(Field::Email);
    let mut resolver = resolved(&[record(&account("A1"), &fields), blocked]);
    let candidate = &resolver.candidates_of(&ar("R1"))[0];
    assert_eq!((candidate.state, candidate.confidence), (LinkState::Review, Confidence(949_999)));
    resolver.upsert(record(&ar("R1"), &fields));
    resolver.drain();
    assert_eq!(resolver.customer_of(&ar("R1")), resolver.customer_of(&account("A1")));
}

#[test]
fn an_equal_record_is_no_work_and_an_unseen_one_a_customer_of_one() {
    let mut resolver = Resolver::new(Model::shipped());
    let first = record(&ar("R1"), &[("name", "Acme")]);
    resolver.upsert(first.clone());
    assert_eq!(resolver.drain().len(), 1);
    resolver.upsert(first.clone());
    assert_eq!((resolver.pending(), resolver.drain().len()), (0, 0));
    resolver.upsert(record(&ar("R1"), &[("name", "ACME")]));
    assert_eq!(resolver.pending(), 0, "equal in standard form");
    assert_eq!(resolver.customer_of(&ar("R9")), CustomerId::of_member(&ar("R9")));
    assert!(resolver.explain(&ar("R1"), &ar("R9")).is_none());
    resolver.remove(&ar("R1"));
    let changes = resolver.drain();
    assert_eq!((changes[0].before.len(), changes[0].after.len()), (1, 0));
    assert_eq!(changes[0].cause, Cause::Removed(ar("R1")));
}

/// Two firms, each an account and a customer of billing with one telephone number and one account number.
fn two_firms() -> Vec<PartyRecord> {
    let firm = |key, name, phone, number| record(&key, &[("name", name), ("phone", phone), ("account", number)]);
    vec![
        firm(account("A1"), "Fir Hotels", "+1 212 555 0101", "N-1"),
        firm(ar("R1"), "Fir Hotels", "+1 212 555 0101", "N-1"),
        firm(account("A2"), "Quartz Bakery", "+1 212 555 0202", "N-2"),
        firm(ar("R2"), "Quartz Bakery", "+1 212 555 0202", "N-2"),
    ]
}

/// A caller with the first firm's telephone number.
fn calling(entered: &[(&str, &str)]) -> PartyRecord {
    record(&caller("C1"), &[&[("phone", "+1 212 555 0101")], entered].concat())
}

#[test]
fn a_number_that_a_caller_mistyped_parts_nobody() {
    let told = |entered: &[(&str, &str)]| {
        let resolver = resolved(&[two_firms(), vec![calling(entered)]].concat());
        let told = resolver.explain(&account("A1"), &caller("C1")).unwrap();
        (told.state, told.confidence, told.vetoes)
    };
    assert_eq!(told(&[("account", "N-1")]).0, LinkState::Linked);
    assert_eq!(told(&[("account", "N-7")]), told(&[]), "what leads nowhere says nothing");
}

#[test]
fn a_number_of_another_customer_joins_no_customers() {
    // Records of one system may carry what numbers they like.
    let mut accounts = two_firms();
    accounts.retain(|record| record.key.kind == EntityKind::Account);
    let mut resolver = resolved(&[accounts, vec![calling(&[("account", "N-2")])]].concat());
    let customer = |resolver: &Resolver, key| resolver.customer_of(&key);
    assert_ne!(customer(&resolver, account("A1")), customer(&resolver, account("A2")), "two firms stay two");
    let states = ["A1", "A2"].map(|id| resolver.explain(&account(id), &caller("C1")).unwrap());
    assert_eq!([states[0].state, states[1].state], [LinkState::Review, LinkState::Linked], "what was said outranks");
    assert!(states[0].rules.contains(&"contact_of_another"), "{:?}", states[0].rules);
    let by_mail = [("phone", "+1 212 555 0101"), ("email", "ops@quartz.example")];
    let mut accounts: Vec<PartyRecord> = two_firms();
    accounts.retain(|record| record.key.kind == EntityKind::Account);
    accounts[1].email = "ops@quartz.example".into();
    let torn = resolved(&[accounts, vec![record(&caller("C1"), &by_mail)]].concat());
    let states = ["A1", "A2"].map(|id| torn.explain(&account(id), &caller("C1")).unwrap().state);
    assert_eq!(states, [LinkState::Review, LinkState::Review], "number and address of two customers");

    // The next time the caller enters the right one: the profile shows what was entered last.
    resolver.upsert(calling(&[("account", "N-1")]));
    resolver.drain();
    assert_eq!(customer(&resolver, caller("C1")), customer(&resolver, account("A1")));
}
