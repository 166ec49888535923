//! Who is let in over TLS: by certificate, by token, and who is not.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{Running, reason};
use proto::v1;
use proto::v1::admin_service_client::AdminServiceClient;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serve::auth::Authentication;
use serve::policy::{Principal, Role};
use serve::server::{Options, Tls};
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

const DESK: &str = "spiffe://example.org/desk";

/// A certificate authority of a test.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key for a DNS name, and for a URI if one is given.
    fn certify(&self, dns: &str, uri: Option<&str>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.subject_alt_names.extend(uri.map(|uri| rcgen::SanType::URI(uri.try_into().unwrap())));
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server that believes one authority and knows one certificate and one token.
async fn start(authority: &Authority) -> Running {
    let (certificate, key) = authority.certify("localhost", None);
    let mut authentication = Authentication::default();
    let desk = Principal { name: "desk".to_owned(), roles: vec![Role::Admin] };
    authentication.certificates.add(DESK, desk).unwrap();
    authentication.tokens.add("secret", Principal { name: "ann".to_owned(), roles: vec![Role::Auditor] });
    let tls = Tls {
        certificates_pem: certificate.into_bytes(),
        key_pem: key.into_bytes(),
        callers_ca_pem: Some(authority.pem.clone().into_bytes()),
    };
    Running::start_as(Options { authentication, tls: Some(tls), ..Options::local() }).await
}

fn channel(running: &Running, authority: &Authority, identity: Option<(String, String)>) -> Channel {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem)).domain_name("localhost");
    if let Some((certificate, key)) = identity {
        tls = tls.identity(Identity::from_pem(certificate, key));
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
