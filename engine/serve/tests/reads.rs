//! Reads, refusals, policy and the standard services, over a real socket.
#![allow(clippy::unwrap_used, missing_docs)]

mod harness;

use harness::{Running, T, held, name_of, reason};
use ontology::LogPos;
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::get_customer_state_request::{At, Customer};
use serve::auth::{Authentication, BearerTokens};
use serve::policy::{Principal, Role};
use serve::token::position_token;
use storage::{QuarantineState, Quarantined};
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

/// Bytes of a request at most.
const LIMIT: usize = 4 * 1024 * 1024;

fn get(name: String) -> v1::GetCustomerStateRequest {
    v1::GetCustomerStateRequest { customer: Some(Customer::Name(name)), ..v1::GetCustomerStateRequest::default() }
}

#[tokio::test]
async fn a_customer_is_read_by_name_and_by_record() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 2), ("A2", 0)]);
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let answer = client.get_customer_state(get(name_of("A1"))).await.unwrap().into_inner();
    let state = answer.customer_state.unwrap();
    assert_eq!((state.name.as_str(), state.open_cases.len(), state.version), (name_of("A1").as_str(), 2, 1));
    assert_eq!(state.golden_record[0].value, "Acme GmbH");
    assert_eq!(state.freshness.len(), 4);
    assert!(!state.freshness[0].stale);

    let record =
        v1::SourceRef { source: v1::System::Salesforce.into(), native_id: "A2".to_owned(), ..Default::default() };
    let request = v1::GetCustomerStateRequest { customer: Some(Customer::SourceRef(record)), ..Default::default() };
    let state = client.get_customer_state(request).await.unwrap().into_inner().customer_state.unwrap();
    assert_eq!(state.name, name_of("A2"));
}

#[tokio::test]
async fn a_refusal_carries_reason_variables_and_field() {
    let running = Running::start().await;
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let status = client.get_customer_state(get("customers/none".to_owned())).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("CUSTOMER_NOT_FOUND", "opshub"));
    assert_eq!(info.metadata["name"], "customers/none");

    let status = client.get_customer_state(get("nonsense".to_owned())).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "name");
    let mut masked = get(name_of("A1"));
    masked.read_mask = Some(prost_types::FieldMask { paths: vec!["no_such".to_owned()] });
    assert_eq!(reason(&client.get_customer_state(masked).await.unwrap_err()), "MASK_UNKNOWN_PATH");
}

#[tokio::test]
async fn what_the_transport_refuses_has_a_reason_too() {
    let running = Running::start().await;
    let path = "/opshub.v1.AdminService/DiscardQuarantine";
    let frame = |encoding: &'static str, flag: u8, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let body = [&[flag][..], &length, message].concat();
        let request = http::Request::post(format!("http://{}{path}", running.addr));
        let request = request.header("content-type", "application/grpc").header("grpc-encoding", encoding);
        let request = request.body(tonic::body::Body::new(axum::body::Body::from(body))).unwrap();
        let mut channel = running.channel.clone();
        async move {
            use tower::Service as _;
            std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
            let answer = channel.call(request).await.unwrap();
            let status = tonic::Status::from_header_map(answer.headers()).unwrap();
            let info = status.get_details_error_info().unwrap();
            (status.code(), info.reason, info.metadata)
        }
    };
    let (code, reason, metadata) = frame("identity", 0, &[0; LIMIT + 1]).await;
    assert_eq!((code, reason.as_str()), (Code::ResourceExhausted, "REQUEST_TOO_LARGE"));
    assert_eq!(metadata["limit"], LIMIT.to_string());
    let (code, reason, metadata) = frame("brotli", 1, b"?").await;
    assert_eq!((code, reason.as_str()), (Code::Unimplemented, "COMPRESSION_UNKNOWN"));
    assert_eq!((metadata["encoding"].as_str(), metadata["encodings"].contains("gzip")), ("brotli", true));
    for (encoding, flag, message) in [("identity", 0, &b"\xff\xff"[..]), ("gzip", 1, b"no gzip"), ("identity", 7, b"")]
    {
        let (code, reason, metadata) = frame(encoding, flag, message).await;
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "REQUEST_UNREADABLE"), "{encoding} {flag}");
        assert_eq!((metadata["method"].as_str(), metadata["problem"].is_empty()), (path, false));
    }
}

#[tokio::test]
async fn a_request_of_just_the_limit_is_read() {
    let running = Running::start().await;
    let mut client = AdminServiceClient::new(running.channel.clone());
    let of = |length: usize| v1::DiscardQuarantineRequest { filter: " ".repeat(length), ..Default::default() };
    // The field's tag and length take five bytes.
    let fits = client.discard_quarantine(of(LIMIT - 5)).await.unwrap_err();
    assert_ne!(reason(&fits), "REQUEST_TOO_LARGE");
    assert_eq!(reason(&client.discard_quarantine(of(LIMIT - 4)).await.unwrap_err()), "REQUEST_TOO_LARGE");
}

#[tokio::test]
async fn a_mask_keeps_only_what_it_names() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 2)]);
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let mut request = get(name_of("A1"));
    request.read_mask = Some(prost_types::FieldMask { paths: vec!["open_cases.status".to_owned()] });
    let state = client.get_customer_state(request).await.unwrap().into_inner().customer_state.unwrap();
    assert_eq!(state.open_cases.len(), 2);
    assert!(state.name.is_empty() && state.open_cases[0].r#ref.is_none() && state.open_cases[0].status != 0);
}

#[tokio::test]
async fn min_position_waits_for_the_write_or_says_not_yet() {
    let running = Running::start().await;
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let mut request = get(name_of("A1"));
    request.at = Some(At::MinPosition(position_token(LogPos(1))));
    let waiting = tokio::spawn({
        let (mut client, request) = (client.clone(), request.clone());
        async move { client.get_customer_state(request).await }
    });
    tokio::task::yield_now().await;
    running.hub.publish(&[("A1", 0)]);
    assert!(waiting.await.unwrap().is_ok());

    request.at = Some(At::MinPosition(position_token(LogPos(2))));
    let mut timed = Request::new(request);
    timed.set_timeout(std::time::Duration::from_millis(200));
    let status = client.get_customer_state(timed).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "NOT_YET_APPLIED"));
    assert!(status.get_details_retry_info().is_some());
}

#[tokio::test]
async fn as_of_and_staleness_are_honest() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 0)]);
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let mut request = get(name_of("A1"));
    request.at = Some(At::AsOfPosition(position_token(LogPos(99))));
    let status = client.get_customer_state(request.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "POSITION_IN_FUTURE"));
    request.at = Some(At::AsOfPosition("garbage".to_owned()));
    assert_eq!(reason(&client.get_customer_state(request.clone()).await.unwrap_err()), "POSITION_INVALID");
    request.at = None;
    request.max_staleness = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    client.get_customer_state(request.clone()).await.unwrap();
    request.max_staleness = Some(prost_types::Duration { seconds: 9, nanos: 0 });
    assert_eq!(reason(&client.get_customer_state(request).await.unwrap_err()), "TOO_STALE");
}

#[tokio::test]
async fn a_batch_answers_each_name_by_itself() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 0)]);
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    for as_of_position in [String::new(), position_token(LogPos(1))] {
        let names = vec!["nobody".to_owned(), "customers/none".to_owned(), name_of("A1")];
        let request = v1::BatchGetCustomerStatesRequest { names, as_of_position, ..Default::default() };
        let items = client.batch_get_customer_states(request).await.unwrap().into_inner().items;
        let reasons: Vec<&str> = items
            .iter()
            .map(|item| match item.result.as_ref().unwrap() {
                v1::batch_get_customer_states_item::Result::CustomerState(state) => state.name.as_str(),
                v1::batch_get_customer_states_item::Result::Error(error) => error.reason.as_str(),
            })
            .collect();
        assert_eq!(reasons, ["INVALID_FIELD", "CUSTOMER_NOT_FOUND", name_of("A1").as_str()]);
    }
    let request = v1::BatchGetCustomerStatesRequest { names: vec![name_of("A1"); 501], ..Default::default() };
    assert_eq!(reason(&client.batch_get_customer_states(request).await.unwrap_err()), "BATCH_TOO_LARGE");
}

#[tokio::test]
async fn a_query_filters_orders_and_walks_one_picture() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1), ("A2", 2), ("A3", 3), ("A4", 0)]);
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let mut request = v1::QueryCustomerStatesRequest {
        filter: "open_cases > 0 AND tier = \"Gold\"".to_owned(),
        order_by: "open_cases desc".to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let first = client.query_customer_states(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.estimated_total, 3);
    running.hub.publish(&[("A5", 9)]);
    request.page_token = first.next_page_token.clone();
    let second = client.query_customer_states(request.clone()).await.unwrap().into_inner();
    let names: Vec<String> =
        first.customer_states.iter().chain(&second.customer_states).map(|s| s.name.clone()).collect();
    assert_eq!(names, [name_of("A3"), name_of("A2"), name_of("A1")]);
    assert_eq!((second.next_page_token.as_str(), &second.read_position), ("", &first.read_position));

    request.filter = "open_cases > 1".to_owned();
    let status = client.query_customer_states(request.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PAGE_TOKEN_MISMATCH"));
    request.page_token.clear();
    request.filter = "open_case > 1".to_owned();
    let status = client.query_customer_states(request.clone()).await.unwrap_err();
    assert_eq!(status.get_details_error_info().unwrap().metadata["at"], "1");
    request.filter.clear();
    request.page_size = -1;
    assert_eq!(reason(&client.query_customer_states(request).await.unwrap_err()), "INVALID_FIELD");
}

fn bearer<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn only_roles_in_the_table_get_through() {
    let mut tokens = BearerTokens::default();
    tokens.add("agent-token", Principal { name: "ann".to_owned(), roles: vec![Role::Agent] });
    tokens.add("admin-token", Principal { name: "eve".to_owned(), roles: vec![Role::Admin] });
    let authentication = Authentication { tokens, ..Authentication::default() };
    let running = Running::start_with(authentication).await;
    let mut admin = AdminServiceClient::new(running.channel.clone());
    let status = admin.get_digest(v1::GetDigestRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
    let status = admin.get_digest(bearer(v1::GetDigestRequest::default(), "wrong")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = admin.get_digest(bearer(v1::GetDigestRequest::default(), "agent-token")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ROLE_MISSING"));
    admin.get_digest(bearer(v1::GetDigestRequest::default(), "admin-token")).await.unwrap();
}

#[tokio::test]
async fn a_process_tells_what_it_does_with_the_store() {
    let running = Running::start().await;
    let mut admin = AdminServiceClient::new(running.channel.clone());
    let told = admin.get_process(v1::GetProcessRequest {}).await.unwrap().into_inner();
    assert_eq!((told.role(), told.owner.as_str(), told.lag_positions), (v1::Role::Replica, "http://hub-0:7400/", 3));
    assert_eq!(told.lag.map(|lag| (lag.seconds, lag.nanos)), Some((1, 500_000_000)));
    assert!(!told.position.is_empty());
}

#[tokio::test]
async fn health_follows_the_life_of_the_server() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let mut running = Running::start().await;
    let mut health = HealthClient::new(running.channel.clone());
    for service in ["", "opshub.v1.CustomerStateService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    running.drain();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
}

macro_rules! reflection {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            let running = Running::start().await;
            let request = ServerReflectionRequest {
                message_request: Some(MessageRequest::ListServices(String::new())),
                ..Default::default()
            };
            let mut client = ServerReflectionClient::new(running.channel.clone());
            let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
            let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
            let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
            let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
            for name in serve::service::NAMES {
                assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
            }
        }
    };
}

reflection!(reflection_answers_in_version_1, v1);
reflection!(reflection_answers_in_version_1_alpha, v1alpha);

#[tokio::test]
async fn a_process_that_is_cut_off_answers_reads_and_says_that_it_does_not_serve() {
    use serve::standing::{Part, Standing};
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let standing = Standing::default();
    let options = serve::server::Options { standing: standing.clone(), ..serve::server::Options::local() };
    let running = Running::start_as(options).await;
    running.hub.publish(&[("A1", 0)]);
    let mut health = HealthClient::new(running.channel.clone());
    let mut tells = async |service: &str, expected: ServingStatus| {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut told = health.watch(request).await.unwrap().into_inner();
        let until = async { while told.message().await.unwrap().unwrap().status() != expected {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), until).await.unwrap();
    };
    tells("", ServingStatus::Serving).await;
    standing.note(Part::Log, false);
    tells("", ServingStatus::NotServing).await;
    tells("opshub.v1.IngestService", ServingStatus::NotServing).await;
    tells("opshub.v1.CustomerStateService", ServingStatus::Serving).await;
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    client.get_customer_state(get(name_of("A1"))).await.unwrap();
    standing.note(Part::Log, true);
    tells("", ServingStatus::Serving).await;
    tells("opshub.v1.IngestService", ServingStatus::Serving).await;
}

#[tokio::test]
async fn what_is_too_large_for_one_answer_is_told_on_several_pages() {
    use prost::Message as _;
    let running = Running::start().await;
    // Each case is named after its account.
    let [a1, a2, a3, a4] = ["A1", "A2", "A3", "A4"].map(|id| format!("{id}{}", "x".repeat(180)));
    running.hub.publish(&[(&a1, 8_000), (&a2, 8_000), (&a3, 1), (&a4, 22_000)]);
    let mut client = CustomerStateServiceClient::new(running.channel.clone());
    let large = client.get_customer_state(get(name_of(&a1))).await.unwrap().into_inner().encoded_len();
    assert!((LIMIT / 2..LIMIT).contains(&large), "{large}");
    let status = client.get_customer_state(get(name_of(&a4))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "ANSWER_TOO_LARGE"));
    let told = status.get_details_error_info().unwrap().metadata;
    assert!(status.message().ends_with(&told["read_mask"]), "{}", status.message());
    let paths: Vec<String> = told["read_mask"].split(',').map(str::to_owned).collect();
    assert!(paths.contains(&"billing".to_owned()) && !paths.contains(&told["left_out"]), "{told:?}");
    let with = |paths: &[String]| {
        let mask = prost_types::FieldMask { paths: paths.to_vec() };
        v1::GetCustomerStateRequest { read_mask: Some(mask), ..get(name_of(&a4)) }
    };
    let state = client.get_customer_state(with(&paths)).await.unwrap().into_inner().customer_state.unwrap();
    assert_eq!((state.name, state.members.len(), state.open_cases.len()), (name_of(&a4), 1, 0));
    let status = client.get_customer_state(with(&["open_cases".to_owned()])).await.unwrap_err();
    let told = status.get_details_error_info().unwrap().metadata;
    assert_eq!((told["left_out"].as_str(), told["read_mask"].as_str()), ("open_cases", ""));
    let below = with(&["open_cases.status".to_owned()]);
    let state = client.get_customer_state(below).await.unwrap().into_inner().customer_state.unwrap();
    assert_eq!(state.open_cases.len(), 22_000, "what is named below a field may fit");

    // Three of them fit on two pages at the best, whatever their order.
    let names = [&a1, &a2, &a3].map(|id| name_of(id));
    let filter = names.clone().map(|name| format!("name = \"{name}\"")).join(" OR ");
    let mut query = v1::QueryCustomerStatesRequest { filter, ..Default::default() };
    let (mut pages, mut found) = (0, Vec::new());
    loop {
        let page = client.query_customer_states(query.clone()).await.unwrap().into_inner();
        assert!(page.encoded_len() < LIMIT);
        found.extend(page.customer_states.into_iter().map(|state| state.name));
        (pages, query.page_token) = (pages + 1, page.next_page_token);
        if query.page_token.is_empty() {
            break;
        }
    }
    found.sort();
    let mut expected = names.to_vec();
    expected.sort();
    assert!((2..=3).contains(&pages) && found == expected, "{pages} {found:?}");

    let request = v1::BatchGetCustomerStatesRequest { names: names.to_vec(), ..Default::default() };
    let items = client.batch_get_customer_states(request).await.unwrap().into_inner().items;
    let told = |item: &v1::BatchGetCustomerStatesItem| match item.result.as_ref().unwrap() {
        v1::batch_get_customer_states_item::Result::CustomerState(state) => state.name.clone(),
        v1::batch_get_customer_states_item::Result::Error(error) => error.reason.clone(),
    };
    let told: Vec<_> = items.iter().map(told).collect();
    assert_eq!(told, [&names[0], "ANSWER_TOO_LARGE", &names[2]]);
}

#[tokio::test]
async fn other_addresses_are_refused_without_tls_and_authentication() {
    let options = serve::server::Options { addr: "0.0.0.0:0".parse().unwrap(), ..serve::server::Options::local() };
    let error = serve::server::Server::bind(options, harness::SmallHub::new()).await.err().unwrap();
    assert!(error.to_string().contains("needs TLS and authentication"), "{error}");
}

#[tokio::test]
async fn a_write_by_filter_finds_what_is_held_behind_what_is_decided() {
    let running = Running::start().await;
    let decided = (1..=600).map(|id| Quarantined { state: QuarantineState::Discarded(T), ..held(id, "malformed") });
    *running.hub.quarantine.lock().unwrap() = decided.chain([held(601, "malformed"), held(602, "oversized")]).collect();
    let mut admin = AdminServiceClient::new(running.channel.clone());
    let filter = "reason = \"malformed\"".to_owned();
    let request = v1::DiscardQuarantineRequest { filter, ..v1::DiscardQuarantineRequest::default() };
    let answer = admin.discard_quarantine(request).await.unwrap().into_inner();
    assert_eq!(answer.discarded_names, ["quarantine/601"]);
}

#[tokio::test]
async fn each_source_tells_of_itself_alone() {
    let running = Running::start().await;
    running.hub.publish(&[("A1", 1)]);
    let mut client = AdminServiceClient::new(running.channel.clone());
    let sources = client.list_sources(v1::ListSourcesRequest::default()).await.unwrap().into_inner().sources;
    let told: Vec<_> =
        sources.iter().map(|source| (source.system(), source.state(), source.lag.map(|lag| lag.seconds))).collect();
    assert_eq!(
        told,
        [
            (v1::System::Salesforce, v1::FreshnessState::Fresh, Some(10)),
            (v1::System::Zendesk, v1::FreshnessState::Stale, Some(400)),
            (v1::System::Oracle, v1::FreshnessState::Unknown, None),
        ]
    );
}
