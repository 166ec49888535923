//! The incremental export: what webhooks lost, and the proof that a quiet desk is alive.
//!
//! Tickets and users come by cursor, which is opaque and exact; organisations come by time, whose
//! windows overlap. The export holds the last minute back, so its end proves everything before that.

use std::time::Duration;

use bytes::Bytes;
use ontology::{Millis, System};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::contract::{Decoded, Framing, Sink, Submission};
use crate::edge::Context;
use crate::edge::credentials::Secret;
use crate::edge::http::{CallError, Seen, call, client, escaped};
use crate::edge::list_job::{ListJob, every};
use crate::edge::liveness::heartbeat;
use crate::json::Json;

/// What is held back at the end of an export, in milliseconds.
pub const WITHHELD_MS: i64 = Millis::MINUTE_MS;

/// How far a window by time reaches back before the last one's end.
const OVERLAP_MS: i64 = 2 * Millis::MINUTE_MS;

/// Rows of a full page.
const PAGE_ROWS: usize = 1_000;

/// How the incremental export is reached.
#[derive(Debug, Clone)]
pub struct ZendeskExportConfig {
    /// Base address of the account, for example `https://acme.zendesk.com`.
    pub base_url: String,
    /// Who reads.
    pub login: Login,
    /// What is read; see [`Stream`].
    pub streams: Vec<Stream>,
    /// Partition whose watermark the job moves.
    pub partition: String,
    /// Time between runs.
    pub interval: Duration,
    /// Pause between two pages: the vendor answers ten requests a minute.
    pub page_pause: Duration,
}

/// Who reads the export.
#[derive(Debug, Clone)]
pub enum Login {
    /// OAuth access token.
    Bearer(Secret),
    /// API token of an agent.
    ApiToken {
        /// E-mail address of the agent.
        email: String,
        /// The token.
        token: Secret,
    },
}

/// One incremental export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Tickets, by cursor.
    Tickets,
    /// Organisations, by time.
    Organizations,
    /// Users, by cursor.
    Users,
}

impl Stream {
    /// Every export, with its name.
    pub const ALL: [(Stream, &'static str); 3] =
        [(Stream::Tickets, "tickets"), (Stream::Organizations, "organizations"), (Stream::Users, "users")];

    /// Its name in addresses and configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stream::Tickets => "tickets",
            Stream::Organizations => "organizations",
            Stream::Users => "users",
        }
    }

    /// The name that its position is stored under.
    #[must_use]
    pub fn position(self) -> &'static str {
        match self {
            Stream::Tickets => "zendesk/tickets",
            Stream::Organizations => "zendesk/organizations",
            Stream::Users => "zendesk/users",
        }
    }

    fn is_by_cursor(self) -> bool {
        match self {
            Stream::Tickets | Stream::Users => true,
            Stream::Organizations => false,
        }
    }
}

/// How far one export is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Place {
    /// Seconds since 1970 up to which everything is read, for a start without cursor.
    since_s: i64,
    /// Where to go on, in the vendor's words.
    cursor: Option<String>,
}

impl Place {
    /// Where a window by time begins, in seconds since 1970.
    fn start_s(&self) -> i64 {
        (self.since_s - OVERLAP_MS / Millis::SECOND_MS).max(0)
    }

    /// Written as `seconds` or `seconds cursor`.
    fn write(&self) -> Vec<u8> {
        match &self.cursor {
            None => self.since_s.to_string().into_bytes(),
            Some(cursor) => format!("{} {cursor}", self.since_s).into_bytes(),
        }
    }

    fn read(position: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(position).ok()?;
        let (since_s, cursor) = text.split_once(' ').map_or((text, None), |(since, cursor)| (since, Some(cursor)));
        Some(Place { since_s: since_s.parse().ok()?, cursor: cursor.map(str::to_owned) })
    }
}

/// The list job with what it remembers between runs.
struct Exporter<S> {
    context: Context<S>,
    config: ZendeskExportConfig,
    client: reqwest::Client,
    places: Vec<(Stream, Place)>,
    seen: Seen,
}

/// Runs the list job until `stop`. `position` gives what an earlier run stored under a
/// [`Stream::position`]; an export without one is read from its beginning.
pub async fn export<S: Sink>(
    context: Context<S>,
    config: ZendeskExportConfig,
    position: impl Fn(&str) -> Option<Vec<u8>>,
    stop: CancellationToken,
) {
    let place = |stream: Stream| position(stream.position()).and_then(|stored| Place::read(&stored));
    let places = config.streams.iter().map(|stream| (*stream, place(*stream).unwrap_or_default())).collect();
    let interval = config.interval;
    let (status, clock) = (context.status.clone(), context.clock.clone());
    let job = Exporter { context, config, client: client(), places, seen: Seen::default() };
    every(job, interval, status, clock, stop).await;
}

impl<S: Sink> ListJob for Exporter<S> {
    async fn run(&mut self) -> Result<(), CallError> {
        let mut proven = self.context.clock.now();
        for at in 0..self.places.len() {
            proven = proven.min(self.stream(at).await?);
        }
        // The second in which the end lies is still open.
        let end_s = (proven - WITHHELD_MS).0.div_euclid(Millis::SECOND_MS);
        let until = Millis(end_s * Millis::SECOND_MS) - 1;
        let now = self.context.clock.now();
        let mut submission =
            Submission::new(System::Zendesk, &self.config.partition, Decoded::default(), Bytes::new(), now);
        submission.facts.push(heartbeat(System::Zendesk, &self.config.partition, until, now));
        self.submit(submission).await?;
        self.context.status.watermark(until);
        Ok(())
    }
}

/// What a page says beside its rows.
struct PageEnd {
    cursor: Option<String>,
    end_s: Option<i64>,
    is_last: bool,
    rows: usize,
}

impl<S: Sink> Exporter<S> {
    /// Reads one export to its end; the time of the vendor's last answer, or ours if that is earlier.
    async fn stream(&mut self, at: usize) -> Result<Millis, CallError> {
        // The overlap is read once in a run. Pages behind the first begin where the last one ended.
        let mut start_s = self.places[at].1.start_s();
        // A second of which more changed than a page holds: what lies behind it is read, and nothing is
        // proven or stored as a position.
        let mut is_cut = false;
        loop {
            let asked_at = self.context.clock.now();
            let (stream, place) = self.places[at].clone();
            let result = call(request(&self.client, &self.config, stream, &place, start_s)).await;
            let (headers, raw) = match result {
                // A cursor that is not known any more: begin where the last page ended.
                Err(CallError::Status(400 | 404 | 410 | 422)) if place.cursor.is_some() => {
                    self.places[at].1.cursor = None;
                    continue;
                }
                result => result?,
            };
            let end = page_end(&raw)?;
            let told = headers.get("date").and_then(|date| date.to_str().ok()).and_then(http_date);
            let answered_at = told.map_or(asked_at, |told| told.min(asked_at));
            let mut next = place.clone();
            let is_moved;
            if stream.is_by_cursor() {
                next.cursor = end.cursor.or(next.cursor);
                // By the vendor's clock, and only where no page is left: without the cursor the rest would
                // be passed over.
                if end.is_last {
                    next.since_s = next.since_s.max(answered_at.0.div_euclid(Millis::SECOND_MS));
                }
                is_moved = next != place;
            } else {
                let end_s = end.end_s.unwrap_or(start_s);
                is_moved = end_s > start_s;
                is_cut |= !is_moved && !end.is_last;
                start_s = if is_moved { end_s } else { start_s + 1 };
                if !is_cut {
                    next.since_s = end_s.max(next.since_s);
                }
            }
            let mut submission =
                self.context.decode(System::Zendesk, &self.config.partition, &raw, Framing::Document).submission;
            // The vendor itself may change a record without a time that tells so: the content counts too.
            submission.facts.retain(|fact| {
                let content = hex::encode(Sha256::digest(fact.fields.as_bytes()));
                self.seen.is_new(format!("{}/{content}", fact.event_id))
            });
            if next != place {
                submission = submission.at(stream.position(), &next.write());
            }
            self.submit(submission).await?;
            self.places[at].1 = next;
            if end.is_last {
                let cut = CallError::Answer("more changes in one second than a page holds");
                return if is_cut { Err(cut) } else { Ok(answered_at) };
            }
            if stream.is_by_cursor() && !is_moved {
                // It would be asked for without end, and what lies behind it is not known.
                return Err(CallError::Answer("a page that leads nowhere"));
            }
            tokio::time::sleep(self.config.page_pause).await;
        }
    }

    async fn submit(&self, submission: Submission) -> Result<(), CallError> {
        let result = self.context.submit_until_taken(submission).await;
        result.map(|_| ()).map_err(|_| CallError::Answer("the log is closed"))
    }
}

fn request(
    client: &reqwest::Client,
    config: &ZendeskExportConfig,
    stream: Stream,
    place: &Place,
    start_s: i64,
) -> reqwest::RequestBuilder {
    let base = format!("{}/api/v2/incremental/{}", config.base_url, stream.name());
    let address = match &place.cursor {
        Some(cursor) => format!("{base}/cursor.json?cursor={}", escaped(cursor)),
        None => {
            // By cursor it is the start of a run, and of one whose cursor was forgotten.
            let start_s = if stream.is_by_cursor() { place.start_s() } else { start_s };
            let file = if stream.is_by_cursor() { "/cursor.json" } else { ".json" };
            format!("{base}{file}?start_time={start_s}")
        }
    };
    let request = client.get(address);
    match &config.login {
        Login::Bearer(token) => request.bearer_auth(token.expose()),
        Login::ApiToken { email, token } => request.basic_auth(format!("{email}/token"), Some(token.expose())),
    }
}

/// Asks for the first page of one export that begins at `since`, as the list job would: what it told in its
/// headers, the page, and how many rows it has.
pub(super) async fn first_page(
    client: &reqwest::Client,
    config: &ZendeskExportConfig,
    stream: Stream,
    since: Millis,
) -> Result<(reqwest::header::HeaderMap, Bytes, usize), CallError> {
    let place = Place { since_s: since.0.div_euclid(Millis::SECOND_MS), cursor: None };
    let (headers, raw) = call(request(client, config, stream, &place, place.start_s())).await?;
    let rows = page_end(&raw)?.rows;
    Ok((headers, raw, rows))
}

fn page_end(raw: &Bytes) -> Result<PageEnd, CallError> {
    let json = Json::parse(raw).map_err(|_| CallError::Answer("a page of an export"))?;
    let rows = Stream::ALL.iter().find_map(|(_, name)| json.get(name));
    let rows = rows.ok_or(CallError::Answer("a page of an export"))?.elements().len();
    Ok(PageEnd {
        cursor: json.get("after_cursor").and_then(Json::text).map(str::to_owned),
        end_s: json.get("end_time").and_then(Json::integer),
        // An export by time that does not say it has a full page as long as more is left.
        is_last: match json.get("end_of_stream") {
            Some(said) => *said == Json::Bool(true),
            None => rows < PAGE_ROWS,
        },
        rows,
    })
}

/// The time of an answer, which has seconds.
fn http_date(text: &str) -> Option<Millis> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_reads_back_what_it_wrote() {
        for cursor in [None, Some("MTU3NjYxMzUzOS4wfHw0Njd8".to_owned()), Some("a b".to_owned())] {
            let place = Place { since_s: 1_773_154_800, cursor };
            assert_eq!(Place::read(&place.write()), Some(place));
        }
        assert_eq!(Place::read(b"x"), None);
        assert_eq!(Place::read(&[0xff]), None);
    }

    #[test]
    fn the_time_of_an_answer_is_read() {
        assert_eq!(http_date("Tue, 10 Mar 2026 15:00:00 GMT"), Some(Millis(1_773_154_800_000)));
        assert_eq!(http_date("soon"), None);
    }

    #[test]
    fn an_answer_that_is_no_page_is_not_taken_for_an_end() {
        assert!(page_end(&Bytes::from_static(b"{\"error\": \"x\"}")).is_err());
        assert!(page_end(&Bytes::from_static(b"<html>")).is_err());
        let end = page_end(&Bytes::from_static(b"{\"tickets\": [], \"after_cursor\": null, \"end_of_stream\": true}"));
        assert!(end.unwrap().is_last);
    }

    #[test]
    fn a_page_without_a_word_on_it_is_the_last_unless_it_is_full() {
        for (count, is_last) in [(0, true), (PAGE_ROWS - 1, true), (PAGE_ROWS, false)] {
            let rows = vec!["{}"; count].join(",");
            let raw = format!("{{\"organizations\": [{rows}], \"end_time\": 5}}");
            assert_eq!(page_end(&Bytes::from(raw)).unwrap().is_last, is_last, "{count}");
        }
    }
}
