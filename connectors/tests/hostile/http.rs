//! Hostile HTTP at a door: answered or cut, and the next caller is served.

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use connectors::edge::credentials::Secret;
use connectors::oracle;
use ontology::System;
use support::{MemoryLog, Story, context, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Door {
    log: MemoryLog,
    address: String,
}

async fn door() -> Door {
    let (log, story) = (MemoryLog::default(), Story::default());
    let config = oracle::OracleConfig { token: Secret::new("token"), partition: "erp".to_owned() };
    let base =
        serve(oracle::transport::router(context(System::Oracle, &log, &story), config, oracle::Relist::none())).await;
    Door { log, address: base.trim_start_matches("http://").to_owned() }
}

impl Door {
    /// Sends bytes as they are; the first line of the answer, or nothing if the line was cut.
    async fn says(&self, raw: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        // The door may have cut the line before everything was written.
        let _ = stream.write_all(raw).await;
        let mut answer = vec![0; 512];
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut answer)).await;
        let read = read.unwrap_or(Ok(0)).unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
    }

    /// Nothing came of it, and an honest caller is served.
    async fn is_well(&self) {
        let before = self.log.facts().len();
        let row = "{\"op\":\"c\",\"source\":{\"ts_ms\":1,\"table\":\"CREDIT_NOTE\",\"scn\":\"7\"},\
                   \"after\":{\"CREDIT_NOTE_ID\":\"CN-1\",\"AMOUNT\":\"1.00\",\"STATUS\":\"DRAFT\"}}";
        let said = self.says(&request("", row.as_bytes())).await;
        assert!(said.contains("202"), "{said}");
        assert_eq!(self.log.facts().len(), before + 1);
    }
}

fn request(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /oracle/changes HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer token\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn raw(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /oracle/changes HTTP/1.1\r\nAuthorization: Bearer token\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn http_chunked_and_length() {
    let door = door().await;
    let said = door.says(&raw("Host: hub\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")).await;
    assert!(!said.contains("202") || door.log.facts().is_empty(), "{said}");
    assert!(door.log.facts().is_empty());
    door.is_well().await;
}

#[tokio::test]
async fn http_wrong_length() {
    let door = door().await;
    for length in ["-1", "1e3", "99999999999999999999", "4, 5"] {
        let said = door.says(&raw(&format!("Host: hub\r\nContent-Length: {length}\r\n"), "null")).await;
        assert!(said.contains("400") || said.is_empty(), "{length}: {said}");
    }
    door.is_well().await;
}

#[tokio::test]
async fn http_body_shorter_than_its_length() {
    let door = door().await;
    let mut stream = TcpStream::connect(&door.address).await.unwrap();
    stream.write_all(&raw("Host: hub\r\nContent-Length: 100\r\n", "null")).await.unwrap();
    drop(stream);
    door.is_well().await;
    assert_eq!(door.log.rejects().len(), 0, "half a body is no payload");
}

#[tokio::test]
async fn http_endless_chunks() {
    let door = door().await;
    let mut stream = TcpStream::connect(&door.address).await.unwrap();
    stream.write_all(&raw("Host: hub\r\nTransfer-Encoding: chunked\r\n", "")).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(&chunk).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "the door reads {sent} bytes of one body");
    door.is_well().await;
}

#[tokio::test]
async fn http_duplicate_host() {
    let door = door().await;
    let said = door.says(&raw("Host: hub\r\nHost: evil\r\nContent-Length: 4\r\n", "null")).await;
    assert!(!said.is_empty(), "answered, since nothing depends on the name");
    door.is_well().await;
}

#[tokio::test]
async fn http_line_feed_in_a_header() {
    let door = door().await;
    let said = door.says(&raw("Host: hub\r\nX-A: a\nX-B\0: b\r\nContent-Length: 4\r\n", "null")).await;
    assert!(said.contains("400") || said.is_empty(), "{said}");
    door.is_well().await;
}

#[tokio::test]
async fn http_ten_thousand_headers() {
    let door = door().await;
    let said = door.says(&raw(&"X-A: 1\r\n".repeat(10_000), "")).await;
    assert!(said.contains("431") || said.contains("400") || said.is_empty(), "{said}");
    door.is_well().await;
}

#[tokio::test]
async fn http_header_of_a_megabyte() {
    let door = door().await;
    let said = door.says(&raw(&format!("X-A: {}\r\n", "a".repeat(1 << 20)), "")).await;
    assert!(said.contains("431") || said.contains("400") || said.is_empty(), "{said}");
    door.is_well().await;
}

#[tokio::test]
async fn http_gzip_bomb_is_not_inflated() {
    // Nothing at the doors inflates: a compressed body is bytes that are no JSON.
    let door = door().await;
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1_000]].concat();
    for encoding in ["gzip", "gzip, gzip"] {
        let said = door.says(&request(&format!("Content-Encoding: {encoding}\r\n"), &bomb)).await;
        assert!(said.contains("202") || said.contains("415"), "{said}");
    }
    assert!(door.log.facts().is_empty());
    door.is_well().await;
}

#[tokio::test]
async fn http_other_methods_and_paths() {
    let door = door().await;
    for line in ["GET /oracle/changes", "PUT /oracle/changes", "POST /oracle/../admin", "POST /oracle/changes/x"] {
        let said = door.says(format!("{line} HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
        assert!(said.contains("404") || said.contains("405"), "{line}: {said}");
    }
    door.is_well().await;
}
