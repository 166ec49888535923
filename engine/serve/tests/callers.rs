//! Who is let in over TLS: by certificate, by token, and who is not; and who is not waited for.
#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::time::Duration;

use fixtures::authority::{Authority, Certified};
use harness::{Running, reason};
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use proto::v1::ingest_service_client::IngestServiceClient;
use serve::auth::Authentication;
use serve::patience::Patience;
use serve::policy::{Principal, Role};
use serve::quota::Quota;
use serve::server::{Options, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic_types::StatusExt as _;

const DESK: &str = "spiffe://example.org/desk";

/// A server that believes one authority and knows one certificate and one token.
async fn start(authority: &Authority) -> Running {
    Running::start_as(options(authority)).await
}

fn options(authority: &Authority) -> Options {
    let Certified { certificate_pem, key_pem } = authority.certify("localhost", None);
    let mut authentication = Authentication::default();
    let desk = Principal { name: "desk".to_owned(), roles: vec![Role::Admin] };
    authentication.certificates.add(DESK, desk).unwrap();
    authentication.tokens.add("secret", Principal { name: "ann".to_owned(), roles: vec![Role::Auditor] });
    let tls = Tls {
        certificates_pem: certificate_pem.into_bytes(),
        key_pem: key_pem.into_bytes(),
        callers_ca_pem: Some(authority.pem.clone().into_bytes()),
    };
    Options { authentication, tls: Some(tls), ..Options::local() }
}

fn channel(running: &Running, authority: &Authority, identity: Option<Certified>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem)).domain_name("localhost");
    if let Some(Certified { certificate_pem, key_pem }) = identity {
        tls = tls.identity(Identity::from_pem(certificate_pem, key_pem));
    }
    running.connect(tls)
}

async fn digest(channel: Channel, token: Option<&str>) -> Result<(), tonic::Status> {
    let mut request = tonic::Request::new(v1::GetDigestRequest::default());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    AdminServiceClient::new(channel).get_digest(request).await.map(|_| ())
}

#[tokio::test]
async fn a_known_certificate_or_token_gets_in_and_health_asks_nobody() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let authority = Authority::new();
    let running = start(&authority).await;
    let desk = channel(&running, &authority, Some(authority.certify("desk.example", Some(DESK))));
    digest(desk.clone(), None).await.unwrap();
    let plain = channel(&running, &authority, None);
    digest(plain.clone(), Some("secret")).await.unwrap();
    HealthClient::new(plain).check(HealthCheckRequest::default()).await.unwrap();
    let status = digest(desk, Some("wrong")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
}

#[tokio::test]
async fn nobody_gets_in_without_a_credential_or_with_one_of_a_strange_authority() {
    let authority = Authority::new();
    let running = start(&authority).await;
    let plain = channel(&running, &authority, None);
    assert_eq!(digest(plain, None).await.unwrap_err().code(), Code::Unauthenticated);
    let unknown = channel(&running, &authority, Some(authority.certify("desk.example", None)));
    assert_eq!(digest(unknown, None).await.unwrap_err().code(), Code::Unauthenticated);
    // Of an authority that the server does not believe: there is no connection to speak over.
    let forged = Authority::new().certify("desk.example", Some(DESK));
    let status = digest(channel(&running, &authority, Some(forged)), None).await.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status}");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame of settings that are all left as they are.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const SHORT: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_secs(600);

/// Sends bytes and waits until the other side ends the connection.
async fn given_up(addr: SocketAddr, sent: impl AsRef<[u8]>) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // The other side may have ended already, which the reading shows.
    let _ = stream.write_all(sent.as_ref()).await;
    let mut said = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "still open after {}", String::from_utf8_lossy(sent.as_ref()));
}

#[tokio::test]
async fn who_asks_nothing_is_not_waited_for() {
    let patience = |handshake, head, idle| Patience { handshake, head, idle };
    let clear = async |patience| Running::start_as(Options { patience, ..Options::local() }).await;
    let silence = clear(patience(SHORT, LONG, LONG)).await;
    let head = clear(patience(LONG, SHORT, LONG)).await;
    let idle = clear(patience(LONG, LONG, SHORT)).await;
    let authority = Authority::new();
    let tls = Running::start_as(Options { patience: patience(SHORT, LONG, LONG), ..options(&authority) }).await;
    tokio::join!(
        given_up(silence.addr, b""),
        given_up(head.addr, &PREFACE[..12]),
        given_up(head.addr, b"POST / HTTP/1.1\r\nhost:"),
        given_up(idle.addr, [PREFACE, SETTINGS].concat()),
        given_up(tls.addr, b""),
        // The beginning of a handshake: 512 bytes are to come.
        given_up(tls.addr, [22, 3, 1, 2, 0, 1, 0]),
    );
}

/// Asks for the server's health over HTTP/1.1, and says whether it answers.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let request = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: x\r\n\
                   content-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        let count = stream.read_buf(&mut answer).await.unwrap();
        assert_ne!(count, 0, "ended after {}", String::from_utf8_lossy(&answer));
    }
    answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn who_has_asked_once_is_waited_for() {
    let patience = Patience { handshake: LONG, head: LONG, idle: SHORT };
    let running = Running::start_as(Options { patience, ..Options::local() }).await;
    let mut client = TcpStream::connect(running.addr).await.unwrap();
    assert!(is_answered(&mut client).await);
    given_up(running.addr, [PREFACE, SETTINGS].concat()).await;
    assert!(is_answered(&mut client).await);
}

/// A server that gives each of two callers by token this quota.
async fn giving(quota: Quota) -> Running {
    let mut authentication = Authentication::default();
    for name in ["ann", "bob"] {
        let principal = Principal { name: name.to_owned(), roles: vec![Role::Auditor, Role::Source] };
        authentication.tokens.add(name, principal);
    }
    Running::start_as(Options { authentication, quota, ..Options::local() }).await
}

#[tokio::test]
async fn a_caller_beyond_its_quota_is_told_when_to_come_again_and_no_other_notices() {
    let rare = 1;
    let running = giving(Quota { calls_per_second: rare, ..Quota::default() }).await;
    let ask = async |token| digest(running.channel.clone(), Some(token)).await;
    // However slow this is, of so many calls at once some come sooner than one a second.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let channel = running.channel.clone();
        calls.spawn(async move { digest(channel, Some("ann")).await });
    }
    let refused = calls.join_all().await.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    let status = refused.first().expect("one of them is refused");
    assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert_eq!(status.get_details_error_info().unwrap().metadata["key"], "api.quota.calls_per_second");
    assert!(status.get_details_retry_info().is_some());
    ask("bob").await.unwrap();
}

#[tokio::test]
async fn streams_of_a_caller_are_bounded_while_they_are_open() {
    use proto::v1::customer_state_service_client::CustomerStateServiceClient;
    let running = giving(Quota { streams: 1, ..Quota::default() }).await;
    let watch = async || {
        let mut request = tonic::Request::new(v1::WatchCustomerStatesRequest::default());
        request.metadata_mut().insert("authorization", "Bearer ann".parse().unwrap());
        CustomerStateServiceClient::new(running.channel.clone()).watch_customer_states(request).await
    };
    let open = watch().await.unwrap();
    assert_eq!(reason(&watch().await.unwrap_err()), "QUOTA_EXCEEDED");
    digest(running.channel.clone(), Some("ann")).await.unwrap();
    drop(open);
    let again = async {
        while watch().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.unwrap();
}

#[tokio::test]
async fn bytes_of_requests_and_of_answers_are_charged() {
    let running = giving(Quota { bytes_per_second: 1_000, ..Quota::default() }).await;
    let publish = async || {
        let event = v1::Event { event_id: "x".repeat(1_000_000), ..v1::Event::default() };
        let mut request = tonic::Request::new(v1::PublishEventsRequest { events: vec![event], ..Default::default() });
        request.metadata_mut().insert("authorization", "Bearer ann".parse().unwrap());
        IngestServiceClient::new(running.channel.clone()).publish_events(request).await
    };
    // What is owed is paid back in five seconds, which on a slow machine is soon: then it is tried again.
    let refused = async {
        loop {
            // Whatever becomes of the event, its bytes have passed.
            let _ = publish().await;
            if let Err(status) = digest(running.channel.clone(), Some("ann")).await {
                break status;
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(120), refused).await.unwrap();
    assert_eq!(status.get_details_error_info().unwrap().metadata["key"], "api.quota.bytes_per_second");
    digest(running.channel.clone(), Some("bob")).await.unwrap();
}
