//! Why no hub answered: nobody listens, somebody else does, or one side speaks TLS and the other does not.

use std::error::Error;

use tonic::{Code, Status};

/// What to do where nobody listens.
const START: &str = "start one with `opshub serve`, or name another with --api";
/// What to do where something listens that is no hub's API.
const ANOTHER: &str = "name with --api where the API listens, which `opshub serve` prints when it is ready; a hub with \
                       TLS is reached by https://HOST:PORT and --ca";

/// Why the hub was not reached, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreached {
    pub(super) why: String,
    pub(super) next: &'static str,
}

/// A connection that did not come about.
pub(super) fn refused(error: &(dyn Error + 'static)) -> Unreached {
    let said = last(error);
    match tls(error) {
        Some(rustls::Error::InvalidMessage(_)) => Unreached {
            why: format!("what listens there does not speak TLS ({said})"),
            next: "write HOST:PORT without https:// if the hub has no TLS, or name with --api where its API listens",
        },
        Some(rustls::Error::InvalidCertificate(_)) => Unreached {
            why: format!("its certificate is not trusted ({said})"),
            next: "name with --ca the authority that signed it, and with --api the host as the certificate names it",
        },
        Some(_) => Unreached { why: format!("no TLS came about ({said})"), next: ANOTHER },
        None => Unreached { why: said, next: START },
    }
}

/// A call that broke off without an answer of a hub; none if a hub may have answered.
pub(super) fn broken_off(status: &Status) -> Option<Unreached> {
    let source = status.source();
    match status.code() {
        Code::Unavailable => Some(Unreached { why: status.message().to_owned(), next: START }),
        // What this side gave up, or could not read.
        Code::Cancelled | Code::DeadlineExceeded if source.is_some_and(is_late) => {
            Some(Unreached { why: "whatever listens there did not answer in time".to_owned(), next: ANOTHER })
        }
        Code::Cancelled | Code::Internal | Code::Unknown | Code::DeadlineExceeded => source.map(|source| {
            let said = last(source);
            let why = format!("the call broke off ({said}): what listens there is no hub's API, or ended meanwhile");
            Unreached { why, next: ANOTHER }
        }),
        Code::Unimplemented if status.message().contains("mapped from HTTP status code") => {
            Some(Unreached { why: format!("what listens there is no hub's API ({})", status.message()), next: ANOTHER })
        }
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss => None,
    }
}

fn is_late(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|cause| cause.is::<tonic::TimeoutExpired>())
}

/// What TLS found wrong, if TLS did.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    chain(error).find_map(|cause| {
        let inside = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.downcast_ref().or_else(|| inside?.downcast_ref())
    })
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| Error::source(*error))
}

/// The last cause of an error: what the system said.
fn last(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use proto::v1::GetProcessRequest;
    use proto::v1::admin_service_client::AdminServiceClient;

    use super::super::ClientArgs;
    use crate::commands::UNREACHABLE;

    /// What a client says of somebody who answers whatever comes by `answer`.
    async fn told(prefix: &str, ca: bool, answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut asked = [0; 1024];
                // A caller that has gone already is as good.
                let _ = stream.read(&mut asked).and_then(|_| stream.write_all(answer));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&path, key.cert.pem()).unwrap();
        let args = ClientArgs { api: format!("{prefix}{address}"), token: None, ca: ca.then_some(path), json: false };
        let failure = match args.connect().await {
            Ok(hub) => {
                let status = AdminServiceClient::new(hub.channel.clone()).get_process(GetProcessRequest {}).await;
                args.failed("ask", &status.unwrap_err(), "")
            }
            Err(failure) => failure,
        };
        assert_eq!(failure.code, UNREACHABLE);
        let text = failure.error.unwrap().to_string();
        assert!(text.starts_with(&format!("reach the hub at {prefix}{address}: ")), "{text}");
        text
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn somebody_else_who_listens_is_told_from_a_hub() {
        for answer in [&b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..], b"-ERR unknown\r\n", b""] {
            let text = told("", false, answer).await;
            assert!(text.contains("the call broke off (") && text.contains("which `opshub serve` prints"), "{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn tls_against_somebody_without_it_is_told_as_that() {
        let text = told("https://", true, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        assert!(text.contains("does not speak TLS") && text.contains("without https://"), "{text}");
    }
}
