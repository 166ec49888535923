//! Repeats of a write: a request id answers with its first answer for 24 hours.
//!
//! The memory is bounded. Answers to decisions are kept in the store too, because a decision that
//! came again after a restart would be newer than those that were made meanwhile. Published events
//! are not: each has an id of its own, by which a repeat changes nothing.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use ontology::Millis;
use prost::Message;
use sha2::{Digest as _, Sha256};
use storage::Store;
use tokio::sync::OnceCell;
use tonic::Status;

use crate::kept::{KeptAnswer, KeptAnswers, Key};
use crate::reason::{Reason, Refusal};

/// How long an answer is remembered.
const REMEMBERED_MS: i64 = 24 * Millis::HOUR_MS;
/// How many answers are remembered unless told otherwise; the oldest is forgotten first.
const ANSWERS_MAX: usize = 65_536;

/// Remembered answers by caller and request id.
#[derive(Debug)]
pub struct Answers {
    state: Mutex<State>,
    answers_max: usize,
    kept: Option<KeptAnswers>,
}

#[derive(Debug, Default)]
struct State {
    by_key: HashMap<Key, Arc<Slot>>,
    by_age: VecDeque<(Millis, Key)>,
}

#[derive(Debug)]
struct Slot {
    request: [u8; 32],
    answer: OnceCell<Vec<u8>>,
}

impl Default for Answers {
    fn default() -> Self {
        Answers { state: Mutex::default(), answers_max: ANSWERS_MAX, kept: None }
    }
}

impl Answers {
    /// Answers that are kept in `store` as well.
    #[must_use]
    pub fn kept_in(store: Arc<dyn Store>) -> Self {
        Answers { kept: Some(KeptAnswers::new(store)), ..Answers::default() }
    }

    /// Runs `write`, unless the same caller sent the same request under this id before: then its
    /// answer is given again, also while the first is still under way. Refusals are not remembered.
    ///
    /// # Errors
    /// What `write` refuses, or a request id that is no UUID or was used for another request.
    pub async fn once<Q, A, F>(&self, call: Call<'_, Q>, now: Millis, write: F) -> Result<A, Status>
    where
        Q: Message,
        A: Message + Default,
        F: Future<Output = Result<A, Status>>,
    {
        self.first(call, now, write, self.kept.as_ref()).await
    }

    /// The same for a write whose repeat changes nothing: its answer is remembered and not kept.
    ///
    /// # Errors
    /// As [`Answers::once`].
    pub async fn once_here<Q, A, F>(&self, call: Call<'_, Q>, now: Millis, write: F) -> Result<A, Status>
    where
        Q: Message,
        A: Message + Default,
        F: Future<Output = Result<A, Status>>,
    {
        self.first(call, now, write, None).await
    }

    async fn first<Q, A, F>(
        &self,
        call: Call<'_, Q>,
        now: Millis,
        write: F,
        kept: Option<&KeptAnswers>,
    ) -> Result<A, Status>
    where
        Q: Message,
        A: Message + Default,
        F: Future<Output = Result<A, Status>>,
    {
        if call.request_id.is_empty() {
            return write.await;
        }
        if uuid::Uuid::parse_str(call.request_id).is_err() {
            return Err(Refusal::field("request_id", "is not a UUID").into());
        }
        let slot = self.slot(&call, now)?;
        let answered = slot.answer.get_or_try_init(|| async {
            let Some(kept) = kept else { return write.await.map(|answer| answer.encode_to_vec()) };
            let (key, since) = ((call.caller.to_owned(), call.request_id.to_owned()), now - REMEMBERED_MS);
            if let Some(first) = kept.find(&key, since, now).await? {
                let is_repeat = first.request == slot.request;
                return if is_repeat { Ok(first.answer) } else { Err(Refusal::new(Reason::RequestIdReused).into()) };
            }
            let answer = write.await?.encode_to_vec();
            kept.keep(&key, KeptAnswer { begun: now, request: slot.request, answer: answer.clone() }, since).await;
            Ok::<_, Status>(answer)
        });
        A::decode(answered.await?.as_slice())
            .map_err(|_| Refusal::new(Reason::Internal).with("attempt", "reading a remembered answer").into())
    }

    fn slot<Q: Message>(&self, call: &Call<'_, Q>, now: Millis) -> Result<Arc<Slot>, Refusal> {
        let mut hasher = Sha256::new();
        hasher.update(call.method.as_bytes());
        hasher.update([0]);
        hasher.update(call.request.encode_to_vec());
        let request: [u8; 32] = hasher.finalize().into();
        let key = (call.caller.to_owned(), call.request_id.to_owned());

        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(now - REMEMBERED_MS, self.answers_max.saturating_sub(1));
        if let Some(slot) = state.by_key.get(&key) {
            return if slot.request == request { Ok(slot.clone()) } else { Err(Refusal::new(Reason::RequestIdReused)) };
        }
        let slot = Arc::new(Slot { request, answer: OnceCell::new() });
        state.by_key.insert(key.clone(), slot.clone());
        state.by_age.push_back((now, key));
        Ok(slot)
    }
}

impl State {
    fn forget(&mut self, before: Millis, kept_max: usize) {
        while let Some((begun, _)) = self.by_age.front()
            && (*begun < before || self.by_age.len() > kept_max)
            && let Some((_, key)) = self.by_age.pop_front()
        {
            self.by_key.remove(&key);
        }
    }
}

/// A write as it is told apart from others.
#[derive(Debug)]
pub struct Call<'a, Q> {
    /// Who calls.
    pub caller: &'a str,
    /// Which method.
    pub method: &'static str,
    /// The caller's id of the request; empty if repeats are not to be recognised.
    pub request_id: &'a str,
    /// The whole request.
    pub request: &'a Q,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proto::v1::field_value::Kind;
    use proto::v1::{
        AcceptHandoffRequest, AcceptHandoffResponse, Event, FieldValue, PublishEventsRequest, PublishEventsResponse,
    };
    use storage::Table;
    use tonic_types::StatusExt as _;

    const ID: &str = "a5b0f8f4-6a0e-4d0c-9a60-0f4f5b1c8d11";

    async fn send(
        answers: &Answers,
        caller: &str,
        id: &str,
        name: &str,
        now: i64,
        position: &str,
    ) -> Result<String, Status> {
        let request = AcceptHandoffRequest { name: name.to_owned(), ..AcceptHandoffRequest::default() };
        let call = Call { caller, method: "AcceptHandoff", request_id: id, request: &request };
        let position = position.to_owned();
        let write = async { Ok(AcceptHandoffResponse { position, ..AcceptHandoffResponse::default() }) };
        answers.once(call, Millis(now), write).await.map(|answer: AcceptHandoffResponse| answer.position)
    }

    #[tokio::test]
    async fn a_repeat_gets_the_first_answer_for_24_hours() {
        let answers = Answers::default();
        assert_eq!(send(&answers, "ann", ID, "h", 0, "1").await.unwrap(), "1");
        assert_eq!(send(&answers, "ann", ID, "h", REMEMBERED_MS, "2").await.unwrap(), "1");
        assert_eq!(send(&answers, "ann", ID, "h", REMEMBERED_MS + 1, "3").await.unwrap(), "3");
        assert_eq!(send(&answers, "bob", ID, "h", 0, "4").await.unwrap(), "4");
        assert_eq!(send(&answers, "ann", "", "h", 0, "5").await.unwrap(), "5");
    }

    #[tokio::test]
    async fn another_request_under_the_same_id_is_refused() {
        let answers = Answers::default();
        send(&answers, "ann", ID, "h", 0, "1").await.unwrap();
        let status = send(&answers, "ann", ID, "other", 0, "2").await.unwrap_err();
        assert_eq!(status.get_details_error_info().unwrap().reason, "REQUEST_ID_REUSED");
        let status = send(&answers, "ann", "not-a-uuid", "h", 0, "2").await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "request_id");
    }

    #[tokio::test]
    async fn a_repeat_after_a_restart_gets_the_first_answer_too() {
        let store: Arc<dyn Store> = Arc::new(storage::Memory::default());
        let rows = || store.scan(Table::Meta, b"").unwrap().count();
        let started = || Answers::kept_in(store.clone());
        assert_eq!(send(&started(), "ann", ID, "h", 0, "1").await.unwrap(), "1");
        assert_eq!(send(&started(), "ann", ID, "h", REMEMBERED_MS, "2").await.unwrap(), "1");
        let status = send(&started(), "ann", ID, "other", 0, "2").await.unwrap_err();
        assert_eq!(status.get_details_error_info().unwrap().reason, "REQUEST_ID_REUSED");
        assert_eq!(send(&started(), "bob", ID, "h", 0, "3").await.unwrap(), "3");
        assert_eq!(rows(), 2);
        assert_eq!(send(&started(), "ann", ID, "h", REMEMBERED_MS + 1, "4").await.unwrap(), "4");
        assert_eq!(rows(), 3, "of yesterday two, which may be asked for");
        assert_eq!(send(&started(), "ann", ID, "h", 2 * REMEMBERED_MS, "5").await.unwrap(), "4");
        assert_eq!(send(&started(), "bob", ID, "h", 3 * REMEMBERED_MS, "6").await.unwrap(), "6");
        assert_eq!(rows(), 1, "of the days before yesterday none");
    }

    #[tokio::test]
    async fn what_repeats_without_harm_is_not_kept() {
        let store: Arc<dyn Store> = Arc::new(storage::Memory::default());
        let answers = Answers::kept_in(store.clone());
        let request = PublishEventsRequest::default();
        let call = Call { caller: "ann", method: "PublishEvents", request_id: ID, request: &request };
        answers.once_here(call, Millis(0), async { Ok(PublishEventsResponse::default()) }).await.unwrap();
        assert_eq!(store.scan(Table::Meta, b"").unwrap().count(), 0);
    }

    /// A map has no order on the wire, and a client may write the same request in another one.
    #[tokio::test]
    async fn the_order_of_fields_makes_no_other_request() {
        let field = |n: i64| (format!("field-{n}"), FieldValue { kind: Some(Kind::Integer(n)) });
        let event = Event { fields: (0..20).map(field).collect(), ..Event::default() };
        let sent = PublishEventsRequest { events: vec![event], ..PublishEventsRequest::default() }.encode_to_vec();
        let answers = Answers::default();
        for _ in 0..3 {
            let request = PublishEventsRequest::decode(sent.as_slice()).unwrap();
            let call = Call { caller: "ann", method: "PublishEvents", request_id: ID, request: &request };
            let answer = answers.once(call, Millis(0), async { Ok(PublishEventsResponse::default()) }).await;
            assert_eq!(answer.unwrap(), PublishEventsResponse::default());
        }
    }

    #[tokio::test]
    async fn refusals_are_not_remembered_and_the_memory_is_bounded() {
        let answers = Answers { answers_max: 2, ..Answers::default() };
        let request = AcceptHandoffRequest::default();
        let call = Call { caller: "ann", method: "m", request_id: ID, request: &request };
        let refused =
            answers.once::<_, AcceptHandoffResponse, _>(call, Millis(0), async { Err(Status::aborted("no")) }).await;
        assert!(refused.is_err());
        let id = |n: u8| uuid::Uuid::from_bytes([n; 16]).to_string();
        for n in 0..3 {
            send(&answers, "ann", &id(n), "h", 0, "1").await.unwrap();
        }
        assert_eq!(answers.state.lock().unwrap().by_key.len(), 2);
        assert_eq!(send(&answers, "ann", &id(2), "h", 0, "2").await.unwrap(), "1");
        assert_eq!(send(&answers, "ann", &id(0), "h", 0, "2").await.unwrap(), "2");
    }
}
