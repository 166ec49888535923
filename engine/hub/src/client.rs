//! The command line as a client of a running hub: how it connects, what it tells when a call fails,
//! and the two forms in which it prints, tables for people and the API's own JSON for programs.

mod reach;
mod show;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::Args;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serve::reason::Reason;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::commands::{CONFIG_INVALID, FAILED, Failure, NOT_FOUND, UNREACHABLE};
use crate::config::SecretRef;

use reach::Unreached;
pub use show::{count, instant, money, reference, since, table, word};

/// Exit code: the call makes no sense.
pub const USAGE: u8 = 2;
/// How long it may take to reach the hub.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a call may take when it names no deadline.
const CALL_MAX: Duration = Duration::from_secs(30);

/// The API's messages, by name.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("the descriptor set is made by this build")
});

/// Which hub is asked, and how the answer is printed.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Where the hub's API listens: HOST:PORT, or https://HOST:PORT together with --ca.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7400", env = "OPSHUB_API")]
    api: String,
    /// Bearer token, by reference: env:NAME or file:PATH.
    #[arg(long, value_name = "REFERENCE", env = "OPSHUB_TOKEN")]
    token: Option<SecretRef>,
    /// Certificate authority of the hub, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Print the API's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A connection to a hub.
pub struct Hub {
    /// What calls go through.
    pub channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
}

impl ClientArgs {
    /// Connects to the hub.
    ///
    /// # Errors
    /// If the address or the credential cannot be used, or nobody answers.
    pub async fn connect(&self) -> Result<Hub, Failure> {
        let authorization = self.authorization()?;
        let address = if self.api.contains("://") { self.api.clone() } else { format!("http://{}", self.api) };
        let wrong = |error: &dyn std::fmt::Display| {
            let text = format!("use the address {}: {error}; write HOST:PORT, such as 127.0.0.1:7400", self.api);
            Failure::with(USAGE, anyhow::anyhow!(text))
        };
        if address.starts_with("https://") && self.ca.is_none() {
            let text = format!("reach the hub at {}: name the authority of its certificate with --ca", self.api);
            return Err(Failure::with(USAGE, anyhow::anyhow!(text)));
        }
        let mut endpoint = Endpoint::from_shared(address).map_err(|error| wrong(&error))?;
        if let Some(path) = &self.ca {
            let pem = std::fs::read(path).map_err(|error| {
                Failure::with(
                    CONFIG_INVALID,
                    anyhow::anyhow!("read the certificate authority {}: {error}", path.display()),
                )
            })?;
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
            endpoint = endpoint.tls_config(tls).map_err(|error| wrong(&error))?;
        }
        let endpoint = endpoint.connect_timeout(CONNECT_MAX).timeout(CALL_MAX);
        let channel = endpoint.connect().await.map_err(|error| self.unreachable(&reach::refused(&error)))?;
        Ok(Hub { channel, authorization })
    }

    fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let Some(reference) = &self.token else { return Ok(None) };
        let secret = reference.read("--token").map_err(|error| Failure::with(CONFIG_INVALID, error))?;
        let unfit =
            || Failure::with(CONFIG_INVALID, anyhow::anyhow!("use the token: it has characters that no header holds"));
        format!("Bearer {}", secret.expose()).parse().map(Some).map_err(|_| unfit())
    }

    fn unreachable(&self, why: &Unreached) -> Failure {
        Failure::with(UNREACHABLE, anyhow::anyhow!("reach the hub at {}: {}; {}", self.api, why.why, why.next))
    }

    /// What to tell about a call that failed. `attempt` says what was tried, `if_unknown` what to do
    /// when the hub does not know what was asked for.
    #[must_use]
    pub fn failed(&self, attempt: &str, status: &Status, if_unknown: &str) -> Failure {
        let reason = status.get_details_error_info().map(|info| info.reason);
        // Every refusal of a hub has a reason: what has none came from the way there, or from somebody else.
        if reason.is_none()
            && let Some(why) = reach::broken_off(status)
        {
            return self.unreachable(&why);
        }
        let (code, mut next) = advice(status.code(), if_unknown, self.token.is_some());
        if reason.as_deref() == Some(Reason::PositionInvalid.row().name) {
            next =
                "write the `position` of an answer with --json, or for --as-of an instant such as 2026-03-10T15:00:00Z";
        }
        let reason = reason.map(|reason| format!(" [{reason}]")).unwrap_or_default();
        let next = if next.is_empty() { String::new() } else { format!("; {next}") };
        Failure::with(code, anyhow::anyhow!("{attempt}: {}{reason}{next}", status.message()))
    }
}

/// The exit code for a status, and what to do next.
fn advice(code: Code, if_unknown: &str, has_token: bool) -> (u8, &str) {
    match code {
        Code::NotFound => (NOT_FOUND, if_unknown),
        Code::InvalidArgument | Code::OutOfRange => (USAGE, ""),
        Code::Unauthenticated if has_token => (
            FAILED,
            "the hub does not know the token that --token names: give one of a caller that its configuration has \
             under api.tokens, or SIGHUP the hub if the token is new",
        ),
        Code::Unauthenticated => (FAILED, "name a credential with --token env:NAME or --token file:PATH"),
        Code::PermissionDenied => (
            FAILED,
            "name the token of a caller who has one of them with --token env:NAME or --token file:PATH, or give this \
             caller the role in the hub's configuration and SIGHUP the hub",
        ),
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted => (FAILED, "try again"),
        Code::Unimplemented => (FAILED, "the hub may be of another version than this command"),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Internal
        | Code::DataLoss => (FAILED, ""),
    }
}

impl Hub {
    /// A call with the credential.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

/// The description of a message of package `opshub.v1`.
pub(crate) fn descriptor(name: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&format!("opshub.v1.{name}"))
}

/// A message of package `opshub.v1` in the API's JSON form.
///
/// # Errors
/// If the package has no message of that name.
pub fn json(name: &str, message: &impl Message) -> Result<serde_json::Value, Failure> {
    let descriptor = descriptor(name).ok_or_else(|| anyhow::anyhow!("print {name}: the API has no such message"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    Ok(serde_json::to_value(dynamic)?)
}

/// Prints a message of package `opshub.v1` in the API's JSON form.
///
/// # Errors
/// As [`json`].
pub fn print_json(name: &str, message: &impl Message) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(&json(name, message)?)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proto::v1;

    use super::*;

    fn args() -> ClientArgs {
        ClientArgs { api: "127.0.0.1:7400".to_owned(), token: None, ca: None, json: false }
    }

    #[test]
    fn json_is_the_form_of_the_api() {
        let source = v1::Source { system: 2, partition: "erp".to_owned(), received_count: 7, ..v1::Source::default() };
        let answer = v1::ListSourcesResponse { sources: vec![source], next_page_token: String::new() };
        assert_eq!(
            json("ListSourcesResponse", &answer).unwrap(),
            serde_json::json!({ "sources": [{ "system": "SYSTEM_ORACLE", "partition": "erp", "receivedCount": "7" }] })
        );
        assert!(json("Nothing", &answer).is_err());
    }

    #[tokio::test]
    async fn a_hub_with_tls_is_asked_only_where_its_authority_is_named() {
        let args = ClientArgs { api: "https://127.0.0.1:1".to_owned(), ..args() };
        let failure = args.connect().await.err().unwrap();
        assert_eq!(failure.code, USAGE);
        assert!(failure.error.unwrap().to_string().contains("with --ca"));
    }

    #[test]
    fn a_failed_call_says_what_why_and_what_next() {
        let status: Status =
            serve::reason::Refusal::new(serve::reason::Reason::CustomerNotFound).with("name", "customers/1").into();
        let failure = args().failed("read customers/1", &status, "look for it");
        assert_eq!(failure.code, NOT_FOUND);
        assert_eq!(
            failure.error.unwrap().to_string(),
            "read customers/1: no customer is named customers/1 [CUSTOMER_NOT_FOUND]; look for it"
        );
        let failure = args().failed("read", &Status::unavailable("connection reset"), "");
        assert_eq!(failure.code, UNREACHABLE);
        assert!(failure.error.unwrap().to_string().contains("opshub serve"));
        let refused = |reason, token: Option<&str>| {
            let args = ClientArgs { token: token.map(|text| text.parse().unwrap()), ..args() };
            let status: Status = serve::reason::Refusal::new(reason).into();
            let failure = args.failed("read", &status, "");
            (failure.code, failure.error.unwrap().to_string())
        };
        let (code, told) = refused(serve::reason::Reason::Unauthenticated, None);
        assert!(code == FAILED && told.contains("name a credential with --token"), "{told}");
        let (_, told) = refused(serve::reason::Reason::Unauthenticated, Some("env:PATH"));
        assert!(told.contains("does not know the token"), "{told}");
        let (code, told) = refused(serve::reason::Reason::RoleMissing, Some("env:PATH"));
        assert!(code == FAILED && told.contains("who has one of them with --token"), "{told}");
        let draining: Status = serve::reason::Refusal::new(serve::reason::Reason::Draining).into();
        assert_eq!(args().failed("read", &draining, "").code, FAILED, "a hub that says so is reached");
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable_and_no_address_is_usage() {
        // Port 1 of loopback: nobody listens there without being asked to.
        let nobody = ClientArgs { api: "127.0.0.1:1".to_owned(), ..args() };
        assert_eq!(nobody.connect().await.err().unwrap().code, UNREACHABLE);
        let nonsense = ClientArgs { api: "not an address".to_owned(), ..args() };
        assert_eq!(nonsense.connect().await.err().unwrap().code, USAGE);
    }
}
