//! Doors of a process that does not own the store: what comes is handed to the owner's doors as it
//! came, and once this process owns the store it goes to its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serve::owner::FORWARDED;
use tower::ServiceExt as _;

/// Bytes of a delivery that are handed on: more than any door takes.
const BODY_BYTES_MAX: usize = 8 << 20;
/// How long the owner may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// When a source may come again that found no owner, in seconds.
const RETRY_AFTER_S: &str = "1";

/// Where deliveries go. Clones share it.
#[derive(Clone)]
pub struct Doors(Arc<Inner>);

struct Inner {
    /// The doors of this process, once it owns the store.
    own: OnceLock<Router>,
    /// Where the owner's doors are; empty while that is not known.
    owner: ArcSwap<String>,
    client: reqwest::Client,
}

impl Doors {
    /// Doors that are the owner's, who is not known yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn elsewhere() -> anyhow::Result<Self> {
        // A second installation is refused, and harmless: the first one stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).redirect(reqwest::redirect::Policy::none());
        let inner = Inner { own: OnceLock::new(), owner: ArcSwap::default(), client: client.build()? };
        Ok(Doors(Arc::new(inner)))
    }

    /// The owner's doors are there, `http://host:port`; empty if that is not known.
    pub fn set_owner(&self, address: &str) {
        self.0.owner.store(Arc::new(address.to_owned()));
    }

    /// This process owns the store: from here on these are the doors.
    pub fn open(&self, own: Router) {
        // It owns the store once, or not at all.
        let _ = self.0.own.set(own);
    }

    /// What listens.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    async fn hand_on(&self, request: Request) -> Result<Response, String> {
        let owner = self.0.owner.load_full();
        if owner.is_empty() || request.headers().contains_key(&FORWARDED) {
            return Err("the process that takes deliveries is not known here".to_owned());
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let headers = of_the_message(&parts.headers);
        let asked = self.0.client.request(parts.method, format!("{owner}{path}")).headers(headers);
        let answer = asked.header(FORWARDED, "1").body(body).send().await;
        let answer = answer.map_err(|error| format!("the process that takes deliveries: {}", error.without_url()))?;
        let (status, headers) = (answer.status(), of_the_message(answer.headers()));
        let body = answer.bytes().await.map_err(|error| error.without_url().to_string())?;
        Ok((status, headers, Body::from(body)).into_response())
    }
}

async fn answer(State(doors): State<Doors>, request: Request) -> Response {
    if let Some(own) = doors.0.own.get() {
        return own.clone().oneshot(request).await.into_response();
    }
    doors.hand_on(request).await.unwrap_or_else(|why| {
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER_S)], format!("{why}: come again\n"))
            .into_response()
    })
}

/// Headers that belong to a message, not to the connection that it came on.
fn of_the_message(headers: &HeaderMap) -> HeaderMap {
    let of_connection = [
        header::HOST,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::UPGRADE,
        header::TE,
    ];
    let mut kept = headers.clone();
    for name in of_connection {
        kept.remove(name);
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;
    use axum::routing::post;

    use super::*;

    fn delivery() -> Request {
        Request::post("/sap/idoc?a=b").header("x-signature", "s").body(Body::from("<IDOC/>")).unwrap()
    }

    async fn text(response: Response) -> (StatusCode, String) {
        let status = response.status();
        (status, String::from_utf8(to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()).unwrap())
    }

    /// Tells what came, as the owner's doors.
    async fn told(request: Request) -> Response {
        let signature = request.headers().get("x-signature").cloned().unwrap_or(HeaderValue::from_static("none"));
        let forwarded = request.headers().contains_key(&FORWARDED);
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = to_bytes(request.into_body(), 1_000).await.unwrap();
        let text = format!("{} {query} {forwarded} {}", signature.to_str().unwrap(), String::from_utf8_lossy(&body));
        (StatusCode::ACCEPTED, text).into_response()
    }

    #[tokio::test]
    async fn deliveries_go_to_the_owner_once_and_to_this_process_when_it_is_the_owner() {
        let doors = Doors::elsewhere().unwrap();
        let refused = doors.router().oneshot(delivery()).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "1");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        doors.set_owner(&format!("http://{}", listener.local_addr().unwrap()));
        let owner = Router::new().route("/sap/idoc", post(told));
        tokio::spawn(async move { axum::serve(listener, owner).await.unwrap() });
        let answer = text(doors.router().oneshot(delivery()).await.unwrap()).await;
        assert_eq!(answer, (StatusCode::ACCEPTED, "s a=b true <IDOC/>".to_owned()));
        let mut again = delivery();
        again.headers_mut().insert(FORWARDED, HeaderValue::from_static("1"));
        assert_eq!(doors.router().oneshot(again).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        doors.open(Router::new().route("/sap/idoc", post(told)));
        let answer = text(doors.router().oneshot(delivery()).await.unwrap()).await;
        assert_eq!(answer, (StatusCode::ACCEPTED, "s a=b false <IDOC/>".to_owned()));
    }

    #[tokio::test]
    async fn an_owner_that_is_gone_and_a_body_without_end_are_told() {
        let doors = Doors::elsewhere().unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        doors.set_owner(&format!("http://{gone}"));
        let (status, why) = text(doors.router().oneshot(delivery()).await.unwrap()).await;
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && why.contains("come again"), "{why}");
        let large = Request::post("/sap/idoc").body(Body::from(vec![b'x'; BODY_BYTES_MAX + 1])).unwrap();
        assert_eq!(doors.router().oneshot(large).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
