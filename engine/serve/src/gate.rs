//! The gate before every service: principal, policy, deadline, measure.
//!
//! It stands before the services instead of in them, so that no method can forget it.

// The gate is the outermost loop of a call: it measures how long calls take.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport::CertificateDer;
use tonic::transport::server::TlsConnectInfo;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::auth::Callers;
use crate::metrics;
use crate::owner::Owner;
use crate::patience::Client;
use crate::policy::{Access, Entry, Policy, Principal};
use crate::quota::{Admitted, Quota, Quotas};
use crate::reason::{Reason, Refusal};
use crate::service::REQUEST_BYTES_MAX;

/// Unary calls that name no deadline get this one.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
/// A wait for a position ends this long before the deadline, so that its own answer gets through.
const ANSWER_RESERVE: Duration = Duration::from_millis(50);
/// Or this part of the limit before it, if that is longer: clients tell their limit rounded up, by as
/// much as a hundredth.
const ANSWER_RESERVE_PART: u32 = 50;

/// When a call has to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// A deadline that far from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Deadline { at: Instant::now() + limit, limit }
    }

    /// Until when something may be waited for.
    #[must_use]
    pub fn wait_until(self) -> Instant {
        let reserve = ANSWER_RESERVE.max(self.limit / ANSWER_RESERVE_PART);
        self.at.checked_sub(reserve).unwrap_or(self.at)
    }
}

/// Puts the gate before a service.
#[derive(Debug, Clone)]
pub struct GateLayer {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    policy: Policy,
    callers: Callers,
    deadline: Duration,
    owner: Owner,
    quotas: Quotas,
}

impl GateLayer {
    /// A gate with these rules; `deadline` is for unary calls that name none, `owner` answers what only
    /// the owner of the store can, and `quota` is for each caller who is known.
    #[must_use]
    pub fn new(policy: Policy, callers: Callers, deadline: Duration, owner: Owner, quota: Quota) -> Self {
        let quotas = Quotas::new(quota);
        GateLayer { rules: Arc::new(Rules { policy, callers, deadline, owner, quotas }) }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { rules: self.rules.clone(), inner }
    }
}

/// A service behind the gate.
#[derive(Debug, Clone)]
pub struct Gate<S> {
    rules: Arc<Rules>,
    inner: S,
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(client) = client(&request) {
            client.asks();
        }
        let (entry, limit) = match self.rules.admit(&mut request) {
            Ok(admitted) => admitted,
            Err((method, refusal)) => {
                let status = Status::from(refusal);
                measure(method, status.code(), None);
                return Box::pin(std::future::ready(Ok(status.into_http())));
            }
        };
        // The ready service is the one that was polled; a fresh clone takes its place.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let admitted = request.extensions_mut().remove::<Arc<Admitted>>();
        let request = match &admitted {
            Some(admitted) => request.map(|body| admitted.charged(body)),
            None => request,
        };
        let elsewhere = (entry.needs_owner && !self.rules.owner.is_here()).then(|| self.rules.owner.clone());
        Box::pin(async move {
            let begun = Instant::now();
            let answering = async move {
                match elsewhere {
                    None => {
                        let encoding = request.headers().get("grpc-encoding").cloned();
                        inner.call(request).await.map(|answer| explained(answer, entry.path, encoding))
                    }
                    Some(owner) => {
                        let is_by_certificate = shown_certificates(&request).is_some();
                        Ok(owner.forward(request, is_by_certificate).await)
                    }
                }
            };
            let answer = match limit {
                None => answering.await,
                Some(limit) => match tokio::time::timeout(limit, answering).await {
                    Ok(answer) => answer,
                    Err(_) => Ok(late(limit).into_http()),
                },
            };
            if let Ok(answer) = &answer {
                measure(entry.path, code_of(answer), Some(begun.elapsed()));
            }
            match admitted {
                Some(admitted) => answer.map(|answer| answer.map(|body| admitted.held(body))),
                None => answer,
            }
        })
    }
}

impl Rules {
    /// Lets a request in with its principal and deadline, or says why not and to which method.
    fn admit(
        &self,
        request: &mut Request<Body>,
    ) -> Result<(&'static Entry, Option<Duration>), (&'static str, Refusal)> {
        let path = request.uri().path();
        let entry = self
            .policy
            .entry(path)
            .ok_or_else(|| ("unknown", Refusal::new(Reason::MethodUnknown).with("method", shortened(path))))?;
        if let Access::Roles(allowed) = entry.access {
            let chain = shown_certificates(request);
            let chain = chain.as_deref().map_or(&[][..], Vec::as_slice);
            let principal = self.callers.principal(request.headers(), chain);
            let principal: Principal = principal.ok_or((entry.path, Refusal::new(Reason::Unauthenticated)))?;
            if !principal.roles.iter().any(|role| allowed.contains(role)) {
                let roles: Vec<&str> = allowed.iter().map(|role| role.name()).collect();
                let refusal =
                    Refusal::new(Reason::RoleMissing).with("method", entry.path).with("roles", roles.join(", "));
                return Err((entry.path, refusal));
            }
            if self.callers.are_known() {
                let admitted = self.quotas.admit(&principal.name, entry.is_stream, Instant::now());
                request.extensions_mut().insert(Arc::new(admitted.map_err(|refusal| (entry.path, refusal))?));
            }
            request.extensions_mut().insert(principal);
        }
        let named = request.headers().get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
        let limit = if entry.is_stream { None } else { Some(named.unwrap_or(self.deadline)) };
        if let Some(limit) = limit {
            request.extensions_mut().insert(Deadline::after(limit));
        }
        Ok((entry, limit))
    }
}

/// The client of a request's connection.
fn client(request: &Request<Body>) -> Option<&Client> {
    let extensions = request.extensions();
    extensions.get::<TlsConnectInfo<Client>>().map(TlsConnectInfo::get_ref).or_else(|| extensions.get())
}

/// The certificates that the connection's handshake has verified.
fn shown_certificates(request: &Request<Body>) -> Option<Arc<Vec<CertificateDer<'static>>>> {
    request.extensions().get::<TlsConnectInfo<Client>>()?.peer_certs()
}

/// A path from outside, cut so that it cannot flood a message.
fn shortened(path: &str) -> String {
    path.chars().filter(|character| character.is_ascii_graphic()).take(100).collect()
}

fn late(limit: Duration) -> Status {
    Refusal::new(Reason::DeadlineExceeded).with("limit_ms", limit.as_millis()).into()
}

/// An answer of the transport before a method of the API was reached, with a reason of the table in it. What
/// methods refuse has one; standard services beside the API answer as they are known to.
fn explained(answer: Response<Body>, method: &str, encoding: Option<HeaderValue>) -> Response<Body> {
    let Some(status) = Status::from_header_map(answer.headers()) else { return answer };
    if status.code() == Code::Ok || !status.details().is_empty() || !method.starts_with("/opshub.") {
        return answer;
    }
    let read = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let refusal = match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            Refusal::new(Reason::RequestTooLarge).with("limit", REQUEST_BYTES_MAX)
        }
        Code::Unimplemented => {
            let encodings = answer.headers().get("grpc-accept-encoding").map(read).unwrap_or_default();
            let encoding = encoding.as_ref().map(read).unwrap_or_default();
            Refusal::new(Reason::CompressionUnknown).with("encoding", encoding).with("encodings", encodings)
        }
        Code::Internal => {
            Refusal::new(Reason::RequestUnreadable).with("method", method).with("problem", status.message())
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => return answer,
    };
    let mut explained = Status::from(refusal).into_http();
    if let Some(encodings) = answer.headers().get("grpc-accept-encoding") {
        explained.headers_mut().insert("grpc-accept-encoding", encodings.clone());
    }
    explained
}

fn measure(method: &'static str, code: Code, took: Option<Duration>) {
    metrics::RPC.add(&[method, &format!("{code:?}")], 1);
    if let Some(took) = took {
        metrics::RPC_SECONDS.record(&[method], took.as_secs_f64());
    }
}

/// The status of an answer that fails before its body; anything else has begun well.
fn code_of(answer: &Response<Body>) -> Code {
    answer.headers().get("grpc-status").map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Reads a `grpc-timeout` header: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::auth::{Authentication, JwtRules};
    use crate::policy::{POLICY, Role};
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::{Value, json};

    const ISSUER: &str = "https://login.example/";

    fn rules(key: &rcgen::KeyPair) -> Rules {
        let pool = prost_reflect::DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let jwt = JwtRules::new(ISSUER, "opshub", &["ES256".to_owned()], &key.public_key_pem()).unwrap();
        let callers = Callers::new(Authentication { jwt: Some(jwt), ..Authentication::default() });
        Rules {
            policy: Policy::check(POLICY, &pool).unwrap(),
            callers,
            deadline: DEADLINE_DEFAULT,
            owner: Owner::default(),
            quotas: Quotas::new(Quota { calls_per_second: 0, ..Quota::default() }),
        }
    }

    fn admit(rules: &Rules, path: &str, token: Option<&str>) -> Result<(), Code> {
        let mut request = Request::builder().uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut request = request.body(Body::empty()).unwrap();
        rules.admit(&mut request).map(|_| ()).map_err(|(_, refusal)| Status::from(refusal).code())
    }

    #[test]
    fn no_method_lets_anybody_in_without_a_good_credential_and_the_role() {
        let key = rcgen::KeyPair::generate().unwrap();
        let rules = rules(&key);
        let signing = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
        let now = jsonwebtoken::get_current_timestamp();
        let token = |audience: &str, expires_at: Value, roles: &[&str]| {
            let claims = json!({
                "iss": ISSUER, "aud": audience, "sub": "ann", "nbf": now, "exp": expires_at, "roles": roles
            });
            encode(&Header::new(Algorithm::ES256), &claims, &signing).unwrap()
        };
        let all: Vec<&str> = Role::ALL.iter().map(|(_, name)| *name).collect();
        let bad = [
            "not.a.token".to_owned(),
            token("opshub", json!(now - 300), &all),
            token("opshub", json!((now + 300).to_string()), &all),
            token("other", json!(now + 300), &all),
            token("opshub", json!(now + 300), &["king"]),
        ];
        for entry in POLICY {
            let Access::Roles(allowed) = entry.access else { continue };
            assert_eq!(admit(&rules, entry.path, None), Err(Code::Unauthenticated), "{}", entry.path);
            for token in &bad {
                assert_eq!(admit(&rules, entry.path, Some(token)), Err(Code::Unauthenticated), "{}", entry.path);
            }
            for (role, name) in Role::ALL {
                let expected = if allowed.contains(role) { Ok(()) } else { Err(Code::PermissionDenied) };
                let good = token("opshub", json!(now + 300), &[name]);
                assert_eq!(admit(&rules, entry.path, Some(&good)), expected, "{} as {name}", entry.path);
            }
        }
    }

    #[test]
    fn timeouts_read_as_the_protocol_says() {
        assert_eq!(timeout("10S"), Some(Duration::from_secs(10)));
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for text in ["", "S", "123456789S", "1x", "-1S", "1 S", "ä"] {
            assert_eq!(timeout(text), None, "{text}");
        }
    }
}
