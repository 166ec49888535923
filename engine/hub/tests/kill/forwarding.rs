//! What needs the owner of a store and comes to another process: it is handed on, over TLS too, once, and
//! only to the one whose certificate proves it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fixtures::authority::{Authority, Certified};
use proto::v1::PublishEventsRequest;
use proto::v1::ingest_service_client::IngestServiceClient;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request, Status};

use crate::author::Author;
use crate::child::{Hub, Ready};
use crate::servers::Servers;
use crate::{seed_of, wall};

/// What Oracle's capture proves itself by.
const TOKEN: &str = "door-token";
/// How long a silent owner keeps its turn here: longer than the test looks at what happens without it.
const LONG: &str = "silence_max = \"120s\"";

/// Processes that share a store, with TLS and a door.
struct Deployment {
    /// What its certificate is for.
    name: &'static str,
    servers: Servers,
    folder: TempDir,
    authority: Authority,
    runtime: Runtime,
}

impl Deployment {
    fn new(name: &'static str) -> Self {
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        let Certified { certificate_pem, key_pem } = authority.certify(name, None);
        std::fs::write(folder.path().join("certificate.pem"), certificate_pem).unwrap();
        secret(&folder.path().join("key.pem"), &key_pem);
        secret(&folder.path().join("token"), TOKEN);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Deployment { name, servers: Servers::new(), folder, authority, runtime }
    }

    /// Starts a process that believes `authority` when it hands on.
    fn start(&self, member: &str, authority: &Authority) -> (Hub, Ready) {
        let folder = self.folder.path();
        let believed = folder.join(format!("{member}-ca.pem"));
        std::fs::write(&believed, &authority.pem).unwrap();
        let file = self.servers.configure(folder, member);
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().map(|line| if line.starts_with("silence_max") { LONG } else { line });
        let lines: Vec<&str> = lines.collect();
        let (lines, believed, at) = (lines.join("\n"), believed.display(), folder.display());
        let text = format!(
            "{lines}\nadvertise_ca = \"{believed}\"\n[api]\ncertificates = \"{at}/certificate.pem\"\n\
             key = \"file:{at}/key.pem\"\n[connectors.oracle]\ntoken = \"file:{at}/token\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let hub = Hub::serve(folder, None, &["--config", file.to_str().unwrap(), "--doors", "127.0.0.1:0"]);
        let told = || std::fs::read_to_string(folder.join("stderr.txt")).unwrap_or_default();
        let ready = hub.says().unwrap_or_else(|| panic!("the hub did not start: {}", told()));
        (hub, ready)
    }

    /// Starts one that owns the store.
    fn own(&self) -> (Hub, Ready) {
        let (hub, said) = self.start("first", &self.authority);
        let ready = if said.role == "owner" { said } else { hub.ready().unwrap() };
        (hub, ready)
    }

    /// Writes one fact at a process; `is_forwarded` as another process marks what it hands on.
    fn write(&self, ready: &Ready, is_forwarded: bool) -> Result<(), Status> {
        let events = Author::new("a".to_owned(), seed_of("forwarding"), wall()).fit(1);
        self.runtime.block_on(async {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.authority.pem));
            // What is tried is whom the process believes, not whom this client does.
            let tls = tls.domain_name(self.name);
            let channel = Channel::from_shared(format!("https://{}", ready.api)).unwrap().tls_config(tls).unwrap();
            let mut request = Request::new(PublishEventsRequest { events, ..PublishEventsRequest::default() });
            if is_forwarded {
                request.metadata_mut().insert("x-opshub-forwarded", "1".parse().unwrap());
            }
            IngestServiceClient::new(channel.connect().await.unwrap()).publish_events(request).await.map(drop)
        })
    }

    /// Delivers something unreadable at a door and gives the answer's status.
    fn deliver(&self, ready: &Ready, token: &str, is_forwarded: bool) -> u16 {
        self.runtime.block_on(async {
            let url = format!("http://{}/oracle/changes", ready.doors.as_ref().unwrap());
            let mut request = reqwest::Client::new().post(url).bearer_auth(token).body("{\"a\":");
            if is_forwarded {
                request = request.header("x-opshub-forwarded", "1");
            }
            request.send().await.unwrap().status().as_u16()
        })
    }
}

/// Writes what only its owner may read.
fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// What a refusal says besides its message.
fn why(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().and_then(|info| info.metadata.get("why").cloned()).unwrap_or_default()
}

#[test]
fn a_replica_hands_on_over_tls_and_at_its_door_and_says_when_it_cannot() {
    let here = Deployment::new("127.0.0.1");
    let (owner, first) = here.own();
    let (_second, replica) = here.start("second", &here.authority);
    let (_third, stranger) = here.start("third", &Authority::new());
    here.write(&replica, false).unwrap();
    let again = here.write(&replica, true).unwrap_err();
    assert_eq!(again.code(), Code::Unavailable, "a call is handed on once: {again}");
    let refused = here.write(&stranger, false).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(why(&refused).contains("certificate"), "by another authority: {refused:?}");
    for token in [TOKEN, "wrong"] {
        assert_eq!(here.deliver(&replica, token, false), here.deliver(&first, token, false), "the owner answers");
    }
    assert_ne!(here.deliver(&replica, TOKEN, false), here.deliver(&replica, "wrong", false));
    assert_eq!(here.deliver(&replica, TOKEN, true), 503, "a delivery is handed on once");
    owner.kill();
    let away = here.write(&replica, false).unwrap_err();
    assert_eq!(away.code(), Code::Unavailable, "{away}");
    assert_eq!(here.deliver(&replica, TOKEN, false), 503);
}

#[test]
fn nothing_is_handed_on_to_one_whose_certificate_names_another() {
    let here = Deployment::new("elsewhere.example");
    let (_owner, first) = here.own();
    let (_second, replica) = here.start("second", &here.authority);
    here.write(&first, false).unwrap();
    let refused = here.write(&replica, false).unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert!(why(&refused).contains("certificate"), "{refused:?}");
}
