//! What stewards decide in a hub corrects the model, and another model resolves all records anew.
#![allow(clippy::unwrap_used)]

#[path = "review/decided.rs"]
mod decided;
#[path = "review/former.rs"]
mod former;
#[path = "review/queue.rs"]
mod queue;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use connectors::Framing;
use hub::app::{App, AppOptions};
use hub::clock::StoryClock;
use hub::commands::Cli;
use hub::targets::Targets;
use ontology::status::Verdict;
use ontology::{EntityKey, EntityKind, Millis, System};
use proto::v1;
use proto::v1::identity_service_client::IdentityServiceClient;
use proto::v1::resolve_identity_request::Subject;
use resolver::{LinkState, Model, Parameters};
use serve::decide::{Decider, judgement};
use storage::Embedded;
use tonic::Code;
use tonic_types::StatusExt as _;

const NOW: Millis = Millis(1_773_154_800_000);

async fn hub(dir: &Path, parameters: &Parameters) -> App {
    hub_at(NOW, dir, parameters).await
}

async fn hub_at(now: Millis, dir: &Path, parameters: &Parameters) -> App {
    let store = Arc::new(Embedded::open(dir, storage::Options::default()).unwrap());
    let options = AppOptions { batch_max: 100, ..AppOptions::local(Arc::new(StoryClock::standing(now))) };
    let model = Model::from_parameters(parameters.clone()).unwrap();
    App::start_with(store, options, Targets::default(), model).await.unwrap()
}

fn key(id: &str) -> EntityKey {
    EntityKey::new(EntityKind::ArCustomer, id)
}

async fn customer(app: &App, id: &str) {
    named(app, id, "Acme Ltd").await;
}

async fn named(app: &App, id: &str, name: &str) {
    let domain = name.split(' ').next().unwrap_or_default().to_lowercase();
    let body = format!(
        "{{\"op\":\"c\",\"source\":{{\"connector\":\"oracle\",\"ts_ms\":1000,\"table\":\"AR_CUSTOMER\",\"scn\":\"7\"}},\
         \"after\":{{\"AR_CUSTOMER_ID\":\"{id}\",\"NAME\":\"{name}\",\"EMAIL\":\"a@{domain}.example\",\
         \"AR_BALANCE\":\"0\",\"CURRENCY\":\"USD\"}}}}"
    );
    let context = app.context(System::Oracle, "erp");
    let decoding = context.decode(System::Oracle, "erp", &Bytes::from(body), Framing::Document);
    context.submit_until_taken(decoding.submission).await.unwrap();
}

/// What became of the pair, its score in bits, and whether both are one customer.
async fn pair(app: &App) -> (LinkState, f64, bool) {
    let asked = app.handle().ask(|engine| engine.identity().resolver().explain(&key("1"), &key("2"))).await.unwrap();
    let found = asked.expect("both records have arrived");
    (found.state, f64::from(found.total_millibits) / 1e3, found.same_customer)
}

fn opshub(words: &[&str]) -> Result<(), u8> {
    hub::commands::run(Cli::try_parse_from([&["opshub"], words].concat()).unwrap()).map_err(|failure| {
        eprintln!("{:?}", failure.error);
        failure.code
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_in_a_hub_corrects_its_model() {
    let dir = tempfile::tempdir().unwrap();
    let (store, path) = (dir.path().join("store"), |name: &str| dir.path().join(name).display().to_string());
    let shipped = Parameters::shipped();
    let app = hub(&store, &shipped).await;
    customer(&app, "1").await;
    customer(&app, "2").await;
    let (state, bits, is_one) = pair(&app).await;
    assert_eq!((state, is_one), (LinkState::Linked, true));
    app.stop().await.unwrap();

    // By a model that expects fewer matches the same pair is in doubt: nothing of the old links stays.
    let mut doubtful = shipped.clone();
    doubtful.prior.pair_bits += 2.5 - bits;
    std::fs::write(path("doubtful.toml"), doubtful.to_toml()).unwrap();
    let app = hub(&store, &doubtful).await;
    let (state, bits, is_one) = pair(&app).await;
    assert_eq!((state, is_one), (LinkState::Review, false));
    assert!((bits - 2.5).abs() < 0.01, "{bits}");
    let decider = Decider { actor: "steward", reason: "two firms of one name", at: NOW, request_id: "" };
    let fact = judgement(decider, &key("1"), &key("2"), Verdict::Unlink);
    let none = (Vec::new(), Default::default(), None);
    app.handle().append(vec![fact], none.0, none.1, none.2, storage::Priority::Decision).await.unwrap();
    app.stop().await.unwrap();

    let store = store.display().to_string();
    let of_store = ["resolve", "calibrate", "--store", &store, "--model", &path("doubtful.toml")];
    opshub(&[&of_store[..], &["--out", &path("corrected.toml")]].concat()).unwrap();
    let corrected = Model::parse(&std::fs::read_to_string(path("corrected.toml")).unwrap()).unwrap();
    let before = Model::from_parameters(doubtful).unwrap();
    assert!(corrected.confidence_of(2_500) < before.confidence_of(2_500), "one rejection weighs a little");
    assert!(corrected.confidence_of(12_000) >= corrected.link_min, "sure pairs stay linked");
    assert!(corrected.version.starts_with("corrected-"), "{}", corrected.version);
    opshub(&["digest", "--store", &store, "--model", &path("corrected.toml")]).unwrap();
    assert_eq!(opshub(&["digest", "--store", &store, "--model", &path("none.toml")]), Err(hub::commands::NOT_FOUND));
}

fn record(id: &str) -> Option<v1::SourceRef> {
    let source = v1::System::Oracle.into();
    Some(v1::SourceRef { source, entity_type: "ar_customer".to_owned(), native_id: id.to_owned() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_finds_records_and_an_explanation_keeps_its_sides() {
    let dir = tempfile::tempdir().unwrap();
    let app = hub(&dir.path().join("store"), &Parameters::shipped()).await;
    customer(&app, "1").await;
    customer(&app, "2").await;
    let mut api = IdentityServiceClient::connect(format!("http://{}", app.api())).await.unwrap();

    let profile = |name: &str, email: &str| v1::ResolveIdentityRequest {
        subject: Some(Subject::Profile(v1::PartyProfile {
            names: vec![name.to_owned()],
            emails: vec![email.to_owned()],
            ..v1::PartyProfile::default()
        })),
        ..v1::ResolveIdentityRequest::default()
    };
    let found = api.resolve_identity(profile("Acme Ltd", "a@acme.example")).await.unwrap().into_inner();
    let ids: Vec<&str> = found.candidates.iter().map(|one| one.r#ref.as_ref().unwrap().native_id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
    assert!(found.candidates.iter().all(|one| one.customer.starts_with("customers/")), "{found:?}");
    let values = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    let asked = v1::ResolveIdentityRequest {
        subject: Some(Subject::Profile(v1::PartyProfile {
            names: values(["Zenith Ovens Inc", "Acme Ltd"]),
            emails: values(["z@zenith.example", "a@acme.example"]),
            ..v1::PartyProfile::default()
        })),
        ..v1::ResolveIdentityRequest::default()
    };
    let second = api.resolve_identity(asked).await.unwrap().into_inner();
    assert_eq!((second.customer, second.match_probability), (found.customer, found.match_probability));
    assert_eq!(second.candidates, found.candidates, "of several values the best counts, whichever place it has");
    let blank = api.resolve_identity(profile(" ", "")).await.unwrap_err();
    assert_eq!(blank.get_details_error_info().unwrap().reason, "PROFILE_EMPTY");
    for min_probability in [-0.1, 1.1, f64::NAN] {
        let asked = v1::ResolveIdentityRequest { min_probability, ..profile("Acme Ltd", "") };
        assert_eq!(api.resolve_identity(asked).await.unwrap_err().code(), Code::InvalidArgument);
    }

    for (left, right) in [("1", "2"), ("2", "1")] {
        let request = v1::ExplainMatchRequest { left: record(left), right: record(right), min_position: String::new() };
        let explained = api.explain_match(request).await.unwrap().into_inner().explanation.unwrap();
        assert_eq!((explained.left, explained.right), (record(left), record(right)));
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_foretells_what_stands_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let app = hub(&dir.path().join("store"), &Parameters::shipped()).await;
    for id in ["1", "2"] {
        customer(&app, id).await;
    }
    named(&app, "3", "Zenith Ovens Inc").await;
    let decider = Decider { actor: "steward", reason: "a baker", at: NOW, request_id: "" };
    let fact = judgement(decider, &key("2"), &key("3"), Verdict::Unlink);
    let none = (Vec::new(), Default::default(), None);
    app.handle().append(vec![fact], none.0, none.1, none.2, storage::Priority::Decision).await.unwrap();
    // Whoever was answered by the engine finds in views what was taken before.
    assert!(pair(&app).await.2);
    let mut api = IdentityServiceClient::connect(format!("http://{}", app.api())).await.unwrap();
    let mut merge = async |target, source, validate_only| {
        let (target, sources) = (record(target), record(source).into_iter().collect());
        let request = v1::MergeIdentitiesRequest { target, sources, validate_only, ..Default::default() };
        api.merge_identities(request).await.unwrap().into_inner()
    };
    assert_eq!(merge("2", "3", true).await.held_apart, [], "the new judgement of a pair is the one that counts");
    let foretold = merge("1", "3", true).await;
    let [apart] = &foretold.held_apart[..] else { panic!("{foretold:?}") };
    assert_eq!((apart.left.clone(), apart.right.clone()), (record("2"), record("3")));
    assert_eq!(apart.judgement.as_ref().unwrap().actor, "steward");
    let merged = merge("1", "3", false).await;
    assert_eq!(merged.held_apart, foretold.held_apart);

    // And so it comes: the model's link gives way to the judgements, and waits for a person.
    let (left, right, min_position) = (record("1"), record("2"), merged.position);
    let mut request = tonic::Request::new(v1::ExplainMatchRequest { left, right, min_position });
    request.set_timeout(std::time::Duration::from_secs(300));
    api.explain_match(request).await.unwrap();
    let request = v1::ListReviewItemsRequest::default();
    let waiting = api.list_review_items(request).await.unwrap().into_inner().review_items;
    let [item] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!(
        (item.left.clone(), item.right.clone(), item.reason.as_str()),
        (record("1"), record("2"), "cluster_conflict")
    );
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_repeated_after_a_restart_overturns_no_later_one() {
    let dir = tempfile::tempdir().unwrap();
    let merge = async |app: &App| {
        let mut api = IdentityServiceClient::connect(format!("http://{}", app.api())).await.unwrap();
        let request = v1::MergeIdentitiesRequest {
            target: record("1"),
            sources: record("2").into_iter().collect(),
            reason: "one tax office".to_owned(),
            request_id: "a5b0f8f4-6a0e-4d0c-9a60-0f4f5b1c8d11".to_owned(),
            ..v1::MergeIdentitiesRequest::default()
        };
        api.merge_identities(request).await.unwrap().into_inner().position
    };
    let (store, shipped) = (dir.path().join("store"), Parameters::shipped());
    let app = hub(&store, &shipped).await;
    customer(&app, "1").await;
    customer(&app, "2").await;
    assert!(pair(&app).await.2);
    let first = merge(&app).await;
    app.stop().await.unwrap();

    let later = NOW + Millis::MINUTE_MS;
    let app = hub_at(later, &store, &shipped).await;
    let decider = Decider { actor: "steward", reason: "two firms of one name", at: later, request_id: "" };
    let fact = judgement(decider, &key("1"), &key("2"), Verdict::Unlink);
    let none = (Vec::new(), Default::default(), None);
    app.handle().append(vec![fact], none.0, none.1, none.2, storage::Priority::Decision).await.unwrap();
    app.stop().await.unwrap();

    let app = hub_at(later + Millis::MINUTE_MS, &store, &shipped).await;
    assert_eq!(merge(&app).await, first);
    assert!(!pair(&app).await.2, "the later word stands");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_is_counted_once_and_what_is_not_held_stays() {
    use proto::v1::admin_service_client::AdminServiceClient;
    let dir = tempfile::tempdir().unwrap();
    let app = hub(&dir.path().join("store"), &Parameters::shipped()).await;
    let context = app.context(System::Oracle, "erp");
    for garbage in ["{", "["] {
        let decoding = context.decode(System::Oracle, "erp", &Bytes::from(garbage), Framing::Document);
        context.submit_until_taken(decoding.submission).await.unwrap();
    }
    let mut admin = AdminServiceClient::connect(format!("http://{}", app.api())).await.unwrap();
    let held = admin.list_quarantine(v1::ListQuarantineRequest::default()).await.unwrap().into_inner().records;
    let names: Vec<String> = held.into_iter().map(|record| record.name).collect();
    let [first, second] = &names[..] else { panic!("{names:?}") };
    let unknown = "quarantine/999".to_owned();
    let mut discard = async |names: &[&String], validate_only| {
        let names = names.iter().map(|name| (*name).clone()).collect();
        let request = v1::DiscardQuarantineRequest { names, validate_only, ..v1::DiscardQuarantineRequest::default() };
        let done = admin.discard_quarantine(request).await.unwrap().into_inner();
        (done.discarded_names, done.unchanged_names)
    };
    assert_eq!(discard(&[first], true).await, (vec![first.clone()], vec![]), "only tried");
    assert_eq!(discard(&[first, &unknown], false).await, (vec![first.clone()], vec![unknown.clone()]));
    let again = discard(&[first, second, &unknown], false).await;
    assert_eq!(again, (vec![second.clone()], vec![first.clone(), unknown]));
    app.stop().await.unwrap();
}
