//! A decision: its turn, its instant, and its way into the log.
//!
//! Between decisions about one thing the later counts. So a decision that is taken after another one is
//! later than it, also where both come within one millisecond, or from a process whose clock stands before
//! that of the one that took the first: what is known to be decided is asked for in the turn to decide.

use std::time::Duration;

use ontology::status::Verdict;
use ontology::{EntityKey, Fact, LogPos, Millis, Traced};
use tokio::sync::oneshot;

use super::Api;
use crate::backend::{About, Purpose, Submission};
use crate::decide::{Decider, judgement};
use crate::gate::Deadline;
use crate::reason::{Reason, Refusal};
use crate::turns::Turn;

/// How long a decision that is durable may take to become readable before others may decide on.
const TURN_MAX: Duration = Duration::from_secs(60);

/// Two party records that are judged.
pub(super) type Pair = (EntityKey, EntityKey);

impl Api {
    /// Waits for the turn to decide about `subject`: what is read from then on stands until the decision
    /// can be read.
    pub(super) async fn turn(&self, subject: &str, deadline: Deadline) -> Result<Turn, Refusal> {
        self.turns.take(subject, deadline.wait_until()).await
    }

    /// The same for all of `pairs`.
    pub(super) async fn turn_of_pairs(&self, pairs: &[Pair], deadline: Deadline) -> Result<Turn, Refusal> {
        let subject = |(a, b): &Pair| if a <= b { format!("{a} {b}") } else { format!("{b} {a}") };
        self.turns.take_all(pairs.iter().map(subject), deadline.wait_until()).await
    }

    /// The instant of a decision that is taken now, in the turn for it: later than every decision before about
    /// the same.
    pub(super) async fn decided_at(&self, about: Vec<About>) -> Result<Millis, Refusal> {
        let last = self.backend.last_decided(about).await?;
        Ok(last.map_or(self.now(), |last| self.now().max(last + 1)))
    }

    /// Judges `pairs` in the turn for them, all at one instant: that of the decider, or later.
    pub(super) async fn judge(
        &self,
        turn: Turn,
        pairs: &[Pair],
        verdict: Verdict,
        decider: Decider<'_>,
    ) -> Result<LogPos, Refusal> {
        let about = pairs.iter().map(|(left, right)| About::Pair(left.clone(), right.clone())).collect();
        let decider = Decider { at: self.decided_at(about).await?.max(decider.at), ..decider };
        let facts = pairs.iter().map(|(left, right)| judgement(decider, left, right, verdict)).collect();
        self.submit_in_turn(turn, facts).await
    }

    /// Hands over what people decided about the subjects of `turn`, which ends once that can be read, also
    /// when the caller goes away meanwhile. Whoever answers with the object reads it again once that is
    /// applied, so that its etag is good for the next write; without it, if that is not applied before the
    /// deadline.
    pub(super) async fn submit_in_turn(&self, turn: Turn, facts: Vec<Fact>) -> Result<LogPos, Refusal> {
        let submission = Submission { facts, traces: Traced::new(), rejected: Vec::new(), purpose: Purpose::Decision };
        let backend = self.backend.clone();
        let (told, answer) = oneshot::channel();
        tokio::spawn(async move {
            let submitted = backend.submit(submission).await;
            let position = submitted.as_ref().ok().copied();
            // Whoever asked may be gone.
            let _ = told.send(submitted);
            if let Some(position) = position {
                backend.published().reaches(position, Deadline::after(TURN_MAX).wait_until()).await;
            }
            drop(turn);
        });
        answer.await.unwrap_or_else(|_| Err(Refusal::new(Reason::Internal)))
    }
}
