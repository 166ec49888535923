//! Tables that are to be read whole, since their changes do not say what they hold: they were
//! emptied at once, a snapshot of them ended, the position in their stream is lost, or fewer changes
//! arrived than their transaction told.
//!
//! A change of a row of something else that does not say of what is given to the entity that the row
//! is known to be of.
//!
//! What is asked for is durable before the change that asks is acknowledged, so that no kill can
//! lose it. Without a list job nobody can read a table again: then a person has to decide.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ontology::{Fact, System};
use tokio::sync::Notify;

use super::placing::Placing;
use super::transactions::{Lack, Transactions};
use crate::contract::{Decoded, Mark, RejectCode, Rejected, Resync, Sink, SinkError, Submission};
use crate::edge::{Context, Decoding};

/// Why a table is read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Some of its changes may be missing.
    Doubt,
    /// It was emptied: that most of its rows are gone is no surprise.
    Emptied,
}

impl Cause {
    fn word(self) -> &'static [u8] {
        match self {
            Cause::Doubt => b"doubt",
            Cause::Emptied => b"emptied",
        }
    }

    fn parse(word: &[u8]) -> Option<Self> {
        [Cause::Doubt, Cause::Emptied].into_iter().find(|cause| cause.word() == word)
    }
}

/// What was asked for. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Relist {
    asked: Option<Arc<Asked>>,
    transactions: Arc<Mutex<Transactions>>,
    placing: Placing,
}

#[derive(Debug, Default)]
struct Asked {
    /// Tables with the cause and a number that grows with every ask.
    tables: Mutex<BTreeMap<String, (Cause, u64)>>,
    news: Notify,
}

/// The name under which it is kept that `table` is to be read.
fn position_name(table: &str) -> String {
    format!("oracle/relist/{table}")
}

impl Relist {
    /// Nobody reads tables again.
    #[must_use]
    pub fn none() -> Self {
        Relist::default()
    }

    /// A list job reads `tables` again when it is asked; `position` gives what was asked for before
    /// the last stop.
    #[must_use]
    pub fn of(tables: &[String], position: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let asked = Asked::default();
        for table in tables {
            if let Some(cause) = position(&position_name(table)).and_then(|word| Cause::parse(&word)) {
                asked.lock().insert(table.clone(), (cause, 0));
            }
        }
        Relist { asked: Some(Arc::new(asked)), ..Relist::default() }
    }

    /// Asks for a table; durable when it returns. False if nobody reads tables again.
    pub async fn ask<S: Sink>(&self, context: &Context<S>, table: &str, cause: Cause) -> Result<bool, SinkError> {
        let Some(asked) = &self.asked else { return Ok(false) };
        context.submit_until_taken(note(context, table, cause.word())).await?;
        {
            let mut tables = asked.lock();
            let entry = tables.entry(table.to_owned()).or_insert((cause, 0));
            *entry = (entry.0.max(cause), entry.1 + 1);
        }
        asked.news.notify_one();
        Ok(true)
    }

    /// Heeds what a delivery asks for, before it is handed over: afterwards the source is told that
    /// it may forget the delivery.
    pub(super) async fn heed<S: Sink>(
        &self,
        context: &Context<S>,
        decoding: Decoding,
    ) -> Result<Submission, SinkError> {
        let Decoding { mut submission, resyncs, marks, unplaced } = decoding;
        self.count(context, marks).await?;
        for gone in self.placing.place(context, &mut submission, unplaced).await {
            // Only the whole table shows that the row is gone.
            self.ask(context, &gone, Cause::Doubt).await?;
        }
        for Resync { object, version } in resyncs {
            let cause = if version.is_some() { Cause::Emptied } else { Cause::Doubt };
            if !self.ask(context, &object, cause).await? && cause == Cause::Emptied {
                let detail = format!("{object}: emptied at once, and no list job is set up to read it again");
                let raw = submission.raw.clone();
                submission.rejects.push(Rejected { code: RejectCode::ContractBreach, detail, raw });
            }
        }
        Ok(submission)
    }

    /// Counts what was told of transactions, and asks for the tables of which changes did not arrive.
    pub(super) async fn count<S: Sink>(&self, context: &Context<S>, marks: Vec<Mark>) -> Result<(), SinkError> {
        let now = context.clock.now();
        let lacks = self.transactions.lock().unwrap_or_else(PoisonError::into_inner).take(marks, now);
        for Lack { transaction, object, told, arrived } in lacks {
            let Some(arrived) = arrived else {
                metrics::counter!("opshub_connector_transactions_uncounted_total", "system" => "oracle").increment(1);
                // Nothing is known to be missing: where nobody reads tables again, nobody is told.
                self.ask(context, &object, Cause::Doubt).await?;
                continue;
            };
            metrics::counter!("opshub_connector_lacking_total", "system" => "oracle").increment(told - arrived);
            let next = match self.ask(context, &object, Cause::Doubt).await? {
                true => "the list job reads it whole",
                false => "no list job is set up to read it again: they are missing",
            };
            let text = format!("{arrived} of {told} changes of {object} in transaction {transaction} arrived; {next}");
            context.status.failed(&text, now);
        }
        Ok(())
    }

    /// Notes what facts that come by another path say of their rows.
    pub(super) fn learn(&self, facts: &[Fact]) {
        self.placing.learn(facts);
    }

    /// The tables that are to be read now, with what [`Relist::done`] wants to know.
    pub(super) fn asked(&self) -> BTreeMap<String, (Cause, u64)> {
        self.asked.as_ref().map(|asked| asked.lock().clone()).unwrap_or_default()
    }

    /// A table was read, as asked up to `number`; what was asked since still holds.
    pub(super) async fn done<S: Sink>(&self, context: &Context<S>, table: &str, number: u64) -> Result<(), SinkError> {
        let Some(asked) = &self.asked else { return Ok(()) };
        let is_newest = {
            let mut tables = asked.lock();
            let is_newest = tables.get(table).is_some_and(|(_, newest)| *newest == number);
            if is_newest {
                tables.remove(table);
            }
            is_newest
        };
        if is_newest {
            context.submit_until_taken(note(context, table, b"")).await?;
        }
        Ok(())
    }

    /// Waits for the next ask; for ever where nobody reads tables again.
    pub(super) async fn news(&self) {
        match &self.asked {
            Some(asked) => asked.news.notified().await,
            None => std::future::pending().await,
        }
    }
}

impl Asked {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Cause, u64)>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note<S>(context: &Context<S>, table: &str, word: &[u8]) -> Submission {
    let now = context.clock.now();
    Submission::new(System::Oracle, "relist", Decoded::default(), Bytes::new(), now).at(&position_name(table), word)
}
