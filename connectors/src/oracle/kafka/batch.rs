//! Records as they are gathered and decoded: many at a time, each with the trace that it came with.

use std::ops::Range;

use bytes::Bytes;
use futures::FutureExt as _;
use ontology::{Millis, System, Trace};
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

use super::super::decode::{heartbeat, record_line};
use super::places::Partition;
use crate::contract::Framing;
use crate::edge::{Context, Decoding};

/// Records and bytes of one batch.
const BATCH_RECORDS_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 512 << 10;

/// What begins the name of the topic in which change capture beats.
pub(super) const HEARTBEAT_TOPIC: &str = "__debezium-heartbeat.";

/// A record on its way to the log.
pub(super) struct Line {
    pub(super) partition: Partition,
    pub(super) offset: i64,
    pub(super) text: String,
    /// The instant, if it is a heartbeat.
    pub(super) beat: Option<Millis>,
    /// What its headers say.
    pub(super) trace: Option<Trace>,
}

/// What is there to be read: at least one record or an error, at most a batch.
pub(super) async fn gather(consumer: &StreamConsumer) -> (Vec<Line>, Option<KafkaError>) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let mut next = Some(consumer.recv().await);
    while let Some(received) = next {
        match received {
            Ok(message) => {
                let line = line(&message);
                bytes += line.text.len();
                lines.push(line);
            }
            Err(error) => return (lines, Some(error)),
        }
        let is_full = lines.len() >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX;
        next = if is_full { None } else { consumer.recv().now_or_never() };
    }
    (lines, None)
}

fn line(message: &BorrowedMessage<'_>) -> Line {
    let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
    let is_heartbeat = topic.starts_with(HEARTBEAT_TOPIC);
    Line {
        partition: (topic.to_owned(), partition),
        offset,
        text: record_line(topic, partition, offset, message.key(), message.payload()),
        beat: message.payload().filter(|_| is_heartbeat).and_then(heartbeat),
        trace: trace(message),
    }
}

/// The trace that a record came with: of its sending, or else of the event in it, as CloudEvents tells it.
fn trace(message: &BorrowedMessage<'_>) -> Option<Trace> {
    let headers = message.headers()?;
    let text = |name: &str| {
        let mut named = headers.iter().filter(|header| header.key == name);
        let only = named.next().filter(|_| named.next().is_none())?;
        std::str::from_utf8(only.value?).ok()
    };
    [("traceparent", "tracestate"), ("ce_traceparent", "ce_tracestate")]
        .into_iter()
        .find_map(|(parent, state)| Trace::parse(text(parent)?, text(state).unwrap_or_default()))
}

/// The lines of a batch, in runs that came with one trace or none.
#[derive(Default)]
pub(super) struct Raw {
    text: String,
    runs: Vec<(Range<usize>, Option<Trace>)>,
}

impl Raw {
    pub(super) fn push(&mut self, line: &str, trace: Option<Trace>) {
        let begin = self.text.len();
        self.text.push_str(line);
        match self.runs.last_mut() {
            Some((range, of_run)) if *of_run == trace => range.end = self.text.len(),
            Some(_) | None => self.runs.push((begin..self.text.len(), trace)),
        }
    }

    /// Decodes all of it into one submission: facts know the trace of their run.
    pub(super) fn decode<S: crate::Sink>(self, context: &Context<S>, partition: &str) -> Decoding {
        let raw = Bytes::from(self.text);
        let decode = |raw: &Bytes| context.decode(System::Oracle, partition, raw, Framing::Lines);
        let mut runs = self.runs.into_iter().map(|(range, trace)| {
            let mut decoding = decode(&raw.slice(range));
            decoding.unplaced.iter_mut().for_each(|unplaced| unplaced.trace = trace.clone());
            decoding.submission = decoding.submission.traced(trace);
            decoding
        });
        let Some(mut whole) = runs.next() else { return decode(&raw) };
        for run in runs {
            whole.add(run);
        }
        whole.submission.raw = raw.clone();
        whole
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_a_row_with_one_trace_are_one_run() {
        let trace = |digit: char| {
            let parent = format!("00-{}-{}-01", digit.to_string().repeat(32), digit.to_string().repeat(16));
            Some(Trace::parse(&parent, "").unwrap())
        };
        let lines = [("a\n", None), ("b\n", None), ("c\n", trace('1')), ("d\n", trace('2')), ("e\n", trace('2'))];
        let mut raw = Raw::default();
        for (line, trace) in lines {
            raw.push(line, trace);
        }
        assert_eq!(raw.runs, [(0..4, None), (4..6, trace('1')), (6..10, trace('2'))]);
        assert_eq!(raw.text, "a\nb\nc\nd\ne\n");
    }
}
