//! The endpoints: who is let in, what is answered when, and that nothing taken is lost.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{MemoryLog, Story, context, serve};
use connectors::Framing;
use connectors::edge::Context;
use connectors::edge::credentials::Secret;
use connectors::oracle::file::{FileConfig, follow, position_name};
use connectors::{oracle, sap, wxcc};
use ontology::{Op, System, Trace};
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_773_154_800_000;
const ROW: &str = "{\"op\":\"c\",\"source\":{\"ts_ms\":1000,\"table\":\"CREDIT_NOTE\",\"scn\":\"7\"},\
                   \"after\":{\"CREDIT_NOTE_ID\":\"CN-1\",\"AMOUNT\":\"1.00\",\"STATUS\":\"DRAFT\"}}";

struct Edge {
    log: MemoryLog,
    context: Context<MemoryLog>,
    client: reqwest::Client,
}

fn edge(system: System) -> Edge {
    let (log, story) = (MemoryLog::default(), Story::default());
    story.set(NOW);
    let context = context(system, &log, &story);
    Edge { log, context, client: connectors::edge::http::client() }
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn oracle_url(edge: &Edge) -> String {
    let config = oracle::OracleConfig { token: Secret::new("token"), partition: "erp".to_owned() };
    format!(
        "{}/oracle/changes",
        serve(oracle::transport::router(edge.context.clone(), config, oracle::Relist::none())).await
    )
}

#[tokio::test]
async fn changes_are_taken_from_whoever_has_the_token() {
    let edge = edge(System::Oracle);
    let url = oracle_url(&edge).await;
    let post = |body: String| edge.client.post(&url).bearer_auth("token").body(body);
    assert_eq!(status(edge.client.post(&url).body(ROW)).await, 401);
    assert_eq!(status(edge.client.post(&url).bearer_auth("tokem").body(ROW)).await, 401);
    assert_eq!((edge.log.facts().len(), edge.context.status.get().refused), (0, 2));

    assert_eq!(status(post(format!("[{ROW},null]"))).await, 202);
    let lines = format!("{ROW}\nbroken\n{ROW}\n");
    assert_eq!(status(post(lines).header("content-type", "application/x-ndjson")).await, 202);
    assert_eq!(edge.log.facts().len(), 3);
    let rejects = edge.log.submissions.lock().unwrap()[1].rejects.clone();
    assert_eq!((rejects.len(), &rejects[0].raw[..]), (1, &b"broken\n"[..]));

    assert_eq!(status(post(format!("{{\"ts_ms\":{NOW}}}"))).await, 202);
    let beat = edge.log.facts().pop().unwrap();
    assert_eq!((beat.op, beat.record_id.as_str(), beat.changed_at.0), (Op::Heartbeat, "erp", NOW));
}

#[tokio::test]
async fn a_trace_of_the_request_or_of_its_event_is_that_of_its_facts() {
    let edge = edge(System::Oracle);
    let url = oracle_url(&edge).await;
    let parents =
        ['1', '2'].map(|digit| format!("00-{}-{}-01", digit.to_string().repeat(32), digit.to_string().repeat(16)));
    let [one, other] = parents.each_ref().map(String::as_str);
    let check = async |headers: &[(&str, &str)], expected: Option<(&str, &str)>| {
        let request = edge.client.post(&url).bearer_auth("token").body(format!("[{ROW},{ROW}]"));
        assert_eq!(
            status(headers.iter().fold(request, |request, (name, text)| request.header(*name, *text))).await,
            202
        );
        let traces = edge.log.submissions.lock().unwrap().last().unwrap().traces.clone();
        let expected = expected.and_then(|(parent, state)| Trace::parse(parent, state));
        assert_eq!(traces, expected.into_iter().map(|trace| (0..2, trace)).collect::<Vec<_>>(), "{headers:?}");
    };
    check(&[], None).await;
    check(&[("traceparent", one), ("ce-traceparent", other)], Some((one, ""))).await;
    check(&[("traceparent", "00-1-1-1"), ("ce-traceparent", other), ("ce-tracestate", "a=1")], Some((other, "a=1")))
        .await;
    check(&[("traceparent", one), ("tracestate", "a=1"), ("tracestate", "b=1")], Some((one, "a=1,b=1"))).await;
    check(&[("traceparent", one), ("traceparent", one)], None).await;
    check(&[("tracestate", "a=1")], None).await;
}

#[test]
fn parts_of_one_delivery_keep_their_traces() {
    let edge = edge(System::Oracle);
    let decode = |trace: Option<Trace>| {
        let mut decoding =
            edge.context.decode(System::Oracle, "erp", &format!("{ROW}\nbroken\n").into(), Framing::Lines);
        decoding.submission = decoding.submission.traced(trace);
        decoding
    };
    let trace = Trace::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "");
    let mut whole = decode(None);
    whole.add(decode(trace.clone()));
    assert_eq!(whole.submission.traces, [(1..2, trace.unwrap())]);
    assert_eq!((whole.submission.facts.len(), whole.submission.rejects.len()), (2, 2));
}

#[tokio::test]
async fn a_full_log_is_told_to_the_sender() {
    let edge = edge(System::Oracle);
    let url = oracle_url(&edge).await;
    edge.log.is_full.store(true, Ordering::SeqCst);
    let answer = edge.client.post(&url).bearer_auth("token").body(ROW).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    edge.log.is_full.store(false, Ordering::SeqCst);
    assert_eq!(status(edge.client.post(&url).bearer_auth("token").body(ROW)).await, 202);
    assert_eq!(edge.log.facts().len(), 1);
}

#[tokio::test]
async fn an_oversized_body_is_kept_in_part() {
    let edge = edge(System::Oracle);
    let url = oracle_url(&edge).await;
    let post = |bytes: usize| edge.client.post(&url).bearer_auth("token").body(" ".repeat(bytes));
    assert_eq!(status(post(2 << 20)).await, 202);
    let submission = edge.log.submissions.lock().unwrap()[0].clone();
    assert_eq!((submission.rejects[0].code.name(), submission.rejects[0].raw.len()), ("oversized", 64 << 10));
    assert!(submission.rejects[0].detail.contains("2097152"));
}

#[tokio::test]
async fn webhooks_must_be_signed_and_fresh() {
    let edge = edge(System::Wxcc);
    let config = wxcc::WxccConfig {
        secrets: vec![Secret::new("secret")],
        partition: "webhooks".to_owned(),
        is_freshness_checked: true,
    };
    let url = format!("{}/webhooks/wxcc", serve(wxcc::transport::router(edge.context.clone(), config)).await);
    let body = |at: i64| {
        format!(
            "{{\"id\":\"e\",\"type\":\"task:new\",\"comciscotimestamp\":\"{at}\",\"data\":{{\"taskId\":\"t\",\"createdTime\":5}}}}"
        )
    };
    let post =
        |body: String, signature: String| edge.client.post(&url).header("X-WebExCC-Signature", signature).body(body);
    let sign = |body: &str| fixtures::wxcc::sign("secret", body.as_bytes());
    assert_eq!(status(edge.client.post(&url).body(body(NOW))).await, 401);
    assert_eq!(status(post(body(NOW), sign("other"))).await, 401);
    let stale = body(NOW - 300_001);
    assert_eq!(status(post(stale.clone(), sign(&stale))).await, 401);
    assert_eq!((edge.log.facts().len(), edge.context.status.get().refused), (0, 3));
    let good = body(NOW - 300_000);
    assert_eq!(status(post(good.clone(), sign(&good).to_uppercase())).await, 202);
    assert_eq!(status(post("nonsense".to_owned(), sign("nonsense"))).await, 202, "proven, so it is kept");
    assert_eq!(edge.log.rejects().len(), 1);
    let huge = " ".repeat((1 << 20) + 1);
    assert_eq!(status(post(huge.clone(), sign(&huge))).await, 413);
}

#[tokio::test]
async fn documents_are_taken_from_the_sap_user() {
    let edge = edge(System::Sap);
    let config = sap::SapConfig::new("sap", Secret::new("pw"), "idoc");
    let url = format!("{}/sap/idoc", serve(sap::transport::router(edge.context.clone(), config, None)).await);
    let body = "<Z><IDOC><EDI_DC40><DOCNUM>1</DOCNUM><SERIAL>20260310150000</SERIAL></EDI_DC40>\
                <Z1FLDDSP><DISPID>D-1</DISPID></Z1FLDDSP></IDOC></Z>";
    assert_eq!(status(edge.client.post(&url).basic_auth("sap", Some("no")).body(body)).await, 401);
    assert_eq!(status(edge.client.post(&url).basic_auth("sap", Some("pw")).body(body)).await, 202);
    assert_eq!(status(edge.client.post(&url).basic_auth("sap", Some("pw")).body("<cut>")).await, 202);
    assert_eq!((edge.log.facts().len(), edge.log.rejects().len()), (1, 1));
}

#[tokio::test]
async fn a_file_is_read_from_its_position() {
    let edge = edge(System::Oracle);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changes.jsonl");
    std::fs::write(&path, format!("{ROW}\nbroken\n{ROW}\n{}", &ROW[..20])).unwrap();
    let config = FileConfig { path: path.clone(), interval: Duration::from_millis(5), is_followed: true };
    let stop = CancellationToken::new();
    let reading =
        tokio::spawn(follow(edge.context.clone(), config.clone(), None, oracle::Relist::none(), stop.clone()));
    edge.log.until("two rows", |log| log.facts().len() == 2).await;
    let whole = (ROW.len() * 2 + 9) as u64;
    assert_eq!(edge.log.position(&position_name(&path)), Some(whole.to_be_bytes().to_vec()));
    std::fs::write(&path, format!("{ROW}\nbroken\n{ROW}\n{ROW}\n")).unwrap();
    edge.log.until("the row that was being written", |log| log.facts().len() == 3).await;
    stop.cancel();
    reading.await.unwrap().unwrap();
    assert_eq!(edge.log.rejects().values().sum::<u64>(), 1);

    let position = edge.log.position(&position_name(&path));
    let config = FileConfig { is_followed: false, ..config };
    follow(edge.context.clone(), config, position, oracle::Relist::none(), CancellationToken::new()).await.unwrap();
    assert_eq!(edge.log.facts().len(), 3, "nothing is read twice");
}
