//! Who is let in over TLS: by certificate, by token, and who is not; and who is not waited for.
#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::time::Duration;

use fixtures::authority::{Authority, Certified};
use harness::{Running, reason};
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use serve::auth::Authentication;
use serve::patience::Patience;
use serve::policy::{Principal, Role};
use serve::server::{Options, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

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
